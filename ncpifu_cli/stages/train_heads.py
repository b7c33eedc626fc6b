"""Draw heads, and train the network that sees their normals (docs/normals.md). One process; drawing goes on beside training, in another one."""

import copy
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, remove_leftovers
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.head_pictures import draw_head, draw_picture, read_views, save_views
from ncpifu_cli.data.normal_net import NormalNet, NormalNets, load_normals, save_normals
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.progress import SILENT, Reporter
from ncpifu_cli.stages.train_normals import between_deg, crop_tensors, normal_loss
from ncpifu_cli.stages.train_pictures import fit, keeper
from ncpifu_cli.synth.heads import make_head
from ncpifu_cli.synth.streams import global_seed, subject_name

VIEWS = 4  # of a head, from somewhere before it
OF_EACH = 2  # pictures of a view that is read
LOOK_AGAIN = 500  # draws between two looks at what lies in the folder
WATCHED = 64  # pictures whose error is told


def draw_heads(folder: Path, split: str, numbers: Iterable[int], reporter: Reporter = SILENT) -> None:
    """Heads of these numbers of a split into `folder`, one file each, about a second; what is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    for number in numbers:
        file = folder / f"{subject_name(split, number)}.npz"
        if file.exists():
            continue
        head, rng = make_head(split, number), np.random.default_rng(global_seed(split, number))
        save_views(file, [draw_head(head.mesh.vertices, head.mesh.faces, head.mesh.colors, head.crown, rng) for _ in range(VIEWS)])
        reporter.info(f"{file.stem}: {len(head.mesh.faces)} faces")


def train_heads(
    heads: Path,
    run: Path,
    start: Path,
    *,
    held_out: Path | None = None,
    steps: int = 100_000,
    batch_size: int = 8,
    learning_rate: float = 2e-3,
    limit_seconds: float = math.inf,
    validate_every: int = 500,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Path:
    """Train on what `draw_heads` drew; every `validate_every` steps score the averaged weights on those in `held_out`.

    Args: run: folder for normals.safetensors and metrics.jsonl. start: weights whose network of people stays, and whose network of heads, or of people where
        there is none, goes on learning. limit_seconds: the learning rate falls to zero by then.

    Returns the weights file. Raises NcpifuError where there is nothing to train on.
    """
    torch.manual_seed(seed)
    files = drawn_heads(heads)
    watched = drawn_heads(held_out, held_out=True) if held_out is not None else []
    backdrops, rng = Backdrops(None), np.random.default_rng(seed)
    draws = 0

    def draw() -> tuple[Tensor, Tensor]:
        nonlocal files, draws
        draws += 1
        if draws % LOOK_AGAIN == 0:
            files = drawn_heads(heads)
        chosen = [read_views(files[index]) for index in rng.integers(len(files), size=-(-batch_size // OF_EACH))]
        pictures = [draw_picture(views[rng.integers(len(views))], rng, backdrops) for views in chosen for _ in range(OF_EACH)]
        return crop_tensors(pictures[:batch_size])

    def scores(net: NormalNet) -> dict[str, float]:
        return {"head_deg": round(head_angle_deg(net, watched), 2)} if watched else {}

    begun = load_normals(start)
    people = copy.deepcopy(begun.people)  # stays, whichever of the two goes on learning

    def save(path: Path, net: NormalNet, meta: dict[str, Any]) -> None:
        save_normals(path, NormalNets(people, net), meta)

    return fit(
        begun.heads or begun.people,
        draw,
        normal_loss,
        keeper(NormalNet, scores, save, run / "normals.safetensors", reporter),
        steps=steps,
        learning_rate=learning_rate,
        limit_seconds=limit_seconds,
        validate_every=validate_every,
        reporter=reporter,
    )


def head_angle_deg(net: NormalNet, files: list[Path]) -> float:
    """Mean angle to the true normals over badly photographed heads, the same pictures every time."""
    rng, backdrops, angles = np.random.default_rng(0), Backdrops(None), []
    for file in files[:WATCHED]:
        picture, true = crop_tensors([draw_picture(read_views(file)[0], rng, backdrops)])
        with torch.inference_mode():
            angles.append(float(between_deg(net(picture)[0, :3], true[0, :3]).nanmean()))
    return float(np.mean(angles))


def drawn_heads(folder: Path, *, held_out: bool = False) -> list[Path]:
    """The files that `draw_heads` left in a folder, of training heads or of those held out. Raises NcpifuError where there are none."""
    files = sorted(file for file in folder.glob("[!.]*.npz") if file.name.startswith(HELD_OUT_PREFIXES) == held_out)
    if not files:
        raise NcpifuError(
            f"no {'held-out ' if held_out else ''}heads in {folder}", f"draw some: python benchmarks/heads.py draw{' --split test' if held_out else ''}"
        )
    return files
