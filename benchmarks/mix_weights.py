"""Weights between two releases: `python benchmarks/mix_weights.py NEWER OLDER --share 0.7 -o mixed.safetensors` (docs/training.md).

Weights that go on training from others forget some of what those knew; between the two, predictions are better than at either end (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"). What the older network has not (a depth head that knows fewer surfaces) is the newer one's.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import load_weights, save_weights


def between(newer: dict[str, Tensor], older: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """share * newer + (1 - share) * older, for the tensors and, of a tensor with rows added, the rows that both have."""
    mixed = {name: tensor.clone() for name, tensor in newer.items()}
    for name, tensor in mixed.items():
        if name in older and older[name].shape[1:] == tensor.shape[1:] and len(older[name]) <= len(tensor):
            tensor[: len(older[name])].lerp_(older[name], 1 - share)
    return mixed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("newer", type=Path)
    parser.add_argument("older", type=Path)
    parser.add_argument("--share", type=float, default=0.7, help="of the newer")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    try:
        network, config, meta = load_weights(options.newer)
        with torch.no_grad():
            network.load_state_dict(between(network.state_dict(), load_weights(options.older)[0].state_dict(), options.share))
        save_weights(options.output, network, config, {**meta, "mixed": options.share})
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
