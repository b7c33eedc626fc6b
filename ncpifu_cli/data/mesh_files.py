"""Mesh files as they are stored, by extension. Scans are cleaned and placed in `scans.py`, predictions in `stages/eval_meshes.py`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def read_geometry(path: Path) -> RawMesh:
    """Vertices and faces alone, exactly as stored; NcpifuError where it cannot be read."""
    if path.suffix.lower() == ".drc":
        return read_draco(path)
    mesh: Any = read_scene(path).to_mesh()
    return RawMesh(np.asarray(mesh.vertices, np.float64).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3))
