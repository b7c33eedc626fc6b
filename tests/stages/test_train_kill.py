"""kill -9 at random moments, then --resume: the loss sequence is the one of a run that nobody killed.

NCPIFU_KILLS=20 pytest tests/stages/test_train_kill.py      the long version
"""

import multiprocessing
import os
import random
import time
from pathlib import Path

from render_fixtures import losses, write_balls

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.models.checkpoint import read_tensors
from ncpifu_cli.stages.train import train

KILLS = int(os.environ.get("NCPIFU_KILLS", "4"))


def test_killed_at_random_moments_a_run_loses_nothing(tmp_path: Path) -> None:
    renders = write_balls(tmp_path / "renders")
    steps = 6 * KILLS
    settings = [
        "model.image_size_px=32",
        "data.points=32",
        f"steps={steps}",
        "validate_every=3",
        "picture_every=7",
        "picture_resolution=16",
        "picture_subjects=1",
    ]
    config = load(TrainConfig, "tiny", settings)
    train(config, renders, tmp_path / "whole")
    # A server process imports everything once and forks the victims: a kill costs no import.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ncpifu_cli.stages.train"])
    chance, run, lost = random.Random(1), tmp_path / "killed", 0
    for _ in range(KILLS):
        before = written(run)
        target = saved_step(run) + chance.randint(1, 6)
        victim = context.Process(target=train, args=(config, renders, run), kwargs={"resume": True})
        victim.start()
        while victim.is_alive() and (written(run) == before or logged_step(run) < target):
            time.sleep(0.01)
        time.sleep(chance.random() * 0.1)
        victim.kill()
        victim.join()
        lost += logged_step(run) - saved_step(run)
    assert lost > 0, "no kill came between two checkpoints"
    train(config, renders, run, resume=True)
    assert losses(run) == losses(tmp_path / "whole")
    ours, whole = (read_tensors(folder / "last.safetensors")[0] for folder in (run, tmp_path / "whole"))
    assert all((ours[name] == whole[name]).all() for name in whole)
    assert not list(run.glob(".tmp-*"))


def saved_step(run: Path) -> int:
    return read_tensors(run / "last.safetensors")[1]["step"] if (run / "last.safetensors").exists() else 0


def logged_step(run: Path) -> int:
    return max(losses(run), default=0) if (run / "metrics.csv").exists() else 0


def written(run: Path) -> int:
    """Changes when a process that resumes has dropped what was logged after the checkpoint."""
    return (run / "metrics.csv").stat().st_ino if (run / "metrics.csv").exists() else 0
