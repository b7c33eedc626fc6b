import numpy as np
import pytest
import trimesh

from ncpifu_cli.data import prt
from ncpifu_cli.geometry import sh
from ncpifu_cli.geometry.surface import vertex_normals


def ball(radius: float = 0.5, centre: tuple[float, float, float] = (0, 0, 0)) -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(3, radius)
    return np.asarray(mesh.vertices) + centre, np.asarray(mesh.faces)


def test_a_convex_body_has_no_shadows() -> None:
    vertices, faces = ball()
    normals = vertex_normals(vertices, faces)
    baked, open_sky = prt.bake(vertices, faces, normals, 96), prt.unshadowed(normals)
    assert np.sqrt(((baked - open_sky) ** 2).sum() / (open_sky**2).sum()) < 0.05
    np.testing.assert_allclose(open_sky, sh.basis(normals) * sh.COSINE_LOBE, rtol=1e-5)


def test_a_roof_takes_the_sky_from_what_lies_below() -> None:
    ground = trimesh.creation.box([2, 0.1, 2]).subdivide().subdivide().subdivide()
    roof = trimesh.creation.box([2, 0.1, 2])
    roof.apply_translation([0, 0.5, 0])
    both = trimesh.util.concatenate([ground, roof])
    vertices, faces = np.asarray(both.vertices), np.asarray(both.faces)
    normals = vertex_normals(vertices, faces)
    transfer = prt.bake(vertices, faces, normals, 96)
    floor = (abs(vertices[:, 1] - 0.05) < 1e-6) & (abs(vertices[:, [0, 2]]).max(axis=1) < 0.3)
    top = abs(vertices[:, 1] - 0.55) < 1e-6
    sky = np.zeros(9)
    sky[0] = 1
    assert (transfer[floor] @ sky).max() < 0.35 * (prt.unshadowed(normals[floor]) @ sky).min()
    assert (transfer[top] @ sky).min() > 0.5 * (prt.unshadowed(normals[top]) @ sky).max()


def test_shadow_falls_on_the_side_away_from_the_light() -> None:
    (va, fa), (vb, fb) = ball(0.5), ball(0.5, (1.2, 0, 0))
    vertices, faces = np.r_[va, vb], np.r_[fa, fb + len(va)]
    normals = vertex_normals(vertices, faces)
    open_sky, baked = prt.unshadowed(normals), prt.bake(vertices, faces, normals, 96)
    lost = (open_sky - baked)[:, 0] / open_sky[:, 0]
    facing = np.argmin(np.linalg.norm(vertices - [0.5, 0, 0], axis=1))
    turned_away = np.argmin(np.linalg.norm(vertices - [-0.5, 0, 0], axis=1))
    assert lost[facing] > 0.3
    assert abs(lost[turned_away]) < 0.05


def test_the_bake_is_deterministic_and_refines() -> None:
    vertices, faces = ball()
    normals = vertex_normals(vertices, faces)
    assert (prt.bake(vertices, faces, normals, 32) == prt.bake(vertices, faces, normals, 32)).all()
    truth = prt.unshadowed(normals)
    errors = [abs(prt.bake(vertices, faces, normals, count) - truth).mean() for count in (16, 96)]
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_units_do_not_matter(scale: float) -> None:
    vertices, faces = ball()
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(prt.bake(vertices * scale, faces, normals, 32), prt.bake(vertices, faces, normals, 32), atol=0.05)
