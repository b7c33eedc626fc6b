"""What is compared: networks, and folders of meshes that other systems wrote."""

import glob
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import sha256
from ncpifu_cli.config.eval import EvalConfig
from ncpifu_cli.data.backs import find_back_weights
from ncpifu_cli.data.normals import find_normal_weights
from ncpifu_cli.data.scans import MESH_SUFFIXES
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Similarity, rotation_y
from ncpifu_cli.stages.weights import find_weights

ANONYMOUS_STEMS = {"last", "best", "weights", "model", "ema", "final"}  # such a file is called after its folder
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ndc": HALF_EXTENT_M}
SCAN_FRAME = "scan"


@dataclass(frozen=True)
class Method:
    """One row of the tables.

    Attributes: kind is "weights" or "predictions"; source the weights, or the folder or pattern of the meshes; sha256 of the weights ("" for meshes);
        units: what the meshes are measured in, see `to_camera_metres`. bare: the method
        whose surfaces this one adds detail to, with the normal network `detail_weights` of `detail_sha256` ("" where it adds none),
        folds behind by the back network `back_weights` of `back_sha256` ("" without).
    """

    name: str
    kind: str
    source: str
    sha256: str = ""
    units: str = "m"
    bare: str = ""
    detail_weights: str = ""
    detail_sha256: str = ""
    back_weights: str = ""
    back_sha256: str = ""


@dataclass(frozen=True)
class MeshFile:
    """One prediction. Attributes: path, or None and the reason why there is none. units as in `Method`."""

    path: Path | None
    reason: str = ""
    units: str = "m"


def item_name(subject: str, yaw_deg: float) -> str:
    """`<subject>_<yaw>`, the yaw with three digits where it is whole: the stem of every file about one input view."""
    return f"{subject}_{int(yaw_deg):03d}" if float(yaw_deg).is_integer() else f"{subject}_{yaw_deg:g}"


def find_methods(config: EvalConfig) -> list[Method]:
    """The networks and the folders of meshes to compare, in this order; the default weights when neither is given.

    Raises NcpifuError for weights and folders that are not there, for names that clash and for units that are not known.
    """
    units = dict(_unit_of(text) for text in config.units)
    networks = [_network(text) for text in config.weights or (() if config.predictions else ("",))]
    if config.detail:
        networks = [kind for bare in networks for kind in (bare, _with_detail(bare))]
    methods = networks + [_folder(text, units) for text in config.predictions]
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise NcpifuError(f"two methods are called {name!r}", "name them: --weights NAME=FILE, --predictions NAME=FOLDER")
    for name in set(units) - set(names) - {""}:
        raise NcpifuError(f"--units {name}={units[name]}: no --predictions are called {name!r}")
    return methods


def find_mesh(method: Method, subject: str, yaw_deg: float, only_view: bool) -> MeshFile:
    """The one mesh of another system for a subject and view; the reason where there is none or more than one."""
    tried = []
    for pattern in _patterns(method.source, only_view):
        yaw = int(yaw_deg) if float(yaw_deg).is_integer() else yaw_deg
        wanted = pattern.format(subject=glob.escape(subject), yaw=yaw, item=glob.escape(item_name(subject, yaw_deg)))
        found = [path for path in sorted(map(Path, glob.glob(wanted))) if path.suffix.lower() in MESH_SUFFIXES]
        if len(found) > 1:
            return MeshFile(None, f"two meshes: {found[0].name} and {found[1].name}", method.units)
        if found:
            return MeshFile(found[0].absolute(), units=method.units)
        tried.append(Path(wanted).name)
    return MeshFile(None, f"no mesh called {' or '.join(tried)}", method.units)


def to_camera_metres(vertices: NDArray[np.float64], units: str, scan_to_world: Similarity, yaw_deg: float) -> NDArray[np.float64]:
    """(V, 3) of a file -> metres of the camera's frame.

    Args: units: m, cm, mm, ndc (half the image is 1) or metres per unit, all in the camera's frame; or scan: unit, axes and origin of the scan's own file.
    """
    if units == SCAN_FRAME:
        return scan_to_world.apply(vertices) @ rotation_y(yaw_deg).T
    return vertices * (METRES[units] if units in METRES else float(units))


def _network(text: str) -> Method:
    name, path = _split_name(text)
    file = find_weights(path or None)
    return Method(name or _file_name(file), "weights", str(file), sha256(file))


def _with_detail(bare: Method) -> Method:
    weights = find_normal_weights()
    if weights is None:
        raise NcpifuError("the weights of the normal network are not installed", "run from a clone, set NCPIFU_NORMALS, or leave out --detail")
    backs = find_back_weights()
    return replace(
        bare,
        name=f"{bare.name}+detail",
        bare=bare.name,
        detail_weights=str(weights),
        detail_sha256=sha256(weights),
        back_weights="" if backs is None else str(backs),
        back_sha256="" if backs is None else sha256(backs),
    )


def _folder(text: str, units: dict[str, str]) -> Method:
    name, path = _split_name(text)
    if not name:
        raise NcpifuError(f"cannot read --predictions {text!r}", "write it as NAME=FOLDER or NAME=FOLDER/PATTERN")
    method = Method(name, "predictions", path, units=units.get(name, units.get("", "m")))
    folder = Path(path.partition("{")[0].rpartition("/")[0] or ".") if "{" in path else Path(path)
    if not folder.is_dir():
        raise NcpifuError(f"--predictions {name}: {folder} is not a folder", "it must hold <subject>_<yaw>.ply, .obj, ...")
    try:
        for pattern in _patterns(path, only_view=True):
            pattern.format(subject="", yaw=0, item="")
    except (KeyError, IndexError, ValueError) as error:
        raise NcpifuError(f"--predictions {name}: cannot read the pattern {path!r}", "it may hold {subject}, {yaw} or {yaw:03d}, and *") from error
    return method


def _patterns(source: str, only_view: bool) -> list[str]:
    if "{" in source:
        return [source]
    return [f"{glob.escape(source)}/{stem}.*" for stem in (["{item}", "{subject}"] if only_view else ["{item}"])]


def _unit_of(text: str) -> tuple[str, str]:
    name, equals, unit = text.partition("=")
    name, unit = (name, unit) if equals else ("", text)
    if unit not in (*METRES, SCAN_FRAME):
        try:
            known = 0 < float(unit) < math.inf
        except ValueError:
            known = False
        if not known:
            raise NcpifuError(f"unknown unit {unit!r}", f"--units takes {', '.join(METRES)}, scan, or metres per unit; NAME=UNIT for one of several")
    return name, unit


def _split_name(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals or "/" in name:
        return "", text
    if not path or not re.fullmatch(r"[\w+-][\w.+-]*", name):
        raise NcpifuError(f"cannot use {text!r} as a method", "write it as NAME=PATH, the name of letters, digits, '.', '+', '-' and '_'")
    return name, path


def _file_name(file: Path) -> str:
    return re.sub(r"[^\w.+-]", "_", file.resolve().parent.name if file.stem in ANONYMOUS_STEMS else file.stem)
