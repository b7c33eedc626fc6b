"""Every row of the ablation table and the PIFu baseline, trained and scored alike: same profile, data, steps, seed and protocol.

    python benchmarks/ablations.py train -o data/runs/ablations --steps 3000            # all of them, one after the other
    python benchmarks/ablations.py train -o data/runs/ablations full pifu --limit-time 3600
    python benchmarks/ablations.py score -o data/runs/ablations --limit 20              # those that are finished; prints a Markdown table
    python benchmarks/ablations.py score full pifu=elsewhere/weights.safetensors        # a row of -o, and any other weights
    python benchmarks/ablations.py flips full literal_groups                             # how often an answer depends on which points are asked together
    python benchmarks/ablations.py train --encoder data/runs/encoder/weights.safetensors  # every row starts from one encoder, everything behind it fresh

Runnable in pieces: `train` goes on where it was stopped (Ctrl-C, SIGTERM, the time limit or a kill) and leaves finished rows alone, `score` keeps finished
meshes and writes the report of `ncpifu eval` into eval/ beside the rows (`ncpifu eval --table 2` reads it). Further settings are laid over the profile for
every row alike: --set model.image_size_px=128. Finding depth in an image takes most of a training run and is the same for every row: with `--encoder`, an
encoder that was trained alone (`loss.occupancy=0`), each row spends its steps on what tells it from the others.
"""

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import torch

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.config.base import load
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, find_subjects
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.api import Features, ImplicitModel
from ncpifu_cli.models.checkpoint import load_weights, read_tensors, save_tensors
from ncpifu_cli.stages.eval import evaluate
from ncpifu_cli.stages.report import interval
from ncpifu_cli.stages.train import train
from ncpifu_cli.stages.train_loader import choose_subjects
from ncpifu_cli.stages.train_state import ENCODER

# name -> row of the paper's table 2 (or where else it comes from); the first is what the others are compared with
ROWS = {
    "full": "w/ all modules",
    "no_integration": "w/o integration",
    "no_local_codebook": "w/o local codebook",
    "no_global_codebook": "w/o global codebook",
    "no_fusion": "w/o fusion",
    "codebooks_no_fusion": "w/ codebooks w/o fusion",
    "pifu": "PIFu (table 1)",
    "no_codebooks": "no codebook (ours)",
    "no_gate": "no gate (ours)",
    "literal_groups": "groups of query points (ours)",
    "lattice_coarse": "4 x 8 x 3 location tokens (ours)",
    "lattice_fine": "8 x 16 x 7 location tokens (ours)",
}
LATTICES = {"lattice_coarse": "[4,8,3]", "lattice_fine": "[8,16,7]"}  # the others are files of configs/ablations/
ENCODER_PARTS = (*ENCODER, "camera_head.")
GRID_NODES = 25  # nodes a side of the coarser of the two grids of `flips`


def weights_of(row: str, options: argparse.Namespace) -> Path:
    """Where a row's weights lie."""
    return Path(options.output / row / "weights.safetensors")


def settings_of(row: str, options: argparse.Namespace) -> TrainConfig:
    """The profile with a row's changes."""
    changes = [f"steps={options.steps}", *options.set]
    if row in LATTICES:
        return load(TrainConfig, options.config, [*changes, f"model.lattice.size={LATTICES[row]}"])
    return load(TrainConfig, options.config, changes, ablation=row)


def encoder_alone(weights: Path, folder: Path) -> Path:
    """The encoder's tensors of a weights file, as a file of their own in `folder`: a row that starts from it has fresh weights behind the encoder."""
    tensors, header = read_tensors(weights)
    path = folder / "encoder.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(path, {name: tensor for name, tensor in tensors.items() if name.startswith(ENCODER_PARTS)}, header)
    return path


def train_rows(names: list[str], options: argparse.Namespace) -> None:
    """Train each row to its last step, as far as the time allows."""
    deadline = time.monotonic() + options.limit_time if options.limit_time else None
    encoder = encoder_alone(options.encoder, options.output) if options.encoder else None
    for name in names:
        config = settings_of(name, options)
        if steps_done(weights_of(name, options)) >= config.steps:
            continue
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return
        result = train(config, options.data, options.output / name, resume=True, init_from=encoder, limit_seconds=left)
        print(f"{name}: step {result.steps} of {config.steps}, {result.metrics}", flush=True)
        if result.signal_number is not None:
            return


def steps_done(weights: Path) -> int:
    """Steps that the weights were trained for, 0 without any."""
    return int(read_tensors(weights)[1].get("meta", {}).get("steps", 0)) if weights.exists() else 0


def find_weights(names: list[str], options: argparse.Namespace) -> dict[str, Path]:
    """Name -> file: what is given as NAME=FILE, and the rows that are trained to their last step; the others are named."""
    found = {}
    for name in names:
        row, given, file = name.partition("=")
        weights = Path(file) if given else weights_of(row, options)
        if given or steps_done(weights) >= options.steps:
            found[row] = weights
        else:
            print(f"{row} is left out: {weights} has {steps_done(weights)} of {options.steps} steps")
    if not found:
        raise NcpifuError(f"nothing to score in {options.output}", "train first, give --steps as in training, or name weights: NAME=FILE")
    return found


