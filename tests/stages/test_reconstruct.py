"""From a photo to a mesh in metres, with a network whose answer is known."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from photo_fixtures import InflatedOutline, busy_photo, draw_person, fake_model, save_rgba, wall_photo

from ncpifu_cli.data.framing import FramedView, crown
from ncpifu_cli.data.person_mask import Mask
from ncpifu_cli.data.perspective import ORTHOGRAPHIC
from ncpifu_cli.data.photo import photo_from_array
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.camera import HALF_EXTENT_M
from ncpifu_cli.geometry.extract import EmptySurface
from ncpifu_cli.geometry.fair import fair_ground
from ncpifu_cli.geometry.raster import rasterise
from ncpifu_cli.geometry.surface import vertex_normals
from ncpifu_cli.models.api import Seen
from ncpifu_cli.progress import Silent
from ncpifu_cli.stages import detail
from ncpifu_cli.stages import reconstruct as stage
from ncpifu_cli.stages.colours import SurfaceColours
from ncpifu_cli.stages.reconstruct import UntrustedMask, extract_person, reconstruct, reconstruct_people, reconstruct_view
from ncpifu_cli.stages.weights import find_weights, load_model


def cutout(width: int = 300, height: int = 400) -> np.ndarray:
    person, mask = draw_person(width, height)
    return np.dstack([person, mask.astype(np.uint8) * 255])


def test_mesh_is_in_metres_on_the_ground() -> None:
    result = reconstruct(cutout(), fake_model(), resolution=96, height_m=1.72)
    low, high = result.mesh.bounds
    assert low[1] == pytest.approx(0, abs=1e-9)
    assert high[1] == pytest.approx(1.72)
    assert result.mesh.is_watertight
    assert result.mesh.volume > 0
    assert abs(low[0] + high[0]) < 0.1
    assert set(result.timings_s) - {"detail"} == {"photo and mask", "frame", "encoder", "surface", "colours"}


def test_similarity_projects_the_mesh_onto_the_photo() -> None:
    photo = np.zeros((500, 700, 4), np.uint8)
    photo[60:460, 350:650] = cutout()
    result = reconstruct(photo, fake_model(), resolution=128)
    pixels = result.to_photo_px(result.mesh.vertices)
    true = photo[..., 3] > 0
    rows, columns = np.nonzero(true)
    assert pixels.min(axis=0) == pytest.approx((columns.min(), rows.min()), abs=6)
    assert pixels.max(axis=0) == pytest.approx((columns.max() + 1, rows.max() + 1), abs=6)
    drawn = rasterise(result.to_ndc(result.mesh.vertices).astype(np.float32), result.mesh.faces, 256).mask
    framed = result.view.mask.repeat(2, 0).repeat(2, 1)
    assert (drawn & framed).sum() / (drawn | framed).sum() > 0.85


def test_what_should_be_looked_at_is_of_the_mask_and_of_limbs_behind_each_other() -> None:
    result = reconstruct(cutout(), fake_model(), resolution=48, detail=False)
    assert result.warnings == result.prepared.mask.warnings
    *of_the_mask, of_limbs = replace(result, overlap=0.12).warnings
    assert tuple(of_the_mask) == result.prepared.mask.warnings and "12%" in of_limbs


def test_the_perspective_of_a_near_camera_is_taken_out_and_the_mesh_still_lies_on_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InflatedOutline, "camera", (0.4, 0.0, 0.2))
    plain, straight = (reconstruct(cutout(), fake_model(), resolution=96, detail=False, keep_perspective=kept) for kept in (True, False))
    assert plain.perspective is ORTHOGRAPHIC and plain.seen == straight.seen == straight.perspective
    assert (straight.perspective.distance_ndc, straight.perspective.axis_ndc[1]) == pytest.approx((2.5, 0.5))
    assert straight.mesh.bounds[:, 1] == pytest.approx((0, 1.8))
    assert np.allclose(straight.to_photo_px(straight.mesh.vertices), plain.to_photo_px(plain.mesh.vertices), atol=1e-6)
    assert np.array_equal(straight.mesh.visual.vertex_colors, plain.mesh.visual.vertex_colors)
    assert straight.mesh.is_watertight and straight.mesh.volume > 0
    ndc, seen = straight.to_ndc(straight.mesh.vertices), plain.to_ndc(plain.mesh.vertices)
    near_and_low = (seen[:, 2] > 0.05) & (seen[:, 1] < 0)
    assert near_and_low.any()
    assert (ndc[near_and_low, 1] > seen[near_and_low, 1]).all()  # toes come up


def test_the_camera_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(Silent, "info", lambda self, message: said.append(message))
    reconstruct(cutout(), fake_model(), resolution=48, detail=False, reporter=Silent())
    assert not any("camera" in message for message in said)
    monkeypatch.setattr(InflatedOutline, "camera", (0.4, 0.0, 0.2))
    result = reconstruct(cutout(), fake_model(), resolution=48, detail=False, ground=False, height_m=0.9, reporter=Silent())
    away_m = 2.5 * result.scale * HALF_EXTENT_M
    assert any(f"about {away_m:.0f} m away" in message for message in said)
    said.clear()
    monkeypatch.setattr(InflatedOutline, "camera", (0.06, 0.0, 0.0))  # nine heights away
    far = reconstruct(cutout(), fake_model(), resolution=48, detail=False, height_m=0.9, reporter=Silent())
    assert not far.seen.is_orthographic and not any("m away" in message for message in said)


def test_colours_come_from_the_photo_in_front() -> None:
    result = reconstruct(cutout(), fake_model(), resolution=128)
    vertices, colours = result.mesh.vertices, np.asarray(result.mesh.visual.vertex_colors)[:, :3].astype(int)
    normals = result.mesh.vertex_normals
    chest = (np.abs(vertices[:, 0]) < 0.1) & (np.abs(vertices[:, 1] - 1.2) < 0.1)
    thigh = (np.abs(vertices[:, 1] - 0.55) < 0.1) & (np.abs(vertices[:, 0]) > 0.06)
    for side in (1, -1):
        facing = normals[:, 2] * side > 0.6
        assert np.abs(np.median(colours[chest & facing], axis=0) - (180, 45, 45)).max() < 20
        assert np.abs(np.median(colours[thigh & facing], axis=0) - (40, 60, 150)).max() < 20


def test_hidden_vertices_do_not_take_the_front_colour() -> None:
    """A white sheet with a black square, a second sheet behind it: what lies behind the square is not black."""
    steps = np.linspace(-0.8, 0.8, 33)
    x, y = np.meshgrid(steps, steps)
    front = np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.2)], axis=1)
    back = front - (0, 0, 0.4)
    index = np.arange(33 * 33).reshape(33, 33)
    quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    vertices = np.concatenate([front, back])
    faces = np.concatenate([faces, faces + 33 * 33]).astype(np.int32)
    texture = np.full((128, 128, 3), 240, np.uint8)
    texture[48:80, 48:80] = 0
    colours = SurfaceColours(vertices, faces, texture, np.full_like(texture, 240)).at(vertices, vertex_normals(vertices, faces)).astype(int)
    middle = (np.abs(vertices[:, :2]) < 0.2).all(axis=1)
    assert colours[middle & (vertices[:, 2] > 0)].max() < 30
    assert colours[middle & (vertices[:, 2] < 0)].min() > 200


def test_untrusted_mask_stops_unless_allowed() -> None:
    with pytest.raises(UntrustedMask) as caught:
        reconstruct(busy_photo(), fake_model(), mask_model="none")
    assert caught.value.exit_code == 3
    assert caught.value.draft.coverage.shape == (400, 300)
    assert reconstruct(busy_photo(), fake_model(), resolution=48, mask_model="none", allow_rough_mask=True).mesh.volume > 0


def test_photo_files_masks_and_settings(tmp_path: Path) -> None:
    path = save_rgba(tmp_path / "person.png")
    assert reconstruct(path, fake_model(), resolution=48).prepared.mask.source == "alpha channel"
    rgb, mask = wall_photo()
    from PIL import Image

    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert reconstruct(rgb, fake_model(), mask=tmp_path / "mask.png", resolution=48).prepared.mask.source == "mask file"
    with pytest.raises(NcpifuError, match="reslution: unknown key"):
        reconstruct(path, fake_model(), reslution=48)


def test_view_is_in_normalised_camera_metres() -> None:
    model = fake_model(128)
    mask = np.zeros((128, 128), bool)
    mask[8:120, 44:84] = True
    image = np.where(mask[..., None], np.uint8(200), np.uint8(0)).repeat(3, axis=2)
    mesh = reconstruct_view(model, image, mask, resolution=96)
    pixel_m = 2 * HALF_EXTENT_M / 128
    assert mesh.bounds[:, 1] == pytest.approx((-56 * pixel_m, 56 * pixel_m), abs=2 * pixel_m)
    assert mesh.bounds[:, 0] == pytest.approx((-20 * pixel_m, 20 * pixel_m), abs=2 * pixel_m)
    soft = reconstruct_view(model, image, mask.astype(np.float32), resolution=96)
    assert np.allclose(soft.vertices, mesh.vertices)
    with pytest.raises(ValueError, match="128 x 128"):
        reconstruct_view(model, image[:64, :64], mask[:64, :64])


def test_detail_comes_from_the_photo_at_a_higher_resolution_and_fronts_have_finer_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    photo = save_rgba(tmp_path / "person.png", 600, 800)
    (tmp_path / "normals").touch()
    asked: list[tuple[int, ...]] = []
    crowns: list[tuple[float, float]] = []

    def corrugated(weights: Path, image: np.ndarray, coverage: np.ndarray, device: object, head: FramedView) -> tuple[np.ndarray, np.ndarray]:
        asked.append((*image.shape, *head.image.shape))
        crowns.append(crown(coverage) or (0.0, 0.0))
        across = 0.4 * np.sin(np.arange(1024) / 20)
        front = np.broadcast_to(np.stack([across, 0 * across, np.sqrt(1 - across**2)], axis=1), image.shape).astype(np.float32)
        return front, np.zeros_like(front)

    monkeypatch.setenv("NCPIFU_NORMALS", str(tmp_path / "normals"))
    monkeypatch.setattr(detail, "estimate_normals", corrugated)
    bare = reconstruct(photo, fake_model(128), resolution=96, detail=False)
    carved = reconstruct(photo, fake_model(128), resolution=96)
    assert asked == [(1024, 1024, 3, 320, 320, 3)]
    assert bare.detail is None and carved.detail == tmp_path / "normals"
    ground = fair_ground(bare.to_ndc(bare.mesh.vertices), bare.mesh.faces)
    finer = trimesh.Trimesh(*detail.with_fine_front(ground, bare.mesh.faces, *crowns[0]), process=False)
    assert len(finer.faces) > 2 * len(bare.mesh.faces)
    assert np.array_equal(carved.mesh.faces, finer.faces) and carved.mesh.is_watertight
    assert np.allclose(carved.to_ndc(carved.mesh.vertices)[:, :2], finer.vertices[:, :2], atol=1e-5)
    front = np.asarray(finer.vertex_normals)[:, 2] > 0.8
    before, after = (np.asarray(mesh.vertex_normals)[front, 0] for mesh in (finer, carved.mesh))
    wanted = 0.4 * np.sin((carved.to_ndc(carved.mesh.vertices)[front, 0] + 1) * 512 / 20)
    assert np.abs(after - wanted).mean() < 0.9 * np.abs(before - wanted).mean()


def test_a_limb_that_the_mask_shows_and_the_network_does_not_is_mended() -> None:
    def torn(points: np.ndarray) -> np.ndarray:
        gap = np.minimum(points[:, 1] + 0.3, -0.2 - points[:, 1])
        outside = np.maximum(np.maximum(np.hypot(points[:, 0], points[:, 2]) - 0.1, gap), np.abs(points[:, 1]) - 0.7)
        return (1 / (1 + np.exp(np.clip(300 * outside, -50, 50)))).astype(np.float32)

    coverage = np.zeros((128, 128), np.float32)
    coverage[19:109, 58:70] = 1
    mesh = trimesh.Trimesh(*extract_person(torn, coverage, 96), process=False)
    assert mesh.body_count == 1 and mesh.is_watertight


def test_without_a_normal_network_the_mesh_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Notes(Silent):
        def __init__(self) -> None:
            self.said: list[str] = []

        def info(self, message: str) -> None:
            self.said.append(message)

    monkeypatch.setenv("NCPIFU_NORMALS", "none")
    photo, notes = save_rgba(tmp_path / "person.png"), Notes()
    plain = reconstruct(photo, fake_model(128), resolution=48, reporter=notes)
    assert any("without fine detail" in message for message in notes.said)
    assert np.array_equal(plain.mesh.vertices, reconstruct(photo, fake_model(128), resolution=48, detail=False).mesh.vertices)


def test_the_other_sides_colours_stand_where_the_photo_sees_nothing() -> None:
    """A ball: its front is the photo, its back the other side's picture, where the pixel is."""
    ball = trimesh.creation.icosphere(5, 0.5)
    texture, other = np.full((128, 128, 3), 120, np.uint8), np.full((128, 128, 3), 120, np.uint8)
    other[:64] = (100, 100, 30)
    colours = SurfaceColours(ball.vertices, ball.faces, texture, other).at(ball.vertices, ball.vertex_normals).astype(int)
    z, y = ball.vertices[:, 2] / 0.5, ball.vertices[:, 1]
    assert np.abs(colours[(z > 0.45) | (y < -0.05)] - 120).max() <= 3
    assert np.abs(colours[(z < -0.7) & (y > 0.05)] - (100, 100, 30)).max() <= 3


