"""What a mask knows of a surface: at each of its pixels there is some of the person, and beside it there is nothing.

A network that is unsure of a limb's depth says "outside" along all of the ray, and its outline lies a pixel within the true one. Where a ray of the mask hits
nothing, the surface beside it is continued there: as deep as it is, as thick, and round towards the outline. Ours.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_array, csc_array, diags_array
from scipy.sparse.linalg import splu

from ncpifu_cli.geometry.raster import rasterise
from ncpifu_cli.geometry.sampled_field import Occupancy

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIZE_PX = 512  # of the maps that tell what is missing
REACH_NDC = 0.12  # of the surface that is continued: what the network does not believe in over a wider piece of the mask is not made up
STEEPEST = 2.0  # depth over distance: between a near and a far part only a shred would hang
THINNEST_NDC = 0.008  # half a thickness
SLOPE = 500.0  # logits per NDC, across the surface that is filled in: 4 in a cell of 256^3, about a trained network's
OVERLAP_NDC = 0.004  # by so much the filling is thinner than the surface that it touches
CERTAIN = 20.0  # logits


def fill_silhouette(occupancy: Occupancy, coverage: NDArray[np.float32], vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> Occupancy:
    """The same function, inside also where the mask shows the person and the surface is missing, outside beside the mask.

    Args: occupancy (N, 3) NDC -> (N,) probability; coverage (S, S) 0..1, row 0 on top; vertices (V, 3) NDC and faces (F, 3), the surface of `occupancy`,
    outward. Only the first layer along a ray is looked at, that of the nearer leg.
    """
    outline = cv2.resize(coverage, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR) >= 0.5
    enter, leave, hit = _first_layer(np.asarray(vertices, np.float32), faces)
    known = hit & outline
    if not known.any():
        return occupancy
    missing = outline & ~known & (distance_transform_edt(~known) < REACH_NDC * SIZE_PX / 2)
    middle, half = _continued(np.stack([enter + leave, enter - leave]) / 2, known, missing)
    down, across = np.gradient(middle, 2 / SIZE_PX)
    missing &= np.hypot(down, across) < STEEPEST
    depth = _depth_within(outline)
    rounded = np.minimum(half, np.sqrt(2 * np.maximum(half, THINNEST_NDC) * np.maximum(depth, 0)))
    thick = np.where(missing, np.maximum(rounded, np.minimum(depth, THINNEST_NDC)), half - OVERLAP_NDC)
    near = cv2.dilate(missing.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    thick = np.where(outline, np.where(near, thick, -1), depth)
    maps = np.stack([_spread(middle, known | missing), thick, depth], axis=2).astype(np.float32)

    def filled(points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        middle, thick, depth = _at(maps, points_ndc)
        own = np.clip(occupancy(points_ndc).astype(np.float64), 1e-9, 1 - 1e-9)
        logit = np.maximum(np.log(own) - np.log1p(-own), SLOPE * (thick - np.abs(points_ndc[:, 2] - middle)))
        logit = np.clip(np.minimum(logit, SLOPE * depth), -CERTAIN, CERTAIN)
        return (1 / (1 + np.exp(-logit))).astype(np.float32)

    return filled


def _first_layer(vertices: NDArray[np.float32], faces: NDArray[np.integer]) -> tuple[Floats, Floats, Bools]:
    """(SIZE_PX, SIZE_PX) depths at which the ray of each pixel first enters and first leaves the body, and whether it hits it at all."""
    corners = vertices[faces]
    away = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0
    enter, leave = rasterise(vertices, faces, SIZE_PX), rasterise(vertices, faces[away], SIZE_PX)
    hit = enter.mask & leave.mask & (enter.depth_ndc >= leave.depth_ndc)
    return enter.depth_ndc.astype(np.float64), leave.depth_ndc.astype(np.float64), hit


def _continued(values: Floats, known: Bools, missing: Bools) -> Floats:
    """(K, S, S) with what is `missing` (S, S) filled as smoothly as may be: each the mean of its neighbours, those that are `known` or missing themselves."""
    count = int(missing.sum())
    number = np.zeros(missing.shape, np.int64)
    number[missing] = np.arange(count)
    rows, columns = np.nonzero(missing)
    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    weak = 1e-6  # holds a piece that touches nothing known
    total, right = np.full(count, weak), weak * values[:, nearest[0], nearest[1]][:, missing]
    links: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        row, column = np.clip(rows + down, 0, len(missing) - 1), np.clip(columns + across, 0, len(missing) - 1)
        given, open_ = known[row, column], missing[row, column]
        total += given | open_
        right += np.where(given, values[:, row, column], 0)
        links.append((np.flatnonzero(open_), number[row, column][open_]))
    one, other = (np.concatenate(ends) for ends in zip(*links, strict=True))
    system = diags_array(total) - coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
    result = values.copy()
    if count:
        result[:, missing] = splu(csc_array(system)).solve(np.ascontiguousarray(right.T)).T
    return result


def _depth_within(outline: Bools) -> Floats:
    """(S, S) NDC from the outline: positive within, negative outside."""
    pixel = 2 / len(outline)
    within, beside = distance_transform_edt(outline), distance_transform_edt(~outline)
    return np.where(outline, within - 0.5, 0.5 - beside) * pixel


def _spread(values: Floats, known: Bools) -> Floats:
    """(S, S) with the nearest known value where none is known."""
    row, column = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.asarray(values[row, column])


def _at(maps: NDArray[np.float32], points_ndc: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
    """The three maps (S, S, 3) where the points (N, 3) project, (N,) each, linear between pixels' centres."""
    size = len(maps)
    column, row = (points_ndc[:, 0] + 1) * (size / 2) - 0.5, (1 - points_ndc[:, 1]) * (size / 2) - 0.5
    found = np.empty((len(points_ndc), 3), np.float64)
    for start in range(0, len(points_ndc), 32_000):  # OpenCV's pictures are no longer than 32 767
        part = slice(start, start + 32_000)
        place = np.stack([column[part], row[part]], axis=1).astype(np.float32)[:, None]
        found[part] = cv2.remap(maps, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    return found[:, 0], found[:, 1], found[:, 2]
