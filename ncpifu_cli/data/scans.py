"""Scans on disk -> `Scan`s in the normalised frame. One adapter per data set in `ncpifu_cli.data.sets` knows a layout; this file reads the meshes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.artifacts import read_json
from ncpifu_cli.data.mesh_files import read_draco, read_scene
from ncpifu_cli.data.scan_repair import WARNING, RawMesh, find_up_axis, guess_units, height_note, repair, same_place
from ncpifu_cli.data.srgb import from_linear
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import SUBJECT_HEIGHT_M, normalise_subject
from ncpifu_cli.geometry.keypoints import from_named
from ncpifu_cli.geometry.mesh import Scan, TexturedUV
from ncpifu_cli.geometry.surface import vertex_normals

MESH_SUFFIXES = (".drc", ".ply", ".obj", ".glb", ".gltf", ".stl", ".off")
GREY = 180  # albedo of scans without colour
MAX_TEXTURE_PX = 2048  # the renderers have no mipmaps: larger textures would alias


@dataclass(frozen=True)
class ScanSource:
    """Where one subject lies.

    Attributes: name: of the subject, safe as a folder name. path: the mesh. dataset: which adapter found it.
        texture: its picture, where the mesh file does not name it. shaded: the colours hold the light already. up: the axis its data set is known for.
        units: the unit its data set is known for; "own" where every scan has another scale. description: what `synth` tells of its human, `meta.json`.
    """

    name: str
    path: Path
    dataset: str
    texture: Path | None = None
    shaded: bool = False
    up: str = "auto"
    units: str = "auto"
    description: Path | None = None


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
    raw = read_draco(source.path) if source.path.suffix.lower() == ".drc" else _read_trimesh(source)
    try:
        repair(raw, specks=source.dataset != "synthetic")  # the parts of our own humans are all meant
        similarity = normalise_subject(raw.vertices, find_up_axis(raw, source.up if up == "auto" else up))
    except ValueError as error:
        raise NcpifuError(f"{source.path}: {error}", "look at it in a mesh viewer; the up axis can be given with --up") from error
    height = SUBJECT_HEIGHT_M / similarity.scale
    units = next((known for known in (units, source.units) if known != "auto"), guess_units(height))
    raw.notes.append(height_note(height, units))
    vertices = np.ascontiguousarray(similarity.apply(raw.vertices), np.float32)
    faces = np.ascontiguousarray(raw.faces, np.int32)
    if raw.texture is not None:
        colors = sample_texture(raw.texture.image, raw.texture.uv)
    elif raw.colors is not None:
        colors = raw.colors
    else:
        wanted = f" (its texture would be {source.texture.name})" if source.texture is not None else ""
        raw.notes.append(f"{WARNING}no colour found: grey{wanted}")
        colors = np.full((len(vertices), 3), GREY, np.uint8)
    if source.shaded:
        raw.notes.append("the colours hold the light of the scanner and are taken as they are: --light does not apply")
    normals = _smooth_normals(vertices, faces)
    known = _keypoints(source)
    keypoints = None if known is None else similarity.apply(known)
    return Scan(source.name, vertices, faces, np.ascontiguousarray(colors), normals, similarity, raw.texture, source.shaded, tuple(raw.notes), units, keypoints)


def _keypoints(source: ScanSource) -> NDArray[np.float32] | None:
    """(K, 3) raw scan units, of humans that `synth` made, since it tells them. NcpifuError where what it told is broken."""
    if source.description is None:
        return None
    try:
        told = read_json(source.description).get("keypoints_m")
        return None if told is None else from_named(told)
    except (AttributeError, ValueError) as error:  # the first: JSON, but no object
        raise NcpifuError(f"{source.description}: {error}", "make this human again: remove its folder, then `ncpifu synth`") from error


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


def _read_trimesh(source: ScanSource) -> RawMesh:
    scene = read_scene(source.path)
    for part in scene.geometry.values():
        _show_vertex_colours(part)
    mesh: Any = scene.to_mesh()
    raw = RawMesh(np.asarray(mesh.vertices, np.float64).reshape(-1, 3), np.asarray(mesh.faces, np.int64).reshape(-1, 3))
    image = _texture_image(mesh, source, raw.notes)
    uv = None if image is None else getattr(mesh.visual, "uv", None)
    if image is not None and uv is not None and len(uv) == len(raw.vertices):
        if np.isfinite(uv).all():
            raw.texture = TexturedUV(image, np.ascontiguousarray(uv, np.float32))
        else:
            raw.notes.append(f"{WARNING}texture coordinates that are not finite numbers: without colour")
    elif mesh.visual.kind == "vertex":
        raw.colors = np.ascontiguousarray(mesh.visual.vertex_colors[:, :3], np.uint8)
    elif mesh.visual.kind == "face":
        raw.colors = np.ascontiguousarray(mesh.visual.to_color().vertex_colors[:, :3], np.uint8)
    return raw


def _show_vertex_colours(part: Any) -> None:
    """Let a glTF part's vertex colours count, linear light by the standard, which trimesh keeps aside where there is a material."""
    from trimesh.visual import ColorVisuals, TextureVisuals

    visual = getattr(part, "visual", None)
    if not isinstance(visual, TextureVisuals) or getattr(visual.material, "baseColorTexture", None) is not None:
        return
    kept = visual.vertex_attributes.get("color")
    if kept is not None:
        colours = np.asarray(kept)[:, :3]
        linear = colours / np.iinfo(colours.dtype).max if colours.dtype.kind == "u" else colours
        part.visual = ColorVisuals(part, vertex_colors=np.rint(255 * from_linear(linear.clip(0, 1))).astype(np.uint8))


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
    except (OSError, Image.DecompressionBombError) as error:
        notes.append(f"{WARNING}texture not readable ({error})")
        return None
    shrink = MAX_TEXTURE_PX / max(image.shape[:2])
    if shrink < 1:
        image = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image)


def _smooth_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    place = same_place(vertices)
    count = int(place.max()) + 1
    first = np.zeros(count, np.int64)
    first[place[::-1]] = np.arange(len(vertices))[::-1]
    return vertex_normals(vertices[first], place[faces])[place]
