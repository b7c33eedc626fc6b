"""A user's photograph file -> upright 8-bit RGB, whatever the file holds.

The decoded size is bounded: what has more than `MAX_PIXELS` is refused, JPEG is decoded at a fraction of its size where it is larger than needed, and the
working copy is never larger than `WORKING_SIDE_PX`. Pixel coordinates everywhere are those of the *upright original*.
"""

import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    from PIL import Image

WORKING_SIDE_PX = 3072  # no network sees more than 1024 px; this keeps three times that for colours
MAX_PIXELS = 200_000_000  # 0.8 GB decoded as RGBA
MIN_SIDE_PX = 32
DIMMEST = 64  # what is brightest in a mask of many greys is its white from here on
FORMATS_HINT = "readable formats: JPEG, PNG, WebP, AVIF, TIFF, BMP, GIF, HEIC (with pillow-heif installed)"
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, zlib.error, MemoryError)


@dataclass(frozen=True)
class Photo:
    """An upright photograph.

    Attributes:
        rgb: (H, W, 3) uint8 sRGB working copy. alpha: (H, W) uint8 where the file has transparency, else None.
        size_px: (width, height) of the upright original. scale: working pixels per original pixel (1 or less).
        name: file name, or "array". notes: what reading it had to do (turned, made smaller, first frame only).
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    size_px: tuple[int, int]
    scale: float
    name: str
    notes: tuple[str, ...] = ()


def read_photo(path: Path) -> Photo:
    """Read, turn upright (EXIF), convert to sRGB and bound the size.

    Raises NcpifuError for a missing file, a folder, something that is not an image, a truncated file, or a photo that is too small or too large.
    """
    path = Path(path)
    _check_file(path, "photo")
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _open(path) as image:
                size = image.size
                _check_size(path, size)
                if getattr(image, "n_frames", 1) > 1:
                    notes.append("animated or many pages: the first is used")
                image.draft(None, _fitting(size))  # JPEG only: decode at 1/2, 1/4 or 1/8
                image.load()
                turned = _orientation(image)
                rgb, alpha = _to_rgb(image)
    except DECODE_ERRORS as error:
        raise _unreadable(path, error) from error
    rgb, alpha = _upright(rgb, turned), None if alpha is None else _upright(alpha, turned)
    if turned in (5, 6, 7, 8):
        size = (size[1], size[0])
    if turned != 1:
        notes.append("turned upright (EXIF)")
    if rgb.shape[1] != size[0]:
        notes.append(f"worked on at {rgb.shape[1]} x {rgb.shape[0]} px")
    return Photo(rgb, alpha, size, rgb.shape[1] / size[0], path.name, tuple(notes))


def photo_from_array(rgb: NDArray[Any], name: str = "array") -> Photo:
    """(H, W), (H, W, 3) or (H, W, 4) uint8 -> Photo; the fourth channel is alpha. Raises NcpifuError for anything else."""
    array = np.asarray(rgb)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise NcpifuError(f"a photo array must be uint8 with shape (H, W), (H, W, 3) or (H, W, 4), not {array.dtype} {array.shape}")
    from PIL import Image

    height, width = array.shape[:2]
    _check_size(Path(name), (width, height))
    colours, alpha = _to_rgb(Image.fromarray(array))
    return Photo(colours, alpha, (width, height), colours.shape[1] / width, name)


def read_mask_file(path: Path, photo: Photo) -> NDArray[np.uint8]:
    """A mask file (white = person; or the alpha channel of a cut-out) as (H, W) uint8 coverage on the photo's working grid.

    A mask of another size is resized when its aspect is the photo's (to 1 %), otherwise NcpifuError. EXIF orientation is honoured.
    """
    import cv2

    _check_file(Path(path), "mask")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _open(Path(path)) as image:
                _check_size(Path(path), image.size, smallest=1)
                image.load()
                turned = _orientation(image)
                rgb, alpha = _to_rgb(image)
    except DECODE_ERRORS as error:
        raise _unreadable(Path(path), error) from error
    coverage = _upright(alpha if alpha is not None else rgb.max(axis=2), turned)
    brightest = int(coverage.max())
    if brightest >= DIMMEST or (brightest and ((coverage == 0) | (coverage == brightest)).all()):  # masks of 0 and 1, of 0 and 200
        coverage = (coverage * np.float32(255 / brightest) + 0.5).astype(np.uint8)
    height, width = photo.rgb.shape[:2]
    if coverage.shape == (height, width):
        return coverage
    if abs(coverage.shape[1] / coverage.shape[0] * height / width - 1) > 0.01:
        raise NcpifuError(
            f"the mask {Path(path).name} is {coverage.shape[1]} x {coverage.shape[0]} px, the photo {photo.size_px[0]} x {photo.size_px[1]} px",
            "a mask must have the photo's size, or at least its aspect ratio",
        )
    method = cv2.INTER_AREA if coverage.shape[0] > height else cv2.INTER_LINEAR
    return cv2.resize(coverage, (width, height), interpolation=method)


def _check_file(path: Path, what: str) -> None:
    if os.path.isdir(path):  # os.path: pathlib's own raise where a folder may not be looked into, and at names that no file can have
        raise NcpifuError(f"{path} is a folder, not a {what}", f"give one {what} file")
    if not os.path.isfile(path):
        raise NcpifuError(f"the {what} {path} does not exist", "check the path")
    if path.stat().st_size == 0:
        raise NcpifuError(f"the {what} {path} is empty", "copy it again")


def _orientation(image: "Image.Image") -> int:
    """EXIF's, 1 to 8; 1, upright, where it tells none or is damaged, which is no reason to refuse a sound picture."""
    try:
        turned = image.getexif().get(0x0112, 1)
    except DECODE_ERRORS:
        return 1
    return turned if turned in range(1, 9) else 1


