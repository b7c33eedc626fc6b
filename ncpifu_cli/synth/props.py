"""Things worn or held: glasses, telephone, bags, scarf, tie, hood. Adding one is a function with the `prop` decorator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.garments.fields import Landmarks
from ncpifu_cli.synth.hair.hats import make_hood
from ncpifu_cli.synth.hair.scalp import Scalp
from ncpifu_cli.synth.looks.palette import CLOTHES, LEATHER, draw_color
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.poses.limbs import back_of_hand
from ncpifu_cli.synth.rotations import unit
from ncpifu_cli.synth.skeleton import SIDES, rigid
from ncpifu_cli.synth.streams import Streams
from ncpifu_cli.synth.sweep import band, ellipse, outline, resample, sweep

Array = NDArray[np.float64]
SHORT_HAIR = ("bald", "buzz", "short", "side_part", "curly_short")  # goes under a hood


@dataclass(frozen=True)
class Wearer:
    """Who gets something. Points in the rest frame of the chest bone, where the trunk is upright whatever the pose.

    Attributes: scalp (with head, shape and transforms); trunk (N, 3): skin and clothes of the trunk; under (M, 3): the same without jackets and
    coats; hood_color (3,): of the hooded garment; rng.
    """

    scalp: Scalp
    trunk: Array
    under: Array
    hood_color: Array
    rng: np.random.Generator

    @property
    def chest(self) -> Array:
        """(3, 4) rest -> posed of the chest bone."""
        return self.scalp.transforms[self.scalp.shape.skeleton.index["spine02"]]

    @property
    def marks(self) -> Landmarks:
        return Landmarks.of(self.scalp.shape.skeleton)

    def on_chest(self, vertices: Array, faces: NDArray[np.int64], color: Array) -> Part:
        """A part that moves with the chest."""
        shade = 1 + 0.05 * fractal_noise(vertices * 120, 2, 5)[:, None]
        return Part("prop", rigid(vertices, self.chest), faces, np.clip(color * shade, 0, 1))

    def from_bone(self, bone: str) -> Array:
        """(3,) where a bone's head is, in the chest's rest frame."""
        skeleton = self.scalp.shape.skeleton
        posed = rigid(skeleton.head(bone)[None], self.scalp.transforms[skeleton.index[bone]])
        return to_rest(posed, self.chest)[0]


Make = Callable[[Wearer], list[Part]]


@dataclass(frozen=True)
class Prop:
    """A thing. held_out: only the `ood` split shows it."""

    name: str
    make: Make
    held_out: bool


PROPS: dict[str, Prop] = {}


def prop(held_out: bool = False) -> Callable[[Make], Make]:
    """Register a function wearer -> parts as the prop of its name."""

    def register(make: Make) -> Make:
        PROPS[make.__name__] = Prop(make.__name__, make, held_out)
        return make

    return register


def to_rest(points: Array, transform: Array) -> Array:
    """(N, 3) posed -> rest, the inverse of `skeleton.rigid`."""
    return (points - transform[:, 3]) @ transform[:, :3]


def make_props(names: Sequence[str], wearer: Wearer) -> dict[str, list[Part]]:
    """The parts of each named prop, of those that there is room for. Raises NcpifuError for an unknown one, naming those that exist."""
    for name in names:
        if name not in PROPS:
            raise NcpifuError(f"unknown prop {name!r}", f"props: {', '.join(PROPS)}")
    made = {name: PROPS[name].make(wearer) for name in names}
    return {name: parts for name, parts in made.items() if parts}


def choose_props(streams: Streams, garments: Sequence[str], pose: str, hair: str, held_out: bool) -> tuple[str, ...]:
    """What somebody dressed, posed and combed like this wears and holds; `held_out` lets in what only the `ood` split shows."""
    rng = streams.get("props")
    smart, cold = bool({"suit_jacket", "blazer"} & set(garments)), bool({"coat", "coat_closed", "puffer", "jacket"} & set(garments))
    likely = {
        "glasses": 0.2,
        "sunglasses": 0.05,
        "telephone": 0.9 if pose in ("phone", "call") else 0.0,
        "tie": 0.8 if smart and "shirt" in garments else 0.0,
        "scarf": 0.3 if cold else 0.02,
        "hood": 0.3 if "hoodie" in garments and hair in SHORT_HAIR else 0.0,
        "bag": 0.1,
        "backpack": 0.3,
    }
    chosen = [name for name, share in likely.items() if rng.random() < share and (held_out or not PROPS[name].held_out)]
    without = {"sunglasses": "glasses", "backpack": "bag", "tie": "scarf"}  # not both
    return tuple(name for name in chosen if without.get(name) not in chosen)


def _frame(w: Wearer, color: Array, lens: Array | None) -> list[Part]:
    """Rims, bridge and temples; lenses when they are dark."""
    head = w.scalp.head
    width, height = w.rng.uniform(0.023, 0.028) * head.scale, w.rng.uniform(0.017, 0.024) * head.scale
    squareness = w.rng.uniform(2, 4)
    before = head.eyes[1] - 0.026 * head.scale
    radius = w.rng.uniform(0.003, 0.005)
    wire = ellipse(radius, radius)
    angle = np.arange(48) / 48 * 2 * np.pi
    reach = (np.abs(np.cos(angle)) ** squareness + np.abs(np.sin(angle)) ** squareness) ** (-1 / squareness)
    ring = np.stack([np.cos(angle) * reach * width, np.zeros(48), np.sin(angle) * reach * height], axis=1)
    radial, forwards = np.stack([np.cos(angle), np.zeros(48), np.sin(angle)], axis=1), np.array([0.0, 1.0, 0.0])
    pieces = []
    for eye, side in ((head.eye_left, 1), (head.eye_right, -1)):
        centre = np.array([eye[0] + side * 0.002, before, eye[2] - 0.002])
        pieces.append((*sweep(centre + ring, radial, forwards, wire, closed=True), color))
        if lens is not None:
            pieces.append(
                (
                    *sweep(centre + ring * 0.97, radial, forwards, np.array([[0, -0.001], [0, 0.001], [-0.9 * height, 0.001], [-0.9 * height, -0.001]]), True),
                    lens,
                )
            )
        hinge = centre + np.array([side * width, 0, 0.3 * height])
        ear = np.array([side * 0.077 * head.scale, head.centre[1] + 0.015, hinge[2] + 0.004])
        path = resample(np.stack([hinge, [ear[0], before + 0.02, hinge[2]], ear, ear + np.array([-side * 0.004, 0.025, -0.03])]), 24, closed=False)
        pieces.append((*sweep(path, np.tile([1.0, 0, 0], (24, 1)), np.array([0.0, 0, 1]), wire, closed=False), color))
    bridge = np.stack(
        [
            [head.eye_left[0] - width, before, head.eyes[2] + 0.003],
            [0, before - 0.003, head.eyes[2] + 0.006],
            [head.eye_right[0] + width, before, head.eyes[2] + 0.003],
        ]
    )
    pieces.append((*sweep(resample(bridge, 12, closed=False), np.tile(forwards, (12, 1)), np.array([0.0, 0, 1]), wire, closed=False), color))
    return [Part("prop", rigid(v, w.scalp.head_transform), f, np.tile(c, (len(v), 1))) for v, f, c in pieces]


@prop()
def glasses(w: Wearer) -> list[Part]:
    return _frame(w, LEATHER[w.rng.integers(len(LEATHER))] * w.rng.uniform(0.5, 1.2), None)


@prop()
def sunglasses(w: Wearer) -> list[Part]:
    return _frame(w, np.full(3, 0.05), np.full(3, 0.06))


@prop()
def telephone(w: Wearer) -> list[Part]:
    """In the hand that is held higher."""
    skeleton, transforms = w.scalp.shape.skeleton, w.scalp.transforms
    height = {side: rigid(skeleton.head(f"wrist.{side}")[None], transforms[skeleton.index[f"wrist.{side}"]])[0, 2] for side in SIDES}
    side = max(SIDES, key=lambda s: height[s])
    knuckle = skeleton.head(f"finger3-1.{side}")
    along, out = unit(knuckle - skeleton.head(f"wrist.{side}")), back_of_hand(skeleton, side)
    vertices, faces = _cushion(np.array([0.036, 0.0045, 0.074]), 12)
    axes = np.stack([np.cross(out, along), out, along])
    held = knuckle + 0.015 * along - 0.026 * out + vertices @ axes
    screen = vertices[:, 1] < -0.003
    color = np.where(screen[:, None], [0.08, 0.09, 0.11], CLOTHES[w.rng.integers(len(CLOTHES))])
    return [Part("prop", rigid(held, transforms[skeleton.index[f"wrist.{side}"]]), faces, color)]


def _cushion(half_m: Array, squareness: float) -> tuple[Array, NDArray[np.int64]]:
    """A box with rounded edges around the origin."""
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=4)
    d = np.asarray(ball.vertices, np.float64)
    reach = (np.abs(d) ** squareness).sum(axis=1) ** (-1 / squareness)
    return d * reach[:, None] * half_m, np.asarray(ball.faces, np.int64)


@prop()
def bag(w: Wearer) -> list[Part]:
    """A flat bag before the hip, its strap over the other shoulder; on the side where no hand is, nowhere where both are or a thigh is raised."""
    marks = w.marks
    if max(w.from_bone(f"lowerleg01.{side}")[2] for side in SIDES) > marks.hip_z - 0.25:
        return []
    half = np.array([w.rng.uniform(0.1, 0.14), w.rng.uniform(0.025, 0.04), w.rng.uniform(0.07, 0.11)])
    color = LEATHER[w.rng.integers(len(LEATHER))] if w.rng.random() < 0.6 else draw_color(w.rng)
    for sign in (1, -1) if w.rng.random() < 0.5 else (-1, 1):
        place = np.array([sign * 0.075, 0.0, marks.hip_z + 0.05])
        behind = (np.abs(w.trunk[:, [0, 2]] - place[[0, 2]]) < half[[0, 2]]).all(axis=1)
        if not behind.any():
            continue
        place[1] = np.quantile(w.trunk[behind, 1], 0.1) - half[1] + 0.006  # it presses into the clothes a little
        if min(float(np.linalg.norm(w.from_bone(f"finger3-1.{side}") - place)) for side in SIDES) < 0.17:
            continue
        corners = place + half * [[-0.8, 0, 0.9], [0.8, 0, 0.9]]  # where the strap is fixed
        shoulder = np.array([-sign * 0.10, 0.0, marks.shoulder_z])
        plane = unit(np.cross(place + np.array([0, 0, half[2]]) - shoulder, [0.0, 1.0, 0.0]))
        strap = outline(np.concatenate([w.trunk, np.repeat(corners, 4, axis=0)]), shoulder, plane, 0.003)
        vertices, faces = _cushion(half, 5)
        parts = [w.on_chest(vertices + place, faces, color)]
        if strap is not None:
            parts.append(w.on_chest(*sweep(*strap, plane, band(0.004, 0.03), closed=True), color * 0.9))
        return parts
    return []


@prop(held_out=True)
def backpack(w: Wearer) -> list[Part]:
    """A pack on the back with two shoulder straps."""
    marks = w.marks
    half = np.array([w.rng.uniform(0.13, 0.16), w.rng.uniform(0.06, 0.09), w.rng.uniform(0.18, 0.22)])
    middle_z = marks.shoulder_z - half[2] + 0.02
    behind = (np.abs(w.trunk[:, 0]) < half[0]) & (np.abs(w.trunk[:, 2] - middle_z) < half[2])
    if not behind.any():
        return []
    color = draw_color(w.rng)
    vertices, faces = _cushion(half, 5)
    place = np.array([0, np.quantile(w.trunk[behind, 1], 0.98) + half[1] * 0.9, middle_z])
    parts = [w.on_chest(vertices + place, faces, color)]
    above_waist = w.trunk[w.trunk[:, 2] > marks.waist_z + 0.04]
    for x in (-0.095, 0.095):
        strap = outline(above_waist, np.array([x, 0, marks.shoulder_z - 0.1]), np.array([1.0, 0, 0]), 0.004)
        if strap is not None:
            parts.append(w.on_chest(*sweep(*strap, np.array([1.0, 0, 0]), band(0.008, 0.055), closed=True), color * 0.85))
    return parts


def _hanging(w: Wearer, points: Array, x: float, top_z: float, bottom_z: float, gap_m: float) -> Array:
    """(40, 3) a line down the front of `points` at `x`, `gap_m` before them."""
    z = np.linspace(top_z, bottom_z, 40)
    strip = points[(np.abs(points[:, 0] - x) < 0.03) & (points[:, 1] < w.marks.neck[1])]
    order = np.argsort(strip[:, 2])
    front = np.array([strip[order][slice(*np.searchsorted(strip[order, 2], [h - 0.02, h + 0.02])), 1].min(initial=np.inf) for h in z])
    seen = np.isfinite(front)
    y = np.interp(-z, -z[seen], front[seen]) if seen.any() else np.full(40, w.marks.neck[1] - 0.1)
    y = np.convolve(np.pad(y, 4, mode="edge"), np.full(9, 1 / 9), mode="valid")
    return np.stack([np.full(40, x), y - gap_m, z], axis=1)


def _strip(path: Array, width: Array, thickness_m: float) -> tuple[Array, NDArray[np.int64]]:
    """A flat band hanging along `path` (S, 3), `width` (S,) metres."""
    profile = np.stack([band(thickness_m, w) for w in width])
    return sweep(path, np.tile([0.0, -1.0, 0.0], (len(path), 1)), np.array([1.0, 0, 0]), profile, closed=False)


@prop()
def tie(w: Wearer) -> list[Part]:
    """A knot and a blade, on the shirt and under the jacket."""
    color, t = draw_color(w.rng), np.linspace(0, 1, 40)
    top = w.marks.neck[2] - 0.005
    width = np.where(t < 0.08, 0.036, 0.03 + 0.045 * np.clip((t - 0.1) / 0.8, 0, 1)) * np.clip((1.0 - t) / 0.05, 0.05, 1)
    bottom = w.marks.waist_z + 0.02
    path, outer = _hanging(w, w.under, 0.0, top, bottom, 0.003), _hanging(w, w.trunk, 0.0, top, bottom, 0.0)
    path[:, 1] = np.where(outer[:, 1] < path[:, 1] - 0.002, outer[:, 1] + 0.007, path[:, 1])  # under a buttoned jacket
    blade, faces = _strip(path, width, 0.005)
    stripes = np.where((blade[:, 2] + 0.7 * blade[:, 0]) % 0.05 < 0.015, 0.6, 1.0) if w.rng.random() < 0.5 else np.ones(len(blade))
    return [w.on_chest(blade, faces, color * stripes[:, None])]


@prop()
def scarf(w: Wearer) -> list[Part]:
    """Once around the neck, one end hanging before the chest."""
    neck = w.marks.neck + np.array([0, -0.015, 0.02])
    up = unit(np.array([0, -0.3, 1.0]))
    around = outline(w.trunk, neck, up, 0.012, near_m=0.03)
    if around is None:
        return []
    color = draw_color(w.rng)
    roll, faces = sweep(*around, up, ellipse(0.045, 0.075, 16), closed=True)
    folds = fractal_noise(roll * [18, 18, 60], 3, 7)[:, None]
    roll = roll + (roll - neck) * 0.07 * folds
    parts = [w.on_chest(roll, faces, color * (1 + 0.12 * folds))]
    side = float(w.rng.choice([-1, 1])) * w.rng.uniform(0.04, 0.08)
    path = _hanging(w, w.trunk, side, neck[2] - 0.02, w.marks.waist_z + w.rng.uniform(0.0, 0.15), 0.004)
    parts.append(w.on_chest(*_strip(path, np.full(40, w.rng.uniform(0.09, 0.15)), 0.014), color))
    return parts


@prop()
def hood(w: Wearer) -> list[Part]:
    """The hoodie's hood, up."""
    return make_hood(w.scalp, w.hood_color)
