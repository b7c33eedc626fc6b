"""Scans on disk -> `Scan`s in the normalised frame. One adapter per data set in `ncpifu_cli.data.sets` knows a layout; this file reads the meshes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import normalise_subject
from ncpifu_cli.geometry.mesh import Scan, TexturedUV
from ncpifu_cli.geometry.surface import face_normals, vertex_normals

MESH_SUFFIXES = (".drc", ".ply", ".obj", ".glb", ".gltf", ".stl", ".off")
GREY = 180  # albedo of scans without colour
MAX_TEXTURE_PX = 2048  # the renderers have no mipmaps: larger textures would alias
SPECK_SHARE = 0.001  # parts with less than this share of the faces are scanning dirt (not in our own scans, whose parts are all meant)


@dataclass(frozen=True)
class ScanSource:
    """Where one subject lies.

    Attributes: name: of the subject, safe as a folder name. path: the mesh. dataset: which adapter found it.
        texture: its picture, where the mesh file does not name it. shaded: the colours hold the light already. up: the axis its data set is known for.
    """

    name: str
    path: Path
    dataset: str
    texture: Path | None = None
    shaded: bool = False
    up: str = "auto"


@dataclass
class RawMesh:
    """What a file holds, before cleaning: vertices (V, 3) float64, faces (F, 3) int64, colors (V, 3) uint8 or None, texture or None, notes."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8] | None = None
    texture: TexturedUV | None = None
    notes: list[str] = field(default_factory=list)


def find_scans(folder: Path, dataset: str = "auto") -> list[ScanSource]:
    """The scans under `folder` (or the single file `folder`), in order of name.

    Args:
        folder: a data set's root as downloaded, a folder of meshes, or one mesh file. dataset: an adapter's name, or "auto".

    Raises NcpifuError where nothing is found, saying what was expected.
    """
    from ncpifu_cli.data.sets import adapters

    folder = Path(folder)
    if not folder.exists():
        raise NcpifuError(f"{folder} does not exist", "make scans with `ncpifu synth`, or give the folder of yours")
    known = adapters()
    if dataset != "auto" and dataset not in known:
        raise NcpifuError(f"unknown data set {dataset!r}", f"one of: auto, {', '.join(known)}")
    for name in known if dataset == "auto" else [dataset]:
        found = sorted(known[name].find(folder), key=lambda source: source.name)
        if found:
            return _distinct(found)
    if dataset == "auto":
        raise NcpifuError(f"no scans in {folder}", f"expected meshes ({' '.join(MESH_SUFFIXES)}) or the layout of {', '.join(known)}")
    entries = sorted(p.name for p in folder.iterdir())[:3] if folder.is_dir() else [folder.name]
    raise NcpifuError(f"{folder} is not laid out as {dataset}: expected {known[dataset].LAYOUT}", f"found: {', '.join(entries) or 'nothing'}")


def read_scan(source: ScanSource, up: str = "auto", units: str = "auto") -> Scan:
    """Read, clean and normalise one scan.

    Args:
        source: from `find_scans`. up: raw up axis, "auto" to detect. units: raw unit ("m", "cm", "mm"), "auto" to guess; only reported.

    Raises NcpifuError naming the file where it cannot be read, holds no usable surface, or is not finite.
    """
    raw = _read_draco(source.path) if source.path.suffix.lower() == ".drc" else _read_trimesh(source)
    _clean(raw, source)
    axis = _up_axis(raw.vertices, source, up, raw.notes)
    try:
        similarity = normalise_subject(raw.vertices, axis)
    except ValueError as error:
        raise NcpifuError(f"{source.path}: {error}", "is the up axis right? give --up") from error
    raw.notes.append(_height_note(1.8 / similarity.scale, units))
    vertices = np.ascontiguousarray(similarity.apply(raw.vertices), np.float32)
    faces = np.ascontiguousarray(raw.faces, np.int32)
    if raw.colors is None and raw.texture is None:
        raw.notes.append("no colour found: grey")
    colors = raw.colors if raw.colors is not None else np.full((len(vertices), 3), GREY, np.uint8)
    if raw.texture is not None:
        colors = sample_texture(raw.texture.image, raw.texture.uv)
    normals = _smooth_normals(vertices, faces)
    return Scan(source.name, vertices, faces, np.ascontiguousarray(colors), normals, similarity, raw.texture, source.shaded, tuple(raw.notes))


