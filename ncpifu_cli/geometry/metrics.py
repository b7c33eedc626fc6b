"""How far a reconstructed mesh is from the true one: pure functions, metres in, centimetres out.

All surfaces are in the same frame, metres of the 1.80 m subject; "cm" is a centimetre of that subject, whatever unit its scan came in.
Distances are exact point-to-triangle distances (libigl's AABB tree) and never squared. Distances between two sets of samples are not used: at 1 M samples
they overstate a 2 mm error by 16 % (design: rendering_and_masks E). Definitions follow the paper's section 4 where it is clear, and PIFuHD's and
ICON's evaluators where it is not (design: protocol A.1).
"""

from dataclasses import dataclass

import igl
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.geometry.surface import OUTSIDE_STEP_M, face_normals, vertex_normals

Floats = NDArray[np.floating]
CM_PER_M = 100.0
FOUR_VIEWS_DEG = (0.0, 90.0, 180.0, 270.0)


class SurfaceTree:
    """A triangle mesh ready for closest-point queries; build once, query often.

    Args: vertices (V, 3) metres. faces (F, 3) integer, F > 0.
    """

    def __init__(self, vertices: Floats, faces: NDArray[np.integer]) -> None:
        self.vertices = np.ascontiguousarray(vertices, np.float64)
        self.faces = np.ascontiguousarray(faces, np.int64)
        self._tree = igl.AABB()
        self._tree.init(self.vertices, self.faces)

    def distance_m(self, points: Floats) -> NDArray[np.float64]:
        """(N, 3) metres -> (N,) unsigned distance to the closest point of any triangle, metres."""
        squared, _, _ = self._tree.squared_distance(self.vertices, self.faces, np.ascontiguousarray(points, np.float64))
        return np.sqrt(np.maximum(squared, 0.0))


def outer_faces(vertices: Floats, faces: NDArray[np.integer], test: InsideTest) -> NDArray[np.bool_]:
    """(F,) True for faces of the surface that bounds the subject; False for skin under cloth and for what lies inside another part.

    A face is inner when four places on it (its centre, and half way to each corner) all have a winding number above 0.5 a step of 2 mm along the normal.
    """
    normals, _ = face_normals(vertices, faces)
    corners = np.asarray(vertices, np.float64)[faces]
    centre = corners.mean(axis=1)
    outer = test.winding(centre + OUTSIDE_STEP_M * normals) < 0.5
    for corner in range(3):
        rest = np.flatnonzero(~outer)
        probe = (centre[rest] + corners[rest, corner]) / 2 + OUTSIDE_STEP_M * normals[rest]
        outer[rest] = test.winding(probe) < 0.5
    return outer


def stratified_points(low: Floats, high: Floats, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """About `count` points of the box `low`..`high` (3,), one at a random place in each cell of a grid of near-cubes.

    A volume measured with these has a much smaller error than with independent points, since only the cells that the surface cuts are uncertain.
    """
    size = np.asarray(high, np.float64) - np.asarray(low, np.float64)
    cell = float(np.prod(size) / count) ** (1 / 3)
    shape = np.maximum(1, np.round(size / cell)).astype(int)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(low, np.float64) + (index + rng.random(index.shape)) * (size / shape)


def p2s_cm(distances_m: Floats) -> float:
    """Mean point-to-surface distance in cm of (N,) distances in metres; which points and which surface is the caller's to say.

    The paper's P2S is from the *vertices* of the prediction to the truth; PIFuHD's from area-uniform samples of the prediction; ICON's and ECON's from
    samples of the truth to the prediction.
    """
    return float(np.mean(distances_m) * CM_PER_M)


def chamfer_cm(to_truth_m: Floats, to_prediction_m: Floats) -> float:
    """Half the sum of the two mean distances, unsquared, in cm (PIFuHD, ICON, ECON).

    Args: to_truth_m (N,) from area-uniform samples of the prediction; to_prediction_m (M,) from area-uniform samples of the truth.
    """
    return (p2s_cm(to_truth_m) + p2s_cm(to_prediction_m)) / 2


def f_score(to_truth_m: Floats, to_prediction_m: Floats, threshold_cm: float = 1.0) -> float:
    """Harmonic mean of precision and recall, 0..1: the shares of prediction and of truth that lie within `threshold_cm` of the other."""
    precision = float(np.mean(np.asarray(to_truth_m) * CM_PER_M <= threshold_cm))
    recall = float(np.mean(np.asarray(to_prediction_m) * CM_PER_M <= threshold_cm))
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union of two equally shaped boolean arrays (inside flags of the same points, or silhouettes); 1 where both are empty."""
    union = int(np.count_nonzero(first | second))
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def normal_map(vertices: Floats, faces: NDArray[np.integer], size_px: int = 512, yaw_deg: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Smooth camera-space normals of the surface as the orthographic camera sees it after a turn by `yaw_deg`.

    Args: vertices (V, 3) metres; the image spans +-1.024 m (ICON's window for a subject of this height).

    Returns (S, S, 3) float32 unit normals, 0 on the background, and the (S, S) mask.
    """
    rotation = Camera(yaw_deg).rotation
    points_ndc = (np.asarray(vertices, np.float64) @ rotation.T / HALF_EXTENT_M).astype(np.float32)
    faces32 = np.ascontiguousarray(faces, np.int32)
    buffer = rasterise(points_ndc, faces32, size_px)
    normals = interpolate(buffer, faces32, (vertex_normals(vertices, faces) @ rotation.T).astype(np.float32))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0), buffer.mask


