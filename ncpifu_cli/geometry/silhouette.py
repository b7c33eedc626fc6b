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
from scipy.special import expit

from ncpifu_cli.geometry.camera import ndc_to_px
from ncpifu_cli.geometry.extract import logit
from ncpifu_cli.geometry.raster import rasterise, sample_picture
from ncpifu_cli.geometry.sampled_field import Occupancy

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SIZE_PX = 512  # of the maps that tell what is missing
REACH_NDC = 0.12  # so far the surface is continued: what the network does not believe in over a wide piece of the mask is not made up
HOLE_NDC = 0.04  # holes of the mask that are smaller than the square of this, before a surface, are the mask's faults
STEEPEST = 1.0  # depth over distance: between a near and a far part only shreds would hang
THINNEST_NDC = 0.008  # half a thickness
SLOPE = 500.0  # logits per NDC, across the surface that is filled in: 4 in a cell of 256^3, about a trained network's
OVERLAP_NDC = 0.004  # by so much the filling is thinner than the surface that it touches
CERTAIN = 20.0  # logits


def fill_silhouette(occupancy: Occupancy, coverage: NDArray[np.float32], vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> Occupancy:
    """The same function, inside also where the mask shows the person and the surface is missing, outside beside the mask.

    Args: occupancy (N, 3) NDC -> (N,) probability; coverage (S, S) 0..1, row 0 on top; vertices (V, 3) NDC and faces (F, 3), the surface of `occupancy`,
    outward. Only the first layer along a ray is looked at, that of the nearer leg.
    """
    enter, leave, hit = _first_layer(np.asarray(vertices, np.float32), faces)
    outline = _without_pinholes(cv2.resize(coverage, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_LINEAR) >= 0.5, hit)
    known = hit & outline
    if not known.any():
        return occupancy
    missing = _touching(outline & ~known & (distance_transform_edt(~known) < REACH_NDC * SIZE_PX / 2), known)
    middle, half = _continued(np.stack([enter + leave, enter - leave]) / 2, known, missing)
    down, across = np.gradient(middle, 2 / SIZE_PX)
    missing &= np.hypot(down, across) < STEEPEST
    depth = _depth_within(outline)
    rounded = np.minimum(half, np.sqrt(2 * np.maximum(half, THINNEST_NDC) * np.maximum(depth, 0)))
    thick = np.where(missing, np.maximum(rounded, np.minimum(depth, THINNEST_NDC)), half - OVERLAP_NDC)
    near = cv2.dilate(missing.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    thick = np.where(outline, np.where(near, thick, -1), depth)
    maps = np.stack([middle, thick, depth], axis=2).astype(np.float32)

    def filled(points_ndc: NDArray[np.float32]) -> NDArray[np.float32]:
        middle, thick, depth = sample_picture(maps, ndc_to_px(points_ndc, SIZE_PX)).T
        inside = np.maximum(logit(occupancy(points_ndc)), SLOPE * (thick - np.abs(points_ndc[:, 2] - middle)))
        return expit(np.clip(np.minimum(inside, SLOPE * depth), -CERTAIN, CERTAIN)).astype(np.float32)

    return filled


def _first_layer(vertices: NDArray[np.float32], faces: NDArray[np.integer]) -> tuple[Floats, Floats, Bools]:
    """(SIZE_PX, SIZE_PX) depths at which the ray of each pixel first enters and first leaves the body, and whether it hits it at all."""
    corners = vertices[faces]
    away = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0
    enter, leave = rasterise(vertices, faces, SIZE_PX), rasterise(vertices, faces[away], SIZE_PX)
    hit = enter.mask & leave.mask & (enter.depth_ndc >= leave.depth_ndc)
    return enter.depth_ndc.astype(np.float64), leave.depth_ndc.astype(np.float64), hit


def _without_pinholes(outline: Bools, hit: Bools) -> Bools:
    """The mask with its small holes closed where all of their rays `hit` the surface: a badge of the backdrop's colour must not become a tunnel."""
    count, holes, about, _ = cv2.connectedComponentsWithStats((~outline).astype(np.uint8), connectivity=4)
    small = about[:, cv2.CC_STAT_AREA] < (HOLE_NDC * SIZE_PX / 2) ** 2
    hits = np.bincount(holes.ravel(), hit.ravel(), count) == about[:, cv2.CC_STAT_AREA]
    return outline | (small & hits)[holes]


def _touching(missing: Bools, known: Bools) -> Bools:
    """What of `missing` hangs together with something `known`: a piece of the mask beside the person has no surface to continue."""
    _, pieces = cv2.connectedComponents((missing | known).astype(np.uint8), connectivity=4)
    return missing & np.isin(pieces, np.unique(pieces[known]))


def _continued(values: Floats, known: Bools, missing: Bools) -> Floats:
    """(K, S, S) with what is `missing` (S, S) filled as smoothly as may be, each the mean of its neighbours that are `known` or missing themselves, and the
    nearest of these values everywhere else. All of `missing` hangs together with something known."""
    count = int(missing.sum())
    number = np.zeros(missing.shape, np.int64)
    number[missing] = np.arange(count)
    rows, columns = np.nonzero(missing)
    total, right = np.zeros(count), np.zeros((len(values), count))
    links: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for down, across in ((0, 1), (0, -1), (1, 0), (-1, 0)):  # beyond the picture's border a pixel is its own neighbour, which changes nothing
        row, column = np.clip(rows + down, 0, len(missing) - 1), np.clip(columns + across, 0, len(missing) - 1)
        given, open_ = known[row, column], missing[row, column]
        total += given | open_
        right += np.where(given, values[:, row, column], 0)
        links.append((np.flatnonzero(open_), number[row, column][open_]))
    result = values.copy()
    if count:
        one, other = (np.concatenate(ends) for ends in zip(*links, strict=True))
        system = diags_array(total) - coo_array((np.ones(len(one)), (one, other)), shape=(count, count))
        result[:, missing] = splu(csc_array(system)).solve(np.ascontiguousarray(right.T)).T
    row, column = distance_transform_edt(~(known | missing), return_distances=False, return_indices=True)
    return np.asarray(result[:, row, column])


def _depth_within(outline: Bools) -> Floats:
    """(S, S) NDC from the outline: positive within, negative outside."""
    pixel = 2 / len(outline)
    within, beside = distance_transform_edt(outline), distance_transform_edt(~outline)
    return np.where(outline, within - 0.5, 0.5 - beside) * pixel
