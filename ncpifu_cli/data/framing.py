"""Photo and mask -> the square picture the network was trained on, with the similarity back to photo pixels.

Training pictures (see `ncpifu_cli.geometry`): orthographic, the subject's bounding box is 1.80 m of 2.048 m high and vertically centred, x = 0 is near the
median vertex, the background is 0 and does not bleed into the subject's outline.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.network_input import HEAD_CENTRE_NDC, HEAD_HALF_NDC, HEAD_PX, nearest_filled
from ncpifu_cli.data.person_mask import Mask
from ncpifu_cli.data.photo import Photo
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, SUBJECT_HEIGHT_M

SUBJECT_SHARE = SUBJECT_HEIGHT_M / (2 * HALF_EXTENT_M)  # 0.8789 of the picture's height
CROWN_NDC = 0.07  # how high the upper part of a head is by whose middle heads are found
HEAD = 0.13  # of a person's height
LIMB = 0.031  # of a whole person's height: heads are wider than twice this from any side, arms and hands as a rule are not
REACH, SHOULDERS = 0.25, 0.17  # of the same: arms end at most so far above a head; what is as wide as this is no head


@dataclass(frozen=True)
class PhotoCamera:
    """Orthographic camera of one framed photo: photo pixels (upright original, pixel centres at half-integers) <-> NDC.

    Attributes: centre_px: (u, v) of the optical axis. half_extent_px: half the side of the framed square, in photo pixels.
    """

    centre_px: tuple[float, float]
    half_extent_px: float

    def ndc_to_photo(self, xy_ndc: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2+) NDC -> (..., 2) photo pixels."""
        xy = np.asarray(xy_ndc, np.float64)
        return np.stack([self.centre_px[0] + xy[..., 0] * self.half_extent_px, self.centre_px[1] - xy[..., 1] * self.half_extent_px], axis=-1)

    def photo_to_ndc(self, uv_px: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., 2) photo pixels -> (..., 2) NDC."""
        uv = np.asarray(uv_px, np.float64)
        return np.stack([(uv[..., 0] - self.centre_px[0]) / self.half_extent_px, (self.centre_px[1] - uv[..., 1]) / self.half_extent_px], axis=-1)


@dataclass(frozen=True)
class FramedView:
    """What the network sees.

    Attributes: image (S, S, 3) uint8 sRGB, true colours up to the outline, 0 beyond it; coverage (S, S) float32 0..1; camera: the way back to the photo.
    """

    image: NDArray[np.uint8]
    coverage: NDArray[np.float32]
    camera: PhotoCamera

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(S, S) bool, at least half covered."""
        return self.coverage >= 0.5


def frame_camera(mask: Mask, photo: Photo) -> PhotoCamera:
    """The camera in which the masked person stands as subjects do in training.

    Height and vertical centre come from the mask's bounding box, continued downwards where the photo ends before the person does. x comes from the median
    column of the mask between 5 % and 60 % of its height: on 42 synthetic humans from 6 sides that is 1.0 cm from the true axis on average (95 %: 2.0), the
    whole mask's median 1.2 (2.8), the box's middle 5.1 (15).
    """
    rows, columns = np.nonzero(mask.binary)
    top = float(rows.min())
    bottom = top + (float(rows.max() + 1) - top) / mask.shown
    trunk = columns[(rows >= top + 0.05 * (bottom - top)) & (rows < top + 0.6 * (bottom - top))]
    scale = 1 / photo.scale
    return PhotoCamera(((float(np.median(trunk)) + 0.5) * scale, (top + bottom) / 2 * scale), (bottom - top) * scale / SUBJECT_SHARE / 2)


def frame(photo: Photo, mask: Mask, size_px: int, camera: PhotoCamera | None = None) -> FramedView:
    """Cut out, scale (anti-aliased) and centre the person into a size_px square.

    `camera`: another one than `frame_camera` gives. Raises NcpifuError when nothing of the mask is left at that size.
    """
    camera = camera or frame_camera(mask, photo)
    colours = without_fringe(photo.rgb, mask.coverage)
    image = _warp(colours, photo.scale, camera, size_px, cv2.BORDER_REPLICATE)
    coverage = (_warp(mask.coverage, photo.scale, camera, size_px, cv2.BORDER_CONSTANT) / 255).astype(np.float32)
    if not (coverage >= 0.5).any():
        raise NcpifuError(f"nothing of the mask of {photo.name} is left at {size_px} px", "give a better --mask FILE")
    return FramedView(image * (coverage > 0)[..., None].astype(np.uint8), coverage, camera)


def frame_head(photo: Photo, mask: Mask, view: FramedView) -> FramedView | None:
    """The head of a framed person alone, closer: HEAD_PX of the square around `head_centre`. None where nobody is, or
    nothing of them in that square: between lifted arms without a head."""
    centre = head_centre(view.coverage)
    if centre is None:
        return None
    u, v = view.camera.ndc_to_photo(np.array(centre))
    camera = PhotoCamera((float(u), float(v)), HEAD_HALF_NDC * view.camera.half_extent_px)
    shown = _warp(mask.coverage, photo.scale, camera, HEAD_PX, cv2.BORDER_CONSTANT) >= 128
    return frame(photo, mask, HEAD_PX, camera) if shown.any() else None


