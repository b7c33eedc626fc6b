"""The mean of weights: `python benchmarks/mix_weights.py NEWER OLDER --shares 0.7 0.3 -o mixed.safetensors` (docs/releases.md).

Weights that go on training from others forget some of what those knew; between the two, predictions are better than at either end (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"). What an older network has not (a depth head that knows fewer surfaces) is the first one's. A mean is as sure as none
of its parts, so its surface lies elsewhere: `--renders data/renders --watch NAME NAME` puts it in place on these humans, who were not trained on.
"""

import argparse
import copy
import sys
from pathlib import Path

import torch

from ncpifu_cli.config.base import load
from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderedSubject, find_subjects
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.checkpoint import load_weights, read_header, save_weights
from ncpifu_cli.stages.train_calibrate import surface_logit
from ncpifu_cli.stages.train_warm_start import warm_start


def mix(paths: list[Path], shares: list[float], subjects: list[RenderedSubject], views: int, output: Path) -> None:
    """Write the mean of the weights in `paths` with `shares`, which sum to 1, its surface in place on `views` views of each of `subjects` (none: left)."""
    network, config, meta = load_weights(paths[0])
    steps = [int(meta.get("steps", 0))]
    shares = [share / sum(shares) for share in shares]
    total = {name: shares[0] * tensor.double() for name, tensor in network.state_dict().items()}
    for path, share in zip(paths[1:], shares[1:], strict=True):
        other = copy.deepcopy(network)
        print(warm_start(other, path))  # what this file has not stays the first one's
        steps.append(int(read_header(path).get("meta", {}).get("steps", 0)))
        for name, tensor in other.state_dict().items():
            total[name] += share * tensor.double()
    network.load_state_dict({name: total[name].to(tensor.dtype) for name, tensor in network.state_dict().items()})
    meta = {"steps": sum(steps), "mixed": shares}
    if subjects:
        training = load(TrainConfig, overrides=[f"data.validation_views={views}", f"model.image_size_px={config.image_size_px}"])
        meta["surface_logit"] = surface_logit(network.eval(), training, subjects, torch.device("cpu"))
        with torch.no_grad():
            network.classifier.lower(meta["surface_logit"])
        print(f"the surface was at a logit of {meta['surface_logit']:.3f}")
    save_weights(output, network, config, meta)
    print(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--shares", type=float, nargs="+", help="of each; default: equal parts")
    parser.add_argument("--renders", type=Path, help="with --watch: where the humans are")
    parser.add_argument("--watch", nargs="+", default=[], help="humans on whom the surface is put in place")
    parser.add_argument("--views", type=int, default=8, help="of each of them (8)")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    shares = options.shares or [1 / len(options.weights)] * len(options.weights)
    if len(shares) != len(options.weights) or abs(sum(shares) - 1) > 1e-3:
        parser.error(f"--shares wants {len(options.weights)} numbers, one for each of the weights, that make 1")
    if (options.renders is None) != (not options.watch):
        parser.error("--renders and --watch go together")
    try:
        subjects = [subject for subject in find_subjects(options.renders) if subject.name in options.watch] if options.watch else []
        if len(subjects) != len(set(options.watch)):
            raise NcpifuError(f"{len(subjects)} of {len(set(options.watch))} humans are in {options.renders}", "check --watch")
        mix(options.weights, shares, subjects, options.views, options.output)
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