def test_the_rim_of_a_face_before_hair_has_the_faces_colour() -> None:
    """A bright bowl with steep sides before a dark box: seen from the front there is no dark ring at its sides."""
    box = trimesh.creation.box((1.0, 1.6, 0.2))
    bowl = trimesh.creation.icosphere(5, 0.25).apply_scale((1, 1, 2.0)).apply_translation((0, 0.3, 0.1))
    mesh = trimesh.util.concatenate([box, bowl])
    texture = np.full((512, 512, 3), 40, np.uint8)
    rows, columns = np.mgrid[:512, :512] + 0.5
    texture[np.hypot((columns - 256) / 256, (256 - rows) / 256 - 0.3) < 0.25] = 220
    colours = SurfaceColours(mesh.vertices, mesh.faces, texture, np.full_like(texture, 40)).at(mesh.vertices, mesh.vertex_normals).astype(int)
    rim = (mesh.vertices[:, 2] > 0.11) & (mesh.vertex_normals[:, 2] > 0.16) & (np.hypot(mesh.vertices[:, 0], mesh.vertices[:, 1] - 0.3) < 0.24)
    assert rim.sum() > 100
    assert np.percentile(colours[rim, 0], 2) > 150
    assert np.abs(colours[(mesh.vertices[:, 2] < -0.09), 0] - 40).max() < 30  # and no face on the back


