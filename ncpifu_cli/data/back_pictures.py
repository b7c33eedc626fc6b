"""What the back network learns from: rendered people, and the colours of their other side in the photo's light.

A picture is a function of a numpy generator. The other side is the view from the opposite camera, mirrored: both have the same outline.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.augment import photographic, random_placement
from ncpifu_cli.data.backdrops import Backdrops, Rng
from ncpifu_cli.data.framing import head_rows
from ncpifu_cli.data.light import GAMMA
from ncpifu_cli.data.network_input import BACK_PX, masked_input, resize_masked, true_colours
from ncpifu_cli.data.opposite_views import DrawnView, OppositeViews, read_drawn, read_normal_map
from ncpifu_cli.data.photo_light import in_photo_light
from ncpifu_cli.data.prints import printed
from ncpifu_cli.geometry import sh

Floats = NDArray[np.float32]
FITTED = 2000  # pixels that the light is fitted to
SURE, DARKEST = 0.999, 0.02
PHOTO = AugmentConfig(stretch=0.05, cut=0.08, prints=0.4, hue_turn=0.12, color=0.3)


@dataclass(frozen=True)
class BackPicture:
    """A person and its other side.

    Attributes: image (4, S, S) float32, as the network sees it; back (5, S, S) float32, colours in [-1, 1] of the other side in the photo's mean light, 1
        where they are known, and 1 where that is of the head.
    """

    image: Floats
    back: Floats


def draw_pictures(views: OppositeViews, count: int, rng: Rng, backdrops: Backdrops) -> list[BackPicture]:
    """The person photographed badly, `count` times. NcpifuError names a file that cannot be read."""
    rgb, albedo, back_albedo, cover = drawn_sides(views)
    pictures = []
    for _ in range(count):
        placement = random_placement(PHOTO, rng)
        rows = np.arange(BACK_PX)[:, None, None] < placement.first_cut_row(BACK_PX)
        moved = placement.image(cover) * rows[..., 0]
        color, plain, behind = (true_colours(placement.image(part * cover[..., None]) * rows, moved) for part in (rgb, albedo, back_albedo))
        painted = np.zeros(moved.shape, np.bool_)
        if rng.random() < PHOTO.prints:
            color, painted = printed(rng, color, moved, backdrops)
        color, coverage = photographic(color, moved, PHOTO, rng)
        known = moved > SURE
        back = lit_as(color, plain, known & ~painted, behind, rng) / np.float32(127.5) - 1
        head = np.zeros_like(known)
        head[head_rows(moved)] = known[head_rows(moved)]
        pictures.append(BackPicture(masked_input(color, coverage), np.concatenate([back.transpose(2, 0, 1), np.stack([known, head])]).astype(np.float32)))
    return pictures


def drawn_sides(views: OppositeViews) -> tuple[Floats, Floats, Floats, Floats]:
    """At BACK_PX, (S, S, 3) 0..255: the front as drawn and without its light, the back without its light, seen through from the front; (S, S) coverage."""
    (rgb, mask), (behind, _) = (read_drawn(views.folder, view) for view in (views.front, views.back))
    plain, back = (_without_light(picture, views.folder, view) for picture, view in ((rgb, views.front), (behind, views.back)))
    (drawn, cover), (front, _), (far, _) = (resize_masked(np.ascontiguousarray(part), mask, BACK_PX) for part in (rgb, plain, back[:, ::-1]))
    return drawn, front, far, cover


def lit_as(photo: Floats, albedo: Floats, seen: NDArray[np.bool_], other: Floats, rng: Rng) -> Floats:
    """Colours without light (S, S, 3), `other`, as the photo (S, S, 3) would show them, told from pixels that are `seen` (S, S) with and without light."""
    at = np.flatnonzero(seen)
    at = rng.choice(at, min(FITTED, len(at)), replace=False)
    known = np.arange(len(at) + other[..., 0].size) < len(at)
    plain, shown = (np.concatenate([part.reshape(-1, 3)[at], other.reshape(-1, 3)]) / 255 for part in (albedo, photo))
    return 255 * in_photo_light(plain, shown, known)[len(at) :].reshape(other.shape)


def _without_light(rgb: NDArray[np.uint8], folder: Path, view: DrawnView) -> NDArray[np.uint8]:
    """A view (S, S, 3) over what an unshadowed surface of its normals receives: creases stay darker than they are."""
    stored = read_normal_map(folder, view).reshape(-1, 3)
    known = stored.any(axis=1)
    normals = stored[known].astype(np.float32) / np.float32(127.5) - 1
    normals *= np.where(normals[:, 2:] < 0, -1, 1) / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 0.5)
    light = np.ones((len(stored), 3), np.float32)
    light[known] = np.maximum(sh.basis(normals) @ (sh.COSINE_LOBE[:, None] * np.asarray(view.light)), DARKEST) ** (1 / GAMMA)
    return np.clip(rgb / light.reshape(rgb.shape), 0, 255).astype(np.uint8)
