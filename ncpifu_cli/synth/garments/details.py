"""Sewing: seams, hems, pockets, plackets as small relief and shading on the fine garment. Adding one is a function with the `detail` decorator."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.synth.garments.fields import LEG_L
from ncpifu_cli.synth.garments.sewing import Sewing, line
from ncpifu_cli.synth.looks.palette import LEATHER
from ncpifu_cli.synth.noise import fractal_noise, smoothstep

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

THREAD = np.array([0.70, 0.49, 0.24])  # the ochre of jeans stitching
BUCKLE = np.array([0.75, 0.72, 0.62])


Detail = Callable[[Sewing], None]
DETAILS: dict[str, Detail] = {}


def detail(work: Detail) -> Detail:
    """Register a function that changes a `Sewing` as the detail of its name."""
    DETAILS[work.__name__] = work
    return work


@detail
def hems(s: Sewing) -> None:
    """A stitch line 2 cm from every edge; the turned-up cloth below it is thicker."""
    s.darken(line(s.to_edge - 0.02, 0.0018), 0.28)
    s.relief += smoothstep(0.021, 0.017, s.to_edge) * 0.0006 - line(s.to_edge - 0.02, 0.002) * 0.0006


@detail
def side_seams(s: Sewing) -> None:
    """Along the sides of torso and legs; jeans get a row of thread beside it."""
    aside = np.abs(np.abs(s.fields.azimuth) - np.pi / 2) * s.fields.radius
    where = 1.0 * ~s.fields.arm
    s.darken(line(aside, 0.0018) * where, 0.25)
    s.relief -= line(aside, 0.0025) * where * 0.0008
    if s.is_denim and s.spec.cut == "bottom":
        s.blend(line(aside - 0.006, 0.0015) * s.fields.leg * 0.6, THREAD)


@detail
def armholes(s: Sewing) -> None:
    """Where the sleeve is set in."""
    seam = line(np.abs(s.fields.along) * s.marks.arm_length - 0.012, 0.002) * s.fields.arm
    s.darken(seam, 0.25)
    s.relief -= seam * 0.0008


@detail
def ribs(s: Sewing) -> None:
    """Ribbed cuffs and lower band of knitwear."""
    cuff = s.fields.arm & (s.fields.along > s.spec.sleeve - 0.10)
    band = s.fields.torso & (s.height < s.lower_hem_z() + 0.055)
    for where, radius, period in ((cuff, 0.055, 0.007), (band, 0.16, 0.008)):
        wave = np.sin(2 * np.pi * s.fields.azimuth * radius / period)
        s.darken(where & (wave > 0), 0.16)
        s.relief += where * 0.0008 * wave


@detail
def placket(s: Sewing) -> None:
    """Button border from the collar to the hem."""
    _button_border(s, s.lower_hem_z())


@detail
def short_placket(s: Sewing) -> None:
    """A polo's, down to the chest."""
    _button_border(s, s.marks.neck[2] - 0.17)


def _button_border(s: Sewing, bottom_z: float) -> None:
    top_z = float(s.marks.neck[2])
    strip = s.front & (s.height > bottom_z) & (s.height < top_z)
    s.darken(line(np.abs(s.x) - 0.016, 0.0015) * strip, 0.3)
    s.relief += (np.abs(s.x) < 0.016) * strip * 0.0008
    spacing = 0.082
    phase = ((top_z - 0.035 - s.height) / spacing) % 1
    button = strip & (np.hypot(s.x, np.minimum(phase, 1 - phase) * spacing) < 0.0065)
    s.color[button] = [0.9, 0.88, 0.82] if s.base.mean() < 0.7 else [0.25, 0.22, 0.2]
    s.relief += button * 0.0015


def _patch(s: Sewing, where: Mask, inset: Array, lift: float, shade: float = 0.3) -> None:
    """A patch pocket: raised inside its outline, stitched 2 mm from it. inset (V,): distance to the outline, positive inside."""
    s.darken(where * line(inset - 0.002, 0.0016), shade)
    s.relief += where * lift * smoothstep(0, 0.005, inset)


@detail
def maybe_chest_pocket(s: Sewing) -> None:
    if s.rng.random() < 0.6:
        inset = np.minimum(0.045 - np.abs(s.x - 0.075), 0.055 - np.abs(s.height - (s.marks.shoulder_z - 0.12)))
        _patch(s, s.front & (inset > 0), inset, 0.0008)


@detail
def kangaroo_pocket(s: Sewing) -> None:
    middle = s.marks.hip_z + 0.10
    half_width = 0.12 - 0.05 * np.clip((s.height - middle) / 0.09, -1, 1)
    inset = np.minimum(half_width - np.abs(s.x), 0.085 - np.abs(s.height - middle))
    _patch(s, s.front & (inset > 0), inset, 0.002, 0.35)


@detail
def drawstrings(s: Sewing) -> None:
    neck_z = s.marks.neck[2]
    string = s.front & (np.abs(np.abs(s.x) - 0.035) < 0.003) & (s.height < neck_z - 0.05) & (s.height > neck_z - 0.22)
    s.color[string] = 0.9 if s.base.mean() < 0.6 else 0.3
    s.relief += string * 0.002


@detail
def front_edges(s: Sewing) -> None:
    """The doubled edges of an open front."""
    edge = s.front & (s.to_edge < 0.018) & (np.abs(s.x) < s.spec.open_front + 0.06)
    s.darken(edge, 0.14)
    s.relief += edge * 0.0012


