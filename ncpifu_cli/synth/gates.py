"""What makes a human unfit to train on. Each gate is a measured number and a limit; a rejected human is named with its reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.assemble import Mesh
from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.drape import Draped
from ncpifu_cli.synth.garments.fields import Landmarks
from ncpifu_cli.synth.layers import covered_share
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.poses import LARGEST_OVERLAP
from ncpifu_cli.synth.topology import boundary_edges, vertex_normals

Array = NDArray[np.float64]

LARGEST_STRETCH, LARGEST_OVERSTRETCHED = 0.15, 0.04  # an edge's elongation; share of a garment's edges that may go beyond
LARGEST_UNDER = 0.01  # share of a garment's vertices more than 2 mm under skin
SMALLEST_COVER = 0.95  # share of chest and hips that must be under cloth
HEIGHT_M = (1.0, 2.1)
SMALLEST_DEEP, LARGEST_FAR = 0.95, 0.01  # of one closed surface it is 1, of two within each other 2; inside begins at 0.5


class RejectedHuman(NcpifuError):
    """A human that fails a gate; `reasons` name gates and numbers."""

    def __init__(self, name: str, reasons: Sequence[str]) -> None:
        super().__init__(f"{name} rejected: {'; '.join(reasons)}")
        self.name, self.reasons = name, tuple(reasons)

    def __reduce__(self) -> tuple:
        return type(self), (self.name, self.reasons)


@dataclass(frozen=True)
class Measures:
    """What the gates look at.

    overlap: share of the body inside itself. Of the worst garment: stretch: 95th percentile of its edges' elongation; overstretched: share of
    edges elongated by more than 15 %; under: share of vertices under the body's skin; pierced: under what is left of it in the end, pulled beneath
    its covers and cut away where it is hidden. chest, hips: share covered. height_m of the standing rest body with shoes off. deep, far: winding
    numbers in the chest and 1.5 m before it. finite: no NaN anywhere.
    """

    overlap: float
    stretch: float
    overstretched: float
    pierced: float
    under: float
    chest: float
    hips: float
    height_m: float
    deep: float
    far: float
    finite: bool


def measure(
    model: BodyModel, shape: BodyShape, posed: Array, skin_part: Part, overlap: float, garments: Sequence[Draped], mesh: Mesh, chest_point: Array
) -> Measures:
    """Measure a finished human. posed (BODY_VERTICES, 3) body; skin_part: the skin that is left; chest_point (3,) deep inside, in the output frame."""
    chest, hips = decency_regions(model, shape)
    body = SurfaceQuery(posed, model.body_triangles)
    deep, far = _winding(mesh, chest_point + np.array([[0, 0, 0], [0, 0, 1.5]]))
    return Measures(
        overlap=overlap,
        stretch=max(float(np.quantile(draped.stretch, 0.95)) for draped in garments),
        overstretched=max(float((draped.stretch > LARGEST_STRETCH).mean()) for draped in garments),
        pierced=max(_pierced(skin_part, draped) for draped in garments),
        under=max(float(_behind(body, draped.posed)[0].mean()) for draped in garments),
        chest=covered_share(posed[chest], garments),
        hips=covered_share(posed[hips], garments),
        height_m=float(np.ptp(shape.body[:, 2])) * shape.scale,
        deep=deep,
        far=far,
        finite=bool(np.isfinite(mesh.vertices).all()),
    )


def failures(m: Measures) -> list[str]:
    """The gates that fail, each with its number and limit; empty for a good human."""
    checks = (
        (m.finite, "has positions that are not finite"),
        (m.overlap < LARGEST_OVERLAP, f"{m.overlap:.1%} of the body inside itself (limit {LARGEST_OVERLAP:.0%})"),
        (
            m.overstretched < LARGEST_OVERSTRETCHED,
            f"{m.overstretched:.1%} of a garment's edges stretched by over {LARGEST_STRETCH:.0%} (limit {LARGEST_OVERSTRETCHED:.0%})",
        ),
        (m.under < LARGEST_UNDER, f"{m.under:.1%} of a garment under the skin (limit {LARGEST_UNDER:.0%})"),
        (m.pierced < LARGEST_UNDER, f"{m.pierced:.1%} of a garment under skin that shows (limit {LARGEST_UNDER:.0%})"),
        (m.chest > SMALLEST_COVER, f"only {m.chest:.0%} of the chest covered (at least {SMALLEST_COVER:.0%})"),
        (m.hips > SMALLEST_COVER, f"only {m.hips:.0%} of the hips covered (at least {SMALLEST_COVER:.0%})"),
        (HEIGHT_M[0] < m.height_m < HEIGHT_M[1], f"{m.height_m:.2f} m tall (allowed {HEIGHT_M[0]} to {HEIGHT_M[1]})"),
        (m.deep > SMALLEST_DEEP, f"winding number {m.deep:.2f} inside the chest (at least {SMALLEST_DEEP})"),
        (abs(m.far) < LARGEST_FAR, f"winding number {m.far:.2f} far outside (should be 0)"),
    )
    return [reason for passed, reason in checks if not passed]


def decency_regions(model: BodyModel, shape: BodyShape) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Body vertices (chest, hips) that every outfit must cover."""
    marks = Landmarks.of(shape.skeleton)
    torso_bones = [i for i, label in enumerate(shape.skeleton.labels) if label.startswith(("spine", "root", "pelvis", "upperleg01", "clavicle"))]
    trunk = np.asarray(model.body_weights[:, torso_bones].sum(axis=1)).ravel() > 0.6
    on_surface = np.zeros(len(trunk), bool)
    on_surface[model.body_quads.ravel()] = True
    z = shape.body[:, 2]
    # Armpits, flanks and the insides of the thighs are left out: there cloth lies in folds, or the other leg's is nearer.
    facing = np.abs(vertex_normals(shape.body, model.body_triangles)[:, 1]) > 0.5
    central = np.abs(shape.body[:, 0]) < 0.75 * shape.skeleton.head("upperarm01.L")[0]
    chest = trunk & on_surface & facing & central & (z > marks.shoulder_z - 0.28) & (z < marks.shoulder_z - 0.12)
    hips = trunk & on_surface & facing & (z > marks.hip_z - 0.08) & (z < marks.hip_z + 0.06)
    return np.flatnonzero(chest), np.flatnonzero(hips)


def _pierced(skin_part: Part, draped: Draped) -> float:
    """Share of a garment's vertices behind skin. Hidden skin has been left out: in an armpit, cloth between arm and torso harms nobody."""
    under, position = _behind(SurfaceQuery(skin_part.vertices, skin_part.triangles), draped.posed)
    rim = skin_part.vertices[np.unique(boundary_edges(skin_part.triangles))]
    inside_rim = cKDTree(rim).query(position, distance_upper_bound=0.006)[0] > 0.006
    return float((under & inside_rim).mean())


def _behind(surface: SurfaceQuery, points: Array) -> tuple[NDArray[np.bool_], Array]:
    """(which of (N, 3) points are more than 2 mm behind the surface, the nearest positions on it)."""
    found, position, normal = surface.nearest(points, 0.03)
    return found & (((points - position) * normal).sum(axis=1) < -0.002), position


def _winding(mesh: Mesh, points: Array) -> tuple[float, float]:
    import igl

    values = igl.fast_winding_number(mesh.vertices.astype(np.float64), mesh.faces.astype(np.int64), np.ascontiguousarray(points, np.float64))
    return float(values[0]), float(values[1])
