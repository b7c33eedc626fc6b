"""Photograph-like pictures of rendered people before any background, with their true masks: what the matting network learns from.

A composite is a function of a numpy generator. The person is moved, cut off, relit, recoloured and partly re-dressed in other textures, stands in front of or
behind others, throws a shadow, wears a hat or carries a bag (which belong to the mask), is hidden by things (which do not), and the whole picture gets
the faults of a camera. Things that wear a person's texture but not the shape are there too: shape must decide, as synthetic texture will not be
seen again.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import read_json
from ncpifu_cli.data.backdrops import Backdrops, Picture, Rng, colour, fractal_grey, paste, recolour, shading, thing
from ncpifu_cli.errors import NcpifuError

Cover = Picture
BACKDROP_PX = 384  # nearly as fine as the largest pictures that are learnt from: or blur alone would tell what is behind
FAR_SHARE = 0.12  # people lower than this share of the picture's height are neither asked for nor forbidden


@dataclass(frozen=True)
class Composite:
    """A picture and what is true in it.

    Attributes: rgb (H, W, 3) uint8; alpha (H, W) float32 coverage by people, 0..1; weight (H, W) float32, 0 where either answer is fine.
    """

    rgb: NDArray[np.uint8]
    alpha: Cover
    weight: Cover


@dataclass(frozen=True)
class View:
    """One rendering of one subject: `rgb` on black and `mask`, files of the render layout."""

    rgb: Path
    mask: Path


def find_views(renders: Path, *, held_out: bool = False) -> list[View]:
    """All views of the subjects named `train-...` (or, `held_out`, `test-...`) under `renders`; NcpifuError where there are none."""
    views = []
    for folder in sorted(renders.glob("test-*" if held_out else "train-*")):
        if (folder / "subject.json").is_file():
            views += [View(folder / view["rgb"], folder / view["mask"]) for view in read_json(folder / "subject.json")["views"]]
    if not views:
        raise NcpifuError(f"no rendered {'test' if held_out else 'training'} subjects in {renders}", "make them with `ncpifu synth` and `ncpifu render`")
    return views


class Compositor:
    """Draws composites.

    Args:
        views: rendered people. pool: how many backgrounds of `backdrops` are kept to be cropped and recoloured again, as drawing them is slow.
    """

    def __init__(self, views: list[View], backdrops: Backdrops, pool: int = 1500) -> None:
        self.views, self.backdrops, self.size = views, backdrops, pool
        self.pool: list[NDArray[np.uint8]] = []

    def draw(self, rng: Rng, height: int, width: int) -> Composite:
        """A composite (height, width) with 0 to 4 people; 4 % show nobody."""
        picture = self._backdrop(rng, height, width)
        alpha: Cover = np.zeros((height, width), np.float32)
        weight: Cover = np.ones((height, width), np.float32)
        if rng.random() < 0.15:
            picture = self._decoys(rng, picture)
        crowd = int(rng.choice([0, 1, 2, 3, 4], p=[0.04, 0.64, 0.19, 0.08, 0.05]))
        main = _main_height(rng)
        for index in range(crowd):
            last = index == crowd - 1
            share = main if last else main * rng.choice([rng.uniform(0.08, 0.4), rng.uniform(0.7, 1.1)])
            picture, alpha, weight = self._person(rng, picture, alpha, weight, share, centred=last)
        if rng.random() < 0.15:  # something in front of everyone
            cover = thing(rng, height, width)
            if cover.mean() < 0.2:
                picture = paste(picture, self.backdrops.texture(rng, height, width), cover)
                alpha, weight = alpha * (1 - cover), np.maximum(weight, cover)
        return Composite(camera(rng, picture), np.clip(alpha, 0, 1), np.clip(weight, 0, 1))

    def _backdrop(self, rng: Rng, height: int, width: int) -> Picture:
        side = BACKDROP_PX
        if len(self.pool) < min(64, self.size) or rng.random() < 0.15:
            fresh = self.backdrops.draw(rng, side, side).astype(np.uint8)
            if len(self.pool) < self.size:
                self.pool.append(fresh)
            else:
                self.pool[rng.integers(self.size)] = fresh
        else:
            fresh = self.pool[rng.integers(len(self.pool))]
        step = rng.uniform(0.5, 1) * min(side / height, side / width)
        h, w = int(height * step), int(width * step)
        top, left = rng.integers(side - h + 1), rng.integers(side - w + 1)
        how = cv2.INTER_AREA if step >= 1 else cv2.INTER_LINEAR  # enlarging, INTER_AREA makes blocks
        window = cv2.resize(fresh[top : top + h, left : left + w], (width, height), interpolation=how).astype(np.float32)
        return recolour(rng, window[:, ::-1] if rng.random() < 0.5 else window)

    def _decoys(self, rng: Rng, picture: Picture) -> Picture:
        """Things in the colours of people: a blob, box or stroke filled with a magnified piece of a rendering."""
        height, width = picture.shape[:2]
        for _ in range(rng.integers(1, 4)):
            rgb, cover = self._cutout(rng, height)
            rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
            top, left = rng.integers(rows[0], rows[-1]), rng.integers(columns[0], columns[-1])
            patch = rgb[top : top + int(rng.integers(10, 60)), left : left + int(rng.integers(10, 60))]
            picture = paste(picture, cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR) + 3, thing(rng, height, width), shadow=0.3)
        return picture

    def _cutout(self, rng: Rng, tall_px: float) -> tuple[Picture, Cover]:
        """A person about `tall_px` high (at most as rendered), with room around. (H, W, 3) and (H, W)."""
        view = self.views[rng.integers(len(self.views))]
        half = tall_px < 200  # enough at half size, and half the work
        rgb = cv2.imread(str(view.rgb), cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR)
        cover = cv2.imread(str(view.mask), cv2.IMREAD_REDUCED_GRAYSCALE_2 if half else cv2.IMREAD_GRAYSCALE)
        if rgb is None or cover is None or not cover.any():
            raise NcpifuError(f"cannot read {view.rgb} with {view.mask}", "render the subject again")
        x, y, w, h = cv2.boundingRect(cover)
        margin = h // 8
        window = (slice(max(0, y - margin), y + h + margin), slice(max(0, x - margin), x + w + margin))
        return _without_fringe(rgb[window], cover[window], min(1.0, max(tall_px, 40) / h))

    def _person(self, rng: Rng, picture: Picture, alpha: Cover, weight: Cover, share: float, centred: bool) -> tuple[Picture, Cover, Cover]:
        """One more person in front: `share` is the height of the figure over that of the picture."""
        height, width = alpha.shape
        rgb, cover = self._cutout(rng, share * height)
        if rng.random() < 0.3:
            rgb, cover = self._accessory(rng, rgb, cover)
        rgb = self._new_look(rng, rgb, cover)
        rgb, cover = _placed(rng, rgb, cover, height, width, share, centred)
        visible = cover > 0.5
        if not visible.any():
            return picture, alpha, weight
        rgb = _in_this_light(rng, rgb, cover, picture)
        if rng.random() < 0.6:
            picture = _shadowed(rng, picture, cover)
        if rng.random() < 0.3:  # a person out of the plane of focus, or cut out by a soft lens
            sigma = rng.uniform(0.3, 1.2)
            rgb, cover = cv2.GaussianBlur(rgb, (0, 0), sigma), cv2.GaussianBlur(cover, (0, 0), sigma)
        picture = paste(picture, rgb, cover)
        if share < FAR_SHARE:
            return picture, alpha, weight * (1 - cv2.dilate(cover, np.ones((3, 3))))
        return picture, np.maximum(alpha, cover), np.maximum(weight, cover)

    def _accessory(self, rng: Rng, rgb: Picture, cover: Cover) -> tuple[Picture, Cover]:
        """A hat, or a bag at a side or on the back; part of the mask."""
        height, width = cover.shape
        rows = np.flatnonzero(cover.max(1) > 0.5)
        top, tall = int(rows[0]), len(rows)
        extra = np.zeros_like(cover)
        if rng.random() < 0.4:
            head = np.flatnonzero(cover[top + tall // 30] > 0.5)
            x = int(head.mean()) if len(head) else width // 2
            y, r = top + int(0.05 * tall), 0.055 * tall
            cv2.ellipse(extra, (x, y), (int(r * rng.uniform(1, 1.3)), int(r * rng.uniform(0.8, 1.6))), 0, 180, 360, 1.0, -1, cv2.LINE_AA)
            brim = rng.choice([0.0, rng.uniform(1.2, 2.8)])
            if brim:
                cv2.ellipse(extra, (x, y), (int(r * brim), int(r * rng.uniform(0.15, 0.4)) + 1), rng.normal(0, 8), 0, 360, 1.0, -1, cv2.LINE_AA)
        else:
            y = top + int(rng.uniform(0.2, 0.65) * tall)
            body = np.flatnonzero(cover[y] > 0.5)
            if not len(body):
                return rgb, cover
            x = int(rng.choice([body[0], body[-1]]))
            box = ((x, y + 0.08 * tall), (rng.uniform(0.06, 0.22) * tall, rng.uniform(0.08, 0.22) * tall), rng.normal(0, 10))
            cv2.fillPoly(extra, [cv2.boxPoints(box).astype(np.int32)], 1.0, cv2.LINE_AA)
            cv2.line(extra, (x, y), (int(body.mean()), top + int(0.17 * tall)), 1.0, max(1, int(rng.uniform(0.004, 0.02) * tall)), cv2.LINE_AA)
        over = self.backdrops.texture(rng, height, width) * shading(rng, height, width)
        return paste(rgb, over, extra), np.maximum(cover, extra)

    def _new_look(self, rng: Rng, rgb: Picture, cover: Cover) -> Picture:
        """Parts of the person in another texture that keeps the shading, other colours, and grain where renderings are too smooth."""
        height, width = cover.shape
        if rng.random() < 0.45:
            region = cv2.GaussianBlur((fractal_grey(rng, height, width, 0.35) > rng.uniform(-0.5, 1)).astype(np.float32), (0, 0), 1.0)
            if rng.random() < 0.6:  # a garment: between two heights
                rows = np.flatnonzero(cover.max(1) > 0.5)
                low, high = np.sort(rng.uniform(rows[0], rows[-1] + 1, 2)).astype(int)
                region = np.zeros_like(cover)
                region[low:high] = 1
            light = cv2.GaussianBlur(rgb.mean(2), (0, 0), 2.0)
            light = light / (light[cover > 0.5].mean() + 1e-3)
            rgb = paste(rgb, self.backdrops.texture(rng, height, width) * np.clip(light, 0.2, 2.5)[..., None], region)
        if rng.random() < 0.5:
            grain = fractal_grey(rng, height, width, rng.uniform(0.6, 1.0))
            rgb = rgb * np.clip(1 + rng.uniform(0.02, 0.25) * grain, 0.3, 2)[..., None]
        if rng.random() < 0.5:
            hsv = cv2.cvtColor(np.clip(rgb, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.int16)
            hsv[..., 0] = (hsv[..., 0] + int(rng.choice([rng.normal(0, 5), rng.uniform(0, 180)], p=[0.75, 0.25]))) % 180
            hsv[..., 1] = np.clip(hsv[..., 1] * rng.uniform(0.3, 1.4), 0, 255)
            rgb = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
        return rgb


def _main_height(rng: Rng) -> float:
    """Height of the main figure over that of the picture: whole, small, or so large that much is cut off."""
    return float(rng.choice([rng.uniform(0.6, 0.98), rng.uniform(0.25, 0.6), rng.uniform(1.0, 2.6)], p=[0.63, 0.12, 0.25]))


def _without_fringe(bgr: NDArray[np.uint8], mask: NDArray[np.uint8], scale: float) -> tuple[Picture, Cover]:
    """Make smaller and take off the black that renderings are anti-aliased with: colours come from inside the edge, and spread outwards over it."""
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8))
    size = (max(4, round(mask.shape[1] * scale)), max(4, round(mask.shape[0] * scale)))
    cover, inner = (cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255 for image in (mask, inside))
    premultiplied = cv2.resize(cv2.bitwise_and(bgr, bgr, mask=inside), size, interpolation=cv2.INTER_AREA)[..., ::-1].astype(np.float32)
    spread = cv2.blur(premultiplied, (5, 5)) / np.maximum(cv2.blur(inner, (5, 5)), 1e-2)[..., None]
    rgb = np.where(inner[..., None] > 0.5, premultiplied / np.maximum(inner, 0.5)[..., None], spread)
    return rgb, np.clip(cv2.GaussianBlur(cover, (3, 3), 0) * 1.6 - 0.6, 0, 1)


def _placed(rng: Rng, rgb: Picture, cover: Cover, height: int, width: int, share: float, centred: bool) -> tuple[Picture, Cover]:
    """The figure at its size and place in a (height, width) picture, turned, stretched and flipped a little."""
    rows, columns = np.flatnonzero(cover.max(1) > 0.5), np.flatnonzero(cover.max(0) > 0.5)
    scale = share * height / len(rows)
    if centred and share <= 1:
        scale = min(scale, 1.1 * width / len(columns))
    middle = np.array([(columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2])
    tall = share * height
    if share > 1:  # cut off: the head is usually in the picture
        y = rng.uniform(0.02, 0.2) * height + tall / 2 if rng.random() < 0.75 else rng.uniform(-0.2, 1.2) * height
    else:
        y = tall / 2 + rng.uniform(-0.04, 1.04) * (height - tall)
    x = width * (rng.normal(0.5, 0.12) if centred else rng.uniform(-0.05, 1.05))
    angle = rng.normal(0, 4) if rng.random() < 0.93 else rng.uniform(-90, 90)
    matrix = cv2.getRotationMatrix2D(middle.tolist(), angle, 1.0)
    stretch = np.diag([scale * rng.uniform(0.88, 1.18) * rng.choice([-1, 1]), scale, 1.0])
    matrix = stretch @ np.vstack([matrix, [0, 0, 1]])
    matrix[:2, 2] += np.array([x, y]) - (matrix @ [*middle, 1])[:2]
    rgb = cv2.warpAffine(rgb, matrix[:2], (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return rgb, cv2.warpAffine(cover, matrix[:2], (width, height), flags=cv2.INTER_LINEAR)


def _in_this_light(rng: Rng, rgb: Picture, cover: Cover, picture: Picture) -> Picture:
    """Colours drawn towards those of the scene, light that falls off across the body, a bright rim from behind."""
    height, width = cover.shape
    mine = (rgb * cover[..., None]).sum((0, 1)) / cover.sum()
    alike = rng.uniform(0, 0.5) if rng.random() < 0.85 else rng.uniform(0.5, 1)  # white before white: shape alone tells
    towards = mine + alike * (picture.mean((0, 1)) - mine)
    rgb = recolour(rng, rgb * np.clip(towards / np.maximum(mine, 4), 0.3, 3).astype(np.float32))
    if rng.random() < 0.5:
        rgb = rgb * shading(rng, height, width, 0.7)
    if rng.random() < 0.15:
        side = np.roll(cover, (int(rng.integers(-3, 1)), int(rng.integers(-3, 4))), (0, 1))
        rgb = rgb + np.clip(cover - side, 0, 1)[..., None] * rng.uniform(20, 140)
    return rgb


def _shadowed(rng: Rng, picture: Picture, cover: Cover) -> Picture:
    """The person's shadow: thrown on a wall behind, or laid flat on the ground from the feet."""
    height, width = cover.shape
    rows = np.flatnonzero(cover.max(1) > 0.5)
    foot, tall = int(rows[-1]), len(rows)
    if rng.random() < 0.35:
        matrix = np.array([[1, 0, rng.normal(0, 0.12) * tall], [0, 1, rng.normal(0, 0.03) * tall]])
    else:
        flat = rng.uniform(-0.35, 0.35)
        lean = rng.normal(0, 0.8)
        matrix = np.array([[1, lean, -lean * foot], [0, flat, foot * (1 - flat)]])
    shadow = cv2.GaussianBlur(cv2.warpAffine(cover, matrix, (width, height)), (0, 0), rng.uniform(0.8, 8))
    if foot < height - 2:
        feet = np.flatnonzero(cover[max(0, foot - 3)] > 0.3)
        if len(feet):
            contact = np.zeros_like(cover)
            cv2.ellipse(contact, (int(feet.mean()), foot), (int(np.ptp(feet) * 0.7) + 2, int(0.02 * tall) + 1), 0, 0, 360, 1.0, -1)
            shadow = np.maximum(shadow, cv2.GaussianBlur(contact, (0, 0), 2))
    return picture * (1 - rng.uniform(0.1, 0.75) * shadow[..., None])


