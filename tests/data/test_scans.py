from pathlib import Path

import numpy as np
import pytest
import trimesh
from scan_fixtures import figure, write_buff, write_customhumans, write_draco, write_renderpeople, write_thuman2

from ncpifu_cli.data.scans import ScanSource, find_scans, read_scan, sample_texture
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.stages.gltf import glb_bytes


def assert_normalised(vertices: np.ndarray) -> None:
    assert np.ptp(vertices[:, 1]) == pytest.approx(1.8, abs=1e-3)
    assert vertices[:, 1].min() == pytest.approx(-0.9, abs=1e-3)
    np.testing.assert_allclose(np.median(vertices[:, [0, 2]], axis=0), 0, atol=1e-4)


def test_our_own_scans_in_both_layouts(tmp_path: Path) -> None:
    write_draco(tmp_path / "train-000001" / "mesh.drc")
    write_draco(tmp_path / "test-000002.drc")
    sources = find_scans(tmp_path)
    assert [(s.name, s.dataset) for s in sources] == [("test-000002", "synthetic"), ("train-000001", "synthetic")]
    scan = read_scan(sources[1])
    assert_normalised(scan.vertices)
    assert scan.vertices.dtype == np.float32
    assert scan.faces.dtype == np.int32
    assert set(map(tuple, scan.colors)) == {(220, 40, 40), (40, 40, 220)}
    np.testing.assert_allclose(np.linalg.norm(scan.normals, axis=1), 1, atol=1e-5)
    assert scan.vertices[:, 0].max() > -1.5 * scan.vertices[:, 0].min()  # the left arm stays on +x: no mirroring
    np.testing.assert_allclose(scan.similarity.invert(scan.vertices)[:, 1].min(), 0, atol=1e-3)


def test_thuman2_as_downloaded(tmp_path: Path) -> None:
    write_thuman2(tmp_path, "0007")
    write_thuman2(tmp_path, "0008", up="z")
    sources = find_scans(tmp_path)
    assert [s.dataset for s in sources] == ["thuman2", "thuman2"]
    for source in sources:
        scan = read_scan(source)
        assert_normalised(scan.vertices)
        assert scan.texture is not None
        front = scan.vertices[:, 2] > 0.05
        assert (scan.colors[front, 0] > 180).all()  # red in front: textured the right way round, standing the right way up
        assert (scan.colors[~front & (scan.vertices[:, 2] < -0.05), 2] > 180).all()
    assert "up axis z detected" in " ".join(read_scan(sources[1]).notes)
    assert "up axis" not in " ".join(read_scan(sources[0]).notes)
    assert "height 0.95 in a scale of its own; scaled to 1.80 m" in read_scan(sources[0]).notes


def test_buff_as_released(tmp_path: Path) -> None:
    write_buff(tmp_path)
    (source,) = find_scans(tmp_path)
    assert (source.name, source.dataset, source.shaded) == ("00032_shortlong_hips.000001", "buff", True)
    scan = read_scan(source)
    assert_normalised(scan.vertices)
    assert scan.shaded
    assert "height 1700 mm; scaled to 1.80 m" in scan.notes


def test_flat_buff_copy(tmp_path: Path) -> None:
    vertices, faces, colours = figure(1700)
    path = tmp_path / "03223" / "shortlong_hips.000001.ply"
    path.parent.mkdir()
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(path)
    assert [s.name for s in find_scans(tmp_path, "buff")] == ["03223_shortlong_hips.000001"]


def test_buff_frames_in_one_folder(tmp_path: Path) -> None:
    vertices, faces, colours = figure(1.7)  # some copies are in metres
    path = tmp_path / "PLY" / "00096_shirt_tilt_twist.000042.ply"
    path.parent.mkdir()
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(path)
    (source,) = find_scans(tmp_path)
    assert (source.name, source.dataset) == ("00096_shirt_tilt_twist.000042", "buff")
    assert "height 1.7 m; scaled to 1.80 m" in read_scan(source).notes


def test_thuman21_above_its_release_folder(tmp_path: Path) -> None:
    write_thuman2(tmp_path / "THuman2.1_Release", "2444", height=171.0)  # 2.1 adds scans of another scale
    (source,) = find_scans(tmp_path)
    assert (source.name, source.dataset) == ("2444", "thuman2")
    assert "height 171 in a scale of its own; scaled to 1.80 m" in read_scan(source).notes


