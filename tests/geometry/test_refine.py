from typing import Any

import numpy as np
import pytest
import trimesh
from scipy.sparse.linalg import cg

from ncpifu_cli.geometry.extract import extract_surface
from ncpifu_cli.geometry.fair import fair_ground
from ncpifu_cli.geometry.mesh_health import crossing_faces
from ncpifu_cli.geometry.refine import MOST_NDC, refine
from ncpifu_cli.stages.detail import with_fine_front

RADIUS, BUMP, WAVES = 0.5, 0.006, 60.0
SIZE = 256


def ball() -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=6, radius=RADIUS)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)


def relief(x: np.ndarray) -> np.ndarray:
    """How far the true surface stands before the ball's."""
    return BUMP * np.sin(WAVES * x)


def normal_map(side: int, bumpy: bool) -> np.ndarray:
    """(S, S, 3) normals of the ball's front (side 1) or back (-1), with the relief or without, 0 beside it."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    x, y = columns / SIZE * 2 - 1, 1 - rows / SIZE * 2
    inside = x**2 + y**2 < 0.98 * RADIUS**2
    z = np.sqrt(np.where(inside, RADIUS**2 - x**2 - y**2, 1))
    # z = side (sqrt(r^2 - x^2 - y^2) + relief(x)): the normal is (-dz/dx, -dz/dy, 1) in front and its reverse at the back
    slope_x = -x / z + (BUMP * WAVES * np.cos(WAVES * x) if bumpy else 0)
    normals = np.stack([-slope_x, y / z, np.ones_like(x)], axis=2) * np.array([1, 1, side])
    return (normals / np.linalg.norm(normals, axis=2, keepdims=True) * inside[..., None]).astype(np.float32)


@pytest.mark.parametrize("side", [1, -1])
def test_the_relief_of_the_normals_appears_on_their_side_alone(side: int) -> None:
    vertices, faces = ball()
    maps = {one: normal_map(one, bumpy=one == side) for one in (1, -1)}
    moved = refine(vertices, faces, maps[1], maps[-1])
    assert np.array_equal(moved[:, :2], vertices[:, :2])
    inner = np.hypot(vertices[:, 0], vertices[:, 1]) < 0.6 * RADIUS
    here, there = inner & (side * vertices[:, 2] > 0), inner & (side * vertices[:, 2] < 0)
    wanted = side * relief(vertices[here, 0])
    error = moved[here, 2] - vertices[here, 2] - wanted
    assert np.abs(error).mean() < 0.35 * np.abs(wanted).mean()
    assert np.corrcoef(moved[here, 2] - vertices[here, 2], wanted)[0, 1] > 0.95
    assert np.abs(moved[there] - vertices[there]).max() < 0.1 * BUMP


def test_a_wavy_surface_becomes_smooth_where_the_normals_are() -> None:
    vertices, faces = ball()
    wavy = vertices + np.array([0, 0, 1]) * np.where(vertices[:, 2] > 0, relief(vertices[:, 0]), 0)[:, None]
    moved = refine(wavy, faces, normal_map(1, False), normal_map(-1, False))
    inner = (np.hypot(vertices[:, 0], vertices[:, 1]) < 0.6 * RADIUS) & (vertices[:, 2] > 0)
    assert np.abs(moved - vertices)[inner].mean() < 0.35 * np.abs(wavy - vertices)[inner].mean()


def test_what_a_rough_surface_hides_at_first_is_carved_by_a_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it turns away by itself normals are not believed, until a first pass has turned it back."""
    vertices, faces = ball()
    steep = np.where(vertices[:, 2] > 0, 0.03 * np.sin(50 * vertices[:, 0]), 0)  # slopes of 56 degrees
    inner = (np.hypot(vertices[:, 0], vertices[:, 1]) < 0.6 * RADIUS) & (vertices[:, 2] > 0)
    left = []
    for passes in (1, 2):
        monkeypatch.setattr("ncpifu_cli.geometry.refine.PASSES", passes)
        moved = refine(vertices + steep[:, None] * (0, 0, 1), faces, normal_map(1, False), normal_map(-1, False))
        left.append(np.abs(moved - vertices)[inner].mean())
    assert left[1] < 0.7 * left[0] < 0.7 * np.abs(steep[inner]).mean()


