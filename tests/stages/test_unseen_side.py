"""The back is made of what the outline is made of, and has no face."""

import numpy as np

from ncpifu_cli.stages.unseen_side import skin_like, unseen_side

SKIN, HAIR, COAT, SHIRT = (205, 150, 125), (50, 35, 30), (40, 60, 120), (235, 235, 230)


def dressed() -> np.ndarray:
    picture = np.zeros((192, 192, 3), np.uint8)
    picture[8:34, 82:110] = SKIN  # a face
    picture[8:16, 82:110] = HAIR
    picture[34:185, 60:132] = COAT
    picture[40:110, 84:108] = SHIRT  # in the open coat
    picture[110:130, 60:72] = SKIN  # a hand on either side
    picture[110:130, 120:132] = SKIN
    return picture


def test_no_face_no_shirt_no_hands_on_the_back() -> None:
    picture = dressed()
    inside = picture.any(axis=2)
    back = unseen_side(picture, inside).astype(int)
    assert back.shape == (192, 192, 3)
    for place, colour in (((24, 96), HAIR), ((75, 96), COAT), ((120, 96), COAT), ((160, 96), COAT)):
        assert np.abs(back[place] - colour).max() < 30, place


def test_no_strip_of_a_high_forehead_on_the_back() -> None:
    picture = np.zeros((256, 256, 3), np.uint8)
    picture[46:247, 80:176] = COAT
    picture[10:46, 110:146] = SKIN
    picture[10:14, 110:146] = HAIR  # less than the crown
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for row in (12, 15, 17, 20, 30):
        assert np.abs(back[row, 115:142:13] - HAIR).max() < 45, row


def test_no_face_on_the_back_under_lifted_arms() -> None:
    picture = np.zeros((192, 192, 3), np.uint8)
    picture[70:185, 68:124] = COAT
    picture[34:60, 83:109] = SKIN
    picture[34:42, 83:109] = HAIR
    picture[60:70, 90:102] = SKIN
    picture[12:90, 66:75] = picture[12:90, 117:126] = SKIN
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for row in (46, 51):
        assert np.abs(back[row, 96] - HAIR).max() < 45, row
    picture[12:90, 66:75] = picture[12:90, 117:126] = picture[12:20, 66:126] = COAT  # sleeves that meet above the head
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for row in (46, 51):
        assert np.abs(back[row, 96] - HAIR).max() < 45, row


def test_no_mouth_under_a_hat() -> None:
    hat, lips = (190, 160, 110), (190, 60, 70)
    picture = np.zeros((192, 192, 3), np.uint8)
    picture[46:185, 60:132] = COAT
    picture[37:46, 90:102] = SKIN  # a neck
    picture[20:37, 82:110] = SKIN
    picture[32:35, 90:102] = lips
    picture[8:20, 74:118] = hat
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for row in (24, 29, 33):
        assert np.abs(back[row, 96] - hat).max() < 45, row  # in the shade of the nape
    assert np.abs(back[80, 96] - COAT).max() < 30


def test_a_shirt_like_the_trousers_is_not_on_the_back_of_an_open_coat() -> None:
    for colour in ((30, 30, 34), SHIRT):
        picture = dressed()
        picture[40:185, 84:108] = colour
        picture[120:185, 60:132] = colour  # the trousers reach up into the coat
        picture[110:130, 60:72] = picture[110:130, 120:132] = SKIN
        back = unseen_side(picture, picture.any(axis=2)).astype(int)
        assert np.abs(back[70, 96] - COAT).max() < 30
        assert np.abs(back[160, 96] - colour).max() < 30


def test_a_jacket_goes_on_behind_a_lifted_knee() -> None:
    picture = np.zeros((192, 192, 3), np.uint8)
    picture[8:34, 86:106] = SKIN
    picture[34:110, 66:126] = COAT
    picture[110:185, 66:96] = SHIRT  # bright trousers
    picture[92:112, 96:150] = SHIRT  # a thigh before the jacket's hem
    picture[112:150, 138:150] = SHIRT
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for row in (60, 88, 98, 104):
        assert np.abs(back[row, 76] - COAT).max() < 40, row


def test_long_hair_on_both_sides_hangs_down_the_back_and_a_coat_of_its_colour_does_not_grow() -> None:
    picture = dressed()
    picture[16:60, 74:82] = picture[16:60, 110:118] = HAIR
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for row in (24, 36, 46):
        assert np.abs(back[row, 96] - HAIR).max() < 35, row
    assert np.abs(back[70, 96] - COAT).max() < 30
    short = dressed()
    short[34:185, 60:132] = COAT
    short[50:185, 60:132] = HAIR  # trousers and coat like the hair, below a bright scarf
    back = unseen_side(short, short.any(axis=2)).astype(int)
    assert np.abs(back[42, 96] - COAT).max() < 40


def test_no_chin_under_the_back_of_a_hat() -> None:
    """A hat moves the face down: what is taken off ends at the neck, wherever it is."""
    picture = dressed()
    picture[8:44] = 0
    picture[8:18, 78:114] = (200, 170, 120)  # a hat
    picture[18:37, 84:108] = SKIN
    picture[37:44, 90:102] = SKIN  # the neck
    picture[31:34, 92:100] = (170, 40, 50)  # lips
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    lips = np.abs(back - (170, 40, 50)).max(axis=2)[:44] < 40
    assert not lips.any()


def test_no_face_on_the_back_of_half_a_person() -> None:
    picture = dressed()
    picture[100:] = 0
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    assert np.abs(back[26, 96] - HAIR).max() < 30


def test_stripes_stay_stripes() -> None:
    picture = np.zeros((192, 192, 3), np.uint8)
    picture[8:185, 60:132] = COAT
    for row in range(50, 110, 12):
        picture[row : row + 6, 60:132] = SHIRT
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    assert np.abs(back[53, 96] - SHIRT).max() < 40
    assert np.abs(back[59, 96] - COAT).max() < 40


def test_bare_arms_are_bare_behind() -> None:
    picture = dressed()
    picture[60:120, 20:32] = SKIN
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    assert np.abs(back[90, 26] - SKIN).max() < 30


def test_hands_beside_the_coat_have_backs() -> None:
    picture = dressed()
    back = unseen_side(picture, picture.any(axis=2)).astype(int)
    for place in ((120, 65), (120, 126)):
        assert np.abs(back[place] - SKIN).max() < 30


def test_skin_is_what_has_the_chroma_of_the_face() -> None:
    picture = dressed()
    skin = skin_like(picture, picture.any(axis=2))
    assert skin[120, 65]
    assert not skin[90, 70]


def test_the_same_twice_and_nothing_for_nobody() -> None:
    picture = dressed()
    inside = picture.any(axis=2)
    assert np.array_equal(unseen_side(picture, inside), unseen_side(picture, inside))
    assert np.array_equal(unseen_side(picture, np.zeros_like(inside)), picture)
