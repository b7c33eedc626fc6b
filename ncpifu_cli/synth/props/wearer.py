"""Who gets a thing, and the register of things: adding one is a function with the `prop` decorator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.garments.fields import Landmarks
from ncpifu_cli.synth.hair.scalp import Scalp
from ncpifu_cli.synth.noise import fractal_noise
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.skeleton import rigid, to_rest
from ncpifu_cli.synth.streams import Streams

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
