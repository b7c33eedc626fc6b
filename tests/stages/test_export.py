"""Files: every format reads back, all or none are written, the sidecar says how to get back to the photo."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from photo_fixtures import draw_person, fake_model

from ncpifu_cli.artifacts import sha256
from ncpifu_cli.config.reconstruct import MESH_FORMATS, ReconstructConfig
from ncpifu_cli.data.perspective import Perspective
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.stages import export
from ncpifu_cli.stages.export import save, write_mesh
from ncpifu_cli.stages.outputs import plan_outputs
from ncpifu_cli.stages.reconstruct import Reconstruction, reconstruct
from ncpifu_cli.stages.sidecar import sidecar


@pytest.fixture(scope="module")
def result() -> Reconstruction:
    person, mask = draw_person()
    return reconstruct(np.dstack([person, mask.astype(np.uint8) * 255]), fake_model(), resolution=64, detail=False)


@pytest.mark.parametrize("suffix", MESH_FORMATS)
def test_formats_read_back(result: Reconstruction, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"person{suffix}"
    write_mesh(result.mesh, path)
    mesh = trimesh.load(path, force="mesh", process=False)
    assert np.allclose(mesh.bounds, result.mesh.bounds, atol=1e-5)
    assert len(mesh.faces) == len(result.mesh.faces)
    if suffix in (".obj", ".ply"):
        assert np.abs(np.asarray(mesh.visual.vertex_colors)[:, :3].astype(int) - np.asarray(result.mesh.visual.vertex_colors)[:, :3]).max() <= 1


def test_glb_is_valid_and_its_colours_are_linear(result: Reconstruction) -> None:
    data = export.glb_bytes(result.mesh)
    assert data[:4] == b"glTF"
    assert int.from_bytes(data[8:12], "little") == len(data)
    length = int.from_bytes(data[12:16], "little")
    document = json.loads(data[20 : 20 + length])
    binary = data[20 + length + 8 :]
    assert document["buffers"][0]["byteLength"] == len(binary)
    view = document["bufferViews"][document["accessors"][2]["bufferView"]]
    assert view["byteOffset"] % 4 == 0
    linear = np.frombuffer(binary[view["byteOffset"] :][: view["byteLength"]], "<u2").reshape(-1, 4)[:, :3] / 65535
    back = 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(back - np.asarray(result.mesh.visual.vertex_colors)[:, :3]).max() < 0.6
    assert document["materials"][0]["pbrMetallicRoughness"]["metallicFactor"] == 0


def test_sidecar_maps_the_mesh_to_the_photo(result: Reconstruction, tmp_path: Path) -> None:
    outputs = plan_outputs(tmp_path / "deep" / "person.glb", ReconstructConfig(save_mask=str(tmp_path / "mask.png")))
    save(result, outputs)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["person.glb", "person.json", "person.png"]
    said = json.loads(outputs.sidecar.read_text())
    matrix = np.array(said["similarity"]["photo_from_mesh"])
    points = np.asarray(result.mesh.vertices)
    seen = np.hstack([points, np.ones((len(points), 1))]) @ matrix.T
    assert np.allclose(seen[:, :2] / seen[:, 2:], result.to_photo_px(points))
    assert said["camera"]["kind"] == "orthographic" and said["camera"]["position_m"] is None
    assert said["mask"]["source"] == "alpha channel"
    assert said["weights"]["sha256"] == "0" * 64
    assert said["detail"] is None
    assert said["back"] == {"file": "back.safetensors", "sha256": sha256(result.back)}
    mask = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(mask >= 128, result.prepared.mask.binary)


def test_sidecar_of_a_near_camera_maps_the_mesh_to_the_photo(result: Reconstruction, tmp_path: Path) -> None:
    near = replace(result, seen=Perspective(2.5, (0.1, 0.4)))
    said = sidecar(near, plan_outputs(tmp_path / "person.obj", ReconstructConfig()))
    assert said["camera"]["kind"] == "perspective"
    metre = near.scale * HALF_EXTENT_M
    assert said["camera"]["position_m"] == pytest.approx([0.1 * metre, 0.4 * metre + near.lift_m, 2.5 * metre])
    assert said["camera"]["seen_distance_m"] == pytest.approx(2.5 * metre)
    kept = replace(near, config=near.config.model_copy(update={"keep_perspective": True}))
    said_kept = sidecar(kept, plan_outputs(tmp_path / "person.obj", ReconstructConfig()))["camera"]
    assert (said_kept["kind"], said_kept["position_m"], said_kept["seen_distance_m"]) == ("orthographic", None, said["camera"]["seen_distance_m"])
    points = np.asarray(result.mesh.vertices)
    seen = np.hstack([points, np.ones((len(points), 1))]) @ np.array(said["similarity"]["photo_from_mesh"]).T
    assert np.allclose(seen[:, :2] / seen[:, 2:], near.to_photo_px(points))
    assert np.abs(near.to_photo_px(points) - result.to_photo_px(points)).max() > 2
    on_axis = near.to_photo_px(np.array([said["camera"]["position_m"]]) * (1, 1, 0) + np.array([[0, 0, z] for z in (-0.2, 0.0, 0.2)]))
    assert on_axis == pytest.approx(np.tile(on_axis[0], (3, 1)))  # straight before the camera every depth is at one pixel


def test_all_or_nothing(result: Reconstruction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = plan_outputs(tmp_path / "person.obj", ReconstructConfig())
    assert not list(tmp_path.iterdir())

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_png", full_disk)
    with pytest.raises(NcpifuError, match="No space left"):
        save(result, outputs)
    assert not list(tmp_path.iterdir())


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "folder.obj").mkdir()
    (tmp_path / "file").touch()
    cases = {"mesh.fbx": "unknown mesh format", "mesh": "unknown mesh format", "folder.obj": "folder", "file/mesh.obj": "cannot write"}
    for name, message in cases.items():
        with pytest.raises(NcpifuError, match=message) as caught:
            plan_outputs(tmp_path / name, ReconstructConfig())
        assert caught.value.hint
    with pytest.raises(NcpifuError, match="two of the files"):
        plan_outputs(tmp_path / "a.obj", ReconstructConfig(save_mask=str(tmp_path / "a.png")))
    with pytest.raises(NcpifuError, match="PNG"):
        plan_outputs(tmp_path / "a.obj", ReconstructConfig(save_mask=str(tmp_path / "mask.jpg")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.obj"]
