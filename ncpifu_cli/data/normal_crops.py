"""What the normal network learns from: pieces of rendered people, with the normals of their front and back surface.

A crop is a function of a numpy generator. The back surface, which the camera does not see, is the front of the view from the opposite side: orthographic
cameras that face each other at opposite pitches draw mirror images of one outline.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, read_json
from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.augment import Placement, photographic, random_placement
from ncpifu_cli.data.backdrops import Backdrops, Rng, fractal_grey
from ncpifu_cli.data.network_input import DETAIL_PX, normal_input
from ncpifu_cli.errors import NcpifuError

Floats = NDArray[np.float32]
# Stretch would change normals by its inverse; what is beyond the outline does not matter here, so nothing is shifted or cut off.
PHOTO = AugmentConfig(stretch=0.0, shift_ndc=0.0, cut=0.0, scale=0.2, roll_deg=8.0, blur_px=2.0)


@dataclass(frozen=True)
class OppositeViews:
    """One view of a subject and the normals seen from both of its sides; files of the render layout (`render --maps normal`)."""

    rgb: Path
    mask: Path
    front: Path
    back: Path


@dataclass(frozen=True)
class NormalCrop:
    """A piece of a cut-out person.

    Attributes: image (4, S, S) float32, colours in [-1, 1] times coverage, and coverage 0..1; normals (6, S, S) float32, unit normals of front and back in the
        camera's frame, 0 where there is no surface.
    """

    image: Floats
    normals: Floats


def find_opposite_views(renders: Path, *, held_out: bool = False, size_px: int = DETAIL_PX) -> list[OppositeViews]:
    """All views under `renders` whose opposite was drawn too: of training subjects, or of those held out.

    Raises NcpifuError where there are none, or of another size.
    """
    found = []
    for marker in sorted(renders.glob("[!.]*/subject.json")):
        content = read_json(marker)
        if content["name"].startswith(HELD_OUT_PREFIXES) != held_out:
            continue
        views = {_direction(view["yaw_deg"], view["pitch_deg"]): view for view in content["views"] if "normal_map" in view}
        if views and content["size_px"] != size_px:
            raise NcpifuError(
                f"{marker.parent} was drawn at {content['size_px']} px", f"the normal network sees people at {size_px} px: render with --size {size_px}"
            )
        for view in views.values():
            opposite = views.get(_direction(view["yaw_deg"] + 180, -view["pitch_deg"]))
            if opposite is not None:
                found.append(OppositeViews(*(marker.parent / name for name in (view["rgb"], view["mask"], view["normal_map"], opposite["normal_map"]))))
    if not found:
        raise NcpifuError(f"no opposite views with normals in {renders}", "render with --maps normal, an even number of views, and pitches that come in pairs")
    return found


def _direction(yaw_deg: float, pitch_deg: float) -> tuple[float, float]:
    return round(yaw_deg % 360, 3) % 360, round(pitch_deg, 3) + 0.0


def draw_crops(views: OppositeViews, count: int, size_px: int, rng: Rng, backdrops: Backdrops) -> list[NormalCrop]:
    """Squares somewhere on the person, photographed badly and in other patterns. NcpifuError names a file that cannot be read."""
    rgb, mask, normals = _read_views(views)
    placement = random_placement(PHOTO, rng)
    mask, normals = placement.image(mask), _placed_normals(placement, normals)
    premultiplied: Floats = placement.image(rgb.astype(np.float32))
    true_colors: Floats = np.minimum(premultiplied / np.maximum(mask, np.float32(1 / 255))[..., None], np.float32(255))  # up to the outline
    crops = []
    for _ in range(count):
        window = _window(rng, mask, size_px)
        color, cover = photographic(repatterned(rng, true_colors[window], mask[window], backdrops), mask[window], PHOTO, rng)
        crops.append(_crop(color, cover, normals[window]))
    return crops


def whole_view(views: OppositeViews) -> NormalCrop:
    """The whole view as it was drawn. NcpifuError names a file that cannot be read."""
    return _crop(*_read_views(views))


def _read_views(views: OppositeViews) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """(S, S, 3) colours, (S, S) coverage 0 or 1, (S, S, 6) normals."""
    normals = np.concatenate([_decoded(_read(views.front, cv2.IMREAD_COLOR)), _turned_round(_decoded(_read(views.back, cv2.IMREAD_COLOR)))], axis=2)
    return _read(views.rgb, cv2.IMREAD_COLOR)[..., ::-1], (_read(views.mask, cv2.IMREAD_GRAYSCALE) > 127).astype(np.float32), normals


def _crop(rgb: Floats | NDArray[np.uint8], cover: Floats, normals: Floats) -> NormalCrop:
    return NormalCrop(normal_input(rgb, cover), np.ascontiguousarray(normals.transpose(2, 0, 1)))


def repatterned(rng: Rng, rgb: Floats, cover: Floats, backdrops: Backdrops) -> Floats:
    """Patterns multiplied onto parts of the person, under the same light: a print is not a relief, and rendered cloth has too few of them."""
    height, width = cover.shape
    if rng.random() < 0.4:
        texture = np.clip(backdrops.texture(rng, height, width), 0, 255)
        factor = 1 + rng.uniform(0.2, 1.0) * (texture / max(float(texture.mean()), 20.0) - 1)
        region = cv2.GaussianBlur((fractal_grey(rng, height, width, 0.35) > rng.uniform(-0.8, 0.8)).astype(np.float32), (0, 0), 1.0)
        rgb = rgb * (1 + region[..., None] * (np.clip(factor, 0.15, 2.5) - 1)).astype(np.float32)
    if rng.random() < 0.4:
        grain = fractal_grey(rng, height, width, rng.uniform(0.6, 1.0))
        rgb = rgb * np.clip(1 + rng.uniform(0.02, 0.2) * grain, 0.3, 2)[..., None].astype(np.float32)
    return np.clip(rgb, 0, 255)


def _window(rng: Rng, cover: Floats, size_px: int) -> tuple[slice, slice]:
    """A square around a pixel of the person."""
    places = np.argwhere(cover > 0.5)
    middle = places[rng.integers(len(places))] if len(places) else np.array(cover.shape) // 2
    top, left = np.clip(middle - size_px // 2, 0, np.array(cover.shape) - size_px)
    return slice(top, top + size_px), slice(left, left + size_px)


def _placed_normals(placement: Placement, normals: Floats) -> Floats:
    """(S, S, 6): moved like the image, and turned with it."""
    moved = np.dstack([placement.image(np.ascontiguousarray(normals[..., :3])), placement.image(np.ascontiguousarray(normals[..., 3:]))])
    turn = placement.matrix / placement.scale  # orthogonal, as nothing is stretched
    for first in (0, 3):
        moved[..., first : first + 2] = moved[..., first : first + 2] @ turn.T.astype(np.float32)
        part = moved[..., first : first + 3]
        length = np.linalg.norm(part, axis=2, keepdims=True)
        moved[..., first : first + 3] = np.where(length > 0.5, part / np.maximum(length, 1e-6), 0)  # at the outline, half of nothing
    return moved.astype(np.float32)


def _turned_round(normals: Floats) -> Floats:
    """Normals in the opposite camera's picture and frame -> in this one's."""
    return normals[:, ::-1] * np.array([-1, 1, -1], np.float32)


def _decoded(image: NDArray[np.uint8]) -> Floats:
    """(S, S, 3) BGR as `render` stores them -> unit normals towards the camera, 0 where nothing is. Inner sides of open cloth are turned over."""
    rough = image[..., ::-1].astype(np.float32) / np.float32(127.5) - 1
    normals = np.where(image.any(axis=2, keepdims=True), rough / np.linalg.norm(rough, axis=2, keepdims=True).clip(1e-6), np.float32(0))
    return np.where(normals[..., 2:] < 0, -normals, normals)


def _read(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), flags)
    if image is None:
        raise NcpifuError(f"cannot read {path}", "render this subject again: delete its folder and run `ncpifu render`")
    return np.asarray(image, np.uint8)
