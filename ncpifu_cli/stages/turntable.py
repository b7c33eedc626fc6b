"""The turning person as a film: colours on the left, clay on the right; MP4 (H.264) or an animated GIF, both in an endless turn."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.data.renderers import choose_renderer, make_renderer
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera
from ncpifu_cli.stages.preview import CLAY_SRGB, clay_light, crop_for, filling, on_paper, painted_scan

if TYPE_CHECKING:
    from ncpifu_cli.stages.reconstruct import Reconstruction

FRAMES, FRAMES_PER_S = 60, 20
SIZE_PX = 512


def check_format(path: Path) -> None:
    """Raise NcpifuError for an unknown extension and where the film cannot be encoded here: before the work, not after it."""
    if path.suffix.lower() not in (".mp4", ".gif"):
        raise NcpifuError(f"a turntable is an .mp4 or a .gif, not {path.suffix or path.name!r}", "write --turntable mp4, --turntable gif or a file name")
    if path.suffix.lower() == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError as error:
            raise NcpifuError("an .mp4 needs the package imageio-ffmpeg", "pip install imageio-ffmpeg, or write a .gif") from error


def write_turntable(result: "Reconstruction", path: Path, frames: int = FRAMES) -> None:
    """Write one whole turn. Raises NcpifuError where the encoder fails."""
    pictures = list(turntable_frames(result, frames))
    if path.suffix.lower() == ".gif":
        _write_gif(pictures, path)
    else:
        _write_mp4(pictures, path)


def turntable_frames(result: "Reconstruction", count: int = FRAMES, size_px: int = SIZE_PX) -> Iterator[NDArray[np.uint8]]:
    """`count` pictures (H, W, 3) uint8 of one turn from the front to the person's left side, cropped to what the turning person needs; even sides."""
    painted = painted_scan(result)
    grey = np.broadcast_to(np.array(CLAY_SRGB, np.uint8), painted.vertices.shape)
    scans = (painted, replace(painted, colors=np.ascontiguousarray(grey), texture=None))
    crop = crop_for(filling(result), size_px)
    renderer = make_renderer(choose_renderer("auto")[0], size_px)
    try:
        for yaw_deg in -np.arange(count) * (360 / count):
            camera = Camera(float(yaw_deg))
            light = clay_light(painted.normals @ camera.rotation.T.astype(np.float32))
            tiles = []
            for scan, strength in zip(scans, (np.ones_like(light), light), strict=True):
                renderer.load(scan)
                view = renderer.view(camera, np.repeat(strength[:, None], 3, axis=1))
                tiles.append(on_paper(view.rgb.astype(np.float32), view.mask)[:, crop])
            yield np.hstack(tiles)
    finally:
        renderer.close()


def _write_gif(pictures: list[NDArray[np.uint8]], path: Path) -> None:
    from PIL import Image

    shared = Image.fromarray(np.vstack(pictures[:: max(1, len(pictures) // 6)])).quantize(255)  # one palette: no flicker
    frames = [Image.fromarray(picture).quantize(palette=shared, dither=Image.Dither.NONE) for picture in pictures]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:], duration=1000 // FRAMES_PER_S, loop=0, optimize=False)


def _write_mp4(pictures: list[NDArray[np.uint8]], path: Path) -> None:
    import imageio_ffmpeg

    height, width = pictures[0].shape[:2]
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=FRAMES_PER_S, codec="libx264", quality=8, macro_block_size=2, ffmpeg_log_level="error")
    try:
        writer.send(None)
        for picture in pictures:
            writer.send(np.ascontiguousarray(picture).tobytes())
    except OSError as error:
        raise NcpifuError(f"ffmpeg could not write {path.name}: {str(error).splitlines()[0]}", "is the disk full? --turntable gif needs no ffmpeg") from error
    finally:
        writer.close()
    if not path.stat().st_size:
        raise NcpifuError(f"ffmpeg wrote nothing to {path.name}", "is the disk full? --turntable gif needs no ffmpeg")
