"""Heads alone, with shoulders: what takes the time about a human is its clothes, and a face is seen a thousand times as often as it is simulated.

The same bodies, faces, skins, eyes, hair and glasses as `human`'s; a shirt is painted on, and lashes and make-up, which pictures of whole people do not show.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.synth import PoseWish
from ncpifu_cli.geometry.camera import SUBJECT_HEIGHT_M
from ncpifu_cli.synth.assemble import Mesh, assemble
from ncpifu_cli.synth.body import BodyModel, BodyShape, load_body_model
from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.hair import choose_style, make_hair
from ncpifu_cli.synth.hair.scalp import Scalp
from ncpifu_cli.synth.looks.eyes import make_eyes
from ncpifu_cli.synth.looks.head import Head
from ncpifu_cli.synth.looks.skin import Complexion, paint_skin, sample_complexion
from ncpifu_cli.synth.noise import fractal_noise, smoothstep
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.phenotype import sample_features, sample_phenotype
from ncpifu_cli.synth.poses import FALLBACK, choose_pose, solve_pose
from ncpifu_cli.synth.props import Wearer, make_props
from ncpifu_cli.synth.skeleton import SIDES, skin
from ncpifu_cli.synth.streams import Streams, global_seed
from ncpifu_cli.synth.topology import submesh, vertex_normals

Array = NDArray[np.float64]

GESTURES = 0.3  # how many pose as whole people do; the others stand
BUST_M = 0.5  # from the crown down, of a person of 1.80 m
GLASSES, SUNGLASSES = 0.15, 0.03
SHIRT = 0.85  # how many are dressed to the neck
SHIRT_M = 0.004  # thickness
DRESSED = ("spine", "neck", "clavicle", "shoulder", "breast", "upperarm", "lowerarm")  # bones
LOOSE = 0.03  # of a head's upper half, hair that stands off
LASH_M = 0.0013  # width of the line that lashes make along a lid


@dataclass(frozen=True)
class HeadOnShoulders:
    """A head, the person normalised to 1.80 m: mesh in metres, y up, facing +z; crown (3,), the top of the head with its hair,
    above the top of the skull."""

    mesh: Mesh
    crown: Array


def make_head(split: str, number: int) -> HeadOnShoulders:
    """Head `number` of a split, with the face that the human of that number has, uncut by cloth.

    Raises ValueError for a bad split or number, NcpifuError where the body model cannot be loaded.
    """
    streams, held_out = Streams(global_seed(split, number)), split == "ood"
    model = load_body_model()
    shape = model.shape(sample_phenotype(streams.get("body")), sample_features(streams.get("face"), held_out))
    female = shape.phenotype.is_female
    gesture = streams.get("gesture").random() < GESTURES  # arms before heads, and hands on them
    aim = choose_pose(streams.get("pose family"), held_out) if gesture else PoseWish(family=FALLBACK)
    pose = solve_pose(model, shape, aim, streams, 0.0, 0.0)
    transforms = shape.skeleton.transforms(pose.rotations)
    posed = skin(shape.body, model.body_weights, transforms)
    head, complexion = Head.of(model, shape), sample_complexion(shape, streams.get("skin"))
    rest, color, relief = paint_skin(model, shape, head, complexion, streams.integer("skin"))
    color = _made_up(model, shape, rest, color, complexion, streams.get("make-up"))
    color, thickness = _shirt(model, shape, rest, color, streams.get("shirt"))
    rest = rest + vertex_normals(rest, model.fine.triangles) * (relief + thickness)[:, None]
    parts = [Part("skin", skin(rest, model.fine.weights, transforms), model.fine.triangles, color)]
    parts += make_eyes(model, shape, transforms, streams.get("eyes"))
    scalp = Scalp.of(model, shape, head, transforms)
    hair = choose_style(streams.get("hair style"), female, held_out)
    parts += make_hair(hair, scalp, complexion.hair_color, SurfaceQuery(posed, model.body_triangles), streams.get("hair"), streams.integer("hair"))
    worn = streams.get("glasses").choice(["none", "glasses", "sunglasses"], p=[1 - GLASSES - SUNGLASSES, GLASSES, SUNGLASSES])
    if worn != "none":
        wearer = Wearer(scalp, posed, posed, np.full(3, 0.3), streams.get("prop looks"))
        parts += [part for pieces in make_props([str(worn)], wearer).values() for part in pieces]
    whole = assemble(parts, None, shape.scale)
    vertices = whole.vertices * np.float32(SUBJECT_HEIGHT_M / (np.ptp(posed[:, 2]) * shape.scale))
    crown = _crown(model, parts, vertices)
    faces, ids = submesh(whole.faces.astype(np.int64), (vertices[whole.faces, 1] > crown[1] - BUST_M).all(axis=1))
    return HeadOnShoulders(Mesh(vertices[ids], faces.astype(np.int32), whole.colors[ids]), crown)


def _crown(model: BodyModel, parts: list[Part], vertices: NDArray[np.floating]) -> Array:
    """(3,) the top of the skull, as high as the hair; vertices (V, 3), y up, those of all `parts`, the skin's first."""
    heads = model.fine.weights[:, [model.labels.index("head")]].toarray().ravel() > 0.5
    skull = vertices[: len(heads)][heads]
    top = skull[np.argmax(skull[:, 1])].astype(np.float64)
    hair = vertices[np.concatenate([np.full(len(part.vertices), part.name in ("hair", "hat")) for part in parts]), 1]
    tips = hair[hair > top[1] - 0.1]
    return np.array([top[0], max(top[1], float(np.quantile(tips, 1 - LOOSE))) if len(tips) else top[1], top[2]])