@detail
def closed_front(s: Sewing) -> None:
    """One front laid over the other, with two or three buttons below the lapels."""
    top_z = float(s.marks.neck[2]) - 0.02 - s.spec.v_neck
    strip = s.front & (s.height < top_z + 0.01)
    s.darken(line(s.x - 0.018, 0.0025) * strip, 0.4)
    s.relief += (s.x < 0.018) * strip * 0.0016
    for k in range(2 if s.spec.hem > -0.2 else 3):
        button = strip & (np.hypot(s.x, s.height - (top_z - 0.03 - 0.11 * k)) < 0.010)
        s.color[button] = s.base * 0.5
        s.relief += button * 0.002


@detail
def quilting(s: Sewing) -> None:
    """Down in baffles: bulges between seams that run around body and sleeves."""
    pitch = s.rng.uniform(0.055, 0.085)
    bulge = np.abs(np.sin(np.pi * s.height / pitch))
    edge = np.clip(s.to_edge / 0.02, 0, 1)
    s.relief += 0.009 * np.sqrt(bulge) * edge
    s.darken(np.clip(0.25 - bulge, 0, 1) * edge, 0.8)
    s.relief += 0.0015 * bulge * fractal_noise(s.rest * 60, 2, s.noise_seed + 2)


@detail
def zip_front(s: Sewing) -> None:
    teeth = s.front & (np.abs(s.x) < 0.004)
    s.color[teeth] = [0.55, 0.55, 0.56] if s.rng.random() < 0.5 else s.base * 0.4
    s.relief -= (s.front & (np.abs(s.x) < 0.012)) * 0.003


@detail
def tiers(s: Sewing) -> None:
    """Gathered layers, each standing out a little below the one above."""
    top_z, bottom_z = s.waist_z - 0.1, float(s.rest[:, 2].min())
    count = max(2, round((top_z - bottom_z) / s.rng.uniform(0.14, 0.22)))
    way = np.clip((top_z - s.height) / (top_z - bottom_z), 0, 1) * count
    inside = way % 1
    fold = np.sin(s.fields.azimuth * 46 + 5 * np.floor(way)) * np.exp(-inside * 2)
    s.relief += (way > 0) * (0.012 * inside + 0.002 * fold)
    s.darken((way > 0.5) * np.exp(-((inside / 0.08) ** 2)), 0.25)


@detail
def slant_pockets(s: Sewing) -> None:
    for side in (-1, 1):
        slit = s.height - (s.marks.hip_z + 0.12 + 0.15 * (np.abs(s.x) - 0.12))
        where = s.front & (np.abs(s.x - side * 0.12) < 0.06) & (np.abs(slit) < 0.004)
        s.darken(where, 0.4)
        s.relief -= where * 0.002


@detail
def waistband(s: Sewing) -> None:
    edge = s.waist_z - 0.037
    s.darken(line(s.height - edge, 0.002), 0.35)
    s.relief += (s.height > edge) * 0.0012


@detail
def fly(s: Sewing) -> None:
    curve = s.x - 0.018 * (s.height > s.marks.hip_z + 0.02)
    where = s.front & (np.abs(curve) < 0.002) & (s.height < s.waist_z - 0.037) & (s.height > s.marks.hip_z - 0.01)
    s.darken(where, 0.35)


@detail
def front_pockets(s: Sewing) -> None:
    for side in (-1, 1):
        slant = (s.x * side - 0.085) - (s.waist_z - 0.04 - s.height) * 0.55
        where = s.front & (s.height < s.waist_z - 0.037) & (s.height > s.waist_z - 0.15)
        s.darken(where & (np.abs(slant) < 0.0022), 0.4)
        s.relief += (where & (slant < 0)) * 0.0006


@detail
def back_pockets(s: Sewing) -> None:
    for side in (-1, 1):
        across, up = np.abs(s.x * side - 0.085), np.abs(s.height - (s.marks.hip_z + 0.015))
        inset = np.minimum(0.06 - across, 0.07 - 0.25 * across - up)
        where = ~s.front & s.fields.torso & (inset > 0)
        s.blend(where * line(inset - 0.003, 0.0016) * 0.7, THREAD if s.is_denim else s.base * 0.6)
        s.relief += where * smoothstep(0, 0.003, inset) * 0.0012


@detail
def maybe_belt(s: Sewing) -> None:
    if s.rng.random() < 0.45:
        belt = (s.height > s.waist_z - 0.034) & (s.height < s.waist_z - 0.004)
        s.color[belt] = LEATHER[s.rng.integers(len(LEATHER))]
        buckle = belt & s.front & (np.abs(s.x) < 0.022)
        s.color[buckle] = BUCKLE
        s.relief += belt * 0.002 + buckle * 0.002


@detail
def denim_fade(s: Sewing) -> None:
    """Washed-out thighs."""
    thigh = line(np.abs(s.x) - 0.13, 0.06) * line(s.height - (s.marks.hip_z - 0.25), 0.22) * (s.rest[:, 1] < 0)
    wash = 0.22 + 0.1 * fractal_noise(s.rest * [30, 30, 8], 3, s.noise_seed)
    s.color += (thigh * wash)[:, None] * np.array([0.8, 0.9, 1.0]) * s.rng.uniform(0, 1)


@detail
def cargo_pockets(s: Sewing) -> None:
    aside = np.abs(np.abs(s.fields.azimuth) - np.pi / 2) * s.fields.radius
    inset = np.minimum(0.06 - aside, 0.08 - np.abs(s.height - (s.marks.hip_z - 0.22)))
    _patch(s, s.fields.leg & (inset > 0), inset, 0.004)


@detail
def maybe_side_stripe(s: Sewing) -> None:
    if s.rng.random() < 0.5:
        aside = np.abs(np.abs(s.fields.azimuth) - np.pi / 2) * s.fields.radius
        outer = s.fields.azimuth * np.where(s.fields.region == LEG_L, 1, -1) > 0
        s.color[s.fields.leg & (aside < 0.014) & outer] = s.accent
