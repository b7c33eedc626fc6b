"""Another light on a picture whose normals are known: what faces the sun is lit, what stands in a shadow is not, and nothing else changes."""

import numpy as np
import pytest

from ncpifu_cli.data import relight
from ncpifu_cli.data.relight import lit_share, relit
from tests.normal_fixtures import hump

SIZE = 96
FLAT = np.zeros((64, 64), np.float32)
FROM_THE_RIGHT = np.array([0.8, 0.0, 0.6], np.float32)


def wall(height_ndc: float) -> np.ndarray:
    """A flat surface with a wall of two columns on its middle."""
    front = FLAT.copy()
    front[:, 31:33] = height_ndc
    return front


def test_nothing_stands_in_the_light_of_a_flat_surface() -> None:
    assert (lit_share(FLAT, FROM_THE_RIGHT) == 1).all()


def test_a_wall_throws_its_shadow_away_from_the_light_and_only_as_far_as_it_is_high() -> None:
    share = lit_share(wall(0.15), FROM_THE_RIGHT)[32]
    reach = round(0.15 * 0.8 / 0.6 * 32)  # in cells of 2 / 64 NDC
    assert share[30 - reach // 2] < 0.5
    assert (share[: 31 - 2 * reach] == 1).all()
    assert (share[35:] > 0.9).all()


def test_shadows_of_a_light_from_above_fall_downwards() -> None:
    ledge = FLAT.copy()
    ledge[31:33] = 0.15
    share = lit_share(ledge, np.array([0.0, 0.8, 0.6], np.float32))[:, 32]
    assert share[34] < 0.5
    assert (share[:30] > 0.9).all()


def test_what_floats_far_in_front_throws_none() -> None:
    assert (lit_share(wall(0.9), FROM_THE_RIGHT)[:, :31] == 1).all()


def test_beside_the_person_nothing_throws_a_shadow() -> None:
    front = FLAT.copy()
    front[:, 32:] = np.nan
    assert (lit_share(front, FROM_THE_RIGHT)[:, :30] == 1).all()


@pytest.fixture
def ball() -> tuple[np.ndarray, np.ndarray]:
    mask, normals = hump(SIZE)
    return mask, np.ascontiguousarray(normals.transpose(2, 0, 1), np.float32)


def relight_ball(ball: tuple[np.ndarray, np.ndarray], seed: int) -> np.ndarray:
    grey = np.full((SIZE, SIZE, 3), 128, np.float32)
    return relit(np.random.default_rng(seed), grey, ball[1], np.full((64, 64), np.nan, np.float32), (slice(0, SIZE), slice(0, SIZE)), SIZE)


def test_a_sun_is_brightest_where_the_surface_faces_it_and_leaves_the_rest_alone(ball: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relight, "SUN", 1.0)
    monkeypatch.setattr(relight, "GLOSS", 0.0)
    mask, normals = ball
    for seed in range(5):
        picture = relight_ball(ball, seed)
        assert (picture[~mask] == 128).all()
        green = picture[..., 1]
        brightest = normals[:, mask][:, green[mask].argmax()]
        towards = np.random.default_rng(seed)
        towards.random(2)  # whether sunny, whether glossy
        sun = towards.normal((0.0, 0.35, 0.55), 0.6)
        sun[2] = max(abs(sun[2]), 0.1)
        assert brightest @ (sun / np.linalg.norm(sun)) > 0.97
        assert np.ptp(green[mask]) > 20


def test_gloss_only_adds_light(ball: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relight, "SUN", 0.0)
    monkeypatch.setattr(relight, "GLOSS", 1.0)
    pictures = [relight_ball(ball, seed) for seed in range(5)]
    assert all((picture >= 128).all() for picture in pictures)
    assert any((picture > 138).any() for picture in pictures)


def test_some_pictures_keep_their_light(ball: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relight, "SUN", 0.0)
    monkeypatch.setattr(relight, "GLOSS", 0.0)
    assert (relight_ball(ball, 0) == 128).all()
