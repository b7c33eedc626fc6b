"""Rendered subjects on disk -> training items. Labels are read, never computed; item i is a pure function of (seed, i)."""

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, read_json
from ncpifu_cli.config.train import DataConfig
from ncpifu_cli.data.augment import Placement, photographic, random_placement
from ncpifu_cli.data.backdrops import Backdrops
from ncpifu_cli.data.depth import decode_depth, move_depth, spread_depth
from ncpifu_cli.data.network_input import network_input, resize_masked
from ncpifu_cli.data.perspective import ORTHOGRAPHIC, random_perspective
from ncpifu_cli.data.prints import printed
from ncpifu_cli.data.samples import RENDER_AGAIN, dequantise, read_samples
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera, ndc_to_px

FRONTAL_DEG = 60
# of a view in a manifest; what lit it, most of a manifest, is left out
VIEW_KEYS = ("yaw_deg", "pitch_deg", "rgb", "mask", "depth", "depth_map", "normal_map")
JPEG_END = b"\xff\xd9"
BACKDROPS = Backdrops()  # whose patterns are printed
DEPTH_REACH_PX = 2  # pixels that the depth target goes on beyond the outline


@dataclass(frozen=True)
class LabelledPoints:
    """Cached occupancy samples of one subject as on disk (`data/samples.py`), normalised frame at yaw 0.

    Attributes: inside (N_i, 3) and outside (N_o, 3), PIFu's mixture of near-surface and uniform points; empty (N_e, 3), the uniform ones outside.
    """

    inside: NDArray[np.uint16]
    outside: NDArray[np.uint16]
    empty: NDArray[np.uint16]
    bounds_m: tuple[float, float]

    def metres(self, quantised: NDArray[np.uint16]) -> NDArray[np.float32]:
        """(N, 3) metres."""
        return dequantise(quantised, *self.bounds_m)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """`count` points, half inside, half outside (PIFu's balance), inside first: (count, 3) metres and (count,) bool."""
        half = count // 2
        inside = self.inside[rng.integers(0, len(self.inside), half)]
        outside = self.outside[rng.integers(0, len(self.outside), count - half)]
        return self.metres(np.concatenate([inside, outside])), np.arange(count) < half

    def draw_unbalanced(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """`count` points with inside and outside as frequent as they are around this subject: (count, 3) metres and (count,) bool."""
        chosen = rng.integers(0, len(self.inside) + len(self.outside), count)
        return self.metres(np.concatenate([self.inside, self.outside])[chosen]), chosen < len(self.inside)


@dataclass
class RenderedSubject:
    """One folder written by `render`; points are read on first use and kept. size_px: side of its pictures; content: hash of what they were made from."""

    folder: Path
    name: str
    views: list[dict]
    size_px: int = 0
    content: str = ""
    _points: LabelledPoints | None = field(default=None, repr=False)

    def draw_view(self, frontal_share: float, rng: np.random.Generator) -> dict:
        """Any view, or with probability `frontal_share` one from the front, where the subject has such views."""
        frontal = [view for view in self.views if is_frontal(view["yaw_deg"])]
        among = frontal if frontal and rng.random() < frontal_share else self.views
        return among[int(rng.integers(len(among)))]

    @property
    def points(self) -> LabelledPoints:
        """The subject's labelled points."""
        if self._points is None:
            self._points = read_points(self.folder / "samples.npz")
        return self._points


def is_frontal(yaw_deg: float) -> bool:
    """Whether a view is one from the front."""
    return abs((yaw_deg + 180) % 360 - 180) <= FRONTAL_DEG


def read_points(path: Path) -> LabelledPoints:
    """The labelled points of `samples.npz`; NcpifuError names a broken file."""
    samples = read_samples(path)
    points = np.concatenate([samples.near_q, samples.uniform_q])
    within = np.concatenate([samples.near_inside, samples.uniform_inside])
    if within.all() or not within.any():
        raise NcpifuError(f"{path} has points on one side of the surface only", "the scan is broken or its units are wrong; check it, then render it again")
    return LabelledPoints(points[within], points[~within], samples.uniform_q[~samples.uniform_inside], samples.bounds_m)


def find_subjects(folder: Path, *, held_out: bool = False) -> list[RenderedSubject]:
    """Every complete training subject below `folder`, sorted by name; held-out humans (`test-`, `ood-`) are left out, unless `held_out` ones count too."""
    subjects = []
    for marker in sorted(Path(folder).glob("[!.]*/subject.json")):
        content = read_json(marker)
        try:
            name, views, size_px = content["name"], content["views"], content["size_px"]
        except (KeyError, TypeError) as error:
            raise NcpifuError(f"{marker} is not a rendered subject's: no {error}", RENDER_AGAIN) from error
        if views and (held_out or not name.startswith(HELD_OUT_PREFIXES)):
            kept = [{key: view[key] for key in VIEW_KEYS if key in view} for view in views]
            subjects.append(RenderedSubject(marker.parent, name, kept, size_px, content.get("hash", "")))
    if not subjects:
        raise NcpifuError(
            f"no rendered {'' if held_out else 'training '}subjects in {folder}",
            "run `ncpifu synth` and `ncpifu render` first, or give the folder that `render` wrote",
        )
    return subjects


class RenderDataset(Dataset[dict[str, Tensor]]):
    """Training items {"image" (3, S, S), "depth" (L, s, s), s = S / depth_stride, "points" (N, 3) NDC, "inside" (N,) bool,
    "camera" (3,), see `Perspective.parameters`}; endless: any index is valid.
    """

    def __init__(
        self,
        subjects: list[RenderedSubject],
        config: DataConfig,
        image_size_px: int,
        seed: int,
        length: int,
        *,
        depth_stride: int,
        depth_layers: int,
        augment: bool = True,
    ) -> None:
        self.subjects, self.config, self.size_px, self.seed, self.length = subjects, config, image_size_px, seed, length
        self.augment, self.depth_stride, self.depth_layers = augment, depth_stride, depth_layers

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        epoch, place = divmod(index, len(self.subjects))
        subject = self.subjects[np.random.default_rng([self.seed, 1, epoch]).permutation(len(self.subjects))[place]]
        rng = np.random.default_rng([self.seed, 2, index])
        view = subject.draw_view(self.config.frontal_share if self.augment else 0.0, rng)
        camera = Camera(view["yaw_deg"], view["pitch_deg"])
        rgb, mask = read_view(subject.folder, view, half=subject.size_px >= 4 * self.size_px)
        points_m, inside = subject.points.draw(self.config.points, rng)
        points_ndc = camera.world_to_ndc(points_m)
        deep = self._before_and_behind(camera.world_to_ndc(subject.points.metres(subject.points.empty)), mask, rng)
        points_ndc[len(points_ndc) - len(deep) :] = deep
        placement = random_placement(self.config.augment, rng) if self.augment else Placement()
        rgb, mask = placement.image(rgb), placement.image(mask.astype(np.uint8), cv2.INTER_NEAREST) > 0
        color, coverage = resize_masked(rgb, mask, self.size_px)
        depth = self._depth(subject, view, placement)
        near = random_perspective(self.config.augment, rng) if self.augment and np.isfinite(depth[0]).any() else ORTHOGRAPHIC
        color, coverage, depth = near.view(color, coverage, depth)
        points_ndc = near.points(placement.points(points_ndc))
        coverage[placement.first_cut_row(len(coverage)) :] = 0
        depth[:, placement.first_cut_row(depth.shape[1]) :] = np.nan
        depth = spread_depth(depth, DEPTH_REACH_PX)
        if self.augment:
            if rng.random() < self.config.augment.prints:
                color, _ = printed(rng, color, coverage, BACKDROPS)
            color, coverage = photographic(color, coverage, self.config.augment, rng)
        item = {
            "image": network_input(color, coverage),
            "depth": depth,
            "points": points_ndc,
            "inside": inside & placement.kept(points_ndc),
            "camera": near.parameters.astype(np.float32),
        }
        return {name: torch.from_numpy(value) for name, value in item.items()}

    def _depth(self, subject: RenderedSubject, view: dict, placement: Placement) -> NDArray[np.float32]:
        """(L, s, s) NDC of the surfaces along each ray (`data/depth.py`), s = S / depth_stride, NaN where there is none near or the render has none."""
        size = self.size_px // self.depth_stride
        if "depth" not in view:
            return np.full((self.depth_layers, size, size), np.nan, np.float32)
        stored = read_depth(subject.folder, view, self.depth_layers)
        return move_depth(stored, placement.image, size) * np.float32(placement.scale)

    def _before_and_behind(self, empty_ndc: NDArray[np.float32], mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
        """Some of the empty points that project onto the subject: (k, 3) NDC.

        They lie far in front of or behind the body, where near-surface samples never are and only depth tells that nothing is there;
        a uniform point beside the silhouette is ruled out by the mask alone and teaches nothing.
        """
        column, row = np.floor(ndc_to_px(empty_ndc, mask.shape[0])).astype(int).clip(0, mask.shape[0] - 1).T
        hidden = np.flatnonzero(mask[row, column])
        count = int(self.config.column_share * self.config.points / 2)
        return empty_ndc[rng.choice(hidden, count)] if len(hidden) else empty_ndc[:0]


def read_view(folder: Path, view: dict, half: bool = False) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """RGB (S, S, 3) and mask (S, S) of one rendered view, or both at half the size, which is read faster; NcpifuError names an unreadable file."""
    rgb = read_picture(folder / view["rgb"], cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR)
    mask = read_picture(folder / view["mask"], cv2.IMREAD_REDUCED_GRAYSCALE_2 if half else cv2.IMREAD_GRAYSCALE)
    if mask.shape != rgb.shape[:2]:
        raise _unreadable(folder / view["mask"])
    return cv2.cvtColor(rgb, cv2.COLOR_BGR2RGB), mask > 127


def read_depth(folder: Path, view: dict, layers: int) -> NDArray[np.float32]:
    """(layers, S, S) NDC of one rendered view, see `decode_depth`; NcpifuError names an unreadable file."""
    image = read_picture(folder / view["depth"], cv2.IMREAD_UNCHANGED)
    try:
        return decode_depth(image, image.shape[1], layers)
    except ValueError as error:
        raise _unreadable(folder / view["depth"]) from error


def read_picture(path: Path, flags: int) -> NDArray:
    """A picture of a rendered subject as OpenCV reads it; NcpifuError names an unreadable file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path) from error
    whole = path.suffix != ".jpg" or content.endswith(JPEG_END)  # OpenCV fills up what is missing of a JPEG without a word
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content and whole else None
    if image is None:
        raise _unreadable(path)
    return image


def _unreadable(path: Path) -> NcpifuError:
    return NcpifuError(f"cannot read {path}", RENDER_AGAIN)
