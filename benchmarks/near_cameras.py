"""How far networks are off on views of near cameras, beside the same orthographic views: `python benchmarks/near_cameras.py RENDERS WEIGHTS...`

RENDERS holds rendered humans that no network was trained on. For each network and kind of view, the mean depth error of front and back in cm, one way,
over the same views; the near cameras are those of training (`data/perspective.py`), their views made of the orthographic ones. A Markdown table.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from ncpifu_cli.config.base import load
from ncpifu_cli.config.model import ModelConfig
from ncpifu_cli.config.train import AugmentConfig, TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, RenderedSubject, find_subjects
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import Network
from ncpifu_cli.models.checkpoint import load_weights
from ncpifu_cli.models.losses import depth_error_cm

BARE = {name: False if name == "flip" else 0 for name in AugmentConfig.model_fields}  # everything switched off
KINDS: dict[str, dict[str, float]] = {"orthographic": {}, "near camera": {"perspective": 1}, "with prints": {"prints": 1}}


@torch.inference_mode()
def depth_error(network: Network, config: ModelConfig, people: list[RenderedSubject], kind: dict[str, float], views: int, frontal: float) -> float:
    """Mean over `views` views of each, the same for every network."""
    augment = AugmentConfig.model_validate({**BARE, **kind})
    data = load(TrainConfig, overrides=["data.points=16", f"data.frontal_share={frontal}"]).data.model_copy(update={"augment": augment})
    probe = network.see(torch.zeros(1, 3, config.image_size_px, config.image_size_px)).depth
    stride, layers = config.image_size_px // probe.shape[-1], probe.shape[-3]
    dataset = RenderDataset(people, data, config.image_size_px, seed=7919, length=views * len(people), depth_stride=stride, depth_layers=layers)
    errors = []
    for item in (dataset[index] for index in range(len(dataset))):
        errors.append(depth_error_cm(network.see(item["image"][None]).depth[-1], item["depth"][None], config.depth_scale))
    return float(np.mean(errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("renders", type=Path, help="rendered humans that no network was trained on")
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--views", type=int, default=4, help="of each human (4)")
    parser.add_argument("--frontal-share", type=float, default=0.7, help="share of views within 60 degrees of the front (0.7)")
    options = parser.parse_args()
    if options.views < 1:
        parser.error("--views wants 1 or more")
    try:
        people = find_subjects(options.renders, held_out=True)
        print(f"{options.views} views of each of {len(people)} humans; depth error, cm\n\n| | {' | '.join(KINDS)} |\n|---|{'---|' * len(KINDS)}")
        for path in options.weights:
            network, config, _ = load_weights(path)
            row = [depth_error(network, config, people, kind, options.views, options.frontal_share) for kind in KINDS.values()]
            print(f"| {path.stem} | {' | '.join(f'{value:.2f}' for value in row)} |", flush=True)
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
