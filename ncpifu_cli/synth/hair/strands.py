"""Guide strands: grown from the scalp, falling over head, body and clothes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.hair.scalp import Hairline, Scalp
from ncpifu_cli.synth.noise import smoothstep, value_noise
from ncpifu_cli.synth.rotations import unit_rows
from ncpifu_cli.synth.skeleton import rigid, to_rest
from ncpifu_cli.synth.topology import triangulate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StrandStyle:
    """How strands grow. count; length_m; lift: how steeply they leave the scalp; curl_m: radius of their coils; droop: pull of gravity;
    segments; spread: random deviation; part_x: where the hair is parted, metres from the middle (None: from the crown); highest_m: only roots
    up to this height above the hairline."""

    count: int
    length_m: float
    lift: float = 0.05
    curl_m: float = 0.0
    droop: float = 0.5
    segments: int = 14
    spread: float = 0.02
    part_x: float | None = None
    highest_m: float = 9.0


def grow_strands(scalp: Scalp, line: Hairline, style: StrandStyle, surface: SurfaceQuery, rng: np.random.Generator) -> Array:
    """(S, segments + 1, 3) strands in the pose, kept outside `surface` (body and clothes) and off the face."""
    roots, normals = _roots(scalp, line, style, rng)
    head, transform = scalp.head, scalp.head_transform
    turn = transform[:, :3]
    flow = _flow(roots, normals, head.centre, head.scale, style)
    direction = unit_rows((flow + normals * style.lift) @ turn.T)
    length = style.length_m * (1 + rng.normal(0, 0.08, len(roots)))
    step = (length / style.segments)[:, None]
    wander = rng.normal(0, style.spread, (len(roots), 3)) + 2 * style.spread * np.stack([value_noise(roots * 45, k) for k in (3, 4, 5)], axis=1)
    phase = rng.uniform(0, 2 * np.pi, len(roots))
    # Hair lies in layers: each strand keeps its own distance from skin and cloth.
    gap = rng.uniform(0.003, 0.015, len(roots))
    strand = [rigid(roots, transform)]
    for index in range(style.segments):
        direction = unit_rows(direction + np.array([0, 0, -25.0]) * style.droop * step + wander * 0.3)
        tip = strand[-1] + direction * step
        if style.curl_m:
            coil = phase + index * 1.3
            tip = tip + style.curl_m * np.stack([np.cos(coil), np.sin(coil), np.zeros_like(coil)], axis=1)
        tip = surface.push_out(tip, gap)
        if style.length_m > 0.1:
            tip = _off_the_face(tip, roots, scalp)
        direction = unit_rows(tip - strand[-1])
        strand.append(tip)
    return np.stack(strand, axis=1)


def _roots(scalp: Scalp, line: Hairline, style: StrandStyle, rng: np.random.Generator) -> tuple[Array, Array]:
    """(S, 3) positions and normals at rest, evenly spread over the hairy faces."""
    height = line.height(scalp.head, scalp.points)
    hairy = (height > 0.002) & (height < style.highest_m) & (scalp.on_head > 0.5) & (scalp.ears < 0.2) & (scalp.points[:, 1] > scalp.head.eyes[1])
    faces = triangulate(scalp.model.fine.quads)
    faces = faces[hairy[faces].all(axis=1)]
    corners = scalp.points[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    drawn = rng.choice(len(faces), style.count * 3, p=area / area.sum())
    weights = rng.dirichlet([1, 1, 1], style.count * 3)
    points = np.einsum("nk,nkd->nd", weights, corners[drawn])
    normals = unit_rows(np.einsum("nk,nkd->nd", weights, scalp.normals[faces[drawn]]))
    spacing = 0.55 * np.sqrt(area.sum() / 2 / style.count)
    neighbours = cKDTree(points).query_ball_point(points, spacing)
    taken = np.zeros(len(points), bool)
    kept = []
    for i, near in enumerate(neighbours):
        if not taken[i]:
            kept.append(i)
            taken[near] = True
    chosen = np.array(kept[: style.count])
    return points[chosen], normals[chosen]


def _flow(roots: Array, normals: Array, centre: Array, scale: float, style: StrandStyle) -> Array:
    """(S, 3) unit directions along the scalp: away from the crown, or from a parting in front."""
    if style.part_x is None:
        flow = roots - (centre + np.array([0, 0.045, 0.12]) * scale)
    else:
        forward = smoothstep(centre[1] + 0.07, centre[1] - 0.02, roots[:, 1])
        side = np.sign(roots[:, 0] - style.part_x) * 0.9 * forward + (1 - forward) * roots[:, 0] * 2.5
        back = np.where(roots[:, 1] < centre[1], -0.02, 0.5)
        flow = np.stack([side, back, -0.35 - 0.5 * (1 - forward)], axis=1)
    return unit_rows(flow - (flow * normals).sum(axis=1, keepdims=True) * normals)


def _off_the_face(points: Array, roots: Array, scalp: Scalp) -> Array:
    """Strands before the face are moved to its side and back to the cheeks."""
    head, transform = scalp.head, scalp.head_transform
    local = to_rest(points, transform)
    above_eyes = local[:, 2] - head.eyes[2]
    in_face = (local[:, 1] < head.centre[1] - 0.01) & (np.abs(local[:, 0]) < 0.074 * head.scale) & (above_eyes < 0.055 * head.scale) & (above_eyes > -0.16)
    side = np.where(roots[:, 0] >= 0, 1.0, -1.0)
    local[in_face, 0] = (side * 0.080 * head.scale)[in_face]
    local[in_face, 1] = np.maximum(local[in_face, 1], head.centre[1] - 0.05 * head.scale)
    return np.where(in_face[:, None], rigid(local, transform), points)
