"""People in photographs: a real one (NASA's portrait of an astronaut, which comes with scikit-image) and the project's own example."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from ncpifu_cli.data import blazepose
from ncpifu_cli.data.blazepose import find_people, outlines
from ncpifu_cli.data.figures import people_apart, person_in
from ncpifu_cli.data.mask import find_masks
from ncpifu_cli.data.photo import photo_from_array
from ncpifu_cli.data.visible_share import visible_share
from ncpifu_cli.errors import NcpifuError

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, LEFT_ANKLE = 0, 11, 12, 23, 27
FACE, SUIT, FLAG, WALL = (110, 225), (300, 200), (150, 60), (20, 20)  # rows and columns of the portrait


@pytest.fixture(scope="module")
def example():
    """The example photo, and its mask."""
    rgb = cv2.imread(str(Path(__file__).parents[2] / "examples" / "person.jpg"))[..., ::-1].copy()
    return rgb, find_masks(photo_from_array(rgb))[0].binary


def test_a_portrait_has_one_person_whose_outline_leaves_the_flag_out():
    rgb = astronaut()
    (person,) = find_people(rgb)
    nose, left, right = person.landmarks[[NOSE, LEFT_SHOULDER, RIGHT_SHOULDER]]
    assert nose == pytest.approx((223, 137), abs=20)
    assert left[0] > nose[0] > right[0]  # her left is the picture's right
    logits = outlines([person], rgb.shape[:2])
    assert logits[FACE] > 3 and logits[SUIT] > 3
    assert logits[FLAG] < -3 and logits[WALL] < -3


def test_positions_are_the_pictures_at_any_size_and_place():
    rgb = astronaut()
    (person,) = find_people(rgb)
    large = cv2.resize(rgb, (1280, 1280), interpolation=cv2.INTER_CUBIC)
    wide = np.full((700, 1400, 3), 120, np.uint8)
    wide[100:612, 600:1112] = rgb
    for picture, scale, corner in ((large, 2.5, (0, 0)), (wide, 1.0, (600, 100))):
        (found,) = find_people(picture)
        off = np.linalg.norm(found.landmarks[:15] - (person.landmarks[:15] * scale + corner), axis=1) / scale
        assert np.median(off) < 25  # pixels of 512, of which the network sees every fifth


def test_an_outline_lies_where_it_lay_on_a_finer_grid():
    (person,) = find_people(astronaut())
    whole, half = outlines([person], (512, 512)) > 0, outlines([person], (256, 256), 0.5) > 0
    shrunk = cv2.resize(whole.astype(np.uint8) * 255, (256, 256), interpolation=cv2.INTER_AREA) > 127
    assert (shrunk & half).sum() / (shrunk | half).sum() > 0.98
    assert np.array_equal((outlines([person.moved(30, 50)], (562, 542)) > 0)[50:, 30:], whole)
    assert not np.isfinite(outlines([], (20, 30))).any()


def test_nobody_is_found_where_nobody_is_and_in_the_smallest_picture():
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3)).astype(np.uint8)
    assert find_people(noise) == ()
    for shape in ((1, 1), (3, 3000), (400, 3)):
        assert find_people(np.zeros((*shape, 3), np.uint8)) == ()


def test_a_box_says_where_to_look():
    pair = np.concatenate([astronaut(), astronaut()[:, ::-1]], axis=1)
    assert len(find_people(pair)) == 2
    found = find_people(pair, (540, 0, 480, 512))
    assert found and all(person.landmarks[NOSE, 0] > 512 for person in found)


def test_a_picture_and_its_mirror_image_have_mirrored_landmarks(example):
    rgb, _ = example
    (one,), (other,) = find_people(rgb), find_people(np.ascontiguousarray(rgb[:, ::-1]))
    pairs = [(LEFT_SHOULDER, RIGHT_SHOULDER), (RIGHT_SHOULDER, LEFT_SHOULDER), (NOSE, NOSE)]
    off = [one.landmarks[here] - ((rgb.shape[1], 0) + other.landmarks[there] * (-1, 1)) for here, there in pairs]
    assert np.abs(np.mean(off, axis=0)).max() < 6  # pixels of 1024; the network's own are 5 wide


@pytest.fixture(scope="module")
def pair(example):
    """Two people whose arms overlap: picture, mask of the left, who stands before, and of what is seen of the right."""
    rgb, mask = example
    shift = 240  # pixels of 335
    room = np.concatenate([rgb, rgb[:, -1:].repeat(shift, axis=1)], axis=1)
    left, right = (np.zeros(room.shape[:2], bool) for _ in range(2))
    left[:, : rgb.shape[1]], right[:, shift:] = mask, mask[:, ::-1]
    room[right] = rgb[:, ::-1][mask[:, ::-1]]
    room[left] = rgb[mask]
    return room, left, right & ~left


def test_people_who_touch_are_taken_apart(example, pair):
    (rgb, mask), (room, left, right) = example, pair
    both = left | right
    assert cv2.connectedComponents(both.astype(np.uint8))[0] == 2  # one figure and the rest
    people = find_people(room)
    parts = people_apart(both, people)
    assert len(parts) == 2
    for part, truth in zip(sorted(parts, key=lambda part: np.nonzero(part)[1].mean()), (left, right), strict=True):
        assert (part & truth).sum() / (part | truth).sum() > 0.9
    assert people_apart(mask, find_people(rgb))[0].sum() == mask.sum()  # one person stays whole
    assert people_apart(both, ())[0].sum() == both.sum()


def test_each_of_those_who_touch_can_be_asked_for(pair, tmp_path, monkeypatch):
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    room, left, right = pair
    photo = photo_from_array(room)
    one, two = find_masks(photo, person="all")
    assert any("taken apart" in line for line in one.warnings)
    assert {path.name for path in one.networks} >= {blazepose.DETECTOR, blazepose.LOOKER}
    for mask, truth in ((one, left), (two, right), (find_masks(photo, person=2)[0], right)):
        assert (mask.binary & truth).sum() / (mask.binary | truth).sum() > 0.9
    cv2.imwrite(str(tmp_path / "mask.png"), (left | right).astype(np.uint8) * 255)
    (drawn,) = find_masks(photo, mask_file=tmp_path / "mask.png", person="all")  # what the user draws as one stays one
    assert (drawn.binary == (left | right)).mean() > 0.99 and not any("taken apart" in line for line in drawn.warnings)
    assert drawn.networks == ()  # nor is any network asked


def test_nobodys_pixels_are_lost_to_somebody_small():
    figure = np.zeros((200, 200), bool)
    figure[20:180, 60:140] = True
    flat = np.full((256, 256), -5.0, np.float32)
    large, small = flat.copy(), flat.copy()
    large[:, :], small[100:120, 100:110] = 1, 9
    marks = np.full((39, 2), 100.0)
    marks[blazepose.NEXT] = (100, 100), (100, 20)
    placement = np.array([[200 / 256, 0, 0], [0, 200 / 256, 0]])
    people = [blazepose.FoundPerson(marks, outline, placement) for outline in (large, small)]
    (part,) = people_apart(figure, people)
    assert np.array_equal(part, figure)


@pytest.mark.parametrize("share", [0.45, 0.6, 0.8])
def test_the_height_of_somebody_cut_off_is_told(example, share):
    rgb, mask = example
    rows = np.flatnonzero(mask.any(axis=1))
    end = rows[0] + round(share * (rows[-1] - rows[0]))
    person = person_in(mask[:end], find_people(rgb[:end]))
    assert person is not None
    assert visible_share(mask[:end], person) == pytest.approx(share, rel=0.1)


def test_weights_that_are_missing_damaged_or_switched_off(tmp_path, monkeypatch):
    path, released = tmp_path / blazepose.DETECTOR, blazepose.find_blazepose()
    monkeypatch.setenv("NCPIFU_BLAZEPOSE", str(path))
    with pytest.raises(NcpifuError, match="NCPIFU_BLAZEPOSE"):
        find_people(astronaut())
    path.write_bytes(b"x" * 1000)
    with pytest.raises(NcpifuError, match="second network"):
        find_people(astronaut())
    (tmp_path / blazepose.LOOKER).write_bytes(b"x" * 1000)
    with pytest.raises(NcpifuError, match="no network that can be run"):
        find_people(astronaut())
    shutil.copy(released[1], path)
    with pytest.raises(NcpifuError, match="another network"):
        find_people(astronaut())
    monkeypatch.setenv("NCPIFU_BLAZEPOSE", "none")
    assert find_people(astronaut()) == ()
