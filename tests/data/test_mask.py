"""Where the mask comes from, when it is trusted, and what is refused."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from photo_fixtures import busy_photo, draw_person, wall_photo
from PIL import Image

from ncpifu_cli.data.mask import find_masks
from ncpifu_cli.data.person_mask import Mask
from ncpifu_cli.data.photo import photo_from_array
from ncpifu_cli.errors import NcpifuError


@pytest.fixture(autouse=True)
def no_model_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """rembg's home is an empty folder; the tests never see the developer's models."""
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("NCPIFU_MATTING", "none")
    return tmp_path / "models"


def find_mask(*arguments: Any, **options: Any) -> Mask:
    """The largest person's."""
    return find_masks(*arguments, **options)[0]


def iou(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / (found | true).sum())


def test_alpha_wins_over_the_background() -> None:
    rgb, mask = wall_photo()
    found = find_mask(photo_from_array(np.dstack([rgb, mask.astype(np.uint8) * 255])))
    assert found.source == "alpha channel"
    assert np.array_equal(found.binary, mask)


def test_nearly_opaque_alpha_is_no_mask() -> None:
    rgb, mask = wall_photo()
    cover = np.full(mask.shape, 255, np.uint8)
    cover[:5, :5] = 0
    found = find_mask(photo_from_array(np.dstack([rgb, cover])))
    assert found.source == "smooth background"


def test_mask_file_wins_over_alpha(tmp_path: Path) -> None:
    rgb, mask = wall_photo()
    Image.fromarray(mask).save(tmp_path / "mask.png")
    found = find_mask(photo_from_array(np.dstack([rgb, np.roll(mask, 40, 1).astype(np.uint8) * 255])), tmp_path / "mask.png")
    assert found.source == "mask file"
    assert np.array_equal(found.binary, mask)


def test_uniform_background() -> None:
    person, mask = draw_person()
    found = find_mask(photo_from_array(np.where(mask[..., None], person, 245).astype(np.uint8)))
    assert found.source == "uniform background"
    assert found.trusted
    assert iou(found.binary, mask) > 0.97


@pytest.mark.parametrize("floor", [False, True])
def test_smooth_background(floor: bool) -> None:
    rgb, mask = wall_photo()
    if floor:
        ground = np.zeros_like(mask)
        ground[340:] = True
        rgb = np.where((ground & ~mask)[..., None], np.array([110, 85, 60], np.uint8), rgb)
    found = find_mask(photo_from_array(rgb))
    assert (found.source, found.trusted) == ("smooth background", True)
    assert iou(found.binary, mask) > 0.95
    assert any("look at its outline" in line for line in found.warnings)


def test_gap_between_arm_and_trunk_stays_open() -> None:
    rgb = wall_photo(600, 800)[0]
    cv2.line(rgb, (450, 370), (350, 385), (170, 40, 40), 30)  # the hand on the hip closes the gap beside the trunk
    found = find_mask(photo_from_array(rgb))
    assert not found.binary[338, 396]
    assert found.binary[338, 340]
    assert found.binary[330, 433]


def test_busy_background_is_not_trusted() -> None:
    found = find_mask(photo_from_array(busy_photo()))
    assert (found.source, found.trusted) == ("guess", False)


def test_a_shelf_before_a_wall_is_nobody() -> None:
    rgb = wall_photo()[0]
    wall = rgb[:, :1].repeat(rgb.shape[1], axis=1)
    shelf = wall.copy()
    shelf[300:360, 40:260] = (110, 85, 60)
    assert not find_mask(photo_from_array(shelf)).trusted
    upright = wall.copy()
    upright[100:320, 120:180] = (110, 85, 60)  # of the same size and colours
    assert find_mask(photo_from_array(upright)).trusted


def test_letterbox_bars_do_not_pass_for_a_smooth_background() -> None:
    bars = np.full((400, 440, 3), 255, np.uint8)
    bars[:, 70:370] = busy_photo()
    assert not find_mask(photo_from_array(bars)).trusted


