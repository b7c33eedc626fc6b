"""What real scans need before they can be drawn and labelled, and how they stand. Everything found or changed is noted for the report."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ncpifu_cli.geometry.mesh import TexturedUV
from ncpifu_cli.geometry.surface import face_components, face_normals

WARNING = "warning: "  # starts the notes that a person should read
SPECK_SHARE = 0.001  # parts with less than this share of the faces are scanning dirt
TALLER = 1.25  # how much taller along another axis a subject must be before that one is up: a T-pose is as wide as it is tall
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
PERSON_M = (0.5, 2.6)  # heights of people as they are scanned, crouching children included


@dataclass
class RawMesh:
    """What a file holds: vertices (V, 3) float64, faces (F, 3) int64, colors (V, 3) uint8 or None, texture or None, notes."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    colors: NDArray[np.uint8] | None = None
    texture: TexturedUV | None = None
    notes: list[str] = field(default_factory=list)


def repair(raw: RawMesh, specks: bool) -> None:
    """Drop what cannot be drawn or labelled: faces without area, duplicates, unused vertices, and specks if asked to; say whether the surface is closed.

    Raises ValueError where nothing usable is there.
    """
    if len(raw.vertices) == 0 or len(raw.faces) == 0:
        raise ValueError("it holds no triangles")
    if not np.isfinite(raw.vertices).all():
        raise ValueError("it holds coordinates that are not finite numbers")
    if raw.faces.min() < 0 or raw.faces.max() >= len(raw.vertices):
        raise ValueError("a face names a vertex that does not exist")
    place = same_place(raw.vertices)
    corners = place[raw.faces]
    _, area = face_normals(raw.vertices, raw.faces)
    keep = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0]) & (area > 0)
    _drop(raw, keep, "faces without area")
    corners = place[raw.faces]
    lowest_first = np.take_along_axis(corners, (corners.argmin(axis=1)[:, None] + np.arange(3)) % 3, axis=1)  # keeps the winding
    _, first = np.unique(lowest_first, axis=0, return_index=True)
    keep = np.zeros(len(raw.faces), bool)
    keep[first] = True
    _drop(raw, keep, "duplicate faces")
    if specks:
        _drop(raw, _not_speck(place[raw.faces]), "faces of specks")
        _note_open_edges(place[raw.faces], raw.notes)
    if len(raw.faces) == 0:
        raise ValueError("it holds no triangles with an area")
    used, faces = np.unique(raw.faces, return_inverse=True)
    raw.vertices, raw.faces = raw.vertices[used], faces.reshape(-1, 3)
    raw.colors = None if raw.colors is None else raw.colors[used]
    raw.texture = None if raw.texture is None else TexturedUV(raw.texture.image, raw.texture.uv[used])


def same_place(vertices: NDArray[np.floating]) -> NDArray[np.int64]:
    """(V,) one number per distinct position: texture seams split vertices, geometry must not see it."""
    order = np.lexsort(vertices.T)
    ordered = vertices[order]
    is_new = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    place = np.empty(len(vertices), np.int64)
    place[order] = np.cumsum(is_new) - 1
    return place


def find_up_axis(raw: RawMesh, known: str) -> str:
    """`known`, or where that is "auto" y, unless the subject is clearly taller along z, or even taller along x. Upside down is not detected."""
    if known != "auto":
        return known
    x, y, z = np.ptp(raw.vertices, axis=0)
    axis = "z" if z > TALLER * y else "y"
    axis = "x" if x > TALLER * max(y, z) else axis
    if axis != "y":
        raw.notes.append(f"up axis {axis} detected (give --up to override)")
    return axis


def guess_units(height: float) -> str:
    """The unit in which a raw height is a person's: "m", "cm", "mm", or "own" where none is."""
    unit = "mm" if height > 500 else "cm" if height > 50 else "m"
    return unit if _is_a_persons(height, unit) else "own"


def height_note(height: float, units: str) -> str:
    """The raw height in words. units: m, cm, mm, or own."""
    if units == "own":
        return f"height {height:.4g} in a scale of its own; scaled to 1.80 m"
    warning, doubt = ("", "") if _is_a_persons(height, units) else (WARNING, " is not a person's: check --units")
    return f"{warning}height {height:.4g} {units}{doubt}; scaled to 1.80 m"


def _is_a_persons(height: float, units: str) -> bool:
    return PERSON_M[0] <= height * METRES[units] <= PERSON_M[1]


def _drop(raw: RawMesh, keep: NDArray[np.bool_], what: str) -> None:
    if not keep.all():
        raw.notes.append(f"dropped {int((~keep).sum())} {what}")
        raw.faces = raw.faces[keep]


def _not_speck(corners: NDArray[np.int64]) -> NDArray[np.bool_]:
    part = face_components(corners)
    return np.bincount(part)[part] >= SPECK_SHARE * len(corners)


def _note_open_edges(corners: NDArray[np.int64], notes: list[str]) -> None:
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    _, faces_at = np.unique(edges @ np.array([1 << 32, 1]), return_counts=True)
    count = int((faces_at == 1).sum())
    if count:
        notes.append(f"not watertight: {count} open edges; inside is decided by the winding number")
