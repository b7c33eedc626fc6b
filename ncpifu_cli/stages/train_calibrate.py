"""Where the surface is: the one number of a network that training on balanced points gets wrong.

Half of the training points are inside (PIFu's balance), though most of the space around an arm is outside. So where the network is unsure it says
"inside" too often, and limbs come out fat. On subjects that it never trains on, the logit is found above which as many points lie as truly are inside,
and all answers are lowered by it.
"""

import numpy as np
import torch

from ncpifu_cli.config.train import TrainConfig
from ncpifu_cli.data.dataset import RenderedSubject, read_view
from ncpifu_cli.data.network_input import network_input, resize_masked
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.models.build import Network

POINTS = 4096  # per view, distributed as in the cache: around the surface, inside and outside as frequent as they are


@torch.inference_mode()
def surface_logit(model: Network, config: TrainConfig, subjects: list[RenderedSubject], device: torch.device) -> float:
    """The logit at which the volume that the network calls inside is the true one, over fixed views of `subjects`.

    Half of the views are frontal, as photographs are.
    """
    logits, inside = [], []
    rng = np.random.default_rng([config.seed, 3])
    for subject in subjects:
        for _ in range(config.data.validation_views):
            view = subject.draw_view(frontal_share=0.5, rng=rng)
            color, coverage = resize_masked(*read_view(subject.folder, view), config.model.image_size_px)
            points_m, labels = subject.points.draw_unbalanced(POINTS, rng)
            points_ndc = Camera(view["yaw_deg"], view["pitch_deg"]).world_to_ndc(points_m)
            features = model.encode(torch.from_numpy(network_input(color, coverage))[None].to(device), both_ways=True)
            logits.append(model.query(features, torch.from_numpy(points_ndc)[None].to(device)).logits[-1, 0].float().cpu().numpy())
            inside.append(labels)
    return float(np.quantile(np.concatenate(logits), 1 - np.concatenate(inside).mean()))
