"""A subject's labelled points on disk (`samples.npz`): 16-bit coordinates, one bit per label.

metres = low + q / 65535 * (high - low), in the normalised frame at yaw 0. Labels are computed at the rounded positions, so they are exact.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError  # numpy's, from a damaged header
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.scans import sample_texture
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.mesh import Scan
from ncpifu_cli.geometry.surface import NEAR_PER_UNIFORM, SurfacePoints, sample_near, sample_outer_surface, sample_uniform

BOUNDS_M = (-1.28, 1.28)  # the camera's cube is +-1.024 m; the margin holds points near what reaches its border
RENDER_AGAIN = "render this subject again: delete its folder and run `ncpifu render`"
NEAR_PER_SURFACE = 4  # each surface point carries four near points: the outermost test costs as much as a label


@dataclass(frozen=True)
class OccupancySamples:
    """The file's points, in random order, as stored (`*_q`, uint16) and in metres of the normalised subject at yaw 0 (computed when asked for).

    Attributes: near_q (N, 3), near_inside (N,) bool; uniform_q (M, 3), uniform_inside (M,); surface_q (S, 3), surface_rgb (S, 3) uint8 albedo;
        bounds_m: the metres of 0 and 65535.
    """

    near_q: NDArray[np.uint16]
    near_inside: NDArray[np.bool_]
    uniform_q: NDArray[np.uint16]
    uniform_inside: NDArray[np.bool_]
    surface_q: NDArray[np.uint16]
    surface_rgb: NDArray[np.uint8]
    bounds_m: tuple[float, float]

    @property
    def near(self) -> NDArray[np.float32]:
        """(N, 3) metres."""
        return dequantise(self.near_q, *self.bounds_m)

    @property
    def uniform(self) -> NDArray[np.float32]:
        """(M, 3) metres."""
        return dequantise(self.uniform_q, *self.bounds_m)

    @property
    def surface(self) -> NDArray[np.float32]:
        """(S, 3) metres."""
        return dequantise(self.surface_q, *self.bounds_m)


def quantise(points_m: NDArray[np.floating]) -> NDArray[np.uint16]:
    """(N, 3) metres -> (N, 3) uint16; what lies outside BOUNDS_M is moved to its border."""
    low, high = BOUNDS_M
    return np.rint(((points_m - low) / (high - low)).clip(0, 1) * 65535).astype(np.uint16)


def dequantise(quantised: NDArray[np.uint16], low: float = BOUNDS_M[0], high: float = BOUNDS_M[1]) -> NDArray[np.float32]:
    """Inverse of `quantise`, to 0.02 mm."""
    return (low + quantised.astype(np.float64) / 65535 * (high - low)).astype(np.float32)


def write_samples(path: Path, scan: Scan, near_points: int, rng: np.random.Generator) -> dict[str, float]:
    """Sample a subject and label it by its inside test, write the file; return counts and label balance for the manifest.

    Raises NcpifuError where the surface bounds nothing.
    """
    test = scan.inside_test
    try:
        surface = sample_outer_surface(scan.vertices, scan.faces, test, max(near_points // NEAR_PER_SURFACE, 1), rng)
    except ValueError as error:
        raise NcpifuError(f"{scan.name}: {error}") from error
    near = quantise(sample_near(surface.points, near_points, rng))
    uniform = quantise(sample_uniform(max(near_points // NEAR_PER_UNIFORM, 1), rng))
    near_inside, uniform_inside = test.inside(dequantise(near)), test.inside(dequantise(uniform))
    if not near_inside.any():
        raise NcpifuError(f"{scan.name}: nothing lies inside the surface: it is a single sheet, or wound inside out")
    with open(path, "wb") as file:
        save_samples(file, OccupancySamples(near, near_inside, uniform, uniform_inside, quantise(surface.points), _albedo(scan, surface), BOUNDS_M))
    return {"near": len(near), "near_inside": float(near_inside.mean()), "uniform": len(uniform), "uniform_inside": float(uniform_inside.mean())}


def save_samples(file: BinaryIO, samples: OccupancySamples) -> None:
    """Write them as they lie in `samples.npz`."""
    np.savez_compressed(
        file,
        near_q=samples.near_q,
        near_inside=np.packbits(samples.near_inside),
        uniform_q=samples.uniform_q,
        uniform_inside=np.packbits(samples.uniform_inside),
        surface_q=samples.surface_q,
        surface_rgb=samples.surface_rgb,
        bounds_m=np.array(samples.bounds_m, np.float32),
    )


def read_samples(path: Path) -> OccupancySamples:
    """Read what `write_samples` wrote; NcpifuError where the file is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            near, uniform = arrays["near_q"], arrays["uniform_q"]
            near_inside = np.unpackbits(arrays["near_inside"], count=len(near)).astype(bool)
            uniform_inside = np.unpackbits(arrays["uniform_inside"], count=len(uniform)).astype(bool)
            low, high = (float(bound) for bound in arrays["bounds_m"])
            return OccupancySamples(near, near_inside, uniform, uniform_inside, arrays["surface_q"], arrays["surface_rgb"], (low, high))
    except (OSError, KeyError, ValueError, EOFError, BadZipFile, NotImplementedError, zlib.error, TokenError) as error:
        raise NcpifuError(f"cannot read the samples in {path}: {error}", RENDER_AGAIN) from error


def _albedo(scan: Scan, surface: SurfacePoints) -> NDArray[np.uint8]:
    corners = scan.faces[surface.face]
    if scan.texture is not None:
        return sample_texture(scan.texture.image, np.einsum("nk,nkd->nd", surface.barycentric, scan.texture.uv[corners]))
    return np.rint(np.einsum("nk,nkd->nd", surface.barycentric, scan.colors[corners].astype(np.float64))).astype(np.uint8)
