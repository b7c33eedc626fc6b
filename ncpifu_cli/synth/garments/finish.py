"""From the simulated cloth to what is shown: once more subdivided, coloured, sewn, edges folded, collar set on (design 2c)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.synth.drape import Draped
from ncpifu_cli.synth.garments.collars import SWEPT, find_neckline, make_collar
from ncpifu_cli.synth.garments.details import DETAILS
from ncpifu_cli.synth.garments.fields import Landmarks, sleeve_seed, surface_fields
from ncpifu_cli.synth.garments.rims import with_lips
from ncpifu_cli.synth.garments.sewing import Sewing
from ncpifu_cli.synth.looks.fabric import Cloth, paint_fabric
from ncpifu_cli.synth.looks.palette import draw_color, draw_contrast
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.rotations import unit
from ncpifu_cli.synth.skeleton import Skeleton
from ncpifu_cli.synth.topology import boundary_edges, catmull_clark, neighbour_mean, triangulate, vertex_normals

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CRUMPLE_M = {"sweater": 0.0006, "hoodie": 0.0007, "leggings": 0.0001}  # micro-relief; others 0.9 mm
COLLAR_SIZE = {"shirt": 1.0, "lapel": 1.3}


@dataclass(frozen=True)
class Finished:
    """A garment as shown. Attributes: part; rest (V, 3): where the part's vertices lie at rest; collar."""

    part: Part
    rest: Array
    collar: Part | None


def finish_garment(
    draped: Draped, pattern: str, skeleton: Skeleton, transforms: Array, rng: np.random.Generator, noise_seed: int, full_detail: bool = False
) -> Finished:
    """The garment as shown, and its collar. `pattern` is one of `looks.fabric.PATTERNS`.

    Sewn and painted on 3 mm quads. Without `full_detail` the result is averaged down to the simulation's even 6 mm quads: colours and hems stay
    cleaner than after quadric simplification, whose slivers fray every edge in the pattern.
    """
    spec = draped.garment.spec
    step = catmull_clark(draped.quads, len(draped.posed))
    triangles = triangulate(step.quads)
    posed, rest = step.matrix @ draped.posed, step.matrix @ draped.rest
    base = draw_color(rng, "denim" if pattern == "denim" else spec.palette)
    accent = draw_contrast(rng, base)
    sewing = _on_the_table(draped, step.matrix, step.quads, rest, pattern, base, accent, skeleton, rng, noise_seed)
    for name in spec.details:
        DETAILS[name](sewing)
    if spec.collar == "band":
        _neck_band(sewing)
    mean = neighbour_mean(triangles, len(posed))
    normals = vertex_normals(posed, triangles)
    color = _worn(posed, normals, mean, sewing.color, sewing.is_denim)
    crumple = CRUMPLE_M.get(spec.name, 0.0009) * rng.uniform(0.4, 1.3)
    relief = sewing.relief + crumple * fractal_noise(rest * [38, 38, 24], 4, noise_seed, 0.6)
    shown = posed + normals * relief[:, None]
    collar = None
    if spec.collar in SWEPT:
        up = (transforms[skeleton.index["spine01"], :, :3] + transforms[skeleton.index["neck01"], :, :3]) @ [0, -0.25, 1]
        line = find_neckline(step.quads, rest, posed, sewing.marks.neck, unit(up), spec.is_open)
        if line is not None:
            shade = base if spec.collar in ("hood", "roll") else base * 0.94
            collar = make_collar(spec.collar, line, shade, COLLAR_SIZE.get(spec.collar, 1.0), rng, noise_seed)
    if not full_detail:
        count, down = len(draped.posed), _averaging(step.matrix)
        shown, color, rest = posed[:count] + normals[:count] * (down @ relief)[:, None], down @ color, rest[:count]
        triangles = triangulate(draped.quads)
    vertices, faces, color, origin = with_lips(shown, triangles, np.clip(color, 0, 1))
    return Finished(Part(spec.name, vertices, faces, color), rest[origin], collar)


