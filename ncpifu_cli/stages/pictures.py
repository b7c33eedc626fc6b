"""Arrays -> picture files."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError


def png_bytes(picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) sRGB or (H, W) uint8 -> the bytes of a PNG."""
    return _encoded(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 4])


def jpeg_bytes(picture: NDArray[np.uint8], quality: int = 85) -> bytes:
    """(H, W, 3) sRGB uint8 -> the bytes of a JPEG."""
    return _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_png(picture: NDArray[np.uint8], path: Path) -> None:
    """(H, W, 3) sRGB or (H, W) uint8 -> PNG file."""
    path.write_bytes(png_bytes(picture))


def _encoded(suffix: str, picture: NDArray[np.uint8], options: list[int]) -> bytes:
    ordered = picture if picture.ndim == 2 else picture[..., ::-1]
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(ordered), options)
    if not done:
        raise NcpifuError(f"cannot encode a picture of {picture.shape} as {suffix}")
    return encoded.tobytes()
