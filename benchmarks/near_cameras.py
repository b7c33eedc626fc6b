"""How far networks are off on views of near cameras, beside the same orthographic views: `python benchmarks/near_cameras.py RENDERS WEIGHTS...`

RENDERS holds rendered humans that no network was trained on. For each network and kind of view, the mean depth error of front and back in cm, one way,
over the same views; the near cameras are those of training (`data/perspective.py`), their views made of the orthographic ones. Networks that tell the camera
also get its mean error, in 1 / NDC of 1 / distance, and the mean error of how steep level ground at the feet comes out when the perspective is taken out of
the mesh, in degrees, beside that when it is left in. A Markdown table.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ncpifu_cli.config.base import load
from ncpifu_cli.config.model import ModelConfig
from ncpifu_cli.config.train import AugmentConfig, TrainConfig
from ncpifu_cli.data.dataset import RenderDataset, RenderedSubject, find_subjects
from ncpifu_cli.data.perspective import Perspective
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.models.build import Network
from ncpifu_cli.models.checkpoint import load_weights
from ncpifu_cli.models.losses import depth_error_cm

BARE = {name: False if name == "flip" else 0 for name in AugmentConfig.model_fields}  # everything switched off
KINDS: dict[str, dict[str, float]] = {"orthographic": {}, "near camera": {"perspective": 1}, "with prints": {"prints": 1}}
FEET_NDC = -0.86  # height of the soles of somebody who stands in the middle
SCORES = ("depth (cm)", "1 / distance", "ground (degrees)", "ground left in (degrees)")


@torch.inference_mode()
def errors(network: Network, config: ModelConfig, people: list[RenderedSubject], kind: dict[str, float], views: int, frontal: float) -> list[float]:
    """SCORES, of the camera nan where the network does not tell it: means over `views` views of each, the same for every network."""
    augment = AugmentConfig.model_validate({**BARE, **kind})
    data = load(TrainConfig, overrides=["data.points=16", f"data.frontal_share={frontal}"]).data.model_copy(update={"augment": augment})
    probe = network.see(torch.zeros(1, 3, config.image_size_px, config.image_size_px)).depth
    stride, layers = config.image_size_px // probe.shape[-1], probe.shape[-3]
    dataset = RenderDataset(people, data, config.image_size_px, seed=7919, length=views * len(people), depth_stride=stride, depth_layers=layers)
    rows = []
    for item in (dataset[index] for index in range(len(dataset))):
        seen = network.see(item["image"][None])
        row = [depth_error_cm(seen.depth[-1], item["depth"][None], config.depth_scale)]
        if seen.camera is not None:
            told, true = Perspective.from_parameters(seen.camera[0].numpy()).parameters, item["camera"].numpy()
            row += [abs(told[0] - true[0]), abs(ground_deg(told) - ground_deg(true)), abs(ground_deg(true))]
        rows.append(row + [float("nan")] * (len(SCORES) - len(row)))
    return [float(mean) for mean in np.mean(rows, axis=0)]


def ground_deg(camera: NDArray[np.floating]) -> float:
    """How steep level ground is in the picture of a camera (`Perspective.parameters`), at the feet of somebody who stands in the middle."""
    return float(np.degrees(np.arctan(FEET_NDC * camera[0] - camera[2])))


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
        columns = [f"{score}, {kind}" for kind in KINDS for score in SCORES]
        print(f"{options.views} views of each of {len(people)} humans\n\n| | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for path in options.weights:
            network, config, _ = load_weights(path)
            row = [value for kind in KINDS.values() for value in errors(network, config, people, kind, options.views, options.frontal_share)]
            print(f"| {path.stem} | {' | '.join('' if np.isnan(value) else f'{value:.3g}' for value in row)} |", flush=True)
    except NcpifuError as error:
        sys.exit(f"{error.message}\n{error.hint}")


if __name__ == "__main__":
    main()
