from dataclasses import replace

import numpy as np
import pytest

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.assemble import Mesh, assemble, decode_draco, decode_mesh, encode_draco, encode_mesh, simplify, to_output_frame
from ncpifu_cli.synth.gates import Measures, RejectedHuman, failures
from ncpifu_cli.synth.parts import Part


def _ball(name: str, centre: tuple[float, float, float], color: tuple[float, float, float], subdivisions: int = 4) -> Part:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.3)
    vertices = np.asarray(ball.vertices) + centre
    return Part(name, vertices, np.asarray(ball.faces, np.int64), np.tile(color, (len(vertices), 1)))


def test_output_is_y_up_facing_z_with_feet_at_zero() -> None:
    assert to_output_frame(np.array([[1.0, -2.0, 3.0]])).tolist() == [[1.0, 3.0, 2.0]]
    mesh = assemble([_ball("skin", (0.1, -0.5, -1.0), (0.5, 0.4, 0.3))], None)
    assert mesh.vertices[:, 1].min() == pytest.approx(0, abs=1e-6)
    assert mesh.vertices[:, 2].mean() == pytest.approx(0.5, abs=1e-3)
    assert mesh.vertices.dtype == np.float32
    assert mesh.colors[0].tolist() == [128, 102, 76]


def test_budget_is_shared_and_kept() -> None:
    parts = [_ball("skin", (0, 0, 0), (0.8, 0.6, 0.5)), _ball("shoe", (0, 0, 1), (0.1, 0.1, 0.1))]
    mesh = assemble(parts, 4000)
    assert 3600 <= len(mesh.faces) <= 4000
    upper = mesh.vertices[mesh.faces].mean(axis=1)[:, 1] > 0.8
    assert upper.sum() < (~upper).sum()  # shoes matter less than skin
    assert mesh.faces.max() < len(mesh.vertices)


def test_a_small_budget_leaves_small_parts_whole() -> None:
    parts = [_ball("skin", (0, 0, 0), (0.8, 0.6, 0.5), 5), _ball("hair", (0, 0, 1), (0.1, 0.1, 0.1), 1)]
    assert len(assemble(parts, 100_000).faces) == sum(len(p.triangles) for p in parts)


def test_simplified_colours_are_means_of_what_they_replace() -> None:
    part = _ball("skin", (0, 0, 0), (0, 0, 0), 5)
    halves = np.where(part.vertices[:, :1] > 0, 1.0, 0.0) * np.ones(3)
    reduced = simplify(Part("skin", part.vertices, part.triangles, halves), 800)
    far = np.abs(reduced.vertices[:, 0]) > 0.06
    assert np.allclose(reduced.colors[far, 0], (reduced.vertices[far, 0] > 0) * 1.0)
    assert np.abs(np.linalg.norm(reduced.vertices, axis=1) - 0.3).max() < 0.01


def test_draco_round_trip() -> None:
    part = _ball("skin", (0, 0, 0.3), (0.2, 0.5, 0.9))
    colors = np.clip(part.colors + part.vertices * 0.2, 0, 1)
    mesh = assemble([Part("skin", part.vertices, part.triangles, colors)], None)
    data = encode_draco(mesh)
    again = decode_draco(data)
    assert len(data) < mesh.vertices.nbytes / 4
    assert len(again.faces) == len(mesh.faces)
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(again.vertices).query(mesh.vertices)
    assert distance.max() < 1.5e-4
    assert np.abs(again.colors[nearest].astype(int) - mesh.colors).max() <= 1
    assert data == encode_draco(mesh)


@pytest.mark.parametrize("kind", ["drc", "glb", "ply", "obj"])
def test_every_format_brings_back_shape_and_colours(kind: str) -> None:
    mesh = assemble([_ball("skin", (0, 0, 0.3), (0.2, 0.5, 0.9), 2)], None)
    again = decode_mesh(encode_mesh(mesh, kind), kind)
    assert len(again.faces) == len(mesh.faces)
    assert np.allclose(np.sort(again.vertices[:, 1]), np.sort(mesh.vertices[:, 1]), atol=2e-4)
    assert np.abs(again.colors.astype(int) - mesh.colors[0]).max() <= 1


def test_what_is_not_draco_is_refused() -> None:
    with pytest.raises(NcpifuError, match="Draco"):
        decode_draco(b"not a mesh at all")


GOOD = Measures(
    overlap=0.01, stretch=0.06, overstretched=0.001, pierced=0.001, under=0.003, chest=1.0, hips=0.99, height_m=1.7, deep=1.02, far=0.001, finite=True
)


def test_a_good_human_passes() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"overlap": 0.03}, "inside itself"),
        ({"overstretched": 0.2}, "stretched"),
        ({"overstretched": float("nan")}, "stretched"),
        ({"pierced": 0.02}, "skin that shows"),
        ({"under": 0.02}, "under the skin"),
        ({"chest": 0.8}, "chest"),
        ({"hips": 0.5}, "hips"),
        ({"height_m": 2.3}, "tall"),
        ({"deep": 0.8}, "winding"),
        ({"far": 0.4}, "winding"),
        ({"finite": False}, "finite"),
    ],
)
def test_each_gate_names_what_is_wrong(change: dict, word: str) -> None:
    reasons = failures(replace(GOOD, **change))
    assert len(reasons) == 1
    assert word in reasons[0]


def test_a_rejection_survives_the_way_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(RejectedHuman("train-000007", ["too tall", "too thin"])))
    assert error.reasons == ("too tall", "too thin")
    assert "train-000007 rejected: too tall; too thin" in error.message


def test_mesh_is_plain_arrays() -> None:
    mesh = Mesh(np.zeros((3, 3), np.float32), np.zeros((1, 3), np.int32), np.zeros((3, 3), np.uint8))
    assert mesh.vertices.shape == (3, 3)
