"""Broken mesh files are one line; whole ones are read as they are stored."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scan_fixtures import figure, write_draco

from ncpifu_cli.data.mesh_files import files_beside, read_geometry, read_scene
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.errors import NcpifuError


def test_draco_needs_no_other_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    write_draco(tmp_path / "person.drc")
    raw = read_geometry(tmp_path / "person.drc")
    assert len(raw.vertices) and raw.faces.max() < len(raw.vertices)
    (tmp_path / "cut.drc").write_bytes((tmp_path / "person.drc").read_bytes()[:200])
    with pytest.raises(NcpifuError, match="cannot read"):
        read_geometry(tmp_path / "cut.drc")


def test_what_no_parser_expects_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "old.glb").write_bytes(struct.pack("<4sII", b"glTF", 1, 40) + b"\0" * 28)
    (tmp_path / "cut.glb").write_bytes(struct.pack("<4sII", b"glTF", 2, 400))
    (tmp_path / "text.ply").write_text("ply\nformat ascii 1.0\nelement vertex many\nend_header\n")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(NcpifuError, match=f"cannot read .*{path.name}"):
            read_scene(path)


def test_the_files_that_a_mesh_names_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("mtllib my mesh.mtl\nv 0 0 0\n")
    (tmp_path / "my mesh.mtl").write_text("newmtl a\nmap_Kd -s 1 1 1 skin.png\n  map_bump missing.png\n")
    (tmp_path / "skin.png").touch()
    assert [path.name for path in files_beside(tmp_path / "a.obj")] == ["my mesh.mtl", "skin.png"]
    told = {"buffers": [{"uri": "all%20points.bin"}, {"byteLength": 3}], "images": [{"uri": "data:image/png;base64,AA"}, {"uri": "skin.png"}]}
    (tmp_path / "a.gltf").write_text(json.dumps(told))
    (tmp_path / "all points.bin").touch()
    assert [path.name for path in files_beside(tmp_path / "a.gltf")] == ["all points.bin", "skin.png"]
    (tmp_path / "a.gltf").write_text("[]")
    assert files_beside(tmp_path / "a.gltf") == files_beside(tmp_path / "a.ply") == []


def test_texture_coordinates_that_are_no_numbers_cost_the_colour_alone(tmp_path: Path) -> None:
    vertices, faces, _ = figure()
    lines = ["mtllib a.mtl", "usemtl a", *(f"v {x} {y} {z}" for x, y, z in vertices), "vt nan nan"]
    lines += [f"f {a}/1 {b}/1 {c}/1" for a, b, c in np.asarray(faces) + 1]
    (tmp_path / "a.obj").write_text("\n".join(lines))
    (tmp_path / "a.mtl").write_text("newmtl a\nmap_Kd a.png\n")
    Image.new("RGB", (4, 4), (200, 0, 0)).save(tmp_path / "a.png")
    (source,) = find_scans(tmp_path)
    scan = read_scan(source)
    assert any("not finite" in note for note in scan.notes)
    assert (scan.colors == scan.colors[0, 0]).all()
