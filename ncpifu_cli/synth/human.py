"""Seed -> Human: the one place that knows all rooms and their order."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from ncpifu_cli.config.synth import NO_WISHES, ClothKind, PoseWish, Wishes
from ncpifu_cli.geometry.keypoints import named
from ncpifu_cli.synth.assemble import TRAINING_FACES, Mesh, assemble, ground_level, to_output_frame
from ncpifu_cli.synth.body import INGREDIENTS, BodyModel, BodyShape, load_body_model
from ncpifu_cli.synth.cloth import SurfaceQuery
from ncpifu_cli.synth.drape import Draped, drape
from ncpifu_cli.synth.garments.build import build_garment
from ncpifu_cli.synth.garments.catalogue import BY_NAME
from ncpifu_cli.synth.garments.finish import Finished, finish_garment
from ncpifu_cli.synth.garments.outfit import Worn, choose_outfit, outfit_of
from ncpifu_cli.synth.garments.spec import GarmentSpec
from ncpifu_cli.synth.gates import Measures, RejectedHuman, failures, measure
from ncpifu_cli.synth.hair import choose_style, make_hair
from ncpifu_cli.synth.hair.scalp import Scalp
from ncpifu_cli.synth.keypoints import keypoints
from ncpifu_cli.synth.layers import Cover, tuck_under
from ncpifu_cli.synth.looks.eyes import make_eyes
from ncpifu_cli.synth.looks.head import Head
from ncpifu_cli.synth.looks.skin import paint_skin, sample_complexion
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.phenotype import Features, Phenotype, sample_features, sample_phenotype
from ncpifu_cli.synth.poses import FALLBACK, Pose, choose_pose, solve_pose
from ncpifu_cli.synth.props import Wearer, choose_props, make_props
from ncpifu_cli.synth.shoes import choose_shoes, make_shoes, pitch_deg
from ncpifu_cli.synth.skeleton import SIDES, rigid, skin, to_rest
from ncpifu_cli.synth.skinned_cloth import follows_skin, skin_cloth
from ncpifu_cli.synth.streams import GENERATOR_VERSION, Streams, global_seed, subject_name
from ncpifu_cli.synth.topology import vertex_normals
from ncpifu_cli.synth.wishes import as_described, check

Array = NDArray[np.float64]

ATTEMPTS = 3
OUTFITS = 8  # draws until there is no skirt in one
LET_OUT = 0.20  # how much longer trousers are cut for somebody who sits; with 0.05 two of three sitting people fail the gate on stretch


@dataclass(frozen=True)
class Human:
    """A finished human. Attributes: name, mesh, description (JSON-able: what meta.json holds), seconds per stage."""

    name: str
    mesh: Mesh
    description: dict[str, Any]
    seconds: dict[str, float]


@dataclass
class _Clock:
    """CPU seconds per stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the block's CPU time to stage `name`."""
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start


def make_human(
    split: str, number: int, wishes: Wishes = NO_WISHES, face_budget: int | None = TRAINING_FACES, device: str = "cpu", cloth: ClothKind = "simulated"
) -> Human:
    """Human `number` of a split: the same (split, number, generator version) always gives the same human.

    `cloth` "skinned": no simulation, see `skinned_cloth`; whose outfit was drawn with a skirt, draws again.
    A human that fails a gate is posed anew, `ATTEMPTS` times in all, the last time standing; its description tells what was rejected.
    Raises RejectedHuman when no pose passes, NcpifuError for unknown wishes, ValueError for a bad split or number.
    """
    check(wishes)
    seed, rejected = global_seed(split, number), []
    for attempt in range(ATTEMPTS):
        try:
            human = _attempt(split, number, Streams(seed), Streams(seed, attempt), wishes, face_budget, device, cloth)
        except RejectedHuman as error:
            rejected.append(list(error.reasons))
        else:
            human.description["rejected_attempts"] = rejected
            human.description["wishes"] = as_described(wishes)
            human.description["cloth"] = cloth
            return human
    raise RejectedHuman(subject_name(split, number), rejected[-1])


