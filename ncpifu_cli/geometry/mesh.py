"""A triangle mesh as plain arrays: what every stage hands to the next."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import Similarity

if TYPE_CHECKING:
    from ncpifu_cli.geometry.inside import InsideTest


@dataclass(frozen=True)
class TexturedUV:
    """A texture and where each face corner reads it.

    Attributes: image (H, W, 3) uint8 sRGB, row 0 is v = 1. uv (V, 2) float32 per vertex (vertices are split at seams).
    """

    image: NDArray[np.uint8]
    uv: NDArray[np.float32]


@dataclass(frozen=True)
class Scan:
    """One subject in the normalised frame (see `ncpifu_cli.geometry`).

    Attributes:
        name: the subject's name. vertices: (V, 3) float32, metres, 1.80 m tall. faces: (F, 3) int32, counter-clockwise from outside.
        colors: (V, 3) uint8 sRGB albedo. normals: (V, 3) float32 unit vertex normals.
        similarity: raw scan units -> this frame. texture: in place of `colors` where the scan has one.
        shaded: True where the colours already hold the light (BUFF): render them as they are.
        notes: what reading the scan detected and repaired, for the report. units: of the raw scan: m, cm, mm, or own where its scale is another.
        keypoints: (K, 3) in this frame, where they are known (`ncpifu_cli.geometry.keypoints`).
    """

    name: str
    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8]
    normals: NDArray[np.float32]
    similarity: Similarity
    texture: TexturedUV | None = None
    shaded: bool = False
    notes: tuple[str, ...] = field(default=())
    units: str = "own"
    keypoints: NDArray[np.float64] | None = None

    @cached_property
    def inside_test(self) -> "InsideTest":
        """Of points in this frame; its tree is built when first asked for. Raises ValueError for a scan without faces."""
        from ncpifu_cli.geometry.inside import InsideTest  # previews draw scans and ask nothing

        return InsideTest(self.vertices, self.faces)