def score_rows(names: list[str], options: argparse.Namespace) -> None:
    """Evaluate the finished rows on the held-out humans and print the table: mean [95 % interval over subjects]."""
    weights = find_weights(names, options)
    report = evaluate(
        EvalConfig(
            weights=tuple(f"{name}={file}" for name, file in weights.items()),
            data=str(options.scans) if options.scans else None,
            limit=options.limit,
            jobs=options.jobs,
            resolution=options.resolution,
            output=str(options.output / "eval"),
        )
    )
    columns = {metric: title for metric, (title, _) in list(report.headline.items())[:4]}
    first, compared = next(iter(weights)), next(iter(columns))
    print(f"| table 2 | name | steps | {' | '.join(columns.values())} | {columns[compared]} against {first} |\n|{'---|' * (len(columns) + 4)}")
    for name, file in weights.items():
        scores = report.summary(name)
        against = "" if name == first else interval(report.difference(name)[compared])
        print(f"| {ROWS.get(name, '')} | {name} | {steps_done(file)} | {' | '.join(interval(scores[metric]) for metric in columns)} | {against} |")
    print(f"\n{len(report.subjects)} held-out humans, 95 % intervals over subjects; last column paired by subject. {report.folder / 'report.html'}")


def flip_rows(names: list[str], options: argparse.Namespace) -> None:
    """Share of the answers, on the watched subjects, that change sides with the points they are asked with. Prints a Markdown table.

    The points that training asks about, asked all at once, against in pieces of 1024 in random order, and against among a regular grid; and the nodes of a grid
    that lie at the surface, against the same nodes as part of a grid twice as fine (what an extraction at another resolution does).
    """
    print("| name | all at once and in pieces | all at once and among a grid | a grid and one twice as fine, nodes at the surface |\n|---|---|---|---|")
    for name, weights in find_weights(names, options).items():
        model, config, _ = load_weights(weights)
        settings = settings_of(name, options) if name in ROWS else load(TrainConfig, options.config, options.set)
        _, watched = choose_subjects(find_subjects(options.data), settings.data)
        data = settings.data.model_copy(update={"points": 8192})
        depth = {"depth_stride": config.depth_stride, "depth_layers": config.depth_layers}
        items = RenderDataset(watched, data, config.image_size_px, seed=0, length=len(watched), augment=False, **depth)
        flips: list[tuple[float, float, float]] = []
        for item in (items[index] for index in range(len(items))):
            points = item["points"]
            order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
            with torch.inference_mode():
                features = model.encode(item["image"][None])

                inside = partial(sides, model, features)
                whole = inside(points)
                pieces = torch.cat([inside(points[part]) for part in order.split(1024)])
                among = inside(torch.cat([points, grid_nodes(17).reshape(-1, 3)]))[: len(points)]
                coarse, fine = (inside(grid_nodes(nodes).reshape(-1, 3)).reshape(nodes, nodes, nodes) for nodes in (GRID_NODES, 2 * GRID_NODES - 1))
            changed = coarse != fine[::2, ::2, ::2]
            flips.append((share(whole[order] != pieces), share(whole != among), share(changed[at_surface(coarse)])))
        print(f"| {name} | {' | '.join(f'{sum(column) / len(column):.2%}' for column in zip(*flips, strict=True))} |", flush=True)


def sides(model: ImplicitModel, features: Features, points: torch.Tensor) -> torch.Tensor:
    """(N,) bool: which of the (N, 3) points, asked together, the network holds for inside."""
    return model.query(features, points[None]).logits[-1, 0] > 0


def grid_nodes(count: int) -> torch.Tensor:
    """(count, count, count, 3) NDC: a grid over what most people fill; of 2 n - 1 nodes a side, every second one is a node of the grid of n."""
    axis = torch.linspace(-1, 1, count)
    return torch.stack(torch.meshgrid(0.6 * axis, 0.95 * axis, 0.3 * axis, indexing="ij"), dim=-1)


def at_surface(inside: torch.Tensor) -> torch.Tensor:
    """(X, Y, Z) bool: the nodes that have a neighbour along an axis on the other side."""
    near = torch.zeros_like(inside)
    for axis in range(3):
        count = inside.shape[axis] - 1
        differs = inside.narrow(axis, 1, count) != inside.narrow(axis, 0, count)
        near.narrow(axis, 1, count).logical_or_(differs)
        near.narrow(axis, 0, count).logical_or_(differs)
    return near


def share(chosen: torch.Tensor) -> float:
    """Of (N,) bool, how many are True, 0..1."""
    return float(chosen.float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("train", "score", "flips"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows, all without any: {', '.join(ROWS)}; score and flips take NAME=FILE too")
    parser.add_argument("-o", "--output", type=Path, default=default_root() / "runs" / "ablations")
    parser.add_argument("--data", type=Path, default=default_root() / "renders", help="train, flips: the rendered humans")
    parser.add_argument("--config", default="compact", help="train: the profile")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--encoder", type=Path, metavar="FILE", help="train: weights whose encoder every row starts from")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--limit-time", type=float, metavar="SECONDS")
    parser.add_argument("--scans", type=Path, help="score: the held-out humans; default: scans/ of the data root")
    parser.add_argument("--limit", type=int, default=20, help="score: held-out subjects")
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_intermixed_args()
    unknown = sorted({name for name in options.names if options.action == "train" or "=" not in name} - set(ROWS))
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}")
    try:
        {"train": train_rows, "score": score_rows, "flips": flip_rows}[options.action](options.names or list(ROWS), options)
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