def test_person_box_selects_one_of_two() -> None:
    rgb, mask = wall_photo()
    both = photo_from_array(np.hstack([rgb, rgb]))
    found = find_mask(both, person_box=(310, 5, 280, 390))
    assert found.source == "person box"
    assert found.trusted
    assert not found.binary[:, :300].any()
    assert iou(found.binary[:, 300:], mask) > 0.9
    with pytest.raises(NcpifuError, match="does not lie in the photo"):
        find_mask(both, person_box=(2000, 0, 100, 100))


def test_empty_full_and_tiny_masks_are_refused(tmp_path: Path) -> None:
    rgb, _ = wall_photo()
    photo = photo_from_array(rgb)
    for value, message in ((0, "no person found"), (255, "covers all")):
        Image.new("L", (300, 400), value).save(tmp_path / "mask.png")
        with pytest.raises(NcpifuError, match=message):
            find_mask(photo, tmp_path / "mask.png")
    dot = np.zeros((400, 300), np.uint8)
    dot[100:110, 100:110] = 255
    Image.fromarray(dot).save(tmp_path / "mask.png")
    with pytest.raises(NcpifuError, match="only 10 px tall"):
        find_mask(photo, tmp_path / "mask.png")


def test_zero_one_masks_work_and_inverted_ones_are_told(tmp_path: Path) -> None:
    rgb, mask = wall_photo()
    Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "mask.png")
    assert np.array_equal(find_mask(photo_from_array(rgb), tmp_path / "mask.png").binary, mask)
    Image.fromarray(~mask).save(tmp_path / "mask.png")
    with pytest.raises(NcpifuError, match="inverted"):
        find_mask(photo_from_array(rgb), tmp_path / "mask.png")


def test_no_person_on_a_plain_wall() -> None:
    with pytest.raises(NcpifuError, match="no person found"):
        find_mask(photo_from_array(np.full((200, 200, 3), 128, np.uint8)))


def test_cut_off_feet_and_several_figures_are_told(tmp_path: Path) -> None:
    rgb, mask = wall_photo()
    Image.fromarray(mask[:250]).save(tmp_path / "mask.png")
    cut = find_mask(photo_from_array(rgb[:250]), tmp_path / "mask.png")
    assert any("lower border" in line for line in cut.warnings)
    pair = np.hstack([mask, mask[:, ::-1]])
    pair[:, :300] = cv2.resize(mask.astype(np.uint8), (150, 200), interpolation=cv2.INTER_NEAREST).astype(bool).repeat(2, 0).repeat(2, 1)
    pair[330:, :300] = False  # the left one is smaller now
    Image.fromarray(pair).save(tmp_path / "pair.png")
    found = find_mask(photo_from_array(np.hstack([rgb, rgb])), tmp_path / "pair.png")
    assert any("2 figures" in line for line in found.warnings)
    assert not found.binary[:, :300].any()


class FakeSession:
    """Stands for one of rembg's session classes; `download_models` is the method that would reach for the network."""

    def __init__(self, name, options, **kwargs) -> None:
        self.path = self.download_models()

    @classmethod
    def name(cls) -> str:
        return "u2net_human_seg"

    @classmethod
    def download_models(cls, *args, **kwargs) -> str:
        raise AssertionError("tried to download")


def install_fake_rembg(monkeypatch: pytest.MonkeyPatch, mask: np.ndarray) -> list[str]:
    """Put a fake rembg into sys.modules; returns the list of model paths it will have been asked with."""
    asked: list[str] = []

    def remove(image, session, **kwargs):
        asked.append(session.path)
        return Image.fromarray(mask.astype(np.uint8) * 255)

    rembg, sessions = ModuleType("rembg"), ModuleType("rembg.sessions")
    rembg.remove = remove  # type: ignore[attr-defined]
    sessions.sessions_class = [FakeSession]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rembg", rembg)
    monkeypatch.setitem(sys.modules, "rembg.sessions", sessions)
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(SessionOptions=object))
    return asked


