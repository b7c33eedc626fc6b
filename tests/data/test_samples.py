from pathlib import Path

import numpy as np
import pytest
from scan_fixtures import write_draco, write_thuman2

from ncpifu_cli.data.samples import BOUNDS_M, dequantise, quantise, read_samples, write_samples
from ncpifu_cli.data.scans import find_scans, read_scan
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.inside import InsideTest
from ncpifu_cli.geometry.mesh import Scan


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    write_draco(tmp_path / "scans" / "train-000001.drc")
    return read_scan(find_scans(tmp_path / "scans")[0])


def test_quantisation_is_to_a_fiftieth_of_a_millimetre() -> None:
    points = np.random.default_rng(0).uniform(*BOUNDS_M, (1000, 3))
    assert abs(dequantise(quantise(points)) - points).max() < 2.1e-5
    assert quantise(np.array([[-9.0, 0, 9]])).tolist() == [[0, 32768, 65535]]


def test_written_labels_are_exact_and_the_ratio_is_sixteen_to_one(tmp_path: Path, scan: Scan) -> None:
    path = tmp_path / "samples.npz"
    balance = write_samples(path, scan, 4000, np.random.default_rng(0))
    samples = read_samples(path)
    assert (len(samples.near), len(samples.uniform), len(samples.surface)) == (4000, 250, 1000)
    test = InsideTest(scan.vertices, scan.faces)
    assert (test.inside(samples.near) == samples.near_inside).all()
    assert (test.inside(samples.uniform) == samples.uniform_inside).all()
    assert 0.25 < balance["near_inside"] < 0.6
    arrays = np.load(path, allow_pickle=False)
    assert {k: arrays[k].dtype.name for k in arrays.files} == {
        "near_q": "uint16",
        "near_inside": "uint8",
        "uniform_q": "uint16",
        "uniform_inside": "uint8",
        "surface_q": "uint16",
        "surface_rgb": "uint8",
        "bounds_m": "float32",
    }


def test_surface_points_carry_the_albedo(tmp_path: Path, scan: Scan) -> None:
    write_samples(tmp_path / "a.npz", scan, 4000, np.random.default_rng(0))
    write_thuman2(tmp_path / "textured")
    textured = read_scan(find_scans(tmp_path / "textured")[0])
    write_samples(tmp_path / "b.npz", textured, 4000, np.random.default_rng(0))
    for name in ("a.npz", "b.npz"):
        samples = read_samples(tmp_path / name)
        front = samples.surface[:, 2] > 0.06
        assert (samples.surface_rgb[front, 0] > 180).all()
        assert (samples.surface_rgb[samples.surface[:, 2] < -0.06, 2] > 180).all()
        inner = (np.linalg.norm(samples.surface[:, [0, 2]], axis=1) < 0.1) & (abs(samples.surface[:, 1] - 0.37) < 0.04)
        assert not inner.any()  # the arm's end inside the body is hidden


def test_equal_seeds_give_equal_files(tmp_path: Path, scan: Scan) -> None:
    for name in ("a.npz", "b.npz"):
        write_samples(tmp_path / name, scan, 800, np.random.default_rng([0, 3]))
    a, b = read_samples(tmp_path / "a.npz"), read_samples(tmp_path / "b.npz")
    assert all(np.array_equal(getattr(a, key), getattr(b, key)) for key in vars(a))


def test_a_surface_that_bounds_nothing_is_refused(tmp_path: Path, scan: Scan) -> None:
    inverted = Scan(**{**vars(scan), "faces": np.ascontiguousarray(scan.faces[:, ::-1])})
    with pytest.raises(NcpifuError, match="nothing lies inside"):
        write_samples(tmp_path / "x.npz", inverted, 800, np.random.default_rng(0))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "samples.npz").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(NcpifuError, match=r"cannot read .*samples\.npz"):
        read_samples(tmp_path / "samples.npz")
    with pytest.raises(NcpifuError, match="cannot read"):
        read_samples(tmp_path / "nothing.npz")


def test_no_damage_escapes_as_anything_else(tmp_path: Path, scan: Scan) -> None:
    """A damaged archive gives zip, zlib, header and value errors; all are the file's."""
    write_samples(tmp_path / "a.npz", scan, 800, np.random.default_rng(0))
    content, rng = (tmp_path / "a.npz").read_bytes(), np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[int(rng.integers(len(damaged)))] ^= int(rng.integers(1, 256))
        (tmp_path / "b.npz").write_bytes(bytes(damaged))
        try:
            read_samples(tmp_path / "b.npz")
        except NcpifuError:
            refused += 1
    assert refused > 20
