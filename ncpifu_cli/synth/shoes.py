"""Shoes: the foot's signed distance on a grid, closed over the toes, thickened, given a sole (design, section 2c)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, distance_transform_edt, gaussian_filter

from ncpifu_cli.synth.body import BodyModel, BodyShape
from ncpifu_cli.synth.looks.palette import CLOTHES, LEATHER, draw_color
from ncpifu_cli.synth.noise import fractal_noise, smoothstep
from ncpifu_cli.synth.parts import RigidPart
from ncpifu_cli.synth.topology import facing_outwards, taubin

Array = NDArray[np.float64]

CELL_M = 0.004
FOOT_M = 0.20  # from the middle of the heel to the toes
TOE_CLOSING = 6  # grid cells; fuses the toes


@dataclass(frozen=True)
class ShoeKind:
    """Attributes: top_m: upper edge above the sole of the foot; upper_m: thickness of the upper; sole_margin_m, sole_m: how far the sole stands
    out and its height; heel_m: how much higher the heel stands than the toes; sloped: the upper edge falls towards the heel; laced; share: how
    often it is worn."""

    top_m: float
    upper_m: float = 0.0065
    sole_margin_m: float = 0.008
    sole_m: float = 0.02
    heel_m: float = 0.0
    sloped: bool = False
    laced: bool = False
    leather: bool = False
    share: float = 0.14

    @property
    def pitch_deg(self) -> float:
        """How far the foot is tilted, toes down."""
        return float(np.degrees(np.arcsin(self.heel_m / FOOT_M)))


KINDS = {
    "sneaker": ShoeKind(0.085, sole_margin_m=0.011, sole_m=0.028, sloped=True, laced=True, share=0.44),
    "hightop": ShoeKind(0.125, sole_margin_m=0.011, sole_m=0.028, laced=True, share=0.14),
    "boot": ShoeKind(0.22, upper_m=0.0105, leather=True, share=0.14),
    "dress": ShoeKind(0.075, sloped=True, leather=True, share=0.15),
    "slip": ShoeKind(0.062, sloped=True, share=0.10),
    "heels": ShoeKind(0.062, upper_m=0.005, sole_margin_m=0.004, sole_m=0.018, heel_m=0.05, sloped=True, leather=True, share=0.12),
    "heeled_boot": ShoeKind(0.22, upper_m=0.008, sole_margin_m=0.006, heel_m=0.04, leather=True, share=0.06),
}
BARE, BAREFOOT_SHARE = "bare", 0.03


@dataclass(frozen=True)
class Shoe:
    """One shoe: its rigid part and colours (V, 3) sRGB."""

    part: RigidPart
    colors: Array


def pitch_deg(kind: str) -> float:
    """How far shoes of a kind tilt the foot, toes down."""
    return 0.0 if kind == BARE else KINDS[kind].pitch_deg


def choose_shoes(rng: np.random.Generator, with_heels: bool = False) -> str:
    """A kind, or "bare"; high heels only where they are let in."""
    names = [*KINDS, BARE]
    shares = np.array([kind.share * (with_heels or not kind.heel_m) for kind in KINDS.values()] + [BAREFOOT_SHARE])
    return str(rng.choice(names, p=shares / shares.sum()))


def make_shoes(kind: str, model: BodyModel, shape: BodyShape, rng: np.random.Generator) -> list[Shoe]:
    """Left and right shoe at rest; none when barefoot. The right one mirrors the left: feet are symmetric."""
    if kind == BARE:
        return []
    left = _make_left(KINDS[kind], model, shape, rng)
    mirrored = RigidPart(left.part.vertices * [-1, 1, 1], left.part.triangles[:, ::-1], _ankle_weights(left.part.vertices, shape, "R"))
    return [left, Shoe(mirrored, left.colors)]


def _make_left(kind: ShoeKind, model: BodyModel, shape: BodyShape, rng: np.random.Generator) -> Shoe:
    from skimage.measure import marching_cubes

    body = shape.body
    ankle_z = float(shape.skeleton.head("foot.L")[2])
    foot = body[(body[:, 0] > 0.02) & (body[:, 2] < ankle_z + 0.04)]
    ground = float(foot[:, 2].min())
    top = ground + kind.top_m
    low = np.array([foot[:, 0].min() - 0.035, foot[:, 1].min() - 0.04, ground - 0.03 - 1.2 * kind.heel_m])
    high = np.array([foot[:, 0].max() + 0.035, foot[:, 1].max() + 0.035, top + 0.02])
    grid = np.stack(np.meshgrid(*[np.arange(a, b, CELL_M) for a, b in zip(low, high, strict=True)], indexing="ij"), axis=-1)
    distance = _shoe_distance(kind, model, shape, grid, foot, ground, top)
    vertices, faces, _, _ = marching_cubes(distance, 0, spacing=(CELL_M,) * 3)
    vertices = vertices.astype(np.float64) + low
    faces = facing_outwards(vertices, faces.astype(np.int64))
    vertices = taubin(vertices, faces, 4)
    colors = _paint(kind, vertices, foot, ground, rng)
    return Shoe(RigidPart(vertices, faces, _ankle_weights(vertices, shape, "L")), colors)


def _shoe_distance(kind: ShoeKind, model: BodyModel, shape: BodyShape, grid: Array, foot: Array, ground: float, top: float) -> Array:
    """Signed distance of the shoe on the grid, metres, negative inside."""
    import igl

    winding = igl.fast_winding_number(shape.body, model.body_triangles, grid.reshape(-1, 3)).reshape(grid.shape[:3])
    pad = TOE_CLOSING + 2
    inside = binary_closing(np.pad(winding > 0.5, pad), iterations=TOE_CLOSING)[pad:-pad, pad:-pad, pad:-pad]
    height = grid[..., 2] - ground
    toe = np.clip((foot[:, 1].min() + 0.09 - grid[..., 1]) / 0.09, 0, 1)
    upper = gaussian_filter(_signed(inside), 1.6) - (kind.upper_m + 0.004 * toe)
    footprint = inside[:, :, height[0, 0] < 0.03].any(axis=2)
    print_distance = gaussian_filter(_signed(footprint), 2.0) - kind.sole_margin_m
    sole = np.maximum(print_distance[:, :, None], height - (kind.sole_m - 0.012))
    slope = 0.02 * np.clip((grid[..., 1] - foot[:, 1].mean()) / 0.1, -1, 1) * kind.sloped
    edge = height - (top - ground) - slope
    shoe = np.maximum(np.maximum(np.minimum(upper, sole), -(height + 0.018)), edge)
    return np.minimum(shoe, _heel_distance(kind, grid, foot, height)) if kind.heel_m else shoe


def _heel_distance(kind: ShoeKind, grid: Array, foot: Array, height: Array) -> Array:
    """A block under the heel, down to the ground as it is for the tilted foot: it rises towards the toes, where the sole meets it."""
    back, toes = foot[:, 1].max(), foot[:, 1].min()
    heel = foot[foot[:, 1] > back - 0.06]
    aside, along = np.abs(grid[..., 0] - np.median(heel[:, 0])) - 0.016, np.abs(grid[..., 1] - (back - 0.022)) - 0.018
    floor = -0.018 - (grid[..., 1] - toes) * np.tan(np.radians(kind.pitch_deg))
    return np.maximum(np.maximum(aside, along), np.maximum(height, floor - height))


def _signed(inside: NDArray[np.bool_]) -> Array:
    return (distance_transform_edt(~inside) - distance_transform_edt(inside)) * CELL_M


def _ankle_weights(vertices: Array, shape: BodyShape, side: str) -> sparse.csr_matrix:
    """Rigid to the foot; boot shafts blend into the shin."""
    ankle_z = shape.skeleton.head(f"foot.{side}")[2]
    shin = smoothstep(ankle_z, ankle_z + 0.07, vertices[:, 2])
    rows = np.arange(len(vertices))
    columns = np.r_[np.full(len(rows), shape.skeleton.index[f"foot.{side}"]), np.full(len(rows), shape.skeleton.index[f"lowerleg02.{side}"])]
    return sparse.csr_matrix((np.r_[1 - shin, shin], (np.r_[rows, rows], columns)), shape=(len(vertices), len(shape.skeleton.labels)))


def _paint(kind: ShoeKind, vertices: Array, foot: Array, ground: float, rng: np.random.Generator) -> Array:
    height = vertices[:, 2] - ground
    base = LEATHER[rng.integers(len(LEATHER))] if kind.leather else draw_color(rng)
    light_sole = rng.random() < 0.6 and not kind.leather
    sole = np.array([0.9, 0.9, 0.88]) if light_sole else base * 0.35
    accent = CLOTHES[rng.integers(len(CLOTHES))]
    toe_cap, wide_stripe = rng.random() < 0.4, rng.random() < 0.5
    colors = np.tile(base, (len(vertices), 1))
    if kind.laced:
        from_toe, across = vertices[:, 1] - foot[:, 1].min(), np.abs(vertices[:, 0] - foot[:, 0].mean())
        stripe = (height > 0.03) & (np.abs(from_toe - 0.14 - 0.6 * (height - 0.05)) < (0.02 if wide_stripe else 0.008)) & (across > 0.015)
        colors[stripe] = accent
        laces = (across < 0.022) & (from_toe > 0.07) & (from_toe < 0.17) & (height > 0.045) & ((vertices[:, 1] * 90) % 1 < 0.4)
        colors[laces] = [0.93, 0.93, 0.9]
        if toe_cap:
            colors[(from_toe < 0.035) & (height > 0.016) & (height < 0.05)] = sole
    colors[height < (0.004 if kind.leather else 0.016)] = sole
    return np.clip(colors * (1 + 0.05 * fractal_noise(vertices * 150, 2, 3)[:, None]), 0, 1)
