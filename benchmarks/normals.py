"""The normal network from nothing to its numbers: `python benchmarks/normals.py train | score` (docs/normals.md).

`train` learns from `ncpifu render --maps normal`, views in opposite pairs. `score` says how far the normals of held-out humans are off; what they do
for meshes is measured by `ncpifu eval --detail`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.cli.console import RichReporter
from ncpifu_cli.data.network_input import CLOSE_PX
from ncpifu_cli.data.normal_net import load_normals
from ncpifu_cli.data.normals import find_normal_weights
from ncpifu_cli.data.opposite_views import OppositeViews, find_opposite_views
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.train_normals import angles_deg, close_angles_deg, train_normals

TITLES = {"head": "of it the head", "front_close": "front, close too", "head_close": "of it the head"}


def score(renders: Path, close: Path | None, weights: Path, count: int) -> None:
    """Print the mean angle to the true normals on `count` views of held-out humans; and on as many close ones, of their heads."""
    nets = load_normals(weights)
    views = _some(find_opposite_views(renders, held_out=True), count)
    found = angles_deg(nets.people, views)
    if close is not None:
        views_close = _some(find_opposite_views(close, held_out=True, size_px=CLOSE_PX), count)
        found |= {f"{name}_close": angle for name, angle in close_angles_deg(nets, views_close).items()}
    print(f"{len(views)} views of held-out humans, mean angle in degrees\n\n| {' | '.join(TITLES.get(name, name) for name in found)} |\n|{'---|' * len(found)}")
    print("| " + " | ".join(f"{angle:.1f}" for angle in found.values()) + " |")


def _some(views: list[OppositeViews], count: int) -> list[OppositeViews]:
    return [views[i] for i in np.linspace(0, len(views) - 1, min(count, len(views))).round().astype(int)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("train", "score"))
    parser.add_argument("--renders", type=Path, default=default_root() / "renders")
    parser.add_argument("--close", type=Path, help="renders of 1024 px, for the close look")
    parser.add_argument("--weights", type=Path, help="score: default: the released ones")
    parser.add_argument("--start", type=Path, help="train: weights to go on from")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--count", type=int, default=60, help="score: views")
    parser.add_argument("-o", "--output", type=Path, default=default_root() / "runs" / "normals")
    options = parser.parse_args()
    try:
        if options.action == "train":
            train_normals(
                options.renders,
                options.output,
                start=options.start,
                close_renders=options.close,
                steps=100_000,
                limit_seconds=60 * options.minutes,
                reporter=RichReporter(),
            )
            return
        weights = options.weights or find_normal_weights()
        if weights is None:
            raise NcpifuError("no normal network is installed", "give --weights FILE, or train one")
        score(options.renders, options.close, weights, options.count)
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
