"""The framed photo is what a training picture of the same subject would be."""

import numpy as np
import pytest
from photo_fixtures import draw_person

from ncpifu_cli.data.framing import SUBJECT_SHARE, PhotoCamera, frame, frame_camera, frame_colours, frame_head, head_and_trunk, head_centre, without_fringe
from ncpifu_cli.data.person_mask import Mask
from ncpifu_cli.data.photo import Photo, photo_from_array
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import Camera, ndc_to_px, normalise_subject
from ncpifu_cli.geometry.raster import rasterise


def as_mask(binary: np.ndarray) -> Mask:
    return Mask(binary.astype(np.uint8) * 255, "test")


def boxes_subject() -> tuple[np.ndarray, np.ndarray]:
    """A person of boxes in the normalised frame: (V, 3) metres, (F, 3)."""
    import trimesh

    parts = [
        trimesh.creation.box((0.22, 0.25, 0.22), trimesh.transformations.translation_matrix((0.0, 1.67, 0.02))),
        trimesh.creation.box((0.45, 0.70, 0.25), trimesh.transformations.translation_matrix((0.0, 1.20, 0.0))),
        trimesh.creation.box((0.18, 0.90, 0.20), trimesh.transformations.translation_matrix((-0.12, 0.45, 0.0))),
        trimesh.creation.box((0.18, 0.90, 0.20), trimesh.transformations.translation_matrix((0.12, 0.45, 0.0))),
    ]
    mesh = trimesh.util.concatenate(parts).subdivide().subdivide()
    similarity = normalise_subject(mesh.vertices)
    return similarity.apply(mesh.vertices).astype(np.float32), np.asarray(mesh.faces, np.int32)


def test_a_rendered_training_picture_frames_onto_itself() -> None:
    vertices, faces = boxes_subject()
    mask = rasterise(Camera().world_to_ndc(vertices), faces, 512).mask
    camera = frame_camera(as_mask(mask), photo_from_array(np.repeat(mask[..., None].astype(np.uint8) * 200, 3, axis=2)))
    assert camera.half_extent_px == pytest.approx(256, abs=0.6)
    assert camera.centre_px == pytest.approx((256, 256), abs=1.01)


@pytest.mark.parametrize(("width", "height", "shift"), [(700, 520, (150, 60)), (260, 900, (-20, 200))])
def test_scale_and_centre_anywhere_in_the_photo(width: int, height: int, shift: tuple[int, int]) -> None:
    _, person = draw_person(220, 400)
    mask = np.zeros((height, width), bool)
    top, left = 20 + shift[1] // 2, (width - 220) // 2 + shift[0]
    left = max(0, left)
    mask[top : top + 400, left : left + 220] = person
    view = frame(photo_from_array(np.full((height, width, 3), 90, np.uint8)), as_mask(mask), 256)
    rows, columns = np.nonzero(view.mask)
    assert (rows.max() + 1 - rows.min()) / 256 == pytest.approx(SUBJECT_SHARE, abs=1.5 / 256)
    assert (rows.max() + 1 + rows.min()) / 2 == pytest.approx(128, abs=1)
    assert np.median(columns) == pytest.approx(127.5, abs=2)


def test_camera_maps_both_ways_and_agrees_with_the_picture() -> None:
    camera = PhotoCamera((310.5, 422.25), 380.0)
    points = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    assert np.allclose(camera.photo_to_ndc(camera.ndc_to_photo(points)), points)
    # A small bright square in the photo must appear where the camera says.
    rgb = np.zeros((900, 700, 3), np.uint8)
    rgb[500:520, 400:420] = 255
    framed = frame_colours(Photo(rgb, None, (700, 900), 1.0, "t"), as_mask(np.ones((900, 700), bool)), 256, camera)
    rows, columns = np.nonzero(framed[..., 0] > 127)
    expected = ndc_to_px(camera.photo_to_ndc(np.array([410.0, 510.0])), 256)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx(tuple(expected), abs=0.3)


def test_working_copy_of_another_scale_gives_the_same_camera() -> None:
    person, mask = draw_person(600, 800)
    whole = Photo(person, None, (600, 800), 1.0, "t")
    half = Photo(np.ascontiguousarray(person[::2, ::2]), None, (600, 800), 0.5, "t")
    one, two = frame_camera(as_mask(mask), whole), frame_camera(as_mask(mask[::2, ::2]), half)
    assert two.half_extent_px == pytest.approx(one.half_extent_px, rel=0.01)
    assert two.centre_px == pytest.approx(one.centre_px, abs=2)