def _made_up(model: BodyModel, shape: BodyShape, points: Array, color: Array, complexion: Complexion, rng: np.random.Generator) -> Array:
    """(V, 3) skin with lashes, at times shadow on the lids, freckles and rings under the eyes."""
    painted = shape.phenotype.is_female and rng.random() < 0.5
    dark = np.minimum(complexion.hair_color, 0.25) * 0.4
    strength, width = (rng.uniform(0.7, 1.0), rng.uniform(1.0, 2.2)) if painted else (rng.uniform(0.2, 0.75), 1.0)
    shadow = np.clip(complexion.color * rng.uniform(0.35, 0.9) + rng.normal(0, 0.05, 3), 0, 1)
    rings, freckles = rng.uniform(0, 0.18), max(0.0, rng.uniform(-0.6, 0.2))
    color = color * (1 - freckles * smoothstep(0.25, 0.5, fractal_noise(points * 260, 2, int(rng.integers(1 << 20)))))[:, None]
    lids = model.fine.mask("eyelids")
    for side in SIDES:
        ball = shape.vertices[np.unique(model.eye_quads[side])]
        centre = ball.mean(axis=0)
        radius = np.linalg.norm(ball - centre, axis=1).mean()
        away = np.maximum(np.linalg.norm(points - centre, axis=1) - radius, 0)
        before, above = points[:, 1] < centre[1], points[:, 2] - centre[2]
        line = np.exp(-((away / (LASH_M * width)) ** 2)) * before * np.where(above > -0.002, 1.0, 0.45)
        near = np.exp(-((np.linalg.norm(points - centre, axis=1) / (2.2 * radius)) ** 4)) * before
        if painted:
            color = color + (shadow - color) * (0.6 * near * lids * (above > 0))[:, None]
        color = color * (1 - rings * near * (above < -0.3 * radius))[:, None]
        color = color + (dark - color) * (strength * line)[:, None]
    return np.clip(color, 0, 1)


def _shirt(model: BodyModel, shape: BodyShape, points: Array, color: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Colours (V, 3) of a body in a shirt, and how thick that is (V,) in metres: a plain cone around the neck cuts it."""
    neck = shape.skeleton.head("neck01")
    reach, slope, deeper = rng.uniform(0.045, 0.1), rng.uniform(0.4, 0.9), rng.uniform(0.0, 0.9)
    if rng.random() >= SHIRT:
        return color, np.zeros(len(points))
    away = np.hypot(points[:, 0], points[:, 1] - neck[1]) * np.where(points[:, 1] < neck[1], 1 - 0.4 * deeper, 1)
    below = [index for index, label in enumerate(model.labels) if label.startswith(DRESSED)]
    on_trunk = np.asarray(model.fine.weights[:, below].sum(axis=1)).ravel() > 0.5  # the cone would cut chins too
    inside = smoothstep(0.0, 0.004, neck[2] + slope * (away - reach) - points[:, 2]) * on_trunk
    cloth = rng.uniform(0.02, 0.95, 3) * (1 + 0.06 * fractal_noise(points * 90, 3, int(rng.integers(1 << 20))))[:, None]
    return np.clip(color + (cloth - color) * inside[:, None], 0, 1), inside * SHIRT_M * rng.uniform(0.4, 2.0)