def assert_dressed(source: ScanSource) -> None:
    scan = read_scan(source)
    assert_normalised(scan.vertices)
    assert scan.texture is not None
    assert (scan.colors[scan.vertices[:, 2] > 0.05, 0] > 180).all()
    assert (scan.colors[scan.vertices[:, 2] < -0.05, 2] > 180).all()


def test_renderpeople_as_delivered(tmp_path: Path) -> None:
    write_renderpeople(tmp_path)
    (source,) = find_scans(tmp_path)
    assert (source.name, source.dataset, source.path.stem) == ("rp_dennis_posed_004", "renderpeople", "rp_dennis_posed_004_100k")
    assert "height 180 cm; scaled to 1.80 m" in read_scan(source).notes
    assert_dressed(source)
    assert find_scans(tmp_path.parent / tmp_path.name, "renderpeople") == [source]


def test_customhumans_as_downloaded(tmp_path: Path) -> None:
    write_customhumans(tmp_path)
    sources = find_scans(tmp_path)
    assert [(s.name, s.dataset) for s in sources] == [("0007_00012_03_f00101", "customhumans"), ("0007_00012_03_f00151", "customhumans")]
    assert_dressed(sources[0])


@pytest.mark.parametrize("axis", ["y", "z", "x"])
def test_the_longest_axis_is_up(tmp_path: Path, axis: str) -> None:
    vertices, faces, _ = figure()
    turned = {"y": vertices, "z": vertices[:, [2, 0, 1]], "x": vertices[:, [1, 2, 0]]}[axis]  # turned, not mirrored
    trimesh.Trimesh(turned, faces, process=False).export(tmp_path / "anna.ply")
    scan = read_scan(find_scans(tmp_path)[0])
    assert_normalised(scan.vertices)
    assert any(f"up axis {axis} detected" in note for note in scan.notes) == (axis != "y")


def test_holes_are_reported(tmp_path: Path) -> None:
    vertices, faces, _ = figure()
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "closed.ply")
    trimesh.Trimesh(vertices, faces[1:], process=False).export(tmp_path / "open.ply")
    closed, holed = (read_scan(source).notes for source in find_scans(tmp_path))
    assert not any("watertight" in note for note in closed)
    assert "not watertight: 3 open edges; inside is decided by the winding number" in holed


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb", "stl", "off"])
def test_a_folder_of_meshes(tmp_path: Path, suffix: str) -> None:
    vertices, faces, colours = figure()
    trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False).export(tmp_path / f"anna.{suffix}")
    (source,) = find_scans(tmp_path)
    scan = read_scan(source)
    assert source.name == "anna"
    assert_normalised(scan.vertices)
    if suffix in ("ply", "glb", "obj"):
        assert set(map(tuple, scan.colors)) == {(220, 40, 40), (40, 40, 220)}
    else:
        assert "warning: no colour found: grey" in scan.notes


def test_our_own_glb_keeps_its_colours(tmp_path: Path) -> None:
    """Linear 16-bit vertex colours beside a material."""
    vertices, faces, colours = figure()
    mesh = trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False)
    (tmp_path / "anna.glb").write_bytes(glb_bytes(mesh))
    (source,) = find_scans(tmp_path)
    assert set(map(tuple, read_scan(source).colors)) == {(220, 40, 40), (40, 40, 220)}


def test_overrides_of_axis_and_unit(tmp_path: Path) -> None:
    vertices, faces, _ = figure(170)
    trimesh.Trimesh(vertices @ np.diag([1.0, -1, -1]), faces, process=False).export(tmp_path / "upside_down.ply")
    (source,) = find_scans(tmp_path)
    scan = read_scan(source, up="-y", units="cm")
    assert scan.vertices[:, 1].argmax() == read_scan(source, up="-y").vertices[:, 1].argmax()
    assert scan.similarity.rotation[1][1] == -1
    assert "height 170 cm; scaled to 1.80 m" in scan.notes
    assert any("check --units" in note for note in read_scan(source, units="mm").notes)


def test_dirt_is_removed_and_reported(tmp_path: Path) -> None:
    vertices, faces, _ = figure()
    speck = np.array([[2, 0, 0], [2.01, 0, 0], [2, 0.01, 0], [0, 0, 0]])
    base = len(vertices)
    dirty = np.r_[faces, faces[:5], [[0, 0, 1]], [[base, base + 1, base + 2]]]
    trimesh.Trimesh(np.r_[vertices, speck], dirty, process=False).export(tmp_path / "dirty.ply")
    scan = read_scan(find_scans(tmp_path)[0])
    assert len(scan.faces) == len(faces)
    assert {"dropped 1 faces without area", "dropped 5 duplicate faces", "dropped 1 faces of specks"} <= set(scan.notes)
    assert scan.vertices[:, 0].max() < 1  # the speck is gone from the bounding box, too


