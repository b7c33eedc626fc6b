"""What the normal network learns from: pieces of rendered people, with the normals of their front and back surface.

A crop is a function of a numpy generator. The back surface, which the camera does not see, is the front of the view from the opposite side.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.config.train import AugmentConfig
from ncpifu_cli.data.augment import Placement, photographic, random_placement
from ncpifu_cli.data.backdrops import Backdrops, Rng, fractal_grey
from ncpifu_cli.data.dataset import read_picture
from ncpifu_cli.data.depth import SIZE_PX, decode_depth
from ncpifu_cli.data.framing import head_rows
from ncpifu_cli.data.network_input import masked_input, true_colours
from ncpifu_cli.data.opposite_views import OppositeViews, read_drawn, read_normal_map
from ncpifu_cli.data.prints import printed
from ncpifu_cli.data.relight import relit

Floats = NDArray[np.float32]
HEADS, CLOSE_HEADS = 0.3, 0.5  # share of crops around the head, of whole and of close views: a face is the first thing that anybody looks at
# Stretch would change normals by its inverse; what is beyond the outline does not matter here, so nothing is shifted or cut off.
PHOTO = AugmentConfig(stretch=0.0, shift_ndc=0.0, cut=0.0, scale=0.2, roll_deg=8.0)
CLOSE_PHOTO = PHOTO.model_copy(update={"blur_px": 2.5})  # many photographs are smaller than the close look at a head


@dataclass(frozen=True)
class NormalCrop:
    """A piece of a cut-out person.

    Attributes: image (4, S, S) float32, colours in [-1, 1] times coverage, and coverage 0..1; normals (6, S, S) float32, unit normals of front and back in the
        camera's frame, 0 where there is no surface.
    """

    image: Floats
    normals: Floats


def draw_crops(views: OppositeViews, count: int, size_px: int, rng: Rng, backdrops: Backdrops, close: bool = False) -> list[NormalCrop]:
    """Squares somewhere on the person, more of the head in views of CLOSE_PX (`close`), photographed badly and in other patterns. NcpifuError names a file
    that cannot be read."""
    rgb, mask, front, back = _read_views(views)
    photo, heads = (CLOSE_PHOTO, CLOSE_HEADS) if close else (PHOTO, HEADS)
    placement = random_placement(photo, rng)
    premultiplied: Floats = placement.image(rgb.astype(np.float32))
    mask = placement.image(mask)
    front, back = placement.image(front), placement.image(back)
    surface, head = _front_surface(views, placement), head_rows(mask)
    crops = []
    for _ in range(count):
        window = _window(rng, mask, size_px, head if rng.random() < heads else slice(None))
        cover = mask[window]
        color = true_colours(premultiplied[window], cover)
        normals = _decoded(front[window], back[window], cover > 0.999, placement.matrix / placement.scale)
        color = repatterned(rng, color, cover, backdrops)
        if rng.random() < photo.prints:
            color, _ = printed(rng, color, cover, backdrops)
        color = relit(rng, color, normals[:3], surface, window, len(mask))
        color, cover = photographic(color, cover, photo, rng)
        crops.append(NormalCrop(masked_input(color, cover), normals))
    return crops


def whole_view(views: OppositeViews) -> NormalCrop:
    """The whole view as it was drawn. NcpifuError names a file that cannot be read."""
    rgb, mask, front, back = _read_views(views)
    return NormalCrop(masked_input(rgb, mask), _decoded(front, back, mask > 0, np.eye(2)))


def _read_views(views: OppositeViews) -> tuple[NDArray[np.uint8], Floats, NDArray[np.uint8], NDArray[np.uint8]]:
    """(S, S, 3) colours, (S, S) coverage 0 or 1, and both normal maps (S, S, 3) as stored, RGB, the back's seen through from the front."""
    rgb, mask = read_drawn(views.folder, views.front)
    front, back = (read_normal_map(views.folder, view) for view in (views.front, views.back))
    return rgb, mask.astype(np.float32), np.ascontiguousarray(front), np.ascontiguousarray(back[:, ::-1])


def _front_surface(views: OppositeViews, placement: Placement) -> Floats:
    """(s, s) NDC depth of the surface that the moved view shows, NaN where there is none or it is not known; coarse, as depth is stored for training."""
    if views.front.depth is None:
        return np.full((SIZE_PX, SIZE_PX), np.nan, np.float32)
    front = decode_depth(read_picture(views.folder / views.front.depth, cv2.IMREAD_UNCHANGED), SIZE_PX, 1)[0]
    above = placement.image(np.where(np.isnan(front), np.float32(0), front + 2), cv2.INTER_NEAREST)  # what comes in from outside is 0
    return np.asarray(np.where(above > 0, (above - 2) * placement.scale, np.nan), np.float32)


def repatterned(rng: Rng, rgb: Floats, cover: Floats, backdrops: Backdrops) -> Floats:
    """Patterns multiplied onto parts of the person, under the same light: a print is not a relief, and rendered cloth has too few of them."""
    height, width = cover.shape
    if rng.random() < 0.25:
        texture = np.clip(backdrops.texture(rng, height, width), 0, 255)
        factor = 1 + rng.uniform(0.2, 1.0) * (texture / max(float(texture.mean()), 20.0) - 1)
        region = cv2.GaussianBlur((fractal_grey(rng, height, width, 0.35) > rng.uniform(-0.8, 0.8)).astype(np.float32), (0, 0), 1.0)
        rgb = rgb * (1 + region[..., None] * (np.clip(factor, 0.15, 2.5) - 1)).astype(np.float32)
    if rng.random() < 0.2:
        grain = fractal_grey(rng, height, width, rng.uniform(0.6, 1.0))
        rgb = rgb * np.clip(1 + rng.uniform(0.02, 0.1) * grain, 0.3, 2)[..., None].astype(np.float32)
    return np.clip(rgb, 0, 255)


def _window(rng: Rng, cover: Floats, size_px: int, rows: slice) -> tuple[slice, slice]:
    """A square around a pixel of the person in these rows."""
    places = np.argwhere(cover[rows] > 0.5) + np.array([rows.start or 0, 0])
    middle = places[rng.integers(len(places))] if len(places) else np.array(cover.shape) // 2
    top, left = np.clip(middle - size_px // 2, 0, np.array(cover.shape) - size_px)
    return slice(top, top + size_px), slice(left, left + size_px)


def _decoded(front: NDArray[np.uint8], back: NDArray[np.uint8], known: NDArray[np.bool_], turn: NDArray[np.float64]) -> Floats:
    """Stored normals (S, S, 3) each -> unit normals (6, S, S) in this camera's frame, 0 where not `known`.

    `turn` (2, 2): what the picture was rolled or flipped by. Inner sides of open cloth are turned over, so that all face their camera.
    """
    sides = []
    for stored, to_this_camera in ((front, (1, 1, 1)), (back, (-1, 1, -1))):
        x, y, z = (stored[..., axis].astype(np.float32) / np.float32(127.5) - 1 for axis in range(3))
        length = np.sqrt(x * x + y * y + z * z)
        good = known & (length > 0.5) & stored.any(axis=2)
        scale = np.where(z < 0, -1, 1) * good / np.maximum(length, np.float32(0.5))
        x, y, z = (to_this_camera[axis] * scale * part for axis, part in enumerate((x, y, z)))
        sides += [turn[0, 0] * x + turn[0, 1] * y, turn[1, 0] * x + turn[1, 1] * y, z]
    return np.stack(sides).astype(np.float32)