def sample_texture(image: NDArray[np.uint8], uv: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Bilinear colours (N, 3) uint8 of `image` (H, W, 3), row 0 at v = 1, at texture coordinates (N, 2); outside, the border repeats."""
    height, width = image.shape[:2]
    x = (uv[:, 0] * width - 0.5).clip(0, width - 1)
    y = ((1 - uv[:, 1]) * height - 0.5).clip(0, height - 1)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    upper = image[top, left] * (1 - fx) + image[top, right] * fx
    lower = image[bottom, left] * (1 - fx) + image[bottom, right] * fx
    return np.rint(upper * (1 - fy) + lower * fy).astype(np.uint8)


def _distinct(sources: list[ScanSource]) -> list[ScanSource]:
    seen: dict[str, ScanSource] = {}
    for source in sources:
        if source.name in seen:
            raise NcpifuError(f"two scans are called {source.name}: {seen[source.name].path} and {source.path}", "rename one of them")
        seen[source.name] = source
    return sources


def _read_draco(path: Path) -> RawMesh:
    import DracoPy

    try:
        mesh = DracoPy.decode(path.read_bytes())
    except (OSError, ValueError, RuntimeError, DracoPy.FileTypeException) as error:
        raise NcpifuError(f"cannot read {path}: {error}") from error
    if not hasattr(mesh, "faces"):
        raise NcpifuError(f"{path} is a point cloud, not a mesh")
    colors = getattr(mesh, "colors", None)
    colors = None if colors is None else np.ascontiguousarray(np.asarray(colors)[:, :3], np.uint8)
    return RawMesh(np.asarray(mesh.points, np.float64).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3), colors)


def _read_trimesh(source: ScanSource) -> RawMesh:
    import trimesh

    try:
        mesh: Any = trimesh.load(source.path, process=False, force="mesh")
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:  # what trimesh's parsers raise at broken files
        raise NcpifuError(f"cannot read {source.path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    raw = RawMesh(np.asarray(mesh.vertices, np.float64).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3))
    image = _texture_image(mesh, source, raw.notes)
    uv = getattr(mesh.visual, "uv", None)
    if image is not None and uv is not None and len(uv) == len(raw.vertices):
        raw.texture = TexturedUV(image, np.ascontiguousarray(uv, np.float32))
    elif mesh.visual.kind == "vertex":
        raw.colors = np.ascontiguousarray(mesh.visual.vertex_colors[:, :3], np.uint8)
    elif mesh.visual.kind == "face":
        raw.colors = np.ascontiguousarray(mesh.visual.to_color().vertex_colors[:, :3], np.uint8)
    return raw


def _texture_image(mesh: Any, source: ScanSource, notes: list[str]) -> NDArray[np.uint8] | None:
    import cv2
    from PIL import Image

    try:
        if source.texture is not None:
            picture: Image.Image | None = Image.open(source.texture)
        else:
            material = getattr(mesh.visual, "material", None)
            picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
        if picture is None:
            return None
        image = np.asarray(picture.convert("RGB"))
    except OSError as error:
        notes.append(f"texture not readable ({error}): grey")
        return None
    shrink = MAX_TEXTURE_PX / max(image.shape[:2])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)


def _clean(raw: RawMesh, source: ScanSource) -> None:
    """Drop what cannot be drawn or labelled: broken indices, faces without area, duplicates, specks, unused vertices."""
    if len(raw.vertices) == 0 or len(raw.faces) == 0:
        raise NcpifuError(f"{source.path} holds no triangles")
    if not np.isfinite(raw.vertices).all():
        raise NcpifuError(f"{source.path} holds coordinates that are not finite numbers")
    if raw.faces.min() < 0 or raw.faces.max() >= len(raw.vertices):
        raise NcpifuError(f"{source.path}: a face names a vertex that does not exist")
    place = _same_place(raw.vertices)
    corners = place[raw.faces]
    _, area = face_normals(raw.vertices, raw.faces)
    keep = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0]) & (area > 0)
    _note_dropped(raw, keep, "faces without area")
    corners = place[raw.faces]
    lowest_first = np.take_along_axis(corners, (corners.argmin(axis=1)[:, None] + np.arange(3)) % 3, axis=1)  # keeps the winding
    _, first = np.unique(lowest_first, axis=0, return_index=True)
    keep = np.zeros(len(raw.faces), bool)
    keep[first] = True
    _note_dropped(raw, keep, "duplicate faces")
    if source.dataset != "synthetic":
        _note_dropped(raw, _not_speck(place[raw.faces]), "faces of specks")
    if len(raw.faces) == 0:
        raise NcpifuError(f"{source.path} holds no triangles with an area")
    used, faces = np.unique(raw.faces, return_inverse=True)
    raw.vertices, raw.faces = raw.vertices[used], faces.reshape(-1, 3)
    raw.colors = None if raw.colors is None else raw.colors[used]
    raw.texture = None if raw.texture is None else TexturedUV(raw.texture.image, raw.texture.uv[used])


def _note_dropped(raw: RawMesh, keep: NDArray[np.bool_], what: str) -> None:
    if not keep.all():
        raw.notes.append(f"dropped {int((~keep).sum())} {what}")
        raw.faces = raw.faces[keep]


def _same_place(vertices: NDArray[np.floating]) -> NDArray[np.int64]:
    """(V,) one number per distinct position: texture seams split vertices, geometry must not see it."""
    order = np.lexsort(vertices.T)
    ordered = vertices[order]
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    place = np.empty(len(vertices), np.int64)
    place[order] = np.cumsum(is_new) - 1
    return place


def _not_speck(corners: NDArray[np.int64]) -> NDArray[np.bool_]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = int(corners.max()) + 1
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]]])
    _, label = connected_components(coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(size, size)), directed=False)
    part = label[corners[:, 0]]
    return np.bincount(part)[part] >= SPECK_SHARE * len(corners)


def _smooth_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    place = _same_place(vertices)
    count = int(place.max()) + 1
    first = np.zeros(count, np.int64)
    first[place[::-1]] = np.arange(len(vertices))[::-1]
    return vertex_normals(vertices[first], place[faces])[place]


def _up_axis(vertices: NDArray[np.float64], source: ScanSource, asked: str, notes: list[str]) -> str:
    """A standing person is tallest along its up axis. y is the custom and wins near-ties (a T-pose is as wide as it is tall)."""
    if asked != "auto":
        return asked
    if source.up != "auto":
        return source.up
    extent = np.ptp(vertices, axis=0)
    axis = "z" if extent[2] > 1.25 * extent[1] and extent[2] > extent[0] else "y"
    if axis != "y":
        notes.append("up axis z detected (give --up to override)")
    return axis


def _height_note(height: float, units: str) -> str:
    guess = "mm" if height > 500 else "cm" if height > 50 else "m"
    unit = guess if units == "auto" else units
    metres = height * {"m": 1.0, "cm": 0.01, "mm": 0.001}[unit]
    odd = "" if 0.8 <= metres <= 2.6 else ", not a person's height in any usual unit" if units == "auto" else ", not a person's height: check --units"
    return f"height {height:.4g} {unit if not odd else 'units'}{odd}; scaled to 1.80 m"
