"""Many strands and a cap -> one watertight, smooth volume, as a scanner would see it."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.topology import facing_outwards, largest_component, neighbour_mean, submesh, vertex_normals

Array = NDArray[np.float64]

VOXEL_M = 0.0042
SAMPLE_STEP_M = 0.0028
CAP_LAYERS_M = (0.0, 0.003, 0.006, 0.009)  # the cap is filled inwards so that no void stays under the strands


@dataclass(frozen=True)
class VolumeStyle:
    """blur: smoothing in voxels; level of the surface; relief_m of single strands; width: weight of a strand."""

    blur: float = 2.1
    level: float = 0.22
    relief_m: float = 0.0009
    width: float = 1.1


def fuse(cap: Part, strands: Array, color: Array, style: VolumeStyle, rng: np.random.Generator) -> Part:
    """One volume from a cap and strands (S, K, 3); colour varies from strand to strand and darkens in the hollows."""
    from skimage.measure import marching_cubes

    points, weight, shade, height = _samples(cap, strands, style, rng)
    low = points.min(axis=0) - 0.02
    size = np.ceil((points.max(axis=0) + 0.02 - low) / VOXEL_M).astype(int)
    density = gaussian_filter(np.minimum(_splat((points - low) / VOXEL_M, weight, size), 1.2), style.blur)
    vertices, faces, _, _ = marching_cubes(density, style.level, spacing=(VOXEL_M,) * 3)
    faces, ids = submesh(faces.astype(np.int64), largest_component(faces.astype(np.int64)))
    vertices = vertices[ids].astype(np.float64) + low
    faces = facing_outwards(vertices, faces)
    mean = neighbour_mean(faces, len(vertices))
    for strength in (0.5, -0.3, 0.5):
        vertices = vertices + strength * (mean @ vertices - vertices)
    nearest = cKDTree(points).query(vertices, k=3)[1]
    relief = _high_pass(height[nearest].mean(axis=1), mean)
    vertices = vertices + vertex_normals(vertices, faces) * (np.clip(relief, -1.2, 1.2) * style.relief_m)[:, None]
    hollow = np.clip(((mean @ vertices - vertices) * vertex_normals(vertices, faces)).sum(axis=1) / 0.0008, -1, 1)
    tone = shade[nearest].mean(axis=1) * (1 + 0.12 * np.clip(relief, -1, 1)) * (1 - 0.25 * hollow)
    return Part("hair", vertices, faces, np.clip(color * tone[:, None], 0, 1))


def _samples(cap: Part, strands: Array, style: VolumeStyle, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Points that fill the hair: (position (P, 3), weight, shade, strand height)."""
    normals = vertex_normals(cap.vertices, cap.triangles)
    layers = np.concatenate([cap.vertices - normals * depth for depth in CAP_LAYERS_M])
    count, knots = strands.shape[:2]
    spacing = np.linalg.norm(strands[:, 1] - strands[:, 0], axis=1).mean()
    along = np.linspace(0, knots - 1, knots * max(1, int(np.ceil(spacing / SAMPLE_STEP_M))))
    segment = np.minimum(along.astype(int), knots - 2)
    fraction = (along - segment)[None, :, None]
    points = strands[:, segment] * (1 - fraction) + strands[:, segment + 1] * fraction
    to_tip = along / (knots - 1)
    taper = np.broadcast_to(np.sqrt(np.clip(1 - to_tip**4, 0.02, 1)), points.shape[:2])
    lightness = rng.normal(1, 0.06, (count, 1)) * (0.88 + 0.2 * to_tip)
    strand_height = np.repeat(rng.standard_normal(count), len(along))
    return (
        np.concatenate([layers, points.reshape(-1, 3)]),
        np.concatenate([np.full(len(layers), 0.45), style.width * taper.ravel()]),
        np.concatenate([np.ones(len(layers)), lightness.ravel()]),
        np.concatenate([np.zeros(len(layers)), strand_height]),
    )


def _splat(cells: Array, weight: Array, size: NDArray[np.int64]) -> Array:
    """Trilinear sum of weights (P,) at grid coordinates (P, 3)."""
    corner = cells.astype(np.int64)
    fraction = cells - corner
    total = np.zeros(int(np.prod(size)))
    for offset in np.ndindex(2, 2, 2):
        share = np.prod(np.where(np.array(offset) == 1, fraction, 1 - fraction), axis=1)
        index = np.ravel_multi_index(tuple((corner + offset).T), tuple(size))
        total += np.bincount(index, weight * share, len(total))
    return total.reshape(tuple(size))


def _high_pass(values: Array, mean: sparse.csr_matrix) -> Array:
    values = 0.5 * values + 0.5 * (mean @ values)
    smooth = values
    for _ in range(14):
        smooth = mean @ smooth
    return values - smooth
