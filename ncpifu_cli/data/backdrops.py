"""Backgrounds without people: drawn rooms, streets, foliage, studios and clutter, and crops of photographs and panoramas from a folder.

Everything is a function of a numpy generator. Pictures are (H, W, 3), 0..255 sRGB. docs/matting.md lists the photographs and their licences.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError

Picture = NDArray[np.floating[Any]]
Rng = np.random.Generator
WORDS = ("OPEN", "Cafe", "SALE", "Hotel", "24", "EXIT", "News", "Markt", "Ticket", "ABC", "Bar", "Welcome", "P", "Studio", "No. 7", "Museum")


class Backdrops:
    """Makes backgrounds: `draw(rng, height, width)`.

    Args:
        folder: photographs (`*.jpg`, `*.png`); `pano*` are equirectangular panoramas, `texture*` flat materials. None: only drawn backgrounds.
        families: names of the drawn families to use; all when None.

    Raises NcpifuError for a folder without pictures.
    """

    def __init__(self, folder: Path | None = None, families: tuple[str, ...] | None = None) -> None:
        self.panoramas: list[Picture] = []
        self.photos: list[Picture] = []
        self.materials: list[Picture] = []
        if folder is not None:
            self._read(folder)
        drawn: dict[str, Callable[[Rng, int, int], Picture]] = {
            "studio": self._studio, "room": self._room, "street": self._street, "foliage": self._foliage, "clutter": self._clutter, "noise": fractal,
        }  # fmt: skip
        self.families = [drawn[name] for name in (tuple(drawn) if families is None else families)]
        if self.panoramas:
            self.families += [self._panorama] * 3
        if self.photos or self.materials:
            self.families.append(self._photo)

    def _read(self, folder: Path) -> None:
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.png")]):
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None:
                raise NcpifuError(f"{path} is not a picture", "remove it from the folder of backgrounds")
            group = {"pano": self.panoramas, "text": self.materials}.get(path.name[:4], self.photos)
            group.append(np.ascontiguousarray(image[..., ::-1]).astype(np.float32))
        if not (self.panoramas or self.photos or self.materials):
            raise NcpifuError(f"no .jpg or .png in {folder}", "give a folder of photographs without people")

    def draw(self, rng: Rng, height: int, width: int) -> Picture:
        """A background (height, width, 3): one family or two cut together, furnished with things, perhaps out of focus."""
        picture = self._family(rng, height, width)
        if rng.random() < 0.15:  # two places meet along a line: a corner, a doorway, a poster
            other = self._family(rng, height, width)
            picture = np.where(_half_plane(rng, height, width)[..., None], picture, other)
        if rng.random() < 0.6:
            picture = self.furnish(rng, picture, int(rng.integers(1, 12)))
        if rng.random() < 0.45:
            picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 4.5))
        return np.clip(picture, 0, 255)

    def _family(self, rng: Rng, height: int, width: int) -> Picture:
        return self.families[rng.integers(len(self.families))](rng, height, width)

    def furnish(self, rng: Rng, picture: Picture, count: int) -> Picture:
        """Things with a texture, a shading and sometimes a shadow, anywhere and of any size up to that of a person."""
        for _ in range(count):
            picture = paste(picture, self.texture(rng, *picture.shape[:2]), thing(rng, *picture.shape[:2]), shadow=0.4 * float(rng.random() < 0.5))
        return picture

    def texture(self, rng: Rng, height: int, width: int) -> Picture:
        """A surface: plain, striped, checked, noisy, or from a photograph."""
        kind = rng.random()
        if kind < 0.35 and (self.materials or self.photos):
            return self._crop(rng, height, width, self.materials or self.photos)
        if kind < 0.55:
            return fractal(rng, height, width)
        plain = colour(rng) * np.ones((height, width, 1), np.float32)
        if kind < 0.8:
            period, angle = rng.uniform(3, 40), rng.uniform(0, np.pi)
            y, x = np.mgrid[0:height, 0:width].astype(np.float32)
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period))
            if rng.random() < 0.4:
                wave = wave * np.sin((y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / period))
            plain = np.where((wave > rng.uniform(-0.7, 0.7))[..., None], plain, colour(rng))
        return (plain * shading(rng, height, width)).astype(np.float32)

    def _studio(self, rng: Rng, height: int, width: int) -> Picture:
        wall: Picture = (rng.uniform(20, 255) + rng.normal(0, 12, 3)) if rng.random() < 0.7 else colour(rng)
        picture = (np.clip(wall, 0, 255) * shading(rng, height, width, 0.35)).astype(np.float32)
        if rng.random() < 0.5:  # a floor, with a soft or hard edge
            edge = 1 / (1 + np.exp(-(np.arange(height) / height - rng.uniform(0.6, 0.95)) * rng.choice([15, 60, 400])))
            picture = picture * (1 + (rng.uniform(0.6, 1.25) - 1) * edge[:, None, None]).astype(np.float32)
        return picture + rng.normal(0, rng.uniform(0, 2), picture.shape).astype(np.float32)

    def _room(self, rng: Rng, height: int, width: int) -> Picture:
        picture = self.texture(rng, height, width) * 0.4 + 0.6 * colour(rng, 90) if rng.random() < 0.7 else self.texture(rng, height, width)
        horizon = int(height * rng.uniform(0.5, 0.95))
        if rng.random() < 0.4:  # the other wall of a corner
            x, lean = int(width * rng.uniform(0.1, 0.9)), int(width * rng.normal(0, 0.03))
            side = np.array([[x, 0], [x + lean, height], [width, height], [width, 0]], np.int32)
            picture = paste(picture, picture * rng.uniform(0.6, 1.3), _polygon(side, height, width))
        for _ in range(rng.integers(0, 4)):  # pictures, windows, doors, shelves
            w, h = rng.uniform(0.08, 0.5) * width, rng.uniform(0.08, 0.6) * height
            left, top = rng.uniform(-0.1, 0.95) * width, rng.uniform(-0.1, 0.8) * horizon
            picture = self._frame(rng, picture, (int(left), int(top), int(w), int(h)))
        picture[horizon:] = self._floor(rng, height - horizon, width)
        return picture

    def _frame(self, rng: Rng, picture: Picture, box: tuple[int, int, int, int]) -> Picture:
        height, width = picture.shape[:2]
        left, top, w, h = box
        inner = self._family(rng, height, width) if rng.random() < 0.15 else self.texture(rng, height, width) * rng.uniform(0.5, 1.4)
        border = int(rng.integers(0, 5))
        outer = np.array([[left, top], [left + w, top], [left + w, top + h], [left, top + h]], np.int32)
        offsets = border * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.int32)
        picture = paste(picture, np.broadcast_to(colour(rng), picture.shape), _polygon(outer, height, width))
        picture = paste(picture, inner, _polygon(outer + offsets, height, width))
        for bar in range(1, rng.integers(1, 4)):  # the bars of a window, the boards of a shelf
            y = top + bar * h // 4
            cv2.line(picture, (left, y), (left + w, y), colour(rng).tolist(), max(1, border))
        return picture

    def _floor(self, rng: Rng, height: int, width: int) -> Picture:
        """A texture seen at a slant."""
        flat = self.texture(rng, max(height, 16), width)
        spread = rng.uniform(0.3, 3)
        source = np.array([[0, 0], [width, 0], [width, flat.shape[0]], [0, flat.shape[0]]], np.float32)
        target = np.array([[0, 0], [width, 0], [width * (1 + spread), height], [-width * spread, height]], np.float32)
        return cv2.warpPerspective(flat, cv2.getPerspectiveTransform(source, target), (width, height), borderMode=cv2.BORDER_REFLECT)

    def _street(self, rng: Rng, height: int, width: int) -> Picture:
        rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        picture = (colour(rng, 150) * (1 - rows) + colour(rng, 150) * rows) * np.ones((1, width, 1), np.float32)
        horizon = int(height * rng.uniform(0.45, 0.85))
        for _ in range(rng.integers(2, 7)):
            left, w, top = rng.uniform(-0.3, 1) * width, rng.uniform(0.1, 0.7) * width, rng.uniform(-0.3, 0.8) * horizon
            right, slant = left + w, rng.normal(0, 0.12) * height
            wall = np.array([[left, top], [right, top + slant], [right, horizon + 1], [left, horizon + 1]], np.int32)
            front = self.texture(rng, height, width) * 0.5 + 0.5 * colour(rng)
            step_x, step_y = rng.uniform(5, 30), rng.uniform(6, 30)
            y, x = np.mgrid[0:height, 0:width].astype(np.float32)
            windows = (np.mod(x, step_x) < step_x * rng.uniform(0.3, 0.7)) & (np.mod(y - x * slant / max(w, 1), step_y) < step_y * rng.uniform(0.3, 0.7))
            front = np.where(windows[..., None], colour(rng), front)
            picture = paste(picture, front, _polygon(wall, height, width))
        picture[horizon:] = self._floor(rng, height - horizon, width)
        for _ in range(rng.integers(0, 5)):  # signs
            picture = paste(picture, np.broadcast_to(colour(rng), picture.shape), word(rng, height, width))
        for _ in range(rng.integers(0, 5)):  # poles and rails
            x, top = int(rng.uniform(0, 1) * width), int(rng.uniform(-0.5, 0.6) * height)
            end = (x + int(rng.normal(0, 3)), int(rng.uniform(0.6, 1.1) * height))
            cv2.line(picture, (x, top), end, colour(rng, 60).tolist(), int(rng.integers(1, 7)), cv2.LINE_AA)
        return picture

    def _foliage(self, rng: Rng, height: int, width: int) -> Picture:
        picture = fractal(rng, height, width, palette=_leaf_colour)
        for _ in range(rng.integers(0, 5)):  # trunks and branches
            start = np.array([rng.uniform(0, width), rng.uniform(0.5, 1.2) * height])
            end = start + np.array([rng.normal(0, 0.15) * width, -rng.uniform(0.3, 1.3) * height])
            trunk = np.zeros((height, width), np.float32)
            cv2.line(trunk, start.astype(int).tolist(), end.astype(int).tolist(), 1.0, int(rng.integers(2, 16)), cv2.LINE_AA)
            picture = paste(picture, fractal(rng, height, width) * 0.4 + colour(rng, 40) * 0.5, trunk)
        if rng.random() < 0.6:  # leaves
            for _ in range(rng.integers(40, 200)):
                at, axes = (int(rng.uniform(0, width)), int(rng.uniform(0, height))), (int(rng.integers(1, 12)), int(rng.integers(1, 5)))
                cv2.ellipse(picture, at, axes, rng.uniform(0, 180), 0, 360, _leaf_colour(rng).tolist(), -1, cv2.LINE_AA)
        return picture

    def _clutter(self, rng: Rng, height: int, width: int) -> Picture:
        return self.furnish(rng, self.texture(rng, height, width), int(rng.integers(10, 40)))

    def _photo(self, rng: Rng, height: int, width: int) -> Picture:
        return self._crop(rng, height, width, self.photos or self.materials)

    def _crop(self, rng: Rng, height: int, width: int, pictures: list[Picture]) -> Picture:
        """A flipped, recoloured window of a photograph, at any magnification between the whole picture and twice its pixels."""
        source = pictures[rng.integers(len(pictures))]
        largest = min(source.shape[0] / height, source.shape[1] / width)
        step = np.exp(rng.uniform(np.log(min(0.5, largest)), np.log(largest)))
        h, w = max(2, int(height * step)), max(2, int(width * step))
        top, left = rng.integers(source.shape[0] - h + 1), rng.integers(source.shape[1] - w + 1)
        window = cv2.resize(source[top : top + h, left : left + w], (width, height), interpolation=cv2.INTER_AREA if step > 1 else cv2.INTER_LINEAR)
        return recolour(rng, window[:, ::-1] if rng.random() < 0.5 else window)

    def _panorama(self, rng: Rng, height: int, width: int) -> Picture:
        """What a camera at a random heading sees: level to slightly tilted, 45 to 100 degrees across the longer side."""
        source = self.panoramas[rng.integers(len(self.panoramas))]
        focal = max(height, width) / (2 * np.tan(np.radians(rng.uniform(45, 100)) / 2))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        rays = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones_like(x)], -1)
        pitch, roll, heading = rng.normal(0, 0.12), rng.normal(0, 0.05), rng.uniform(0, 2 * np.pi)
        turn = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
        lean = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
        rays = rays @ (turn @ lean).T.astype(np.float32)
        u = np.mod((np.arctan2(rays[..., 0], rays[..., 2]) + heading) / (2 * np.pi), 1) * source.shape[1]
        v = (np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / np.pi + 0.5) * source.shape[0]
        view = cv2.remap(source, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        if rng.random() < 0.5:  # the panorama is coarse: give back the fine grain that a camera would have seen
            grain = fractal_grey(rng, height, width, roughness=0.9)
            view = view * (1 + rng.uniform(0, 0.35) * grain[..., None])
        return recolour(rng, view)


def colour(rng: Rng, brightness: float | None = None) -> Picture:
    """A random sRGB colour (3,), mostly subdued; around `brightness` where given."""
    grey = rng.uniform(5, 250) if brightness is None else rng.normal(brightness, 40)
    return np.clip(grey + rng.normal(0, rng.choice([6, 25, 70]), 3), 0, 255).astype(np.float32)


def _leaf_colour(rng: Rng) -> Picture:
    hue, saturation, value = rng.choice([rng.uniform(35, 70), rng.uniform(8, 30)], p=[0.8, 0.2]), rng.uniform(40, 200), rng.uniform(10, 240)
    return cv2.cvtColor(np.array([[[hue, saturation, value]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def shading(rng: Rng, height: int, width: int, strength: float = 0.5) -> Picture:
    """(H, W, 1) smooth factor around 1: light that falls off."""
    coarse = np.exp(rng.normal(0, strength / 2, (3, 3))).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]


def fractal_grey(rng: Rng, height: int, width: int, roughness: float | None = None) -> Picture:
    """(H, W) noise of about unit spread: octaves whose amplitude falls by `roughness` (0.3 cloudy to 0.9 grainy)."""
    fall = roughness or rng.uniform(0.35, 0.9)
    total = np.zeros((height, width), np.float32)
    cells, amplitude = 3, 1.0
    while cells < max(height, width):
        total += np.float32(amplitude) * cv2.resize(rng.standard_normal((cells, cells), dtype=np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        cells, amplitude = cells * 2, amplitude * fall
    return total / (total.std() + 1e-6)


def fractal(rng: Rng, height: int, width: int, palette: Callable[[Rng], Picture] = colour) -> Picture:
    """Fractal noise through a palette of three or four colours."""
    grey = fractal_grey(rng, height, width)
    stops = np.sort(rng.normal(0, 1, rng.integers(3, 5)))
    colours = np.stack([palette(rng) for _ in stops])
    return np.stack([np.interp(grey, stops, colours[:, channel]) for channel in range(3)], -1).astype(np.float32)


def recolour(rng: Rng, picture: Picture) -> Picture:
    """Another white balance, exposure, contrast and saturation."""
    picture = picture * (rng.uniform(0.6, 1.35) * (1 + rng.normal(0, 0.08, 3))).astype(np.float32)
    grey = picture.mean(2, keepdims=True)
    picture = grey + (picture - grey) * np.float32(rng.uniform(0.3, 1.5))
    middle = np.float32(picture.mean())
    return middle + (picture - middle) * np.float32(rng.uniform(0.7, 1.3))


def thing(rng: Rng, height: int, width: int) -> Picture:
    """(H, W) coverage of a random object: a box, an ellipse, a polygon, a stroke or a blob."""
    cover = np.zeros((height, width), np.float32)
    centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    size = np.exp(rng.uniform(np.log(0.02), np.log(0.45))) * max(height, width)
    kind = rng.integers(4)
    if kind == 0:
        box = ((float(centre[0]), float(centre[1])), (size * rng.uniform(0.2, 1), size * rng.uniform(0.3, 2)), rng.choice([0.0, rng.uniform(-45, 45)]))
        return _polygon(cv2.boxPoints(box).astype(np.int32), height, width)
    if kind == 1:
        axes = (int(size * rng.uniform(0.2, 0.6)) + 1, int(size * 0.6) + 1)
        return np.asarray(cv2.ellipse(cover, centre.astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, 1.0, -1, cv2.LINE_AA))
    if kind == 2:
        corners = centre + size * rng.normal(0, 0.5, (rng.integers(3, 9), 2))
        return _polygon(cv2.convexHull(corners.astype(np.int32))[:, 0], height, width)
    points = centre + np.cumsum(rng.normal(0, size * 0.3, (rng.integers(2, 6), 2)), 0)
    cv2.polylines(cover, [points.astype(np.int32)], False, 1.0, int(max(1, size * rng.uniform(0.03, 0.35))), cv2.LINE_AA)
    return cover


def paste(below: Picture, above: Picture, cover: Picture, shadow: float = 0.0) -> Picture:
    """`above` over `below` where `cover` (H, W) is 1; with a soft shadow to the lower right of strength `shadow`."""
    if shadow > 0:
        soft = cv2.GaussianBlur(np.roll(cover, (3, 4), (0, 1)), (0, 0), 4)
        below = below * (1 - shadow * soft[..., None])
    return below + (above - below) * cover[..., None]


def _polygon(corners: NDArray[np.int32], height: int, width: int) -> Picture:
    cover = np.zeros((height, width), np.float32)
    cv2.fillPoly(cover, [np.asarray(corners, np.int32)], 1.0, cv2.LINE_AA)
    return np.clip(cover, 0, 1)


def word(rng: Rng, height: int, width: int) -> Picture:
    """(H, W) coverage of a word on a sign or a shirt, anywhere."""
    cover = np.zeros((height, width), np.uint8)
    at = (int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(0.05, 0.95) * height))
    cv2.putText(cover, WORDS[rng.integers(len(WORDS))], at, int(rng.integers(0, 8)), rng.uniform(0.3, 2), 255, int(rng.integers(1, 4)), cv2.LINE_AA)
    return cover / np.float32(255)


def _half_plane(rng: Rng, height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    return (x - rng.uniform(0.1, 0.9) * width) * np.cos(angle) + (y - rng.uniform(0.1, 0.9) * height) * np.sin(angle) > 0