def camera(rng: Rng, picture: Picture) -> NDArray[np.uint8]:
    """What a camera and a file format do: vignette, colour cast, exposure, blur, few pixels, noise, JPEG; sometimes grey. (H, W, 3) float32 -> uint8."""
    height, width = picture.shape[:2]
    picture = np.clip(recolour(rng, picture) if rng.random() < 0.4 else picture, 0, 255)
    picture = 255 * (picture / 255) ** np.float32(np.exp(rng.normal(0, 0.25)))
    if rng.random() < 0.1:  # overexposed, so that bright things run into each other, or far too dark
        picture = np.clip(picture * rng.choice([rng.uniform(1.3, 2.2), rng.uniform(0.25, 0.6)]), 0, 255).astype(np.float32)
    if rng.random() < 0.04:
        picture = np.repeat(picture.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.05:  # a tint over everything, as of stage light
        picture = picture * (0.4 + 0.6 * colour(rng) / 255)
    if rng.random() < 0.2:
        factor = rng.uniform(0.4, 0.9)
        small = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.2:  # sharpened, as phones do
        picture = picture + rng.uniform(0.3, 1.5) * (picture - cv2.GaussianBlur(picture, (0, 0), 1.0))
    if rng.random() < 0.5:
        strength = rng.uniform(1, 14) * np.sqrt(np.clip(picture, 8, 255) / 128)
        picture = picture + strength * rng.standard_normal(picture.shape, dtype=np.float32)
    rgb = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        rgb = cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 96))])[1], cv2.IMREAD_COLOR)
    return rgb
