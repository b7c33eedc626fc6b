"""The preview shows the photo with its outline, and the mesh the right way round."""

from dataclasses import replace

import numpy as np
import pytest
from photo_fixtures import draw_person, fake_model

from ncpifu_cli.stages import preview
from ncpifu_cli.stages.preview import OUTLINE, PAPER, captioned, clay_view, photo_tile, preview_picture
from ncpifu_cli.stages.reconstruct import Reconstruction, reconstruct
from ncpifu_cli.stages.viewer import PAGE


@pytest.fixture(scope="module")
def result() -> Reconstruction:
    person, mask = draw_person()
    return reconstruct(np.dstack([person, mask.astype(np.uint8) * 255]), fake_model(), resolution=64)


def test_layout_and_content(result: Reconstruction) -> None:
    picture = preview_picture(result, tile_px=128)
    caption = captioned(np.zeros((128, 128, 3), np.uint8), "x").shape[0] - 128
    assert picture.shape[0] == 2 * (128 + caption)
    photo_width = photo_tile(result, 128).shape[1]
    width = (picture.shape[1] - photo_width) // 4
    assert picture.shape[1] == photo_width + 4 * width
    rows = [picture[row * (128 + caption) :][:128] for row in (0, 1)]
    tiles = [[row[:, :photo_width], *np.split(row[:, photo_width:], 4, axis=1)] for row in rows]
    assert all(tile.std() > 10 for row in tiles for tile in row)
    assert (np.abs(tiles[0][0].astype(int) - OUTLINE).max(axis=2) < 60).sum() > 100
    # red shirt in the coloured front view, no colour in the clay
    shirt, clay = tiles[1][1][50, width // 2].astype(int), tiles[0][1][50, width // 2].astype(int)
    assert shirt[0] > shirt[1] + 60
    assert np.ptp(clay) < 40


def test_confidence_is_a_third_row(result: Reconstruction) -> None:
    sure = replace(result, confidence=np.ones(len(result.mesh.vertices), np.float32))
    assert preview_picture(sure, tile_px=64).shape[0] == preview_picture(result, tile_px=64).shape[0] * 3 // 2


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


def test_the_page_has_the_clay_of_the_preview() -> None:
    page = PAGE.read_text()
    for direction, strength in preview.LIGHTS:
        assert f"{strength:g} * max(dot(u, normalize(vec3({', '.join(str(float(part)) for part in direction)})))" in page
    assert f"float light = {preview.AMBIENT:g} +" in page and f"1.0 / {preview.CONTRAST:g}" in page
    assert f"{preview.GLOSS:g} * pow(" in page and f"{preview.GLOSS_POWER}.0)" in page


def test_clay_is_no_brighter_than_white() -> None:
    normals = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    assert preview.clay(normals).max() <= 255
