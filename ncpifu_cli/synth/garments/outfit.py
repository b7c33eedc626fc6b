"""What is worn together: templates drawn by slot, adjusted to each other, with a pattern each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ncpifu_cli.config.synth import GarmentWish
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.garments.catalogue import BY_NAME, TEMPLATES
from ncpifu_cli.synth.garments.spec import GarmentSpec, Template
from ncpifu_cli.synth.looks.fabric import HELD_OUT_PATTERNS
from ncpifu_cli.synth.streams import Streams

DRESS_SHARE, OUTER_SHARE, TUCKED_SHARE, LEGGINGS_SHARE = 0.22, 0.25, 0.3, 0.4
TUCKABLE = ("shirt", "tshirt", "longsleeve", "blouse")
UNDER_OUTER = ("tshirt", "shirt", "longsleeve")
SMART = ("suit_jacket", "blazer")  # worn over a shirt, most with trousers of the same cloth
SUIT_SHARE = 0.7


@dataclass(frozen=True)
class Worn:
    """A garment of an outfit: its numbers, its fabric pattern, and the layer whose colours it shares (a suit's trousers the jacket's)."""

    spec: GarmentSpec
    pattern: str
    dyed_as: int


def choose_outfit(streams: Streams, is_female: bool, held_out: bool) -> list[Worn]:
    """Garments from the skin outwards. With `held_out`, families that only the `ood` split shows are preferred in every slot."""
    rng = streams.get("outfit")
    if is_female and not held_out and rng.random() < DRESS_SHARE:
        names = ["leggings"] if rng.random() < LEGGINGS_SHARE else []
        names.append(_choose("dress", is_female, held_out, rng))
    else:
        bottom, top = _choose("bottom", is_female, held_out, rng), _choose("top", is_female, held_out, rng)
        if rng.random() < (0.5 if held_out else OUTER_SHARE):
            names = [bottom, str(rng.choice(UNDER_OUTER)), _choose("outer", is_female, held_out, rng)]
            if names[2] in SMART:
                names[:2] = "trousers" if rng.random() < SUIT_SHARE else bottom, "shirt"
        elif top in TUCKABLE and bottom != "leggings" and rng.random() < TUCKED_SHARE:
            names = [top, bottom]
        else:
            names = [bottom, top]
    return outfit_of([GarmentWish(garment=name) for name in names], streams, held_out)


def outfit_of(wishes: Sequence[GarmentWish], streams: Streams, held_out: bool = False) -> list[Worn]:
    """The garments, innermost first, drawn and fitted to each other. A top before a bottom is tucked in.

    Raises NcpifuError for an unknown garment, naming those that exist, and for values that cannot be.
    """
    names = [wish.garment for wish in wishes]
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise NcpifuError(f"unknown garment {unknown[0]!r}", f"garments: {', '.join(BY_NAME)}")
    specs = [BY_NAME[wish.garment].draw(streams.get(f"garment {layer}"), wish.values) for layer, wish in enumerate(wishes)]
    for layer, name in enumerate(names[:-1]):
        outer = BY_NAME[names[layer + 1]]
        if outer.slot == "outer":
            specs[layer] = _slimmed(specs[layer]) if specs[layer].cut == "top" else specs[layer]
        elif BY_NAME[name].slot == "top" and outer.slot == "bottom":
            specs[layer] = specs[layer].but(hem=specs[layer + 1].waist - 0.05)
            specs[layer + 1] = specs[layer + 1].but(ease=max(specs[layer + 1].ease, 0.012))
        elif specs[layer].cut == "skirt" and specs[layer + 1].cut == "top" and "hem" not in wishes[layer + 1].values:
            specs[layer + 1] = specs[layer + 1].but(hem=max(specs[layer + 1].hem, specs[layer].waist - 0.09))  # ends where the skirt still is narrow
    patterns = [wish.pattern or _pattern(spec, streams.get(f"pattern {layer}"), held_out) for layer, (wish, spec) in enumerate(zip(wishes, specs, strict=True))]
    dyed = list(range(len(names)))
    if names[-1] in SMART and "trousers" in names:
        trousers = names.index("trousers")
        dyed[trousers], patterns[trousers] = len(names) - 1, wishes[trousers].pattern or patterns[-1]
    return [Worn(*worn) for worn in zip(specs, patterns, dyed, strict=True)]


def _slimmed(spec: GarmentSpec) -> GarmentSpec:
    """Narrow enough to fit under a jacket."""
    return spec.but(ease=min(spec.ease, 0.014), sleeve_ease=0.010, hem=max(spec.hem, 0.0), slack=1.0, sleeve=min(spec.sleeve, 0.9))


def _choose(slot: str, is_female: bool, held_out: bool, rng: np.random.Generator) -> str:
    def weight(template: Template) -> float:
        return template.women if is_female else template.men

    choices = [t for t in TEMPLATES if t.slot == slot and t.held_out == held_out and weight(t) > 0]
    choices = choices or [t for t in TEMPLATES if t.slot == slot and not t.held_out and weight(t) > 0]
    weights = np.array([weight(t) for t in choices])
    return choices[rng.choice(len(choices), p=weights / weights.sum())].name


def _pattern(spec: GarmentSpec, rng: np.random.Generator, held_out: bool) -> str:
    rare = [p for p in spec.patterns if p in HELD_OUT_PATTERNS]
    common = [p for p in spec.patterns if p not in HELD_OUT_PATTERNS]
    choices = rare if held_out and rare else common
    return choices[rng.integers(len(choices))]
