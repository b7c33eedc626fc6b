"""Points on, near and around a subject's surface (design: protocol A.4, PIFu's sampling in metres of the 1.80 m subject)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.geometry.inside import InsideTest

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SIGMA_M = 0.05  # PIFu: 5 cm of a 180 cm subject
NEAR_PER_UNIFORM = 16
OUTSIDE_STEP_M = 0.002  # a surface point is outermost when this step along its normal leaves the subject


@dataclass(frozen=True)
class SurfacePoints:
    """Points on triangles. Attributes: points (N, 3) float64. face (N,) int64. barycentric (N, 3) float64."""

    points: NDArray[np.float64]
    face: NDArray[np.int64]
    barycentric: NDArray[np.float64]


def face_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(F, 3) unit normals (0 for faces without area) and (F,) areas."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    length = np.linalg.norm(cross, axis=1)
    return cross / np.maximum(length, 1e-30)[:, None], length / 2


def neighbour_mean(faces: NDArray[np.integer], count: int) -> "csr_array":
    """(count, count): each row averages a vertex's edge neighbours, and is empty where there are none. faces (F, k), polygons of k corners, or edges (E, 2)."""
    from scipy.sparse import coo_array, diags_array

    corners = np.asarray(faces, np.int32)  # half the memory traffic of every product
    starts, ends = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    links = coo_array((np.ones(len(starts)), (starts, ends)), shape=(count, count)).tocsr()
    links = ((links + links.T) > 0).astype(np.float64)
    return (diags_array(1 / np.maximum(links.sum(axis=1), 1)) @ links).tocsr()


def face_components(faces: NDArray[np.integer]) -> NDArray[np.int64]:
    """(F,) the number, from 0 on without gaps, of the connected piece that each of (F, 3) faces belongs to."""
    if len(faces) == 0:
        return np.zeros(0, np.int64)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = int(faces.max()) + 1
    starts, ends = faces[:, :2].ravel(), faces[:, 1:].ravel()
    labels = connected_components(coo_array((np.ones(len(starts), bool), (starts, ends)), shape=(count, count)), directed=False)[1]
    return np.unique(labels[faces[:, 0]], return_inverse=True)[1].astype(np.int64)


def vertex_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> NDArray[np.float32]:
    """(V, 3) float32 unit normals, faces weighted by area; +y where a vertex has no face."""
    a, b, c = (np.asarray(vertices, np.float64)[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    corner = faces.reshape(-1)
    summed = np.stack([np.bincount(corner, np.repeat(cross[:, k], 3), len(vertices)) for k in range(3)], axis=1)
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.where(length > 1e-20, summed / np.maximum(length, 1e-20), [0.0, 1.0, 0.0]).astype(np.float32)


def sample_surface(vertices: NDArray[np.floating], faces: NDArray[np.integer], count: int, rng: np.random.Generator) -> SurfacePoints:
    """`count` points, uniform by area. Raises ValueError where the mesh has no area."""
    _, area = face_normals(vertices, faces)
    total = np.cumsum(area)
    if len(total) == 0 or not total[-1] > 0:
        raise ValueError("the mesh has no surface area")
    face = np.searchsorted(total, rng.random(count) * total[-1], side="right").clip(max=len(area) - 1)
    root, along = np.sqrt(rng.random(count)), rng.random(count)
    barycentric = np.stack([1 - root, root * (1 - along), root * along], axis=1)
    corners = np.asarray(vertices, np.float64)[faces[face]]
    return SurfacePoints(np.einsum("nk,nkd->nd", barycentric, corners), face, barycentric)


def sample_outer_surface(vertices: NDArray[np.floating], faces: NDArray[np.integer], test: InsideTest, count: int, rng: np.random.Generator) -> SurfacePoints:
    """`count` points of the surface that bounds the subject: what lies under cloth or inside an overlapping part is left out.

    A point counts when 2 mm along its normal the winding number is below 0.5. Where hardly anything does (faces wound inside out), ValueError.
    """
    normals, _ = face_normals(vertices, faces)
    kept: list[SurfacePoints] = []
    missing, rate = count, 0.8
    for _ in range(50):
        batch = sample_surface(vertices, faces, int(missing / max(rate, 0.02) * 1.05) + 64, rng)
        outer = test.winding(batch.points + OUTSIDE_STEP_M * normals[batch.face]) < 0.5
        rate = float(outer.mean())
        kept.append(SurfacePoints(batch.points[outer][:missing], batch.face[outer][:missing], batch.barycentric[outer][:missing]))
        missing -= len(kept[-1].points)
        if missing == 0:
            break
        if rate < 0.01:
            break
    if missing:
        raise ValueError(f"only {rate:.1%} of the surface faces outwards: are the faces wound inside out?")
    return SurfacePoints(*(np.concatenate([getattr(part, name) for part in kept]) for name in ("points", "face", "barycentric")))


def sample_near(points: NDArray[np.floating], count: int, rng: np.random.Generator, sigma_m: float = SIGMA_M) -> NDArray[np.float64]:
    """(count, 3): surface points (N, 3), each used equally often, moved by isotropic Gaussian noise of `sigma_m` metres; in random order."""
    order = rng.permutation(count)
    return points[order % len(points)] + rng.normal(scale=sigma_m, size=(count, 3))


def sample_uniform(count: int, rng: np.random.Generator, half_extent_m: float = HALF_EXTENT_M) -> NDArray[np.float64]:
    """(count, 3), uniform in the cube [-half_extent_m, half_extent_m]^3: what the camera sees at yaw 0."""
    return rng.uniform(-half_extent_m, half_extent_m, size=(count, 3))