def test_light_at_the_outline_does_not_colour_the_sides() -> None:
    """A dark ball and a dark finger, a bright line around both in the photo, and no other side known: they stay dark where the photo does not see them."""
    ball = trimesh.creation.icosphere(5, 0.3)
    finger = trimesh.creation.cylinder(0.012, 0.5).apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, (1, 0, 0))).apply_translation((0.6, 0, 0))
    mesh = trimesh.util.concatenate([ball, finger.subdivide().subdivide().subdivide()])
    rows, columns = np.mgrid[:512, :512] + 0.5
    x, y = (columns - 256) / 256, (256 - rows) / 256
    line = (np.abs(np.hypot(x, y) - 0.29) < 0.007) | ((np.abs(np.abs(x - 0.6) - 0.012) < 0.004) & (np.abs(y) < 0.25))
    texture = np.where(line[..., None], 250, 30).astype(np.uint8).repeat(3, axis=2)
    colours = SurfaceColours(mesh.vertices, mesh.faces, texture).at(mesh.vertices, mesh.vertex_normals).astype(int)
    unseen = mesh.vertex_normals[:, 2] < -0.05
    assert np.percentile(colours[unseen, 0], 99) < 60
    assert np.percentile(colours[unseen & (mesh.vertices[:, 0] > 0.4), 0], 95) < 60
    assert colours[mesh.vertex_normals[:, 2] > 0.1, 0].max() > 200  # the photo's own side keeps it


