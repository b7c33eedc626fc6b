"""The network of heads from nothing to its numbers: `python benchmarks/heads.py draw | train | score` (docs/normals.md).

`draw` makes heads and draws them, one a second; `train` learns from them, and from those that are drawn meanwhile; `score` says how far normals are off on
held-out ones.
"""

import argparse
import sys
from pathlib import Path

from ncpifu_cli.artifacts import default_root
from ncpifu_cli.cli.console import RichReporter
from ncpifu_cli.data.normal_net import load_normals
from ncpifu_cli.data.normals import find_normal_weights
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.train_heads import draw_heads, drawn_heads, head_angle_deg, train_heads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("draw", "train", "score"))
    parser.add_argument("--heads", type=Path, default=default_root() / "heads", help="where heads of the split train lie")
    parser.add_argument("--held-out", type=Path, default=default_root() / "heads_test", help="where those of test and ood lie")
    parser.add_argument("--split", default="train", choices=("train", "test", "ood"), help="draw: whose heads")
    parser.add_argument("--seed", type=int, default=1, help="draw: number of the first")
    parser.add_argument("--count", type=int, default=1000, help="draw: how many")
    parser.add_argument("--weights", type=Path, help="score: default: the released ones")
    parser.add_argument("--start", type=Path, help="train: weights to go on from; default: the released ones")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("-o", "--output", type=Path, default=default_root() / "runs" / "heads")
    options = parser.parse_args()
    try:
        if options.action == "draw":
            draw_heads(
                options.heads if options.split == "train" else options.held_out,
                options.split,
                range(options.seed, options.seed + options.count),
                RichReporter(),
            )
        elif options.action == "train":
            held_out = options.held_out if options.held_out.exists() else None
            start = options.start or find_normal_weights()
            if start is None:
                raise NcpifuError("no normal network is installed", "give --start FILE, or train one: python benchmarks/normals.py train")
            train_heads(options.heads, options.output, start, held_out=held_out, limit_seconds=60 * options.minutes, reporter=RichReporter())
        else:
            weights = options.weights or find_normal_weights()
            net = None if weights is None else load_normals(weights).heads
            if net is None:
                raise NcpifuError("no network of heads is installed", "give --weights FILE, or train one")
            print(f"{head_angle_deg(net, drawn_heads(options.held_out, held_out=True)):.2f} degrees")
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
