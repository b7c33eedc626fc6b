"""What a garment is, in numbers: `Template` holds ranges (data, see `catalogue`), `GarmentSpec` one draw from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ncpifu_cli.errors import NcpifuError

CUTS = ("top", "bottom", "skirt")
COLLARS = ("none", "shirt", "lapel", "hood", "roll", "band")
# What the cut and the solver can cope with.
LIMITS = {
    "sleeve": (0.0, 1.05),
    "hem": (-0.9, 0.2),
    "waist": (0.05, 0.2),
    "length": (0.1, 1.05),
    "ease": (0.0005, 0.08),
    "sleeve_ease": (0.0005, 0.08),
    "hem_ease": (0.0, 0.15),
    "flare": (0.0, 0.8),
    "bell": (0.0, 0.2),
    "neck": (0.0, 0.12),
    "v_neck": (0.0, 0.2),
    "open_front": (0.0, 0.1),
    "slack": (0.9, 1.25),
    "gather": (0.0, 0.6),
    "gores": (0.0, 1.0),
    "gore_count": (1, 30),
    "crumple": (0.0, 0.15),
    "bend": (1e-9, 1e-3),
    "fold_stretch": (1e-8, 1e-3),
    "fold_bend": (1e-8, 1e-3),
}


@dataclass(frozen=True)
class GarmentSpec:
    """One garment. Lengths in metres unless said otherwise.

    cut: top (torso and arms), bottom (hips and legs) or skirt.
    sleeve: share of the arm covered (0 shoulder .. 1 wrist). hem: height of a top's lower edge above the hip joints (negative: below; tops
    that reach below the joints go on as a skirt). waist: height of a bottom's upper edge above the hip joints. length: share of the leg covered.
    ease: gap between body and cloth; sleeve_ease, hem_ease: the same at the sleeves, at the trouser hems (added). flare: widening per metre
    towards the hem. bell: widening towards the wrist. neck: how far the neckline is cut down; v_neck: depth of a V. open_front: half the gap.
    cuffs, ribbed: tight sleeve or ankle ends; tight lower edge.
    slack: rest length along the limb over body length (makes sleeves stack). gather: extra horizontal length at a skirt's hem, share.
    gores, gore_count: height and number of a skirt's folds. crumple: random change of rest lengths, share (memory creases).
    bend: compliance of bending at mesh scale (5e-8 denim .. 2e-6 jersey); fold_stretch, fold_bend: compliance of stretching and bending at the
    3-8 cm scale of folds (4e-6 stiff .. 3e-5 soft).
    collar: one of COLLARS. details: names in `details.DETAILS`. patterns: names in `looks.fabric.PATTERNS`, drawn evenly. palette: see `looks.palette`.
    """

    name: str
    cut: str
    sleeve: float = 0.0
    hem: float = 0.0
    waist: float = 0.12
    length: float = 1.0
    ease: float = 0.015
    sleeve_ease: float | None = None
    hem_ease: float = 0.0
    flare: float = 0.0
    bell: float = 0.0
    neck: float = 0.035
    v_neck: float = 0.0
    open_front: float = 0.0
    cuffs: bool = False
    ribbed: bool = False
    slack: float = 1.0
    gather: float = 0.0
    gores: float = 0.0
    gore_count: int = 9
    crumple: float = 0.04
    bend: float = 1e-6
    fold_stretch: float = 6e-6
    fold_bend: float = 3e-5
    collar: str = "none"
    details: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ("plain",)
    palette: str = "any"

    def __post_init__(self) -> None:
        for key, (low, high) in LIMITS.items():
            value = getattr(self, key)
            if not (value is None and key == "sleeve_ease") and not (isinstance(value, int | float) and low <= value <= high):
                raise NcpifuError(f"garment {self.name}: {key} must lie in {low} .. {high}, not {value!r}")
        if self.collar not in COLLARS:
            raise NcpifuError(f"garment {self.name}: no collar {self.collar!r}", f"collars: {', '.join(COLLARS)}")

    @property
    def is_open(self) -> bool:
        return self.open_front > 0

    def but(self, **changes: Any) -> "GarmentSpec":
        """A copy with some values changed."""
        return replace(self, **changes)


SPEC_FIELDS = frozenset(f.name for f in fields(GarmentSpec)) - {"name", "cut"}


@dataclass(frozen=True)
class Template:
    """A garment of the catalogue.

    Attributes: slot: where it is worn ("top", "outer", "bottom", "dress"). values: GarmentSpec fields, a (low, high) pair is drawn uniformly
    (integers inclusive). men, women: how often each wears it. held_out: only the `ood` split shows it.
    """

    name: str
    slot: str
    cut: str
    values: Mapping[str, Any]
    men: float = 1.0
    women: float = 1.0
    held_out: bool = False

    def __post_init__(self) -> None:
        _check_keys(self.name, self.values)
        if self.cut not in CUTS:
            raise NcpifuError(f"garment {self.name}: cut must be one of {', '.join(CUTS)}, not {self.cut!r}")

    def draw(self, rng: np.random.Generator, fixed: Mapping[str, Any] | None = None) -> GarmentSpec:
        """One garment of this kind; `fixed` values or ranges replace the template's. Raises NcpifuError for values that cannot be."""
        drawn = {key: _draw(value, rng) for key, value in self.values.items()}
        if fixed:
            _check_keys(self.name, fixed)
            drawn |= {key: _draw(tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value, rng) for key, value in fixed.items()}
        return GarmentSpec(name=self.name, cut=self.cut, **drawn)


def _check_keys(name: str, values: Mapping[str, Any]) -> None:
    unknown = sorted(set(values) - SPEC_FIELDS)
    if unknown:
        raise NcpifuError(f"garment {name}: unknown value {unknown[0]!r}", f"values: {', '.join(sorted(SPEC_FIELDS))}")


def _draw(value: Any, rng: np.random.Generator) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int | float) for v in value):
        low, high = value
        if isinstance(low, int) and isinstance(high, int):
            return int(rng.integers(low, high + 1))
        return float(rng.uniform(low, high))
    return value
