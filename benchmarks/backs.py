"""The back network from nothing to its numbers: `python benchmarks/backs.py train | score` (docs/backs.md).

`train` learns from `ncpifu render --maps normal`, views in opposite pairs. `score` says how far the colours of held-out humans' other sides are off, beside the
photo seen through the body.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.cli.console import RichReporter
from ncpifu_cli.data.back_pictures import SURE, drawn_sides, lit_as
from ncpifu_cli.data.backs import find_back_weights, other_side
from ncpifu_cli.data.framing import head_rows
from ncpifu_cli.data.opposite_views import OppositeViews, find_opposite_views
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.train_back import train_back

SQUARE_PX = 8  # no stripe behind is where it is in front


def score(renders: Path, weights: Path, yaws_deg: tuple[float, ...]) -> None:
    """Print mean absolute errors, 0..1: of all pixels, of the head's, and of means over squares."""
    wanted = {yaw % 360 for yaw in yaws_deg}
    views = [views for views in find_opposite_views(renders, held_out=True) if views.front.yaw_deg % 360 in wanted]
    if not views:
        raise NcpifuError(f"no view in {renders} has a yaw of {', '.join(f'{yaw:g}' for yaw in yaws_deg)} degrees", "give --yaws that were rendered")
    rows = np.mean([errors(view, weights) for view in views], axis=0)
    print(f"{len(views)} views of held-out humans\n\n| | every pixel | the head's | squares of {SQUARE_PX} px |\n|---|---|---|---|")
    for name, row in zip(("the photo, seen through the body", "the network"), rows, strict=True):
        print(f"| {name} | " + " | ".join(f"{error:.3f}" for error in row) + " |")


def errors(views: OppositeViews, weights: Path) -> list[list[float]]:
    """(2, 3) mean absolute errors of photo and network."""
    photo, albedo, behind, cover = drawn_sides(views)
    known = cover > SURE
    true = lit_as(photo, albedo, known, behind, np.random.default_rng(0))
    told = other_side(weights, np.clip(photo, 0, 255).astype(np.uint8), cover).astype(np.float32)
    return [errors_between(answer, true, known) for answer in (photo, told)]


def errors_between(answer: np.ndarray, true: np.ndarray, known: np.ndarray) -> list[float]:
    """Colours (S, S, 3) 0..255 where known (S, S)."""
    off = (answer - true) * known[..., None] / 255
    head = np.zeros_like(known)
    head[head_rows(known.astype(np.float32))] = True
    squares = cv2.blur(off, (SQUARE_PX, SQUARE_PX))
    return [float(np.abs(part).mean()) for part in (off[known], off[known & head], squares[known])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("train", "score"))
    parser.add_argument("--renders", type=Path, default=default_root() / "renders")
    parser.add_argument("--weights", type=Path, help="score: default: the released ones")
    parser.add_argument("--start", type=Path, help="train: weights to go on from")
    parser.add_argument("--minutes", type=float, default=50)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="train: 0.0004 to go on from trained weights, which more would undo (default: 0.002)")
    parser.add_argument("--yaws", type=float, nargs="+", default=(0.0,), help="score: degrees; 0 is the front")
    parser.add_argument("--watch", nargs="*", default=(), help="train: names of subjects to watch in place of learning from them")
    parser.add_argument("-o", "--output", type=Path, default=default_root() / "runs" / "back")
    options = parser.parse_args()
    try:
        if options.action == "train":
            train_back(
                options.renders,
                options.output,
                watch=tuple(options.watch),
                start=options.start,
                learning_rate=options.learning_rate,
                limit_seconds=60 * options.minutes,
                reporter=RichReporter(),
            )
            return
        weights = options.weights or find_back_weights()
        if weights is None:
            raise NcpifuError("no back network is installed", "give --weights FILE, or train one")
        score(options.renders, weights, tuple(options.yaws))
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
