"""CPU seconds per stage of `ncpifu synth`: python benchmarks/synth.py [--count 5] [--seed 1]. One process; best run on a quiet machine."""

import argparse
import sys
import time

import numpy as np

from ncpifu_cli.synth.assemble import encode_draco
from ncpifu_cli.synth.body import load_body_model
from ncpifu_cli.synth.gates import RejectedHuman
from ncpifu_cli.synth.human import make_human


def main() -> None:
    """Print one row per stage: mean, smallest and largest CPU seconds over the humans made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    load_body_model()
    rows: list[dict[str, float]] = []
    sizes, walls, rejected = [], [], 0
    for number in range(options.seed, options.seed + options.count):
        start = time.perf_counter()
        try:
            human = make_human("train", number)
        except RejectedHuman as error:
            rejected += 1
            sys.stdout.write(f"{error}\n")
            continue
        walls.append(time.perf_counter() - start)
        rows.append({**human.seconds, "total": sum(human.seconds.values())})
        sizes.append(len(encode_draco(human.mesh)) / 1000)
    if not rows:
        raise SystemExit("every human was rejected: try another --seed")
    sys.stdout.write(f"{len(rows)} humans, {rejected} rejected; CPU seconds per human\n\n| stage | mean | min | max |\n|---|---|---|---|\n")
    for stage in rows[0]:
        values = np.array([row[stage] for row in rows])
        sys.stdout.write(f"| {stage} | {values.mean():.2f} | {values.min():.2f} | {values.max():.2f} |\n")
    sys.stdout.write(f"\nwall {np.mean(walls):.1f} s per human; {np.mean(sizes):.0f} kB per mesh\n")


if __name__ == "__main__":
    main()
