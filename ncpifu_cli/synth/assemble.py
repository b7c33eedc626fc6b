"""Parts -> one mesh in the output frame (y up, facing +z, metres, feet at 0), reduced to a face budget and Draco-coded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.parts import Part

Array = NDArray[np.float64]

TRAINING_FACES = 110_000
BRUSHING_M = 0.02  # hems may hang so far below the soles
POSITION_BITS = 14  # 0.13 mm steps for a standing person
COMPRESSION_LEVEL = 7
# Share of its own faces that a part keeps, relative to clothes: those come at the density they are shown at, hair and shoes much denser.
IMPORTANCE = {"skin": 0.8, "eye": 0.12, "shoe": 0.4, "hair": 0.4, "hat": 0.4, "collar": 0.4, "prop": 0.6}


@dataclass(frozen=True)
class Mesh:
    """The finished human. vertices (V, 3) float32 metres, y up, facing +z, feet at 0; faces (F, 3) int32; colors (V, 3) uint8 sRGB albedo."""

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    colors: NDArray[np.uint8]


def to_output_frame(points: Array) -> Array:
    """(N, 3): z up, facing -y -> y up, facing +z."""
    return points[:, [0, 2, 1]] * np.array([1, 1, -1])


def ground_level(parts: Sequence[Part]) -> float:
    """Height of what somebody stands, kneels or sits on, metres: the soles, unless clothes reach much lower than a hem that brushes the ground."""
    soles = min(part.vertices[:, 2].min() for part in parts if part.name in ("skin", "shoe"))
    lowest = min(part.vertices[:, 2].min() for part in parts if part.name != "prop")
    return float(min(soles, lowest + BRUSHING_M))


def assemble(parts: Sequence[Part], face_budget: int | None = TRAINING_FACES, scale: float = 1.0) -> Mesh:
    """Concatenate parts, each reduced to its share of `face_budget` (None: all faces are kept), `scale` times as large. Parts overlap and may be
    open, so inside/outside is decided by winding number."""
    reduced = list(parts) if face_budget is None else _reduced(parts, face_budget)
    offsets = np.cumsum([0] + [len(part.vertices) for part in reduced])
    vertices = scale * to_output_frame(np.concatenate([part.vertices for part in reduced]) - [0, 0, ground_level(reduced)])
    faces = np.concatenate([part.triangles + offset for part, offset in zip(reduced, offsets, strict=False)])
    colors = np.concatenate([part.colors for part in reduced])
    return Mesh(vertices.astype(np.float32), faces.astype(np.int32), np.round(np.clip(colors, 0, 1) * 255).astype(np.uint8))


def _reduced(parts: Sequence[Part], budget: int) -> list[Part]:
    """Every part simplified to its share of the budget, by number of faces and importance."""
    faces = np.array([len(part.triangles) for part in parts], np.float64)
    wanted = faces * [IMPORTANCE.get(part.name, 1.0) for part in parts]
    share = np.minimum(wanted * budget / wanted.sum(), faces)
    for _ in range(4):  # parts that keep all their faces leave the rest to the others
        spare = budget - share.sum()
        growing = share < faces
        if spare < 1 or not growing.any():
            break
        share[growing] += spare * wanted[growing] / wanted[growing].sum()
        share = np.minimum(share, faces)
    return [simplify(part, int(target)) for part, target in zip(parts, share, strict=True)]


def simplify(part: Part, target_faces: int) -> Part:
    """Quadric simplification to about `target_faces`; each new vertex takes the mean colour of the old ones nearest to it."""
    if target_faces >= len(part.triangles):
        return part
    import fast_simplification

    points, faces = fast_simplification.simplify(
        part.vertices.astype(np.float32), part.triangles.astype(np.int32), target_reduction=1 - target_faces / len(part.triangles)
    )
    tree = cKDTree(points)
    owner = tree.query(part.vertices)[1]
    count = np.bincount(owner, minlength=len(points))
    total = np.stack([np.bincount(owner, part.colors[:, k], len(points)) for k in range(3)], axis=1)
    colors = total / np.maximum(count, 1)[:, None]
    lonely = count == 0
    if lonely.any():
        colors[lonely] = part.colors[cKDTree(part.vertices).query(points[lonely])[1]]
    return Part(part.name, points.astype(np.float64), faces.astype(np.int64), colors)


def encode_draco(mesh: Mesh) -> bytes:
    """Draco bytes: 14-bit positions, 8-bit colours."""
    import DracoPy

    return DracoPy.encode(mesh.vertices, faces=mesh.faces, quantization_bits=POSITION_BITS, compression_level=COMPRESSION_LEVEL, colors=mesh.colors)


def encode_mesh(mesh: Mesh, kind: str) -> bytes:
    """The bytes of a mesh file: "drc" (see `encode_draco`), or "glb", "ply", "obj" with the same sRGB colours per vertex."""
    if kind == "drc":
        return encode_draco(mesh)
    import trimesh

    data: Any = trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_colors=mesh.colors, process=False).export(file_type=kind)
    return data.encode() if isinstance(data, str) else data


def decode_mesh(data: bytes, kind: str) -> Mesh:
    """Inverse of `encode_mesh`."""
    if kind == "drc":
        return decode_draco(data)
    import io

    import trimesh

    loaded: Any = trimesh.load(io.BytesIO(data), file_type=kind, process=False, force="mesh")
    colors = np.asarray(loaded.visual.vertex_colors, np.uint8)[:, :3]
    return Mesh(np.asarray(loaded.vertices, np.float32), np.asarray(loaded.faces, np.int32), colors)


def decode_draco(data: bytes) -> Mesh:
    """Inverse of `encode_draco` up to quantisation and vertex order. Raises NcpifuError for data without faces or colours."""
    import DracoPy

    try:
        decoded = DracoPy.decode(data)
        colors = np.asarray(decoded.colors, np.uint8)[:, :3]
        return Mesh(np.asarray(decoded.points, np.float32), np.asarray(decoded.faces, np.int32), colors)
    except (DracoPy.FileTypeException, ValueError, AttributeError, IndexError, TypeError) as error:
        raise NcpifuError(f"not a coloured Draco mesh: {error}") from error
