import numpy as np
import pytest

from ncpifu_cli.geometry import sh
from ncpifu_cli.geometry.camera import rotation_x, rotation_y


def test_basis_is_orthonormal_on_the_sphere() -> None:
    values = sh.basis(sh.fibonacci_sphere(20_000))
    np.testing.assert_allclose(values.T @ values * 4 * np.pi / 20_000, np.eye(9), atol=1e-3)


def test_fibonacci_directions_are_unit_and_balanced() -> None:
    directions = sh.fibonacci_sphere(128)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=0.01)


@pytest.mark.parametrize("rotation", [rotation_y(90), rotation_y(37) @ rotation_x(-21), rotation_x(180)])
def test_a_turned_function_has_its_old_values_at_turned_directions(rotation: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=(9, 3))
    directions = sh.fibonacci_sphere(50)
    turned = sh.rotate(coefficients, rotation)
    np.testing.assert_allclose(sh.basis(directions @ rotation.T) @ turned, sh.basis(directions) @ coefficients, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(turned, axis=0), np.linalg.norm(coefficients, axis=0))


def test_cosine_lobe_gives_the_irradiance_of_a_directional_light() -> None:
    light = sh.basis(np.array([[0.0, 0.0, 1.0]]))[0]  # the order-2 part of a lamp straight ahead
    facing, away = (sh.basis(np.array([[0.0, 0.0, z]]))[0] * sh.COSINE_LOBE @ light for z in (1.0, -1.0))
    assert facing == pytest.approx(1.0625, abs=1e-3)  # order 2 of max(0, cos): 1/4 + 1/2 + 5/16
    assert away == pytest.approx(0.0625, abs=1e-3)
