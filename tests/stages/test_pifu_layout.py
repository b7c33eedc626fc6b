"""The PIFu tree, read as PIFu's TrainDataset reads it (its lib/data/TrainDataset.py, rewritten here)."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh
from scan_fixtures import write_draco, write_thuman2

from ncpifu_cli.config.render import RenderSettings
from ncpifu_cli.geometry.raster import rasterise
from ncpifu_cli.stages.render import render

LOAD_SIZE = 512  # PIFu's --loadSize


def settings(**changes: Any) -> RenderSettings:
    small = {"yaw_step_deg": 120, "size_px": 512, "near_points": 800, "prt_directions": 16, "renderer": "raster", "jobs": 1, "layout": "pifu"}
    return RenderSettings.model_validate({**small, **changes})


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pifu")
    write_draco(folder / "own" / "train-000001.drc")
    write_draco(folder / "own" / "test-000002.drc")
    write_thuman2(folder / "thuman", "0007", height=0.95, up="z")
    render(folder / "own", folder / "out", settings())
    render(folder / "thuman", folder / "out", settings(pitch_deg=(0, 20)))
    return folder / "out"


def subjects(root: Path, train: bool) -> list[str]:
    everyone = {path.name for path in (root / "RENDER").iterdir()}
    validation = np.loadtxt(root / "val.txt", dtype=str)
    if len(validation) == 0:
        return sorted(everyone)
    return sorted(everyone - set(validation)) if train else sorted(set(validation))


def view(root: Path, subject: str, yaw: int, pitch: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PIFu's get_render without augmentation: picture, mask, calib (4, 4) from the mesh to x right, y down, z towards the camera, all in -1..1."""
    name = f"{yaw}_{pitch}_00"
    parameters = np.load(root / "PARAM" / subject / f"{name}.npy", allow_pickle=True).item()
    translate = -parameters["R"] @ np.asarray(parameters["center"]).reshape(3, 1)
    extrinsic = np.vstack([np.hstack([parameters["R"], translate]), [0, 0, 0, 1]])
    scale = parameters["scale"] / parameters["ortho_ratio"]
    intrinsic = np.diag([1 / (LOAD_SIZE // 2)] * 3 + [1.0]) @ np.diag([scale, -scale, scale, 1.0])
    picture = cv2.imread(str(root / "RENDER" / subject / f"{name}.jpg"))[..., ::-1]
    mask = cv2.imread(str(root / "MASK" / subject / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
    return picture, mask, intrinsic @ extrinsic


def test_training_and_validation_subjects(tree: Path) -> None:
    assert subjects(tree, train=True) == ["0007", "train-000001"]
    assert subjects(tree, train=False) == ["test-000002"]  # one name: PIFu would stumble over a list of exactly one line


@pytest.mark.parametrize(("subject", "pitch"), [("train-000001", 0), ("0007", 20)])
@pytest.mark.parametrize("yaw", [0, 120, 240])
def test_the_mesh_projects_onto_the_picture(tree: Path, subject: str, pitch: int, yaw: int) -> None:
    mesh = trimesh.load(tree / "GEO" / "OBJ" / subject / f"{subject}_100k.obj", process=False)
    picture, mask, calib = view(tree, subject, yaw, pitch)
    seen = np.hstack([mesh.vertices, np.ones((len(mesh.vertices), 1))]) @ calib[:3].T
    drawn = rasterise(seen * [1, -1, 1], mesh.faces, LOAD_SIZE).mask.astype(np.uint8)
    pixel = np.ones((3, 3), np.uint8)
    assert (cv2.erode(drawn, pixel) <= (mask > 0)).all()  # equal to within the pixels of the outline, which the mask rounds by coverage
    assert ((mask > 0) <= cv2.dilate(drawn, pixel)).all()
    if yaw == 0:
        front = picture[mask > 0].mean(axis=0)
        assert front[0] > 2 * front[2]  # red: the side that faces +z


def test_the_mesh_suits_pifus_sampling(tree: Path) -> None:
    for subject in ("train-000001", "0007"):
        mesh = trimesh.load(tree / "GEO" / "OBJ" / subject / f"{subject}_100k.obj", process=False)
        low, high = mesh.bounds
        assert (low[1], high[1]) == (pytest.approx(0, abs=0.01), pytest.approx(180, abs=0.01))  # centimetres: PIFu's sigma is 5
        assert (low > [-128, -28, -128]).all()  # its box
        assert (high < [128, 228, 128]).all()


def test_a_second_run_adds_only_what_is_missing(tmp_path: Path) -> None:
    write_draco(tmp_path / "own" / "train-000001.drc")
    small = settings(size_px=64)
    render(tmp_path / "own", tmp_path / "out", small.model_copy(update={"layout": "ncpifu"}))
    drawn = (tmp_path / "out" / "train-000001" / "subject.json").stat().st_mtime_ns
    assert render(tmp_path / "own", tmp_path / "out", small).done == ["train-000001"]
    assert (tmp_path / "out" / "train-000001" / "subject.json").stat().st_mtime_ns == drawn  # laid out, not drawn again
    assert render(tmp_path / "own", tmp_path / "out", small).skipped == ["train-000001"]
    changed = small.model_copy(update={"yaw_step_deg": 180, "overwrite": True})
    assert render(tmp_path / "own", tmp_path / "out", changed).done == ["train-000001"]
    assert len(list((tmp_path / "out" / "RENDER" / "train-000001").iterdir())) == 2
    assert not list((tmp_path / "out").rglob(".tmp-*"))
