"""A picture of rendered subjects, one row each, turned through the yaws: what to look at before training on them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import atomic_path, check_writable, read_json
from ncpifu_cli.errors import NcpifuError

TILE_PX = 192
OUTLINE = (0, 140, 255)  # BGR: the mask's outline, drawn on the last column, shows at a glance whether mask and picture agree


def write_contact_sheet(renders: Path, path: Path, names: list[str], rows: int = 12, columns: int = 8) -> int:
    """Draw up to `rows` of the subjects `names`, spread evenly, as a PNG or JPEG; return how many.

    Each row shows `columns` views from all around and then the first one again with its mask's outline.
    Raises NcpifuError where no subject is complete or `path` cannot be written.
    """
    check_sheet_path(path)
    complete = [name for name in names if (renders / name / "subject.json").is_file()]
    if not complete:
        raise NcpifuError(f"no complete subject in {renders} to show")
    chosen = [complete[i] for i in np.linspace(0, len(complete) - 1, min(rows, len(complete))).round().astype(int)]
    rows_of_tiles = [_row(renders / name, name, columns) for name in chosen]
    width = max(row.shape[1] for row in rows_of_tiles)
    sheet = np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows_of_tiles])
    with atomic_path(path) as temporary:
        done, data = cv2.imencode(path.suffix, sheet)
        if not done:
            raise NcpifuError(f"cannot encode {path}")
        temporary.write_bytes(data.tobytes())
    return len(chosen)


def check_sheet_path(path: Path) -> None:
    """NcpifuError where no sheet can go to `path`: better said before an hour of rendering than after it."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg") or path.is_dir():
        raise NcpifuError(f"cannot write a contact sheet as {path}", "give a file ending in .png or .jpg")
    check_writable(path.parent, path)


def spread_views(views: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` of a manifest's views (all, where there are fewer) from all around, whatever pitches and lights there are besides."""
    around, count = sorted(views, key=lambda view: float(view["yaw_deg"])), min(count, len(views))
    return [around[i] for i in np.arange(count) * len(around) // count]


def _row(folder: Path, name: str, columns: int) -> NDArray[np.uint8]:
    views: list[dict[str, Any]] = read_json(folder / "subject.json")["views"]
    tiles = [_tile(folder / view["rgb"], _angles(view)) for view in spread_views(views, columns)]
    outlined = _tile(folder / views[0]["rgb"], name)
    mask = cv2.imread(str(folder / views[0]["mask"]), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise NcpifuError(f"cannot read {folder / views[0]['mask']}")
    small = cv2.resize(mask, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    contours, _ = cv2.findContours((small > 127).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(outlined, contours, -1, OUTLINE, 1)
    return np.hstack([*tiles, outlined])


def _angles(view: dict[str, Any]) -> str:
    return f"{view['yaw_deg']:.0f}" + (f", {view['pitch_deg']:+.0f}" if view["pitch_deg"] else "")


def _tile(path: Path, caption: str) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    if image is None:
        raise NcpifuError(f"cannot read {path}")
    tile = cv2.resize(image, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    (width, _), _ = cv2.getTextSize(caption, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
    scale = 0.4 * min(1, (TILE_PX - 8) / max(width, 1))  # names of BUFF's frames are long
    cv2.putText(tile, caption, (4, TILE_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, scale, (200, 200, 200), 1, cv2.LINE_AA)
    return np.asarray(tile, np.uint8)