def frame_colours(photo: Photo, mask: Mask, size_px: int, camera: PhotoCamera) -> NDArray[np.uint8]:
    """(size_px, size_px, 3) colours of the framed square for the mesh: like `frame`, but the person's colours go on beyond the outline."""
    return _warp(without_fringe(photo.rgb, mask.coverage), photo.scale, camera, size_px, cv2.BORDER_REPLICATE)


def without_fringe(rgb: NDArray[np.uint8], coverage: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The photo with its background replaced by the nearest colour that is surely the person's.

    At the outline, and under partial coverage, a photo's pixels are mixed with the old background: a fringe in the network's input and on the mesh.

    Args: rgb (H, W, 3), coverage (H, W) uint8. Returns (H, W, 3) uint8; the same array where nothing is surely the person's.
    """
    solid = (coverage >= 250).astype(np.uint8)
    rows = np.flatnonzero(solid.any(axis=1))
    if len(rows) == 0:
        return rgb
    reach = max(1, round((rows[-1] - rows[0]) / 400))  # the blur of an edge grows with the picture
    core = cv2.erode(solid, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8), borderType=cv2.BORDER_REPLICATE)
    if not core.any():
        return rgb
    soft = cv2.blur(nearest_filled(rgb, core > 0), (2 * reach + 1, 2 * reach + 1))  # nearest colours alone are streaky
    return np.where(core[..., None] > 0, rgb, soft).astype(np.uint8)


def head_and_trunk(person: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without what is thinner than a head, so that the first row is that of the head, lifted arms or not.

    Args: person (S, S), framed: half a person is shown at the scale of a whole one, so a head's width is roughly known. Returns (S, S) bool, never empty where
    somebody is: all of `person` where what would be left begins with shoulders, or too far down to be a head. Sleeves as wide as a head count as one.
    """
    height = SUBJECT_SHARE * len(person)
    core = cv2.distanceTransform(person.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > LIMB * height
    if not core.any():
        return person
    solid = person & (cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= LIMB * height)
    top = int(np.argmax(solid.any(axis=1)))
    lower = top - int(np.argmax(person.any(axis=1)))
    headless = solid[top : top + round(LIMB * height) + 1].sum(axis=1).max() > SHOULDERS * height
    return person if lower and (headless or lower > REACH * height) else solid


def head_place(person: NDArray[np.bool_], rows: float) -> tuple[int, float]:
    """The first row of a framed person's head, and the middle column of its first so many rows. person (S, S), not empty."""
    row, column = np.nonzero(head_and_trunk(person))
    return int(row[0]), float(np.median(column[row < row[0] + rows]))


def crown(coverage: NDArray[np.float32]) -> tuple[float, float] | None:
    """NDC x and y of the top of a framed person's head, coverage (S, S) 0..1; None where nobody is."""
    size, person = len(coverage), coverage >= 0.5
    if not person.any():
        return None
    top, middle = head_place(person, CROWN_NDC * size / 2)
    return (2 * middle + 1) / size - 1, 1 - 2 * top / size


def head_centre(coverage: NDArray[np.float32]) -> tuple[float, float] | None:
    """NDC x and y of the middle of the square that shows a framed person's head, HEAD_HALF_NDC to each side; None where nobody is."""
    top = crown(coverage)
    return None if top is None else (top[0], top[1] - HEAD_CENTRE_NDC)


def head_top(coverage: NDArray[np.float32]) -> int:
    """The first row of a framed person's head, coverage (S, S) 0..1; 0 where nobody is."""
    return int(np.argmax(head_and_trunk(coverage >= 0.5).any(axis=1)))


def head_rows(cover: NDArray[np.float32]) -> slice:
    """The rows of the head of a person, coverage (S, S): HEAD of the outline's height, from the top of the head; none where nobody is."""
    _, height = extent(cover.max(axis=1))
    top = head_top(cover)
    return slice(top, int(top + HEAD * (height - 1)) + 1 if height else 0)


def extent(covered: NDArray) -> tuple[int, int]:
    """Start and length of what is covered; (0, 0) where nothing is."""
    at = np.flatnonzero(covered > 0)
    return (int(at[0]), int(at[-1] - at[0]) + 1) if len(at) else (0, 0)


def _warp(image: NDArray[np.uint8], scale: float, camera: PhotoCamera, size_px: int, border: int) -> NDArray[np.uint8]:
    """Resample the working copy (`scale` working pixels per photo pixel) into the framed square: bilinear at k-fold size, then the mean of k x k."""
    pixels = 2 * camera.half_extent_px * scale / size_px  # working pixels per framed pixel
    while pixels > 4:
        even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        image = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
        scale, pixels = scale / 2, pixels / 2
    factor = max(1, int(np.ceil(pixels)))
    large = size_px * factor
    step = 2 * camera.half_extent_px * scale / large
    # OpenCV counts from pixel centres at integers, we from centres at half-integers: hence the two halves.
    left = camera.centre_px[0] * scale - large / 2 * step + 0.5 * step - 0.5
    top = camera.centre_px[1] * scale - large / 2 * step + 0.5 * step - 0.5
    matrix = np.array([[step, 0, left], [0, step, top]])
    warped = cv2.warpAffine(image, matrix, (large, large), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
    return warped if factor == 1 else cv2.resize(warped, (size_px, size_px), interpolation=cv2.INTER_AREA)
