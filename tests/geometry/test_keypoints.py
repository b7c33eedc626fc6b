import numpy as np
import pytest

from ncpifu_cli.geometry.keypoints import KEYPOINTS, from_named, named


def test_names_come_back_as_points():
    points = np.arange(3.0 * len(KEYPOINTS)).reshape(-1, 3)
    assert named(points)["right_shoulder"] == [3, 4, 5]
    assert (from_named(named(points)) == points).all()


@pytest.mark.parametrize("broken", [{}, {name: [1.0, 2.0] for name in KEYPOINTS}, dict.fromkeys(KEYPOINTS, "here")])
def test_what_are_not_all_points_is_told(broken):
    with pytest.raises(ValueError, match="not all keypoints"):
        from_named(broken)