def test_no_fringe_of_the_old_background() -> None:
    mask = draw_person(1200, 1600)[1]
    green = np.array([0, 255, 0], np.float32)
    soft = np.clip(np.asarray(mask, np.float32), 0, 1)
    import cv2

    soft = cv2.GaussianBlur(soft, (0, 0), 1.5)[..., None]
    red = np.array([200, 30, 40], np.float32)
    rgb = (red * soft + green * (1 - soft)).astype(np.uint8)
    view = frame(photo_from_array(rgb), as_mask(soft[..., 0] > 0.5), 256)
    colours = view.image[view.coverage > 0].astype(int)
    assert np.abs(colours - red.astype(int)).max() <= 6
    assert (view.image[view.coverage == 0] == 0).all()


def test_fringe_removal_keeps_the_inside() -> None:
    person, mask = draw_person()
    cleaned = without_fringe(person, mask.astype(np.uint8) * 255)
    import cv2

    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert np.array_equal(cleaned[inner], person[inner])


def test_scaling_down_is_anti_aliased() -> None:
    mask = np.zeros((3000, 2000), bool)
    mask[100:2900, 700:1300] = True
    checks = np.zeros((3000, 2000, 3), np.uint8)
    checks[::2, ::2] = 255
    checks[1::2, 1::2] = 255
    view = frame(photo_from_array(checks), as_mask(mask), 128)
    inside = view.image[30:100, 56:72].astype(float)
    assert inside.mean() == pytest.approx(127.5, abs=4)
    assert inside.std() < 12


def test_too_thin_a_mask_is_an_error() -> None:
    mask = np.zeros((3000, 100), bool)
    mask[:, 50] = True
    with pytest.raises(NcpifuError, match="nothing of the mask"):
        frame(photo_from_array(np.zeros((3000, 100, 3), np.uint8)), as_mask(mask), 64)


def figure(arms: bool, head_px: int = 22) -> np.ndarray:
    """A framed person of 256 px, head at row 40 below lifted arms, or at 15 without any."""
    person = np.zeros((256, 256), bool)
    top = 40 if arms else 15
    person[top + 30 : 240, 100:156] = True
    person[top : top + 40, 128 - head_px // 2 : 128 + head_px // 2] = True
    if arms:
        person[15:120, 96:106] = person[15:120, 150:160] = True
    return person


def first_row(person: np.ndarray) -> int:
    return int(np.argmax(person.any(axis=1)))


def test_the_head_begins_below_lifted_arms() -> None:
    assert first_row(head_and_trunk(figure(arms=True))) == 40
    assert first_row(head_and_trunk(figure(arms=False))) == 15


def test_a_head_under_lifted_arms_may_be_as_small_as_the_arms_make_it() -> None:
    assert first_row(head_and_trunk(figure(arms=True, head_px=18))) == 40


def test_a_person_of_one_limb_is_kept_whole() -> None:
    thin = np.zeros((256, 256), bool)
    thin[15:240, 125:131] = True
    assert np.array_equal(head_and_trunk(thin), thin)
    assert not head_and_trunk(np.zeros((64, 64), bool)).any()


def test_shoulders_are_no_head() -> None:
    for head_px in (8, 12):
        assert first_row(head_and_trunk(figure(arms=False, head_px=head_px))) == 15


def test_the_head_alone_shows_the_same_place_closer() -> None:
    person, binary = draw_person(900, 700)
    photo, mask = photo_from_array(person), as_mask(binary)
    view = frame(photo, mask, 1024)
    head, centre = frame_head(photo, mask, view), head_centre(view.coverage)
    assert head is not None and centre is not None
    column, row = ndc_to_px(np.array(centre), 1024)
    for u, v in ((160, 160), (100, 200), (220, 60)):  # pixels of the head's picture, which is 0.2 of the whole one's half side to each side of its middle
        x, y = column + (u - 160) / 320 * 204.8, row + (v - 160) / 320 * 204.8
        assert view.camera.ndc_to_photo(np.array([2 * x / 1024 - 1, 1 - 2 * y / 1024])) == pytest.approx(
            head.camera.ndc_to_photo(np.array([2 * u / 320 - 1, 1 - 2 * v / 320])), abs=0.05
        )
    assert head.image.shape == (320, 320, 3) and (head.coverage >= 0.5).any()


def test_where_the_head_would_be_between_two_pieces_there_is_none() -> None:
    binary = np.zeros((800, 800), bool)
    binary[50:780, 100:130] = binary[50:780, 670:700] = True
    photo, mask = photo_from_array(np.full((800, 800, 3), 128, np.uint8)), as_mask(binary)
    assert frame_head(photo, mask, frame(photo, mask, 256)) is None
