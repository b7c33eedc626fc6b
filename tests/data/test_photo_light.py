"""What the photo's light does to the colours it shows is found and laid over those it does not show."""

import numpy as np

from ncpifu_cli.data.photo_light import in_photo_light


def test_exposure_and_tint_are_found() -> None:
    rng = np.random.default_rng(0)
    albedo = rng.random((400, 3))
    photo = 0.1 + albedo * [0.8, 0.6, 0.4]
    seen = np.arange(400) < 200
    shown = np.where(seen[:, None], photo, np.nan)  # what is not seen is not known
    lit = in_photo_light(albedo, shown, seen)
    assert lit.dtype == np.float32
    assert np.abs(lit - photo)[~seen].max() < 0.08
    assert in_photo_light(albedo, 2 * photo, seen).max() <= 1


def test_little_is_changed_where_little_is_known() -> None:
    albedo = np.array([[0.2, 0.4, 0.6], [0.9, 0.1, 0.5]])
    nothing = np.zeros(2, bool)
    assert np.allclose(in_photo_light(albedo, np.full((2, 3), np.nan), nothing), albedo, atol=1e-6)
    one_color = np.tile([[0.5, 0.5, 0.5]], (100, 1))
    lit = in_photo_light(np.vstack([one_color, albedo]), np.vstack([one_color * 0.5, albedo]), np.arange(102) < 100)
    assert np.abs(lit[:100] - 0.25).max() < 0.02
    assert (lit[100:] < albedo).all()  # darker too, but still themselves
    assert lit[100:].argmax(axis=1).tolist() == [2, 0]
    assert lit[101, 0] > 0.5
