"""A reconstruction on disk: mesh by extension, JSON sidecar, pictures, page, mask. All of them or none."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ncpifu_cli.artifacts import atomic_path
from ncpifu_cli.config.reconstruct import MESH_FORMATS
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.gltf import glb_bytes
from ncpifu_cli.stages.outputs import Outputs
from ncpifu_cli.stages.pictures import png_bytes, write_png
from ncpifu_cli.stages.sidecar import sidecar

if TYPE_CHECKING:
    import trimesh

    from ncpifu_cli.data.person_mask import Mask
    from ncpifu_cli.stages.reconstruct import Reconstruction
    from ncpifu_cli.stages.texture import Texture


def save(result: "Reconstruction", outputs: Outputs) -> None:
    """Write every file under a temporary name, then give all of them their names. Raises NcpifuError; leaves nothing behind when it does."""
    save_all([(result, outputs)])


def save_all(people: Sequence[tuple["Reconstruction", Outputs]]) -> list[dict[str, Any]]:
    """As `save`, for all people of a photo or for none; returns what their sidecars say."""
    documents = [sidecar(result, outputs) for result, outputs in people]
    writers = {
        path: write for (result, outputs), document in zip(people, documents, strict=True) for path, write in _writers(result, outputs, document).items()
    }
    with ExitStack() as stack:
        names = {path: stack.enter_context(atomic_path(path)) for path in writers}
        try:
            for path, write in writers.items():
                write(names[path])
        except OSError as error:
            raise NcpifuError(f"cannot write beside {people[0][1].mesh}: {error.strerror or error}", "is the disk full? -o names another folder") from error
    return documents


def _writers(result: "Reconstruction", outputs: Outputs, document: dict[str, Any]) -> dict[Path, Callable[[Path], object]]:
    """File -> what writes it, each to a temporary name that it is given."""
    from ncpifu_cli.stages.preview import preview_picture
    from ncpifu_cli.stages.turntable import write_turntable
    from ncpifu_cli.stages.viewer import viewer_page

    texture = result.texture
    writers: dict[Path, Callable[[Path], object]] = {
        outputs.mesh: lambda path: write_mesh(result.mesh, path, texture, outputs),
        outputs.sidecar: lambda path: path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8"),
    }
    if texture is not None and outputs.texture is not None and outputs.material is not None:
        image, material = texture.image, material_text(outputs)
        writers |= {
            outputs.texture: lambda path: write_png(image, path),
            outputs.material: lambda path: path.write_text(material, encoding="utf-8", errors="surrogateescape"),
        }
    if outputs.confidence is not None:
        writers[outputs.confidence] = lambda path: write_mesh(confidence_mesh(result), path)
    if outputs.preview is not None:
        writers[outputs.preview] = lambda path: write_png(preview_picture(result), path)
    if outputs.turntable is not None:
        writers[outputs.turntable] = lambda path: write_turntable(result, path)
    if outputs.html is not None:
        writers[outputs.html] = lambda path: path.write_text(viewer_page(result), encoding="utf-8", errors="replace")
    if outputs.mask is not None:
        writers[outputs.mask] = lambda path: path.write_bytes(mask_png(result.prepared.mask, result.prepared.photo.size_px))
    return writers


def write_mesh(mesh: "trimesh.Trimesh", path: Path, texture: "Texture | None" = None, outputs: Outputs | None = None) -> None:
    """Write by extension: OBJ, PLY and GLB with vertex colours, OFF and STL (binary) without; GLB and OBJ with `texture` where there is one."""
    suffix = path.suffix.lower()
    if suffix == ".glb":
        path.write_bytes(glb_bytes(mesh, texture))
    elif suffix == ".obj" and texture is not None and outputs is not None and outputs.material is not None:
        path.write_text(obj_text(mesh, texture, outputs.material.name), encoding="utf-8", errors="surrogateescape")  # names need not be text
    elif suffix in MESH_FORMATS:
        mesh.export(str(path), file_type=suffix[1:])
    else:
        raise NcpifuError(f"unknown mesh format {suffix!r}", f"use one of: {', '.join(MESH_FORMATS)}")


def obj_text(mesh: "trimesh.Trimesh", texture: "Texture", material_file: str) -> str:
    """A textured OBJ: positions and normals once, texture corners split at seams."""
    lines = [f"mtllib {material_file}", "usemtl person"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices]
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in mesh.vertex_normals]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in texture.uv]
    corners = np.stack([texture.source[texture.faces], texture.faces], axis=-1).reshape(-1, 6) + 1
    lines += [f"f {a}/{at}/{a} {b}/{bt}/{b} {c}/{ct}/{c}" for a, at, b, bt, c, ct in corners.tolist()]
    return "\n".join(lines) + "\n"


def material_text(outputs: Outputs) -> str:
    """The MTL file of a textured OBJ: the picture, no gloss."""
    assert outputs.texture is not None
    return f"newmtl person\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {outputs.texture.name}\n"


def confidence_mesh(result: "Reconstruction") -> "trimesh.Trimesh":
    """The mesh coloured by the network's confidence; a PLY also holds the numbers as the vertex property `confidence`."""
    import trimesh

    from ncpifu_cli.stages.confidence import confidence_colours

    assert result.confidence is not None
    attributes: dict[str, Any] = {"confidence": result.confidence.astype(np.float32)}
    colours = confidence_colours(result.confidence)
    return trimesh.Trimesh(result.mesh.vertices, result.mesh.faces, vertex_colors=colours, vertex_attributes=attributes, process=False)


def mask_png(mask: "Mask", size_px: tuple[int, int]) -> bytes:
    """The PNG file of the mask at the size of the upright photo, white = person: what `--mask` takes."""
    import cv2

    height, width = mask.coverage.shape
    full = mask.coverage if (width, height) == size_px else cv2.resize(mask.coverage, size_px, interpolation=cv2.INTER_LINEAR)
    return png_bytes(full)