def _open(path: Path) -> "Image.Image":
    from PIL import Image

    if path.suffix.lower() in (".heic", ".heif"):
        try:
            from pillow_heif import register_heif_opener
        except ImportError as error:
            raise NcpifuError(f"{path.name} is HEIC, which needs one more package", "pip install pillow-heif, or export the photo as JPEG") from error
        register_heif_opener()
    bound = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None  # our own bound, with our own message
    try:
        return Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = bound


def _check_size(path: Path, size: tuple[int, int], smallest: int = MIN_SIDE_PX) -> None:
    width, height = size
    if min(width, height) < smallest:
        raise NcpifuError(
            f"{path.name} is only {width} x {height} px", f"a photo needs at least {smallest} px on each side, and some 300 px of person to look good"
        )
    if width * height > MAX_PIXELS:
        raise NcpifuError(f"{path.name} is {width} x {height} px, more than {MAX_PIXELS // 1_000_000} megapixels", "make it smaller first; 2000 px is plenty")


def _fitting(size: tuple[int, int]) -> tuple[int, int]:
    """`size` scaled so that its long side is at most WORKING_SIDE_PX."""
    factor = min(1.0, WORKING_SIDE_PX / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _to_rgb(image: "Image.Image") -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Any PIL mode -> (H, W, 3) sRGB and alpha (None where it is opaque everywhere), at working size."""
    import cv2

    if image.mode in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        image = _grey_to_8bit(image)
    transparent = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    fitting = _fitting(image.size)
    if image.mode in ("1", "P", "PA"):
        image = image.convert("RGBA" if transparent else "RGB")
    # Shrink by a whole factor first: every later step copies the pixels, and 200 million of them are 0.8 GB.
    image = _to_srgb(image.reduce(max(1, max(image.size) // (2 * WORKING_SIDE_PX))))
    array = np.asarray(image.convert("RGBA") if transparent else image.convert("RGB"))
    if fitting != (array.shape[1], array.shape[0]):
        array = cv2.resize(array, fitting, interpolation=cv2.INTER_AREA)
    rgb = np.ascontiguousarray(array[..., :3])
    alpha = np.ascontiguousarray(array[..., 3]) if transparent else None
    return rgb, None if alpha is not None and alpha.min() == 255 else alpha


def _grey_to_8bit(image: "Image.Image") -> "Image.Image":
    """16- or 32-bit grey -> 8-bit grey; PIL's own convert() clips at 255."""
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    top = 65535.0 if values.max() > 255 else 255.0 if values.max() > 1 else 1.0
    return Image.fromarray(np.clip(values * (255.0 / max(top, float(values.max()))) + 0.5, 0, 255).astype(np.uint8))


def _to_srgb(image: "Image.Image") -> "Image.Image":
    """Apply the embedded colour profile (wide-gamut phones, CMYK print files); a broken profile is as good as none."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        target = "RGBA" if image.mode == "RGBA" else "RGB"
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=target)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted


def _upright(array: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo the camera's EXIF orientation (1..8) on (H, W) or (H, W, C)."""
    if orientation in (2, 4):
        array = array[:, ::-1] if orientation == 2 else array[::-1]
    elif orientation in (5, 7):
        array = array.swapaxes(0, 1) if orientation == 5 else array[::-1, ::-1].swapaxes(0, 1)
    turns = {3: 2, 6: 3, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(array, turns))


def _unreadable(path: Path, error: BaseException) -> NcpifuError:
    """The one line for a file that is not an image or is broken."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return NcpifuError(f"{path.name} is not an image this tool can read", FORMATS_HINT)
    if isinstance(error, PermissionError):
        return NcpifuError(f"cannot open {path}: permission denied")
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return NcpifuError(f"{path.name} is damaged or cut short: {reason}", "copy or export the photo again")
