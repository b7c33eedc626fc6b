"""Skin and inner layers under cloth: pulled beneath it where they touch, left out where nobody can ever see them.

Which skin lies under which garment is decided at rest, where hands and sleeves are far from the torso: a hand laid on a shirt stays above it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.drape import Draped
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.topology import boundary_edges, submesh

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

GAP_M = 0.003  # kept below the cloth above
REACH_M = 0.03  # how far below the cloth things are looked for
HEM_M = 0.006  # so close to an edge nothing is pulled
SAME_PLACE_M = 0.09  # what was further apart at rest does not belong together: an arm that comes near the shirt's side stays an arm
FURTHEST_COVER_M = 0.3  # a wide skirt still covers
WELL_INSIDE = 0.7  # winding number: below it at open hems, and where a garment gapes
HIDDEN_FROM_HEM_M = 0.05  # so far from every edge nothing can be seen


@dataclass(frozen=True)
class Cover:
    """A garment as a cover for what is below: its surface at rest and in the pose."""

    rest_vertices: Array
    rest: SurfaceQuery
    rest_rim: cKDTree
    posed: SurfaceQuery
    posed_rim: cKDTree

    @staticmethod
    def of(draped: Draped) -> "Cover":
        """The cover that a simulated garment makes."""
        rim = np.unique(boundary_edges(draped.triangles))
        rest, posed = SurfaceQuery(draped.rest, draped.triangles), SurfaceQuery(draped.posed, draped.triangles)
        return Cover(draped.rest, rest, cKDTree(draped.rest[rim]), posed, cKDTree(draped.posed[rim]))

    def covers(self, rest: Array) -> tuple[Mask, Array]:
        """For (N, 3) rest positions: (under the garment (N), distance of the cover's point from its edge, at most HIDDEN_FROM_HEM_M)."""
        found, position, normal = self.rest.nearest(rest, REACH_M + 0.03)
        under = found & (((rest - position) * normal).sum(axis=1) < 0.001)
        return under, _from_rim(self.rest_rim, position)


def _from_rim(rim: cKDTree, points: Array) -> Array:
    return np.minimum(rim.query(points, distance_upper_bound=HIDDEN_FROM_HEM_M)[0], HIDDEN_FROM_HEM_M)


def tuck_under(part: Part, rest: Array, covers: Sequence[Cover]) -> Part:
    """`part` (V, 3), with its vertices' rest positions: pulled under the covers, invisible faces left out."""
    vertices = part.vertices.copy()
    hidden = np.zeros(len(vertices), bool)
    for cover in covers:
        under, rest_from_rim = cover.covers(rest)
        found, position, normal, was = cover.posed.nearest_with(vertices, REACH_M, cover.rest_vertices)
        found &= np.linalg.norm(was - rest, axis=1) < SAME_PLACE_M
        depth = ((vertices - position) * normal).sum(axis=1)
        from_rim = _from_rim(cover.posed_rim, position)
        pulled = under & found & (depth > -GAP_M) & ((from_rim > HEM_M) | (depth < 0.002))
        vertices[pulled] = (position - normal * GAP_M)[pulled]
        hidden |= under & found & (depth < 0.02) & (rest_from_rim >= HIDDEN_FROM_HEM_M) & (from_rim >= HIDDEN_FROM_HEM_M / 2)
    triangles, ids = submesh(part.triangles, ~hidden[part.triangles].all(axis=1))
    return Part(part.name, vertices[ids], triangles, part.colors[ids])


def covered_share(points: Array, garments: Sequence[Draped]) -> float:
    """Share of posed skin points (N, 3) with cloth before them (within 30 cm, not beyond an edge), or clearly inside a garment, whichever way the
    nearest fold of it may face; 1 for no points."""
    import igl

    if not len(points):
        return 1.0
    covered = np.zeros(len(points), bool)
    for draped in garments:
        rim = draped.posed[np.unique(boundary_edges(draped.triangles))]
        found, position, normal = SurfaceQuery(draped.posed, draped.triangles).nearest(points, FURTHEST_COVER_M)
        inside = ((points - position) * normal).sum(axis=1) < 0.004
        covered |= found & inside & (cKDTree(rim).query(position)[0] > 0.003)
        covered |= igl.fast_winding_number(draped.posed, draped.triangles, np.ascontiguousarray(points)) > WELL_INSIDE
    return float(covered.mean())
