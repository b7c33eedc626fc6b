"""Weights between two releases: `python benchmarks/mix_weights.py NEWER OLDER --share 0.7 -o mixed.safetensors` (docs/releases.md).

Weights that go on training from others forget some of what those knew; between the two, predictions are better than at either end (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"). What the older network has not (a depth head that knows fewer surfaces) is the newer one's.
"""

import argparse
import copy
import sys
from pathlib import Path

import torch

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import load_weights, save_weights
from ncpifu_cli.stages.train_warm_start import warm_start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("newer", type=Path)
    parser.add_argument("older", type=Path)
    parser.add_argument("--share", type=float, default=0.7, help="of the newer")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        network, config, meta = load_weights(options.newer)
        other = copy.deepcopy(network)
        print(warm_start(other, options.older))  # what the older file has not stays the newer one's
        with torch.no_grad():
            for tensor, older in zip(network.state_dict().values(), other.state_dict().values(), strict=True):
                tensor.lerp_(older, 1 - options.share)
        save_weights(options.output, network, config, {**meta, "mixed": options.share})
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
