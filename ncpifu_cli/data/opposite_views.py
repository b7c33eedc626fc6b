"""Rendered people seen from opposite sides: orthographic cameras that face each other at opposite pitches draw mirror images of one outline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import HELD_OUT_PREFIXES, read_json
from ncpifu_cli.data.dataset import read_picture, read_view
from ncpifu_cli.data.network_input import DETAIL_PX
from ncpifu_cli.errors import NcpifuError

Light = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class DrawnView:
    """One view of a subject: files in its folder, of the render layout (`render --maps normal`), without depth in renders made before there was any.

    Attributes: light, 9 x 3 SH coefficients in the camera's frame (`data/light.py`).
    """

    rgb: str
    mask: str
    normals: str
    depth: str | None
    light: Light
    yaw_deg: float


@dataclass(frozen=True)
class OppositeViews:
    """A view of a subject and the one from the other side, in `folder`."""

    folder: Path
    front: DrawnView
    back: DrawnView


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
                f"{marker.parent} was drawn at {content['size_px']} px", f"people are looked at at {size_px} px here: render with --size {size_px}"
            )
        for view in views.values():
            opposite = views.get(_direction(view["yaw_deg"] + 180, -view["pitch_deg"]))
            if opposite is not None:
                found.append(OppositeViews(marker.parent, _drawn(view), _drawn(opposite)))
    if not found:
        raise NcpifuError(
            f"no opposite views with normals {'of held-out people ' if held_out else ''}in {renders}",
            "render with --maps normal, an even number of views, and pitches that come in pairs",
        )
    return found


def read_drawn(folder: Path, view: DrawnView) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """(S, S, 3) colours and (S, S) mask. NcpifuError names a file that cannot be read."""
    return read_view(folder, {"rgb": view.rgb, "mask": view.mask})


def read_normal_map(folder: Path, view: DrawnView) -> NDArray[np.uint8]:
    """(S, S, 3) normals as stored, 0 beside the person. NcpifuError names a file that cannot be read."""
    return read_picture(folder / view.normals, cv2.IMREAD_COLOR)[..., ::-1]


def _direction(yaw_deg: float, pitch_deg: float) -> tuple[float, float]:
    return round(yaw_deg % 360, 3) % 360, round(pitch_deg, 3) + 0.0


def _drawn(view: dict[str, Any]) -> DrawnView:
    light = tuple(tuple(row) for row in view["light"])
    return DrawnView(view["rgb"], view["mask"], view["normal_map"], view.get("depth"), light, float(view["yaw_deg"]))
