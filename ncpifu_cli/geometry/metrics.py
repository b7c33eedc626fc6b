"""How far a reconstructed mesh is from the true one: pure functions, metres in, centimetres out.

All surfaces are in the same frame, metres of the 1.80 m subject; "cm" is a centimetre of that subject, whatever unit its scan came in.
Distances are exact point-to-triangle distances (libigl's AABB tree) and never squared. Distances between two sets of samples are not used: at 1 M samples
they overstate a 2 mm error by 16 % (design: rendering_and_masks E). Definitions follow the paper's section 4 where it is clear, and PIFuHD's and
ICON's evaluators where it is not (design: protocol A.1).
"""

import igl
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.raster import interpolate, rasterise
from ncpifu_cli.geometry.surface import OUTSIDE_STEP_M, face_normals, vertex_normals

Floats = NDArray[np.floating]
NormalMap = tuple[NDArray[np.float32], NDArray[np.bool_]]  # (S, S, 3) unit normals, 0 on the background; (S, S) mask
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

    def closest(self, points: Floats) -> NDArray[np.float64]:
        """(N, 3) metres -> (N, 3) the closest point of any triangle."""
        return np.asarray(self._tree.squared_distance(self.vertices, self.faces, np.ascontiguousarray(points, np.float64))[2])


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


def share_within(to_truth_m: Floats, to_prediction_m: Floats, thresholds_cm: Floats) -> NDArray[np.float64]:
    """(T,) share of surface, 0..1, that lies within each of (T,) thresholds of the other; mean of both directions, so that neither extra nor missing hides."""
    shares = [np.searchsorted(np.sort(np.asarray(d) * CM_PER_M), thresholds_cm, side="right") / len(d) for d in (to_truth_m, to_prediction_m)]
    return np.asarray(shares).mean(axis=0)


def mask_iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Intersection over union of two equally shaped boolean arrays (inside flags of the same points, or silhouettes); 1 where both are empty."""
    union = int(np.count_nonzero(first | second))
    return float(np.count_nonzero(first & second) / union) if union else 1.0


def normal_map(vertices: Floats, faces: NDArray[np.integer], size_px: int = 512, yaw_deg: float = 0.0, half_extent_m: float = HALF_EXTENT_M) -> NormalMap:
    """Smooth camera-space normals of the surface as an orthographic camera sees it after a turn by `yaw_deg`.

    Args: vertices (V, 3) metres. half_extent_m: the image spans as much to each side (1.024 m is ICON's window for a subject of this height).

    Returns (S, S, 3) float32 unit normals, 0 on the background, and the (S, S) mask.
    """
    rotation = Camera(yaw_deg).rotation
    points_ndc = (np.asarray(vertices, np.float64) @ rotation.T / half_extent_m).astype(np.float32)
    faces32 = np.ascontiguousarray(faces, np.int32)
    buffer = rasterise(points_ndc, faces32, size_px)
    normals = interpolate(buffer, faces32, (vertex_normals(vertices, faces) @ rotation.T).astype(np.float32))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0), buffer.mask


def empty_map(size_px: int) -> NormalMap:
    """The normal map of nothing."""
    return np.zeros((size_px, size_px, 3), np.float32), np.zeros((size_px, size_px), np.bool_)


def normal_error(first: NormalMap, second: NormalMap, background: float = 0.0) -> float:
    """Mean over ALL pixels of the summed squared difference of two normal maps coloured (n + 1) / 2, for one view.

    PIFuHD's and ICON's evaluators leave the background black, ECON's is grey (`protocols.GREY`), so that a pixel of wrong silhouette costs half; all three
    publish the sum over the views 0, 90, 180 and 270 degrees. No unit, in spite of the "cm" in the tables.
    Args: as `normal_map` returns. background: the colour, 0..1, where nothing is.
    """
    colours = [np.where(mask[..., None], (normals.astype(np.float64) + 1) / 2, background) for normals, mask in (first, second)]
    return float(np.mean(np.sum((colours[0] - colours[1]) ** 2, axis=-1)))
