"""Every kind of image file becomes upright 8-bit sRGB of bounded size, or one clear error."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from ncpifu_cli.data import photo as photo_module
from ncpifu_cli.data.photo import photo_from_array, read_mask_file, read_photo
from ncpifu_cli.errors import NcpifuError

COLOURS = np.zeros((48, 64, 3), np.uint8)
COLOURS[:24, :, 0] = 200
COLOURS[:, 32:, 2] = 120


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "turned.png", exif=exif)
    photo = read_photo(tmp_path / "turned.png")
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "turned.png")))
    assert np.array_equal(photo.rgb, expected)
    assert photo.size_px == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("exif", [b"garbage", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x4d\0\0\0\0\0\0"])
def test_damaged_exif_does_not_damage_the_picture(exif: bytes, tmp_path: Path) -> None:
    """Bytes that are none, and an orientation of 77."""
    Image.fromarray(COLOURS).save(tmp_path / "photo.png", exif=exif)
    photo = read_photo(tmp_path / "photo.png")
    assert np.array_equal(photo.rgb, COLOURS)
    assert photo.notes == ()


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "CMYK"])
def test_modes_without_alpha(tmp_path: Path, mode: str) -> None:
    source = Image.fromarray(COLOURS).convert(mode)
    path = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    source.save(path)
    photo = read_photo(path)
    assert photo.alpha is None
    assert photo.rgb.shape == (48, 64, 3)
    assert np.abs(photo.rgb.astype(int) - np.asarray(source.convert("RGB"))).max() <= 2


def test_alpha_of_rgba_la_and_palette(tmp_path: Path) -> None:
    cover = np.zeros((48, 64), np.uint8)
    cover[10:40, 20:50] = 255
    rgba = Image.fromarray(np.dstack([COLOURS, cover]))
    rgba.save(tmp_path / "rgba.png")
    rgba.convert("LA").save(tmp_path / "la.png")
    indexed = Image.fromarray((cover > 0).astype(np.uint8), "P")
    indexed.putpalette([0, 0, 0, 250, 100, 50])
    indexed.save(tmp_path / "p.png", transparency=0)
    for name in ("rgba", "la", "p"):
        photo = read_photo(tmp_path / f"{name}.png")
        assert photo.alpha is not None
        assert np.array_equal(photo.alpha, cover)


def test_opaque_alpha_counts_as_none(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([COLOURS, np.full((48, 64), 255, np.uint8)])).save(tmp_path / "opaque.png")
    assert read_photo(tmp_path / "opaque.png").alpha is None


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (48, 1))
    Image.fromarray(values).save(tmp_path / "deep.png")
    grey = read_photo(tmp_path / "deep.png").rgb[0, :, 0]
    assert np.abs(grey.astype(float) - values[0] / 257).max() <= 1


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    photo = read_photo(tmp_path / "moving.gif")
    assert tuple(photo.rgb[5, 5]) == (255, 0, 0)
    assert "first" in photo.notes[0]


def test_srgb_and_broken_profiles_change_nothing(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 48), (120, 60, 30))
    image.save(tmp_path / "broken.png", icc_profile=b"not a profile")
    image.save(tmp_path / "srgb.png", icc_profile=srgb_profile())
    for name in ("broken", "srgb"):
        assert tuple(read_photo(tmp_path / f"{name}.png").rgb[0, 0]) == (120, 60, 30)


def test_other_profiles_are_applied(tmp_path: Path) -> None:
    """A profile of our own: sRGB with red and green in each other's place."""
    profile = bytearray(srgb_profile())
    red, green = (profile.index(tag) for tag in (b"rXYZ", b"gXYZ"))  # entries of the tag table: name, offset, size
    profile[red + 4 : red + 12], profile[green + 4 : green + 12] = profile[green + 4 : green + 12], profile[red + 4 : red + 12]
    swapped = bytes(profile).replace("sRGB".encode("utf-16-be"), "rGRB".encode("utf-16-be"))
    Image.new("RGB", (64, 48), (200, 60, 30)).save(tmp_path / "swapped.png", icc_profile=swapped)
    assert np.abs(read_photo(tmp_path / "swapped.png").rgb[0, 0].astype(int) - (60, 200, 30)).max() <= 3


def srgb_profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_pillows_own_bound_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    read_photo(tmp_path / "a.png")
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_twenty_thousand_pixels_wide(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (20_000, 300), (9, 200, 30)).save(tmp_path / f"wide.{suffix}")
    photo = read_photo(tmp_path / f"wide.{suffix}")
    assert photo.size_px == (20_000, 300)
    assert max(photo.rgb.shape) <= photo_module.WORKING_SIDE_PX
    assert photo.scale == pytest.approx(photo.rgb.shape[1] / 20_000)


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_module, "MAX_PIXELS", 1_000_000)
    Image.new("RGB", (2000, 1000)).save(tmp_path / "huge.png")
    with pytest.raises(NcpifuError, match="2000 x 1000"):
        read_photo(tmp_path / "huge.png")


def test_what_is_not_a_photo(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image at all")
    (tmp_path / "empty.jpg").touch()
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:5000])
    Image.fromarray(COLOURS).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    cases = {
        "missing.jpg": "does not exist",
        ".": "folder",
        "text.jpg": "not an image",
        "empty.jpg": "is empty",
        "dot.png": "1 x 1",
        "cut.jpg": "damaged or cut short",
        "cut.png": "damaged or cut short",
    }
    for name, message in cases.items():
        with pytest.raises(NcpifuError, match=message) as caught:
            read_photo(tmp_path / name)
        assert caught.value.hint
        assert "\n" not in caught.value.message


def test_arrays() -> None:
    assert photo_from_array(COLOURS).rgb.shape == (48, 64, 3)
    assert photo_from_array(np.dstack([COLOURS, COLOURS[..., 0]])).alpha is not None
    with pytest.raises(NcpifuError, match="uint8"):
        photo_from_array(COLOURS.astype(np.float32))


def test_mask_files(tmp_path: Path) -> None:
    photo = photo_from_array(COLOURS)
    Image.fromarray((COLOURS[..., 0] > 0).astype(np.uint8) * 255).save(tmp_path / "same.png")
    Image.fromarray((COLOURS[..., 0] > 0).astype(np.uint8) * 255).resize((128, 96)).save(tmp_path / "double.png")
    Image.new("L", (64, 64)).save(tmp_path / "square.png")
    same, double = read_mask_file(tmp_path / "same.png", photo), read_mask_file(tmp_path / "double.png", photo)
    assert np.array_equal(same >= 128, COLOURS[..., 0] > 0)
    assert np.array_equal(double >= 128, COLOURS[..., 0] > 0)
    with pytest.raises(NcpifuError, match="64 x 64"):
        read_mask_file(tmp_path / "square.png", photo)


def test_heic_and_broken_heic(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC needs the extra `media`")
    pillow_heif.from_pillow(Image.new("RGB", (64, 96), (200, 60, 40))).save(tmp_path / "phone.HEIC")
    photo = read_photo(tmp_path / "phone.HEIC")
    assert photo.size_px == (64, 96)
    assert np.abs(photo.rgb.astype(int) - (200, 60, 40)).max() < 8
    (tmp_path / "broken.heic").write_bytes((tmp_path / "phone.HEIC").read_bytes()[:200])
    with pytest.raises(NcpifuError, match=r"broken\.heic"):
        read_photo(tmp_path / "broken.heic")
