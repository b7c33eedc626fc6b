"""Frames: round trips, exact quarter turns, left is left, the subject's size."""

import numpy as np
import pytest

from ncpifu_cli.geometry.camera import HALF_EXTENT_M, Camera, ndc_to_px, normalise_subject


def test_round_trip() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    camera = Camera(yaw_deg=37.0, pitch_deg=-12.0)
    assert np.allclose(camera.ndc_to_world(camera.world_to_ndc(points)), points)


def test_four_quarter_turns_are_exactly_one() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    turned = points
    for _ in range(4):
        turned = Camera(90.0).world_to_ndc(turned) * HALF_EXTENT_M
    assert np.allclose(turned, points, atol=1e-15)
    assert np.array_equal(Camera(360.0).rotation, np.eye(3))


def test_positive_yaw_turns_the_face_to_image_right() -> None:
    nose = np.array([[0.0, 0.7, 0.1]])
    assert Camera(0).world_to_ndc(nose)[0, 2] > 0  # towards the camera
    assert Camera(90).world_to_ndc(nose)[0, 0] > 0  # image right


def test_pixels() -> None:
    corners = np.array([[-1.0, 1.0], [1.0, -1.0], [0.0, 0.0]])
    assert ndc_to_px(corners, 512).tolist() == [[0, 0], [512, 512], [256, 256]]


@pytest.mark.parametrize(("up", "axis", "sign"), [("y", 1, 1), ("z", 2, 1), ("-z", 2, -1), ("x", 0, 1), ("-x", 0, -1), ("-y", 1, -1)])
def test_normalised_subject(up: str, axis: int, sign: int) -> None:
    raw = np.random.default_rng(1).normal(size=(200, 3))
    raw[:, axis] *= 5
    raw = raw * 100 + 7
    similarity = normalise_subject(raw, up)
    normal = similarity.apply(raw)
    assert np.ptp(normal[:, 1]) == pytest.approx(1.80)
    assert normal[:, 1].max() == pytest.approx(0.90)
    assert np.median(normal[:, [0, 2]], axis=0) == pytest.approx([0, 0], abs=1e-9)
    assert np.corrcoef(raw[:, axis], normal[:, 1])[0, 1] * sign == pytest.approx(1)
    assert np.linalg.det(np.array(similarity.rotation)) == pytest.approx(1)  # never a mirror
    assert np.allclose(similarity.invert(normal), raw)


def test_flat_subjects_and_unknown_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="height"):
        normalise_subject(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="up axis"):
        normalise_subject(np.eye(3), "w")