def _unevenness(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Mean angle (degrees) between neighbouring faces that look at the camera."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    facing = (mesh.face_normals[mesh.face_adjacency, 2] > 0.5).all(axis=1)
    return float(np.degrees(mesh.face_adjacency_angles[facing].mean()))


def test_a_step_that_the_normals_have_not_goes_where_they_are_believed_against_it() -> None:
    """A chin in the wrong place: the ball's lower half lies back by 5 cm, the normals are those of the ball."""
    vertices, faces = ball()
    before = (vertices[:, 2] > 0) & (np.hypot(vertices[:, 0], vertices[:, 1]) < 0.6 * RADIUS)
    stepped = vertices - np.array([0, 0, 0.05]) * ((vertices[:, 2] > 0) * np.clip(0.5 - vertices[:, 1] / 0.006, 0, 1))[:, None]
    maps = normal_map(1, False), normal_map(-1, False)
    near = before & (np.abs(vertices[:, 1]) < 0.04)

    def step(moved: np.ndarray) -> float:
        off = (moved - vertices)[:, 2]
        return float(off[near & (vertices[:, 1] > 0.015)].mean() - off[near & (vertices[:, 1] < -0.015)].mean())

    assert step(stepped) == pytest.approx(0.05, abs=1e-3)
    assert step(refine(stepped, faces, *maps)) > 0.035
    assert step(refine(stepped, faces, *maps, np.ones((SIZE, SIZE), np.float32))) < 0.02
    nowhere = refine(stepped, faces, *maps, np.zeros((SIZE, SIZE), np.float32))
    assert np.array_equal(nowhere, refine(stepped, faces, *maps))


def test_normals_of_no_surface_leave_no_rings_on_marching_cubes_triangles() -> None:
    """Narrow triangles lie in strips where a surface crosses the grid; they must not weigh more than others."""
    surface = extract_surface(lambda p: (0.5 + (RADIUS - np.linalg.norm(p / (1, 1, 0.2), axis=1))).astype(np.float32), 96, settle=True)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    x, y = columns / SIZE * 2 - 1, 1 - rows / SIZE * 2
    slope_x, slope_y = 0.4 * np.sin(9 * y), -0.4 * np.sin(9 * x)  # around in circles: the slopes of no surface
    front = np.stack([-slope_x, -slope_y, np.ones_like(x)], axis=2)
    front /= np.linalg.norm(front, axis=2, keepdims=True)
    moved = refine(surface.vertices, surface.faces, front.astype(np.float32), np.zeros_like(front, np.float32))
    assert np.abs(moved - surface.vertices).max() > 0.002
    assert _unevenness(moved, surface.faces) < 1.3 * _unevenness(surface.vertices, surface.faces)


def test_no_normals_no_move() -> None:
    vertices, faces = ball()
    nothing = np.zeros((SIZE, SIZE, 3), np.float32)
    assert np.array_equal(refine(vertices, faces, nothing, nothing), vertices)


def test_nonsense_moves_little_and_never_turns_a_thin_part_inside_out() -> None:
    vertices, faces = ball()
    flat = vertices * (1, 1, 0.02)
    rng = np.random.default_rng(0)
    nonsense = [rng.normal(size=(SIZE, SIZE, 3)) for _ in range(2)]
    front, back = (n / np.linalg.norm(n, axis=2, keepdims=True) for n in nonsense)
    assert (front[..., 2] < 0).mean() > 0.4  # also normals that point the wrong way
    moved = refine(flat, faces, front.astype(np.float32), back.astype(np.float32))
    assert np.isfinite(moved).all()
    assert np.abs(moved - flat).max() <= MOST_NDC
    inner = np.hypot(flat[:, 0], flat[:, 1]) < 0.8 * RADIUS
    assert (moved[inner, 2] * np.sign(flat[inner, 2]) >= 0).all()


def test_no_faces_cut_through_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = ball()
    wavy = vertices * (1, 1, 0.01) + np.array([0, 0, 0.3]) * np.sin(12 * vertices[:, 1:2])  # thin and steep
    rng = np.random.default_rng(0)
    normals = [(n / np.linalg.norm(n, axis=2, keepdims=True)).astype(np.float32) for n in rng.normal(size=(2, SIZE, SIZE, 3)) + np.array([0, 0, 0.5])]
    assert not crossing_faces(wavy, faces).any()
    moved = refine(wavy, faces, normals[0], normals[1] * (1, 1, -1))
    assert np.abs(moved - wavy).max() > 0.002
    assert not crossing_faces(moved, faces).any()
    monkeypatch.setattr("ncpifu_cli.geometry.mesh_health.BACK_TRIES", 1)  # the first try as it is
    assert crossing_faces(refine(wavy, faces, normals[0], normals[1] * (1, 1, -1)), faces).any()


def test_relief_ends_without_a_ridge_at_the_sides() -> None:
    """Normals that turn the rim of a ball's front backwards; of its sides nothing is known."""
    vertices, faces = ball()
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    x, y = columns / SIZE * 2 - 1, 1 - rows / SIZE * 2
    z = np.sqrt(np.clip(RADIUS**2 - x**2 - y**2, 1e-4, None))
    rim = np.hypot(x, y) > 0.75 * RADIUS
    front = np.stack([x, y, np.where(rim, 0.6, 1) * z], axis=2) * (np.hypot(x, y) < RADIUS)[..., None]
    front /= np.maximum(np.linalg.norm(front, axis=2, keepdims=True), 1e-6)
    moved = trimesh.Trimesh(refine(vertices, faces, front.astype(np.float32), np.zeros_like(front, np.float32)), faces, process=False)
    still = trimesh.Trimesh(vertices, faces, process=False)
    assert np.abs(moved.vertices - vertices).max() > 0.003
    side = np.abs(still.face_normals[still.face_adjacency][:, :, 2]).max(axis=1) < 0.4
    assert moved.face_adjacency_angles[side].max() < 2 * still.face_adjacency_angles[side].max()


def test_the_solver_gets_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """On triangles as marching cubes and `fair_ground` leave them, with finer ones on a part."""
    answers: list[int] = []

    def watched(*args: Any, **options: Any) -> tuple[np.ndarray, int]:
        answers.append(cg(*args, **options)[1])
        return cg(*args, **options)

    monkeypatch.setattr("ncpifu_cli.geometry.refine.cg", watched)
    body = extract_surface(lambda p: (1 / (1 + np.exp(40 * (np.linalg.norm(p / (0.3, 0.8, 0.2), axis=1) - 1)))).astype(np.float32), 192)
    vertices, faces = with_fine_front(fair_ground(body.vertices, body.faces), body.faces, 0.0, 0.8)
    front = np.random.default_rng(1).normal(size=(SIZE, SIZE, 3)) * (0.3, 0.3, 0.1) + (0, 0, 1)
    front /= np.linalg.norm(front, axis=2, keepdims=True)
    refine(vertices, faces, front.astype(np.float32), (front * (1, 1, -1)).astype(np.float32))
    assert answers == [0, 0, 0]  # a pass each
