"""Mesh files as they are stored, by extension. Scans are cleaned and placed in `scans.py`, predictions in `stages/eval_meshes.py`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from ncpifu_cli.data.scan_repair import RawMesh
from ncpifu_cli.errors import NcpifuError

if TYPE_CHECKING:
    import trimesh


def read_draco(path: Path) -> RawMesh:
    """A .drc file with its vertex colours; NcpifuError where it cannot be read or holds points alone."""
    import DracoPy

    try:
        mesh = DracoPy.decode(path.read_bytes())
    except (OSError, ValueError, RuntimeError, DracoPy.FileTypeException) as error:
        raise NcpifuError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if not hasattr(mesh, "faces"):
        raise NcpifuError(f"{path} is a point cloud, not a mesh")
    colors = getattr(mesh, "colors", None)
    colors = None if colors is None else np.ascontiguousarray(np.asarray(colors)[:, :3], np.uint8)
    return RawMesh(np.asarray(mesh.points, np.float64).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3), colors)


def read_scene(path: Path) -> "trimesh.Scene":
    """What trimesh reads of a file of any other kind, all parts of it; NcpifuError where it cannot."""
    import trimesh

    try:
        return trimesh.load_scene(path, process=False)
    except MemoryError:
        raise
    except Exception as error:  # at broken files trimesh's parsers raise whatever their bugs are: UnboundLocalError, NotImplementedError, ...
        raise NcpifuError(f"cannot read {path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error


def files_beside(path: Path) -> list[Path]:
    """The files that an OBJ (its materials and their pictures) or a .gltf (buffers and pictures) names, those that are there, in order."""
    if path.suffix.lower() == ".obj":
        materials = _named_in(path, ("mtllib",))
        found = [*materials, *(picture for material in materials for picture in _named_in(material, ("map_",)))]
    elif path.suffix.lower() == ".gltf":
        try:
            told = json.loads(path.read_bytes())
            names = [part["uri"] for kind in ("buffers", "images") for part in told.get(kind, []) if "uri" in part]
        except (ValueError, AttributeError, TypeError, KeyError):
            names = []  # broken: `read_scene` says so
        found = [path.parent / unquote(str(name)) for name in names if not str(name).startswith("data:")]
    else:
        found = []
    return [file for file in dict.fromkeys(found) if os.path.isfile(file)]


def _named_in(path: Path, keywords: tuple[str, ...]) -> list[Path]:
    """What the lines of an OBJ or MTL file that begin so name: the rest of the line, or its last word where options come before the name."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.strip().partition(" ")[2].strip() for line in file if line.lstrip().lower().startswith(keywords)]
    except OSError:
        return []
    return [path.parent / name for line in lines if line for name in (line, line.split()[-1])]


def read_geometry(path: Path) -> RawMesh:
    """Vertices and faces alone, exactly as stored; NcpifuError where it cannot be read."""
    if path.suffix.lower() == ".drc":
        return read_draco(path)
    mesh: Any = read_scene(path).to_mesh()
    return RawMesh(np.asarray(mesh.vertices, np.float64).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3))