def test_the_back_network_colours_the_back_and_the_photo_the_front(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    photo = save_rgba(tmp_path / "person.png")
    (tmp_path / "back").touch()
    monkeypatch.setenv("NCPIFU_BACK", str(tmp_path / "back"))
    monkeypatch.setattr(stage, "other_side", lambda weights, picture, coverage, device: np.full_like(picture, (0, 255, 0)))
    result = reconstruct(photo, fake_model(128), resolution=128, detail=False)
    colours, normals = np.asarray(result.mesh.visual.vertex_colors)[:, :3].astype(int), result.mesh.vertex_normals
    front, back = (colours[side * normals[:, 2] > 0.9] for side in (1, -1))
    assert front[:, 1].max() < 175  # nobody wears green
    assert (np.quantile(back, 0.1, axis=0)[1] == 255) and result.back == tmp_path / "back"


def test_without_a_back_network_the_photo_comes_through_and_a_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Notes(Silent):
        def __init__(self) -> None:
            self.said: list[str] = []

        def info(self, message: str) -> None:
            self.said.append(message)

    monkeypatch.setenv("NCPIFU_BACK", "none")
    notes = Notes()
    result = reconstruct(save_rgba(tmp_path / "person.png"), fake_model(128), resolution=48, reporter=notes)
    assert result.back is None and any("without a back network" in message for message in notes.said)


def test_a_full_device_is_asked_in_smaller_pieces() -> None:
    import torch

    class Crowded(InflatedOutline):
        def query(self, features, points_ndc):
            if points_ndc.shape[1] > limit:
                raise torch.cuda.OutOfMemoryError("full")
            return super().query(features, points_ndc)

    roomy = fake_model(128)
    mask = np.zeros((128, 128), bool)
    mask[8:120, 44:84] = True
    image = np.full((128, 128, 3), 200, np.uint8)
    crowded = replace(roomy, model=Crowded())
    limit = 3000
    assert np.array_equal(reconstruct_view(crowded, image, mask, 64).vertices, reconstruct_view(roomy, image, mask, 64).vertices)
    limit = 0
    with pytest.raises(NcpifuError, match="out of memory"):
        reconstruct_view(crowded, image, mask, 64)


def test_people_are_numbered_from_the_left_and_largest_is_the_default() -> None:
    small, large = cutout(150, 200), cutout()
    photo = np.zeros((420, 600, 4), np.uint8)
    photo[200:400, 20:170] = small
    photo[10:410, 250:550] = large
    people = reconstruct_people(photo, fake_model(), resolution=48, person="all")
    centres = [float(person.view.camera.centre_px[0]) for person in people]
    assert len(people) == 2
    assert centres == sorted(centres)
    assert reconstruct(photo, fake_model(), resolution=48).view.camera == people[1].view.camera
    assert reconstruct(photo, fake_model(), resolution=48, person=1).view.camera == people[0].view.camera
    with pytest.raises(NcpifuError, match="no person 3"):
        reconstruct(photo, fake_model(), person=3)


def test_finish_decimates_smooths_and_centres() -> None:
    result = reconstruct(cutout(), fake_model(), resolution=96, faces=2000, smooth=5, ground=False, confidence=True)
    assert 1500 < len(result.mesh.faces) <= 2000
    assert result.mesh.is_watertight
    assert result.mesh.bounds[:, 1] == pytest.approx((-0.9, 0.9))
    assert result.confidence is not None
    assert 0.5 < np.median(result.confidence) <= 1


def test_limbs_behind_each_other_are_warned_of() -> None:
    class Told:
        def __init__(self) -> None:
            self.warnings: list[str] = []
            self.info = lambda message: None
            self.warn = self.warnings.append

    model = fake_model()
    for gap, warned in ((0.5, True), (0.0, False)):
        model.model.gap = gap
        told = Told()
        assert reconstruct(cutout(), model, resolution=32, reporter=told).overlap == float(warned)
        assert any("behind each other in 100% of the person" in message for message in told.warnings) is warned


def test_specks_are_dropped() -> None:
    model = fake_model(128)
    mask = np.zeros((128, 128), bool)
    mask[8:120, 44:84] = True
    mask[60:65, 100:105] = True
    image = np.full((128, 128, 3), 200, np.uint8)
    mesh = reconstruct_view(model, image, mask, resolution=128)
    assert mesh.bounds[1, 0] < 0.5


def test_nothing_inside_is_one_clear_error() -> None:
    class Nothing:
        def encode(self, image, both_ways):
            import torch

            return SimpleNamespace(seen=Seen(torch.zeros(1, 1, 2, 8, 8)))

        def query(self, features, points):
            import torch

            return SimpleNamespace(occupancy=torch.zeros(points.shape[:2]))

    with pytest.raises(EmptySurface) as caught:
        reconstruct(cutout(), replace(fake_model(), model=Nothing()), resolution=32)
    assert caught.value.hint


def tiny_weights(path: Path) -> Path:
    from ncpifu_cli.config.base import load
    from ncpifu_cli.config.train import TrainConfig
    from ncpifu_cli.models.build import build
    from ncpifu_cli.models.checkpoint import save_weights

    config = load(TrainConfig, "tiny").model
    save_weights(path, build(config), config, {"steps": 0})
    return path


def test_load_model_and_where_weights_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ncpifu_cli import artifacts

    path = tiny_weights(tmp_path / "tiny.safetensors")
    loaded = load_model(path, "cpu")
    assert (loaded.config.profile, loaded.meta, len(loaded.sha256)) == ("tiny", {"steps": 0}, 64)
    monkeypatch.setattr(artifacts, "WEIGHTS_FOLDERS", (tmp_path,))
    assert find_weights("tiny") == path
    monkeypatch.setenv("NCPIFU_WEIGHTS", str(path))
    assert find_weights() == path
    monkeypatch.delenv("NCPIFU_WEIGHTS")
    with pytest.raises(NcpifuError, match="'compact'") as caught:
        find_weights()
    assert "tiny" in caught.value.hint


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tiny_weights(tmp_path / "tiny.safetensors")
    with pytest.raises(NcpifuError, match="profile 'tiny', not 'paper'"):
        load_model(path, "cpu", profile="paper")
    with pytest.raises(NcpifuError, match="unknown device"):
        load_model(path, "abacus")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(NcpifuError, match="not a weights file"):
        load_model(cut, "cpu")


def test_a_real_tiny_network_runs_through(tmp_path: Path) -> None:
    """Its last bias pushed up: the whole frame is inside, a closed block."""
    import torch

    model = load_model(tiny_weights(tmp_path / "tiny.safetensors"), "cpu")
    last = [layer for layer in model.model.classifier.modules() if isinstance(layer, torch.nn.Linear)][-1]  # type: ignore[attr-defined]
    torch.nn.init.constant_(last.bias, 20.0)
    mesh = reconstruct(cutout(), model, resolution=32).mesh
    assert mesh.is_watertight
    assert mesh.volume > 0


def test_an_untrusted_mask_passes_between_processes() -> None:
    import pickle

    photo = photo_from_array(busy_photo())
    error = pickle.loads(pickle.dumps(UntrustedMask(photo, Mask(photo.rgb[..., 0], "guess", trusted=False))))
    assert error.photo.size_px == photo.size_px
    assert error.draft.source == "guess"
    assert error.exit_code == 3 and "--mask" in error.hint
