"""Small stand-ins for scans, made on the spot: a figure whose left arm is stretched out to +x and whose front is red."""

from pathlib import Path

import DracoPy
import numpy as np
import trimesh
from PIL import Image


def figure(height: float = 1.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(V, 3) vertices with the feet at 0, facing +z, (F, 3) faces, (V, 3) colours: red in front, blue behind. Body, head and arm overlap."""
    body = trimesh.creation.capsule(height=1.05, radius=0.2, count=[24, 24])
    body.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    body.apply_translation([0, 0.725, 0])
    head = trimesh.creation.icosphere(3, 0.15)
    head.apply_translation([0, 1.55, 0])
    arm = trimesh.creation.box([0.5, 0.1, 0.1])
    arm = arm.subdivide().subdivide()
    arm.apply_translation([0.35, 1.2, 0])
    whole = trimesh.util.concatenate([body, head, arm])
    vertices = np.asarray(whole.vertices) * (height / np.ptp(whole.vertices[:, 1]))
    vertices[:, 1] -= vertices[:, 1].min()
    front = vertices[:, 2:] >= 0
    return vertices, np.asarray(whole.faces), np.where(front, [220, 40, 40], [40, 40, 220]).astype(np.uint8)


def write_draco(path: Path) -> Path:
    vertices, faces, colours = figure()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(DracoPy.encode(vertices, faces, colors=colours, quantization_bits=14))
    return path


def write_thuman2(root: Path, name: str = "0007", height: float = 0.95, up: str = "y") -> Path:
    """`name/name.obj` with material0.jpeg: the left half of the texture is red and dresses the front, the right half is blue."""
    vertices, faces, _ = figure(height)
    if up == "z":
        vertices = vertices @ np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
    folder = root / name
    folder.mkdir(parents=True)
    front = figure(height)[0][:, 2] >= 0
    uv = np.where(front, 0.25, 0.75)
    lines = [f"mtllib material0.mtl\nusemtl material0\n{''.join(f'v {x:.6f} {y:.6f} {z:.6f}' + chr(10) for x, y, z in vertices)}"]
    lines += [f"vt {u} 0.5\n" for u in uv]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}\n" for a, b, c in faces + 1]
    (folder / f"{name}.obj").write_text("".join(lines))
    (folder / "material0.mtl").write_text("newmtl material0\nKd 1 1 1\nmap_Kd material0.jpeg\n")
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:, :32], texture[:, 32:] = (220, 40, 40), (40, 40, 220)
    Image.fromarray(texture).save(folder / "material0.jpeg", quality=100, subsampling=0)
    return folder / f"{name}.obj"


def write_buff(root: Path, subject: str = "00032", sequence: str = "shortlong_hips", frame: str = "000001") -> Path:
    """A frame of the release: millimetres, vertex colours."""
    vertices, faces, colours = figure(1700)
    path = root / "sequences" / subject / sequence / f"{sequence}.{frame}.ply"
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(path)
    return path


def write_textured_obj(mesh: Path, picture: Path, height: float) -> Path:
    """An OBJ whose .mtl names a picture of another machine, and its real picture: red in front, blue behind."""
    vertices, faces, _ = figure(height)
    mesh.parent.mkdir(parents=True, exist_ok=True)
    picture.parent.mkdir(parents=True, exist_ok=True)
    lines = ["mtllib scan.mtl\nusemtl m\n", *(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices)]
    lines += [f"vt {0.25 if z >= 0 else 0.75} 0.5\n" for z in vertices[:, 2]]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}\n" for a, b, c in faces + 1]
    mesh.write_text("".join(lines))
    (mesh.parent / "scan.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd C:\\export\\picture.jpg\n")
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:, :32], texture[:, 32:] = (220, 40, 40), (40, 40, 220)
    Image.fromarray(texture).save(picture)
    return mesh


def write_renderpeople(root: Path, name: str = "rp_dennis_posed_004") -> None:
    """Two resolutions of one person, in centimetres."""
    folder = root / f"{name}_OBJ"
    for thousands, height in ((30, 150), (100, 180)):
        write_textured_obj(folder / f"{name}_{thousands}k.obj", folder / "tex" / f"{name}_dif_2k.jpg", height)
    Image.new("RGB", (8, 8)).save(folder / "tex" / f"{name}_dif_8k.jpg")
    Image.new("RGB", (8, 8)).save(folder / "tex" / f"{name}_norm_2k.jpg")


def write_customhumans(root: Path, person: str = "0007_00012_03") -> None:
    """The release: scans below `mesh/`, with a body model beside one of them."""
    for frame in ("f00101", "f00151"):
        folder = root / "mesh" / person
        write_textured_obj(folder / f"mesh-{frame}.obj", folder / f"mesh-{frame}.png", 1.7)
    (folder / "mesh-f00101_smpl.obj").write_text("v 0 0 0\n")
    (root / "smplx" / person).mkdir(parents=True)
