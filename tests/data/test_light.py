import numpy as np
import pytest

from ncpifu_cli.data import light, prt
from ncpifu_cli.geometry import sh
from ncpifu_cli.geometry.camera import Camera

ALL_AROUND = sh.fibonacci_sphere(300)


def test_environments_have_the_statistics_of_real_probes() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([light.environment(rng) for _ in range(200)])
    grey = drawn.mean(axis=2)
    assert grey[:, 0].mean() == pytest.approx(1.04, abs=0.05)
    direction = np.linalg.norm(grey[:, 1:4], axis=1) / grey[:, 0]
    assert 0.3 < np.median(direction) < 0.5
    assert (grey[:, 2] / grey[:, 0]).mean() > 0.1  # light from the front
    irradiance = np.einsum("nk,ekc->enc", prt.unshadowed(ALL_AROUND), drawn)
    assert irradiance.min() > 0
    cast = (drawn[:, 0] / drawn[:, 0].mean(axis=1, keepdims=True)).std(axis=1)
    assert 0.02 < np.median(cast) < 0.12


def test_equal_seeds_give_equal_light() -> None:
    assert (light.environment(np.random.default_rng(7)) == light.environment(np.random.default_rng(7))).all()


def test_white_light_shows_the_albedo_itself() -> None:
    shading = light.shading(prt.unshadowed(ALL_AROUND), light.white(), np.eye(3))
    np.testing.assert_allclose(shading, 1, atol=1e-4)
    albedo = np.array([[10, 120, 250]], np.uint8)
    np.testing.assert_allclose(light.shade(albedo, shading[:1]), albedo, atol=0.05)


def test_light_stays_with_the_camera_when_the_subject_turns() -> None:
    lamp = light.white()
    lamp[2] += 0.3  # from the camera's side (z)
    camera = Camera(90)
    towards = np.array([[0.0, 0, 1], [0, 0, -1], [1, 0, 0], [-1, 0, 0]])  # normals in the subject's frame
    shading = light.shading(prt.unshadowed(towards), lamp, camera.rotation)[:, 0]
    seen = towards @ camera.rotation.T
    assert shading.argmax() == seen[:, 2].argmax()  # brightest is what faces the camera now
    assert shading.argmin() == seen[:, 2].argmin()


def test_gamma_is_applied_to_the_light_alone() -> None:
    half = light.white() / 2
    shading = light.shading(prt.unshadowed(ALL_AROUND[:1]), half, np.eye(3))
    np.testing.assert_allclose(shading, 0.5 ** (1 / 2.2), rtol=1e-4)
    assert light.shade(np.full((1, 3), 200, np.uint8), np.full((1, 3), 2.0, np.float32)).max() == 255