def _attempt(split: str, number: int, streams: Streams, pose_streams: Streams, wishes: Wishes, face_budget: int | None, device: str, cloth: ClothKind) -> Human:
    """One try: everything from `streams`, the pose from `pose_streams`. Raises RejectedHuman when a gate fails."""
    held_out, clock, name = split == "ood", _Clock(), subject_name(split, number)
    model = load_body_model()
    with clock.stage("body"):
        features = sample_features(streams.get("face"), held_out)
        features = features if wishes.expression is None else replace(features, expression=wishes.expression)
        shape = model.shape(replace(sample_phenotype(streams.get("body")), **wishes.body), features)
    female = shape.phenotype.is_female
    outfit = _drawn_outfit(streams.seed, female, held_out, cloth) if wishes.outfit is None else outfit_of(wishes.outfit, streams, held_out)
    shoe_kind = wishes.shoes or choose_shoes(streams.get("shoe kind"), female and not shape.phenotype.is_child)
    with clock.stage("pose"):
        last = pose_streams.attempt == ATTEMPTS - 1
        aim = wishes.pose or (PoseWish(family=FALLBACK) if last else choose_pose(pose_streams.get("pose family"), held_out))
        pose = solve_pose(model, shape, aim, pose_streams, _room_for(outfit), pitch_deg(shoe_kind))
        transforms = shape.skeleton.transforms(pose.rotations)
        posed = skin(shape.body, model.body_weights, transforms)
    with clock.stage("garments"):
        bend = _hip_bend(shape, transforms)
        garments = [build_garment(_let_out(worn.spec, bend), model, shape, streams.get(f"cut {layer}")) for layer, worn in enumerate(outfit)]
    with clock.stage("shoes"):
        shoes = make_shoes(shoe_kind, model, shape, streams.get("shoes"))
    with clock.stage("cloth"):
        rigid_parts, folds = [shoe.part for shoe in shoes], streams.integer("cloth")
        draped = (
            skin_cloth(garments, model, shape, transforms, rigid_parts, folds)
            if cloth == "skinned" and _follows_skin(outfit)
            else drape(garments, model, shape, pose, rigid_parts, folds, device)
        )
    with clock.stage("finish"):
        finished = [
            finish_garment(
                d, worn.pattern, shape.skeleton, transforms, streams.get(f"looks {worn.dyed_as}"), streams.integer(f"fabric {layer}"), face_budget is None
            )
            for layer, (d, worn) in enumerate(zip(draped, outfit, strict=True))
        ]
    head = Head.of(model, shape)
    complexion = sample_complexion(shape, streams.get("skin"))
    with clock.stage("skin"):
        rest, color, relief = paint_skin(model, shape, head, complexion, streams.integer("skin"))
        rest = rest + vertex_normals(rest, model.fine.triangles) * relief[:, None]
        skin_part = Part("skin", skin(rest, model.fine.weights, transforms), model.fine.triangles, color)
        parts = _layered(skin_part, rest, draped, finished)
        parts += make_eyes(model, shape, transforms, streams.get("eyes"))
        parts += [Part("shoe", skin(s.part.vertices, s.part.weights, transforms), s.part.triangles, s.colors) for s in shoes]
    with clock.stage("hair"):
        hair = wishes.hair or choose_style(streams.get("hair style"), female, held_out)
        scalp = Scalp.of(model, shape, head, transforms)
        surface = _outer_surface(model, posed, draped)
        parts += make_hair(hair, scalp, complexion.hair_color, surface, streams.get("hair"), streams.integer("hair"))
    with clock.stage("props"):
        wanted = wishes.props if wishes.props is not None else choose_props(streams, [w.spec.name for w in outfit], pose.family, hair, held_out)
        props = make_props(wanted, _wearer(model, scalp, posed, draped, finished, streams.get("prop looks")))
        parts += [part for pieces in props.values() for part in pieces]
    with clock.stage("assemble"):
        mesh = assemble(parts, face_budget, shape.scale)
    with clock.stage("gates"):
        chest = rigid(shape.skeleton.head("spine02")[None] - [[0, 0.06, 0]], transforms[shape.skeleton.index["spine02"]])
        ground = [0, 0, ground_level(parts)]
        chest_point = to_output_frame(chest - ground)[0] * shape.scale
        measures = measure(model, shape, posed, parts[0], pose.overlap, draped, mesh, chest_point)
        reasons = failures(measures)
        if reasons:
            raise RejectedHuman(name, [f"{reason}, pose {pose.family}" for reason in reasons])
    description = _describe(name, split, number, shape.phenotype, features, pose, outfit, shoe_kind, hair, complexion.beard, list(props), measures)
    description["keypoints_m"] = named(shape.scale * to_output_frame(keypoints(shape.skeleton, transforms) - ground))
    return Human(name, mesh, description, clock.seconds)


def _drawn_outfit(seed: int, female: bool, held_out: bool, cloth: ClothKind) -> list[Worn]:
    """The outfit of a seed; where cloth is skinned the first without a skirt."""
    for draw in range(OUTFITS):
        outfit = choose_outfit(Streams(seed, draw), female, held_out)
        if cloth == "simulated" or _follows_skin(outfit):
            break
    return outfit


