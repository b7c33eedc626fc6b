"""The preview shows the photo with its outline, and the mesh the right way round."""

import numpy as np
import pytest
from photo_fixtures import draw_person, fake_model

from ncpifu_cli.stages.preview import OUTLINE, PAPER, captioned, clay_view, preview_picture
from ncpifu_cli.stages.reconstruct import Reconstruction, reconstruct


@pytest.fixture(scope="module")
def result() -> Reconstruction:
    person, mask = draw_person()
    return reconstruct(np.dstack([person, mask.astype(np.uint8) * 255]), fake_model(), resolution=64)


def test_layout_and_content(result: Reconstruction) -> None:
    picture = preview_picture(result, tile_px=128)
    caption = captioned(np.zeros((128, 128, 3), np.uint8), "x").shape[0] - 128
    assert picture.shape == (2 * (128 + caption), 4 * 128, 3)
    tiles = [picture[row * (128 + caption) :][:128, column * 128 :][:, :128] for row in (0, 1) for column in range(4)]
    assert all(tile.std() > 10 for tile in tiles)
    assert (np.abs(tiles[0].astype(int) - OUTLINE).max(axis=2) < 60).sum() > 100
    # red shirt in the coloured front view, no colour in the clay
    shirt, clay = tiles[5][50, 64].astype(int), tiles[1][50, 64].astype(int)
    assert shirt[0] > shirt[1] + 60
    assert np.ptp(clay) < 30


def test_the_left_side_faces_left() -> None:
    """A body with a nose: from its left side the nose points to the left of the picture."""
    import trimesh

    body = trimesh.creation.icosphere(3, 0.3)
    nose = trimesh.creation.icosphere(2, 0.1)
    nose.apply_translation((0, 0, 0.4))
    both = trimesh.util.concatenate([body, nose])
    side = clay_view(both.vertices, both.faces, -90.0, 200)
    columns = np.flatnonzero((np.abs(side.astype(int) - PAPER.astype(int)).max(axis=2) > 20).any(axis=0))
    assert 100 - columns.min() > columns.max() - 100 + 10
