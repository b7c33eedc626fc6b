"""How much of a person a photo shows, by the outline."""

import numpy as np
import pytest

from ncpifu_cli.data.framing import SUBJECT_SHARE, frame_camera
from ncpifu_cli.data.mask import find_masks
from ncpifu_cli.data.photo import photo_from_array
from ncpifu_cli.data.visible_share import visible_share

# depth of the lower end of a part and half its width, in heights: head, neck, shoulders and chest with arms, hips with hands, thighs, calves
PARTS = ((0.12, 0.065), (0.15, 0.05), (0.40, 0.13), (0.55, 0.12), (0.72, 0.09), (1.0, 0.075))


def person(tall: int = 560) -> np.ndarray:
    """(H, W) bool: a standing figure `tall` pixels high with 20 pixels of air above and below."""
    mask, top = np.zeros((tall + 40, tall), bool), 0.0
    for bottom, half in PARTS:
        mask[20 + round(tall * top) : 20 + round(tall * bottom), round(tall * (0.5 - half)) : round(tall * (0.5 + half))] = True
        top = bottom
    return mask


@pytest.mark.parametrize("share", [0.4, 0.5, 0.7, 1.0])
def test_share_of_a_cut_off_person(share: float) -> None:
    assert visible_share(person()[: 20 + round(560 * share)]) == pytest.approx(share, rel=0.15)


def test_size_does_not_matter() -> None:
    assert visible_share(person(1680)[: 20 + 840]) == pytest.approx(visible_share(person()[: 20 + 280]), rel=0.05)


def test_people_cut_off_below_keep_their_scale() -> None:
    alpha = person().astype(np.uint8) * 255
    rgba = np.dstack([np.random.default_rng(0).integers(0, 255, (*alpha.shape, 3), np.uint8), alpha])
    whole = find_masks(photo_from_array(rgba))[0]
    assert (whole.shown, whole.warnings) == (1.0, ())
    half = photo_from_array(np.ascontiguousarray(rgba[:300]))
    mask = find_masks(half)[0]
    assert mask.shown == pytest.approx(0.5, rel=0.15)
    assert "cut off by the lower border" in mask.warnings[0]
    camera = frame_camera(mask, half)
    assert 280 / (2 * camera.half_extent_px) == pytest.approx(SUBJECT_SHARE * mask.shown)
    assert camera.photo_to_ndc(np.array([280.0, 20.0]))[1] == pytest.approx(SUBJECT_SHARE)
