"""Every row of the ablation table and the PIFu baseline, trained and scored alike: same profile, data, steps, seed and protocol.

    python benchmarks/ablations.py train -o data/runs/ablations --steps 3000            # all of them, one after the other
    python benchmarks/ablations.py train -o data/runs/ablations full pifu --limit-time 3600
    python benchmarks/ablations.py score -o data/runs/ablations --limit 20              # those that are finished; prints a Markdown table

Runnable in pieces: `train` goes on where it was stopped (Ctrl-C, SIGTERM, the time limit or a kill) and leaves finished rows alone, `score` keeps finished
meshes. Further settings are laid over the profile for every row alike: --set model.image_size_px=128.
"""

import argparse
import time
from pathlib import Path

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.config.base import load
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.models.checkpoint import load_weights
from ncpifu_cli.stages.eval import evaluate
from ncpifu_cli.stages.report import interval
from ncpifu_cli.stages.train import train

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
}


def train_rows(names: list[str], options: argparse.Namespace) -> None:
    """Train each row to its last step, as far as the time allows."""
    deadline = time.monotonic() + options.limit_time if options.limit_time else None
    for name in names:
        config = load(TrainConfig, options.config, [f"steps={options.steps}", *options.set], ablation=name)
        if steps_done(options.output / name) >= config.steps:
            continue
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return
        result = train(config, options.data, options.output / name, resume=True, limit_seconds=left)
        print(f"{name}: step {result.steps} of {config.steps}, {result.metrics}", flush=True)
        if result.signal_number is not None:
            return


def steps_done(run: Path) -> int:
    """Steps of the weights in a run's folder, 0 without any."""
    weights = run / "weights.safetensors"
    return int(load_weights(weights)[2]["steps"]) if weights.exists() else 0


def score_rows(names: list[str], options: argparse.Namespace) -> None:
    """Evaluate the finished rows on the held-out humans and print the table: mean [95 % interval over subjects]."""
    steps = {name: steps_done(options.output / name) for name in names}
    finished = [name for name in names if steps[name] >= options.steps]
    weights = tuple(f"{name}={options.output / name / 'weights.safetensors'}" for name in finished)
    report = evaluate(EvalConfig(weights=weights, limit=options.limit, output=str(options.output / "eval"), resolution=options.resolution, figure_rows=0))
    columns = {metric: title for metric, (title, _) in list(report.headline.items())[:4]}
    first = next(iter(columns))
    print(f"| table 2 | `--ablation` | {' | '.join(columns.values())} | {columns[first]} against {finished[0]} |\n|{'---|' * (len(columns) + 3)}")
    for name in finished:
        scores = report.summary(name)
        against = "" if name == finished[0] else interval(report.difference(name)[first])
        print(f"| {ROWS[name]} | {name} | {' | '.join(interval(scores[metric]) for metric in columns)} | {against} |")
    print(f"\n{len(report.subjects)} held-out humans, {options.steps} steps each, 95 % intervals over subjects; last column paired by subject.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("train", "score"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"rows, all without any: {', '.join(ROWS)}")
    parser.add_argument("-o", "--output", type=Path, default=default_root() / "runs" / "ablations")
    parser.add_argument("--data", type=Path, default=default_root() / "renders")
    parser.add_argument("--config", default="compact")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--limit-time", type=float, metavar="SECONDS")
    parser.add_argument("--limit", type=int, default=20, help="held-out subjects")
    parser.add_argument("--resolution", type=int, default=256)
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(ROWS))
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}")
    {"train": train_rows, "score": score_rows}[options.action](options.names or list(ROWS), options)


if __name__ == "__main__":
    main()