def _follows_skin(outfit: Sequence[Worn]) -> bool:
    return all(follows_skin(worn.spec) for worn in outfit)


def _hip_bend(shape: BodyShape, transforms: Array) -> float:
    """0 for standing legs, 1 for a thigh that is level or higher."""
    drops = []
    for side in SIDES:
        hip, knee, _ = shape.skeleton.leg(side)
        moved = rigid(np.stack([hip, knee]), transforms[shape.skeleton.index[f"upperleg01.{side}"]])
        drops.append((moved[0, 2] - moved[1, 2]) / np.linalg.norm(hip - knee))
    return float(np.clip(1 - min(drops), 0, 1))


def _let_out(spec: GarmentSpec, bend: float) -> GarmentSpec:
    """Trousers for bent hips: who sits down pulls them up, so their cloth is longer over the seat than it is standing."""
    return spec.but(slack=min(spec.slack * (1 + LET_OUT * bend), 1.25)) if spec.cut == "bottom" else spec


def _room_for(outfit: Sequence[Worn]) -> float:
    """Metres that hands keep from the body so that the tops between them are not squeezed."""
    return 0.008 + 0.5 * sum(worn.spec.ease for worn in outfit if worn.spec.cut == "top")


def _layered(skin_part: Part, rest: Array, draped: Sequence[Draped], finished: Sequence[Finished]) -> list[Part]:
    """Skin and garments, each tucked under everything worn above it."""
    covers = [Cover.of(d) for d in draped]
    parts = [tuck_under(skin_part, rest, covers)]
    for layer, garment in enumerate(finished):
        parts.append(tuck_under(garment.part, garment.rest, covers[layer + 1 :]))
        if garment.collar is not None:
            parts.append(garment.collar)
    return parts


def _outer_surface(model: BodyModel, posed: Array, draped: Sequence[Draped]) -> SurfaceQuery:
    """Body and clothes together: what hair falls on."""
    vertices, triangles, offset = [posed], [model.body_triangles], len(posed)
    for d in draped:
        vertices.append(d.posed)
        triangles.append(d.triangles + offset)
        offset += len(d.posed)
    return SurfaceQuery(np.concatenate(vertices), np.concatenate(triangles))


def _wearer(model: BodyModel, scalp: Scalp, posed: Array, draped: Sequence[Draped], finished: Sequence[Finished], rng: np.random.Generator) -> Wearer:
    """The trunk, dressed, as props are laid on it."""
    bones = [i for i, label in enumerate(scalp.shape.skeleton.labels) if label.startswith(("spine", "root", "pelvis", "clavicle", "breast"))]
    chest = scalp.transforms[scalp.shape.skeleton.index["spine02"]]

    def trunk(points: Array, weights: sparse.csr_matrix) -> Array:
        return to_rest(points[np.asarray(weights[:, bones].sum(axis=1)).ravel() > 0.6], chest)

    outer = [BY_NAME[d.garment.spec.name].slot == "outer" for d in draped]
    cloth = [trunk(d.posed, d.weights) for d in draped]
    under = np.concatenate([trunk(posed, model.body_weights), *(points for points, is_outer in zip(cloth, outer, strict=True) if not is_outer)])
    hoods = [f.part.colors.mean(axis=0) for f, d in zip(finished, draped, strict=True) if d.garment.spec.collar == "hood"]
    return Wearer(scalp, np.concatenate([under, *cloth]), under, hoods[0] if hoods else np.full(3, 0.3), rng)


def _describe(
    name: str,
    split: str,
    number: int,
    phenotype: Phenotype,
    features: Features,
    pose: Pose,
    outfit: Sequence[Worn],
    shoes: str,
    hair: str,
    beard: str,
    props: list[str],
    measures: Measures,
) -> dict[str, Any]:
    return {
        "format": "ncpifu-human",
        "generator_version": GENERATOR_VERSION,
        "name": name,
        "split": split,
        "seed": number,
        "body": {key: round(value, 4) for key, value in asdict(phenotype).items()},
        "face": {"expression": features.expression, **{key: round(value, 4) for key, value in features.sliders.items()}},
        "pose": {"family": pose.family, "stance": pose.stance, "tries": pose.tries},
        "outfit": [{"garment": worn.spec.name, "pattern": worn.pattern} for worn in outfit],
        "shoes": shoes,
        "hair": hair,
        "beard": beard,
        "props": props,
        "measures": {key: value if isinstance(value, bool) else round(value, 4) for key, value in asdict(measures).items()},
        "licence": "CC0-1.0",
        "ingredients": [dict(ingredient) for ingredient in INGREDIENTS],
    }