def test_rembg_only_with_a_model_on_disk(no_model_on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, mask = wall_photo()
    asked = install_fake_rembg(monkeypatch, mask)
    assert find_mask(photo_from_array(rgb)).source == "smooth background"
    model = no_model_on_disk / "models" / "u2net_human_seg" / "u2net_human_seg.onnx"
    model.parent.mkdir(parents=True)
    model.write_bytes(bytes(200_000))
    found = find_mask(photo_from_array(rgb))
    assert found.source == "rembg u2net_human_seg"
    assert np.array_equal(found.binary, mask)
    assert asked == [str(model)]
    assert find_mask(photo_from_array(rgb), mask_model="none").source == "smooth background"
    assert len(asked) == 1


def test_rembg_that_exits_at_import_is_one_line(no_model_on_disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (no_model_on_disk).mkdir()
    (no_model_on_disk / "u2net.onnx").write_bytes(bytes(200_000))
    package = tmp_path / "site" / "rembg"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import sys\nsys.exit(1)\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    for name in [name for name in sys.modules if name.split(".")[0] == "rembg"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(NcpifuError, match="rembg cannot be imported") as caught:
        find_mask(photo_from_array(wall_photo()[0]))
    assert "--mask-model none" in caught.value.hint


def test_our_network_answers_before_grabcut_where_it_is_sure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ncpifu_cli.data import matting

    _, mask = draw_person()
    sure = {"confidence": 0.95}
    monkeypatch.setattr(matting, "find_matting_weights", lambda: tmp_path)
    monkeypatch.setattr(matting, "estimate_mask", lambda rgb, box, people: matting.MatteEstimate(mask.astype(np.float32), sure["confidence"]))
    found = find_mask(photo_from_array(busy_photo()))
    assert (found.source, found.trusted, found.confidence) == ("matting network", True, 0.95)
    assert iou(found.binary, mask) > 0.99
    sure["confidence"] = 0.5
    assert find_mask(photo_from_array(wall_photo()[0])).source == "smooth background"
    draft = find_mask(photo_from_array(busy_photo()))
    assert (draft.source, draft.trusted) == ("matting network", False)
    assert find_mask(photo_from_array(busy_photo()), mask_model="none").source == "guess"


def test_colour_draws_the_outline_of_whom_the_network_sees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ncpifu_cli.data import matting

    rgb, mask = wall_photo()
    seen = {"alpha": cv2.dilate(mask.astype(np.float32), np.ones((3, 3))), "sure": 0.9}
    monkeypatch.setattr(matting, "find_matting_weights", lambda: tmp_path)
    monkeypatch.setattr(matting, "estimate_mask", lambda rgb, box, people: matting.MatteEstimate(seen["alpha"], seen["sure"]))
    found = find_mask(photo_from_array(rgb))
    assert (found.source, found.warnings) == ("smooth background", ())  # two that know nothing of each other agree
    assert iou(found.binary, mask) > 0.97
    seen["sure"] = 0.7
    assert ["only fairly sure" in warning for warning in find_mask(photo_from_array(rgb)).warnings] == [True]
    seen |= {"alpha": cv2.dilate(mask.astype(np.float32), np.ones((9, 9))), "sure": 0.9}  # the right person, a rough outline
    found = find_mask(photo_from_array(rgb))
    assert found.source == "smooth background"
    assert ["look at its outline" in warning for warning in found.warnings] == [True]
    seen["alpha"] = np.roll(mask, mask.shape[1] // 3, axis=1).astype(np.float32)  # somebody else
    assert find_mask(photo_from_array(rgb)).source == "matting network"


def test_mask_model_by_name_and_file(no_model_on_disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import urllib.request

    from ncpifu_cli.data.rembg_model import resolve_model, wanted_model

    own = tmp_path / "mine.onnx"
    own.write_bytes(b"x")
    assert resolve_model("none") is None
    assert resolve_model(str(own)) == ("u2net_human_seg", own)
    monkeypatch.setenv("NCPIFU_MASK_MODEL", str(own))
    assert resolve_model(wanted_model("auto")) == ("u2net_human_seg", own)
    for wanted, message in (("bria-rmbg", "no mask model"), (str(tmp_path / "gone.onnx"), "does not exist")):
        with pytest.raises(NcpifuError, match=message):
            resolve_model(wanted)

    def firewall(url: str, timeout: float) -> None:
        assert timeout <= 5
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", firewall)
    with pytest.raises(NcpifuError, match="cannot download the mask model u2netp: timed out") as caught:
        resolve_model("u2netp")
    assert "u2netp.onnx" in caught.value.hint
    assert not list(tmp_path.rglob("u2netp*"))


def test_a_damaged_download_is_not_kept(no_model_on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import urllib.request

    from ncpifu_cli.data.rembg_model import resolve_model

    answer = io.BytesIO(b"half a model")
    answer.headers = {"Content-Length": "12"}  # type: ignore[attr-defined]
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: answer)
    with pytest.raises(NcpifuError, match="damaged"):
        resolve_model("u2netp")
    assert not [path for path in no_model_on_disk.rglob("*") if path.is_file()]


def masked(mask: np.ndarray) -> Mask:
    """The mask as a user's cut-out."""
    rgb = np.full((*mask.shape, 3), 120, np.uint8)
    return find_mask(photo_from_array(np.dstack([rgb, mask.astype(np.uint8) * 255])))


def test_a_cut_off_head_is_told_from_one_that_touches_the_border() -> None:
    person = draw_person()[1]
    top = int(np.flatnonzero(person.any(axis=1))[0])
    assert not masked(person).warnings
    touching = np.roll(person, -top, axis=0)
    assert any("head may be cut off" in warning for warning in masked(touching).warnings)
    beheaded = np.roll(person, -top - 30, axis=0)
    beheaded[-top - 30 :] = False
    assert any("head is cut off" in warning and "too large" in warning for warning in masked(beheaded).warnings)


def test_an_outline_that_was_smoothed_at_the_border_has_reached_it() -> None:
    person = draw_person()[1]
    bottom, right = (int(np.flatnonzero(person.any(axis=axis))[-1]) for axis in (1, 0))
    low = np.roll(person, person.shape[0] - 2 - bottom, axis=0)  # one row is missing to the border
    assert any("lower border" in warning for warning in masked(low).warnings)
    aside = np.roll(person, person.shape[1] - 2 - right, axis=1)
    assert any("side of the photo" in warning for warning in masked(aside).warnings)
    assert not masked(np.roll(person, person.shape[1] - 6 - right, axis=1)).warnings


def test_everyone_who_is_asked_for_must_look_like_a_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ncpifu_cli.data import matting

    person = draw_person()[1]
    crowd = np.hstack([person, np.zeros_like(person)])
    crowd[:60, 400:] = True  # somebody's arm, or the ceiling
    photo = photo_from_array(np.hstack([busy_photo(), busy_photo()[:, ::-1]]))
    monkeypatch.setattr(matting, "find_matting_weights", lambda: tmp_path)
    monkeypatch.setattr(matting, "estimate_mask", lambda rgb, box, people: matting.MatteEstimate(crowd.astype(np.float32), 0.7))
    assert find_masks(photo, None, None, "largest", "auto")[0].trusted
    assert find_masks(photo, None, None, 1, "auto")[0].trusted
    assert not find_masks(photo, None, None, 2, "auto")[0].trusted
    assert not find_masks(photo, None, None, "all", "auto")[0].trusted


def test_no_mask_model_means_no_network_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from ncpifu_cli.data import mask as module

    asked = []
    monkeypatch.setattr(module, "_matte", lambda *_: asked.append(True))
    photo = photo_from_array(busy_photo())
    for option, variable in (("none", ""), ("auto", "none"), ("auto", "")):
        monkeypatch.setenv("NCPIFU_MASK_MODEL", variable)
        find_masks(photo, mask_model=option)
    assert len(asked) == 1


def test_who_names_a_mask_model_wants_it_on_plain_backgrounds_too() -> None:
    photo = photo_from_array(np.full((120, 90, 3), 255, np.uint8))
    with pytest.raises(NcpifuError, match="no mask model 'nosuch'"):
        find_masks(photo, mask_model="nosuch")


def test_gaps_of_a_tiny_picture_stay_open() -> None:
    person, mask = draw_person()
    wall = np.where(mask[..., None], person, 255).astype(np.uint8)
    height = 64
    tiny = cv2.resize(wall, (round(height * wall.shape[1] / wall.shape[0]), height), interpolation=cv2.INTER_AREA)
    true = cv2.resize(mask.astype(np.float32), tiny.shape[1::-1], interpolation=cv2.INTER_AREA) > 0.1
    found = find_masks(photo_from_array(tiny))[0].binary
    assert (found & true).sum() / (found | true).sum() > 0.95


def test_half_tones_inside_a_person_are_no_background() -> None:
    rgb, mask = wall_photo()
    soft = cv2.GaussianBlur(mask.astype(np.float32) * 255, (0, 0), 1.0)
    doubtful = np.where(mask, np.minimum(soft, 180), soft).astype(np.uint8)  # grey all over, as some models answer and some people draw
    found = find_mask(photo_from_array(np.dstack([rgb, doubtful])))
    assert np.array_equal(found.binary, doubtful >= 128)
    depth = cv2.distanceTransform(found.binary.astype(np.uint8), cv2.DIST_L2, 5)
    height = np.ptp(np.flatnonzero(mask.any(axis=1))) + 1
    assert (found.coverage[depth > 0.03 * height] == 255).all()
    rim = (depth == 1) & (doubtful < 150)
    assert rim.any() and (found.coverage[rim] < 200).all(), "the outline itself stays soft"


@pytest.mark.parametrize("rows", [460, 394, 300])
def test_two_people_who_touch_are_told(rows: int) -> None:
    """Whole, with feet on the lower border, and cut off."""
    _, one = draw_person()
    two = np.zeros((460, 460), bool)
    two[:400, 20:320] |= one
    two[15:415, 140:440] |= one  # shoulder to shoulder, a little lower
    assert cv2.connectedComponents(two.astype(np.uint8))[0] == 2, "one figure before one background"
    alone = np.zeros_like(two)
    alone[:400, 80:380] |= one
    for outline, told in ((two[:rows], True), (alone[: min(rows, 379)], False)):
        rgba = np.dstack([np.full((*outline.shape, 3), 128, np.uint8), outline.astype(np.uint8) * 255])
        assert any("2 heads" in warning for warning in find_mask(photo_from_array(rgba)).warnings) == told


def test_soft_outlines_of_small_people_stay_soft() -> None:
    _, mask = draw_person(60, 80)
    soft = cv2.GaussianBlur(mask.astype(np.float32) * 255, (0, 0), 0.8).astype(np.uint8)
    found = find_mask(photo_from_array(np.dstack([np.full((*mask.shape, 3), 90, np.uint8), soft]))).coverage
    rim = (soft >= 128) & (soft < 160)
    assert rim.sum() > 20 and (found[rim] < 200).all()


@pytest.mark.parametrize("white", [1, 60, 200])
def test_a_mask_files_white_may_be_grey(tmp_path: Path, white: int) -> None:
    rgb, mask = wall_photo()
    Image.fromarray(mask.astype(np.uint8) * white).save(tmp_path / "mask.png")
    found = find_mask(photo_from_array(rgb), tmp_path / "mask.png")
    assert np.array_equal(found.coverage, mask.astype(np.uint8) * 255)


def test_a_box_limits_a_mask_file_too(tmp_path: Path) -> None:
    rgb, mask = wall_photo()
    Image.fromarray(np.hstack([mask, mask])).save(tmp_path / "mask.png")
    width = mask.shape[1]
    found = find_mask(photo_from_array(np.hstack([rgb, rgb])), tmp_path / "mask.png", person_box=(0, 0, width, mask.shape[0]))
    assert found.binary[:, :width].any() and not found.binary[:, width:].any()
