"""Two processes are one process with twice the batch: same losses, and the same weights in both."""

import multiprocessing
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from render_fixtures import losses, write_balls

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.stages import train as train_stage
from ncpifu_cli.stages.train import train

SMALL = ("model.image_size_px=32", "data.points=32", "picture_every=0", "steps=5", "validate_every=5")


def member(rank: int, port: int, config: TrainConfig, renders: Path | None, run: Path) -> None:
    """One of two processes, with the environment that torchrun gives."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))

    class Remembers(train_stage._Trainer):
        def run(self, *arguments):
            metrics = super().run(*arguments)
            np.save(run.parent / f"{run.name}-{rank}.npy", torch.cat([p.detach().reshape(-1) for p in self.state.model.parameters()]).numpy())
            return metrics

    train_stage._Trainer = Remembers
    result = train(config, renders, run, resume=renders is None, device="cpu")
    assert result.main == (rank == 0)


def in_two_processes(config: TrainConfig, renders: Path | None, run: Path) -> tuple[np.ndarray, np.ndarray]:
    """The weights that each of two processes ends with; without `renders` they go on with the run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ncpifu_cli.stages.train"])
    members = [context.Process(target=member, args=(rank, port, config, renders, run)) for rank in range(2)]
    for process in members:
        process.start()
    for process in members:
        process.join()
    assert [process.exitcode for process in members] == [0, 0]
    return tuple(np.load(run.parent / f"{run.name}-{rank}.npy") for rank in range(2))


def test_two_processes_train_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    renders = write_balls(tmp_path / "renders")
    # Codebook balance and depth error are means over a batch of unequal parts; without them the two are equal up to rounding.
    plain = ("loss.balance=0", "loss.depth=0", "revive_every=100")
    first, second = in_two_processes(load(TrainConfig, "tiny", [*SMALL, *plain]), renders, tmp_path / "two")
    train(load(TrainConfig, "tiny", [*SMALL, *plain, "optim.batch_size=4"]), renders, tmp_path / "one")
    assert np.array_equal(first, second)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert list(two) == [1, 2, 3, 4, 5]
    assert [float(v) for v in two.values()] == pytest.approx([float(v) for v in one.values()], rel=1e-4)


def test_processes_stay_together_with_every_loss_and_with_revival(tmp_path: Path) -> None:
    renders = write_balls(tmp_path / "renders")
    first, second = in_two_processes(load(TrainConfig, "tiny", [*SMALL, "steps=20", "revive_every=2"]), renders, tmp_path / "run")
    assert np.array_equal(first, second)
    longer = load(TrainConfig, "tiny", [*SMALL, "steps=22", "revive_every=2"])
    third, fourth = in_two_processes(longer, None, tmp_path / "run")  # both find the subjects again
    assert np.array_equal(third, fourth)
    assert not np.array_equal(first, third)
    before = (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns
    in_two_processes(longer, None, tmp_path / "run")  # both see that nothing is left
    assert (tmp_path / "run" / "last.safetensors").stat().st_mtime_ns == before
