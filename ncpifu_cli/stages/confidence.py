"""How sure the network is of each piece of surface.

Occupancy is a probability. Walking out along the normal from `REACH_M` inside a surface point to `REACH_M` outside it, the drop of that probability is the
network's own estimate of how likely the true surface lies between the two. It is asked twice, about the photo and about its mirror image, and the lower answer
counts: where the photo decides the matter both agree, where the network guesses it guesses differently. Each answers by the surfaces that it sees itself, not
by the mean of both of which the mesh is made. docs/reconstruct.md has the measurements.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.framing import FramedView
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.geometry.sampled_field import Occupancy
from ncpifu_cli.progress import SILENT, Reporter

if TYPE_CHECKING:
    from ncpifu_cli.stages.weights import LoadedModel

REACH_M = 0.02  # of the 1.80 m subject


def confidence_of(
    model: "LoadedModel", view: FramedView, vertices_ndc: NDArray[np.floating], normals: NDArray[np.floating], reporter: Reporter = SILENT
) -> NDArray[np.float32]:
    """`confidence_at` of a framed photo and its mirror image."""
    from ncpifu_cli.stages.query import NetworkOccupancy

    photo, mirrored = (
        NetworkOccupancy(model, np.ascontiguousarray(view.image[:, ::step]), np.ascontiguousarray(view.coverage[:, ::step]), reporter, both_ways=False)
        for step in (1, -1)
    )
    return confidence_at(photo, mirrored, vertices_ndc, normals)


def confidence_at(occupancy: Occupancy, mirrored: Occupancy, vertices_ndc: NDArray[np.floating], normals: NDArray[np.floating]) -> NDArray[np.float32]:
    """(V, 3) NDC of surface points and their unit normals -> (V,) float32 0..1: the probability, by the network, that the surface is within 2 cm of each.

    `occupancy` answers about the photo, `mirrored` about the photo with left and right exchanged, in its own NDC.
    """
    step = normals * (REACH_M / HALF_EXTENT_M)
    drops = []
    for ask, mirror in ((occupancy, (1, 1, 1)), (mirrored, (-1, 1, 1))):
        inner, outer = (ask(np.ascontiguousarray(points * mirror, np.float32)) for points in (vertices_ndc - step, vertices_ndc + step))
        drops.append(inner - outer)
    return np.clip(np.minimum(*drops), 0, 1)


def confidence_colours(confidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(V,) 0..1 -> (V, 3) uint8 sRGB: violet is a guess, green half sure, yellow sure (viridis, readable by the colour-blind)."""
    import cv2

    levels = np.clip(np.asarray(confidence) * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(levels[:, None], cv2.COLORMAP_VIRIDIS)[:, 0, ::-1])