def _averaging(subdivision: sparse.csr_matrix) -> sparse.csr_matrix:
    """(V, fine V): each coarse vertex's weighted mean of the fine ones it has a share in (the transposed subdivision)."""
    spread = subdivision.T.tocsr()
    return (sparse.diags(1 / np.asarray(spread.sum(axis=1)).ravel()) @ spread).tocsr()


def _on_the_table(
    draped: Draped,
    matrix: sparse.csr_matrix,
    quads: Index,
    rest: Array,
    pattern: str,
    base: Array,
    accent: Array,
    skeleton: Skeleton,
    rng: np.random.Generator,
    noise_seed: int,
) -> Sewing:
    """The fine garment at rest with its fabric's colours."""
    fields = surface_fields(rest, (matrix @ draped.weights).tocsr(), skeleton)
    marks = Landmarks.of(skeleton)
    height = np.where(fields.arm, fields.along * marks.arm_length, rest[:, 2])
    front = fields.torso & (rest[:, 1] < skeleton.head("spine03")[1])
    around = np.where(fields.torso, _way_round(rest, fields.torso), fields.azimuth * fields.radius) + sleeve_seed(fields)
    u = np.where(front, rest[:, 0], around) if pattern == "logo" else around
    color = paint_fabric(pattern, Cloth(u, height, rest, front, base, accent, noise_seed), rng)
    edge = np.unique(boundary_edges(quads))
    to_edge = np.minimum(cKDTree(rest[edge]).query(rest, distance_upper_bound=0.12)[0], 0.12)
    return Sewing(
        draped.garment.spec, rest, fields, marks, height, front, to_edge, base, accent, pattern == "denim", noise_seed, rng, color, np.zeros(len(rest))
    )


def _way_round(rest: Array, torso: NDArray[np.bool_]) -> Array:
    """(V,) metres around the torso from the middle of the front: arc length on the ellipse that the cloth is at each height, so that patterns
    keep their size on chest, back and wide skirts. 0 off the torso."""
    bins = ((rest[:, 2] - rest[:, 2].min()) / 0.02).astype(int)
    order = np.argsort(bins[torso], kind="stable")
    x, y, _ = rest[torso][order].T
    filled, first = np.unique(bins[torso][order], return_index=True)
    front, back = np.minimum.reduceat(y, first), np.maximum.reduceat(y, first)
    knots = np.stack([np.maximum.reduceat(np.abs(x), first), (back - front) / 2, (front + back) / 2])
    smooth = [np.convolve(np.pad(knot, 2, mode="edge"), np.full(5, 0.2), mode="valid") for knot in knots]
    half_width, half_depth, centre_y = (np.interp((rest[:, 2] - rest[:, 2].min()) / 0.02 - 0.5, filled, values) for values in smooth)
    angle = np.arctan2(rest[:, 0] / np.maximum(half_width, 0.05), -(rest[:, 1] - centre_y) / np.maximum(half_depth, 0.05))
    # Arc length of an ellipse to second order in its flatness.
    way = (half_width + half_depth) / 2 * angle + (half_width - half_depth) / 4 * np.sin(2 * angle)
    return np.where(torso, way, 0)


def _neck_band(s: Sewing) -> None:
    """The knitted band round a T-shirt's neck."""
    near = np.linalg.norm((s.rest - s.marks.neck) * [1, 1, 0.5], axis=1) < 0.17
    band = near & (s.to_edge < 0.02)
    s.relief += band * 0.0012
    if s.rng.random() < 0.25:
        s.color[band] = s.accent
    else:
        s.darken(band, s.rng.uniform(0.1, 0.25))


def _worn(posed: Array, normals: Array, mean: sparse.csr_matrix, color: Array, is_denim: bool) -> Array:
    """Softened against aliasing; folds a little darker, ridges of denim lighter."""
    curvature = ((mean @ posed - posed) * normals).sum(axis=1)
    for _ in range(2):
        curvature = mean @ curvature
    hollow = np.clip(curvature / 0.0006, -1, 1)
    color = 0.55 * color + 0.45 * (mean @ color)
    color = color * (1 - 0.05 * hollow[:, None])
    return color + 0.05 * np.clip(-hollow, 0, 1)[:, None] if is_denim else color