def test_normals_ignore_texture_seams(tmp_path: Path) -> None:
    vertices, faces, _ = figure()
    split = vertices[faces.reshape(-1)]  # every corner its own vertex
    trimesh.Trimesh(split, np.arange(len(split)).reshape(-1, 3), process=False).export(tmp_path / "split.ply")
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "whole.ply")
    split_scan, whole_scan = (read_scan(source) for source in find_scans(tmp_path))
    np.testing.assert_allclose(split_scan.normals, whole_scan.normals[whole_scan.faces.reshape(-1)], atol=1e-3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot read|holds no triangles"),
        (b"not a mesh at all", "cannot read|holds no triangles"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n", "holds no triangles"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.ply"
    path.write_bytes(content)
    with pytest.raises(NcpifuError, match=message) as caught:
        read_scan(find_scans(tmp_path)[0])
    assert "broken.ply" in caught.value.message


@pytest.mark.parametrize("suffix", ["drc", "obj", "glb", "stl"])
def test_garbage_in_every_format_is_one_line(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"bad.{suffix}").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(NcpifuError, match=rf"bad\.{suffix}"):
        read_scan(find_scans(tmp_path)[0])


def test_geometry_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    flat = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1.0]])
    vertices, faces, _ = figure()
    broken = vertices.copy()
    broken[3] = np.nan
    for name, points, corners, message in (
        ("flat", flat, [[0, 1, 2]], "no height"),
        ("nan", broken, faces, "not finite"),
        ("point", vertices * 0, faces, "no triangles with an area"),
    ):
        path = tmp_path / f"{name}.ply"
        trimesh.Trimesh(points, corners, process=False).export(path)
        with pytest.raises(NcpifuError, match=message):
            read_scan(ScanSource(name, path, "folder"), up="y")


def test_missing_texture_falls_back_to_grey(tmp_path: Path) -> None:
    path = write_thuman2(tmp_path)
    (path.parent / "material0.jpeg").write_bytes(b"no jpeg")
    scan = read_scan(find_scans(tmp_path)[0])
    assert any("grey" in note for note in scan.notes)
    assert np.ptp(scan.colors) == 0


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NcpifuError, match="does not exist"):
        find_scans(tmp_path / "nowhere")
    with pytest.raises(NcpifuError, match="no scans in"):
        find_scans(tmp_path)
    (tmp_path / "readme.txt").write_text("hello")
    with pytest.raises(NcpifuError, match="expected <0000>/<0000>.obj") as caught:
        find_scans(tmp_path, "thuman2")
    assert "readme.txt" in caught.value.hint
    with pytest.raises(NcpifuError, match="unknown data set"):
        find_scans(tmp_path, "kitti")


def test_two_scans_of_one_name_are_refused(tmp_path: Path) -> None:
    write_draco(tmp_path / "anna.drc")
    write_draco(tmp_path / "anna" / "mesh.drc")
    with pytest.raises(NcpifuError, match="two scans are called anna"):
        find_scans(tmp_path)


def test_texture_rows_start_at_the_top() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    corners = sample_texture(image, np.array([[0, 1], [1, 1], [0, 0], [1, 0]], float))
    assert corners.tolist() == [image[0, 0].tolist(), image[0, 1].tolist(), image[1, 0].tolist(), image[1, 1].tolist()]
    assert abs(sample_texture(image, np.array([[0.5, 0.5]])).astype(float) - image.mean(axis=(0, 1))).max() <= 0.5


def test_draco_among_other_meshes_hides_none(tmp_path: Path) -> None:
    write_draco(tmp_path / "berta.drc")
    vertices, faces, _ = figure()
    trimesh.Trimesh(vertices, faces, process=False).export(tmp_path / "anna.ply")
    assert [(source.name, source.dataset) for source in find_scans(tmp_path)] == [("anna", "folder"), ("berta", "folder")]
    (tmp_path / "carl.drc").write_bytes(b"nothing")
    with pytest.raises(NcpifuError, match=r"cannot read .*carl\.drc: [^\n]+$"):
        read_scan(ScanSource("carl", tmp_path / "carl.drc", "folder"))