def normal_error(first: tuple[Floats, NDArray[np.bool_]], second: tuple[Floats, NDArray[np.bool_]]) -> float:
    """Mean over ALL pixels of the summed squared difference of two normal maps coloured (n + 1) / 2, background black.

    The arithmetic of PIFuHD's and ICON's evaluators for one view; their published figure is the sum over the four views 0, 90, 180 and 270 degrees.
    No unit, in spite of the "cm" in the tables. Args: (map (S, S, 3), mask (S, S)) as `normal_map` returns.
    """
    colours = [np.where(mask[..., None], (normals.astype(np.float64) + 1) / 2, 0.0) for normals, mask in (first, second)]
    return float(np.mean(np.sum((colours[0] - colours[1]) ** 2, axis=-1)))


@dataclass(frozen=True)
class MeshHealth:
    """What a mesh looks like before anything is compared.

    Attributes:
        vertices, faces: their numbers (after merging vertices at exactly the same place). components: parts connected through faces.
        watertight: every edge has two faces that run along it in opposite directions.
        problem: why the mesh cannot be scored ("" when it can): empty, not finite, without area, or faces that name missing vertices.
    """

    vertices: int
    faces: int
    components: int
    watertight: bool
    problem: str


def mesh_health(vertices: Floats, faces: NDArray[np.integer]) -> MeshHealth:
    """Check (V, 3) vertices and (F, 3) faces; never raises on broken meshes."""
    problem = _problem(vertices, faces)
    if problem:
        return MeshHealth(len(vertices), len(faces), 0, False, problem)
    _, merged = np.unique(np.asarray(vertices, np.float64), axis=0, return_inverse=True)
    corners = merged.reshape(-1)[faces].astype(np.int64)
    count = int(corners.max()) + 1
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    key, reverse = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    # Each directed edge once, and its reverse once: closed, oriented and manifold along every edge.
    closed = len(np.unique(key)) == len(key) and bool(np.array_equal(np.sort(key), np.sort(reverse)))
    return MeshHealth(len(np.unique(corners)), len(faces), _components(edges, corners, count), closed, "")


def _components(edges: NDArray[np.int64], corners: NDArray[np.int64], count: int) -> int:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    return len(np.unique(labels[corners[:, 0]]))


def _problem(vertices: Floats, faces: NDArray[np.integer]) -> str:
    if len(vertices) == 0 or len(faces) == 0:
        return "empty mesh"
    if not np.isfinite(vertices).all():
        return "vertices that are not finite"
    if faces.min() < 0 or faces.max() >= len(vertices):
        return "faces that name missing vertices"
    if not face_normals(vertices, faces)[1].sum() > 0:
        return "surface without area"
    return ""
