"""One whole human. Needs the body model's cache (about a gigabyte, minutes to build once), so it does not run on a fresh machine."""

import os

import numpy as np
import pytest

from ncpifu_cli.config.synth import Wishes
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.geometry.keypoints import KEYPOINTS, from_named
from ncpifu_cli.synth.body import is_cached

pytestmark = pytest.mark.skipif(
    not is_cached() and os.environ.get("NCPIFU_TEST_ANNY") != "1",
    reason="the body model is not prepared on this machine (minutes, 1 GB): run `ncpifu synth --count 1` once or set NCPIFU_TEST_ANNY=1",
)


@pytest.fixture(scope="module")
def human():
    from ncpifu_cli.synth.human import make_human

    return make_human("train", 2, Wishes(pose="walk", outfit=("shorts", "tshirt"), shoes="sneaker", hair="short"))


def test_a_human_is_a_compact_closed_person(human) -> None:
    from ncpifu_cli.synth.assemble import TRAINING_FACES, encode_draco

    mesh = human.mesh
    assert human.name == "train-000002"
    assert 0.9 * TRAINING_FACES < len(mesh.faces) <= TRAINING_FACES
    assert len(encode_draco(mesh)) < 500_000
    assert mesh.vertices[:, 1].min() == pytest.approx(0, abs=1e-4)
    assert 1.4 < np.ptp(mesh.vertices[:, 1]) < 2.1
    assert human.description["outfit"][0]["garment"] == "shorts"
    assert human.description["ingredients"]


def test_keypoints_are_told_where_the_body_is(human) -> None:
    points = dict(zip(KEYPOINTS, from_named(human.description["keypoints_m"]), strict=True))
    tall = human.mesh.vertices[:, 1].max()
    assert 0.85 * tall < points["left_eye"][1] < tall and 0 < points["left_toe"][1] < 0.1
    assert points["left_shoulder"][0] > 0.08 > -0.08 > points["right_shoulder"][0]  # faces +z, so its left is at +x
    assert points["left_eye"][2] > points["left_shoulder"][2]
    far = np.linalg.norm(human.mesh.vertices[None] - np.stack(list(points.values()))[:, None], axis=2).min(axis=1)
    assert far.max() < 0.13  # none is far from skin


def test_inside_and_outside_are_told_apart_everywhere(human) -> None:
    import igl

    vertices, faces = human.mesh.vertices.astype(np.float64), human.mesh.faces.astype(np.int64)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    axis = np.linspace(-1.3, 1.3, 27)
    around = np.stack(np.meshgrid(axis, axis + 0.9, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    outside = around[((around < low - 0.05) | (around > high + 0.05)).any(axis=1)]
    assert np.abs(igl.fast_winding_number(vertices, faces, outside)).max() < 0.1
    middle = np.median(vertices, axis=0)
    trunk = np.stack([np.full(8, middle[0]), np.linspace(0.55, 0.72, 8) * high[1], np.full(8, middle[2])], axis=1)
    assert igl.fast_winding_number(vertices, faces, trunk).min() > 0.7


def test_the_same_seed_is_the_same_human(human) -> None:
    from ncpifu_cli.synth.human import make_human

    again = make_human("train", 2, Wishes(pose="walk", outfit=("shorts", "tshirt"), shoes="sneaker", hair="short"))
    assert np.array_equal(again.mesh.vertices, human.mesh.vertices)
    assert np.array_equal(again.mesh.colors, human.mesh.colors)
    assert again.description == human.description


@pytest.mark.parametrize(("bottom", "simulated"), [("shorts", False), ("skirt_mini", True)])
def test_only_skirts_are_simulated_where_cloth_is_skinned(bottom: str, simulated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from ncpifu_cli.synth import human as module

    class Simulated(Exception):
        pass

    def drape(*_: object) -> None:
        raise Simulated

    monkeypatch.setattr(module, "drape", drape)
    wishes = Wishes(pose="walk", outfit=(bottom, "tshirt"), shoes="sneaker", hair="short")
    if simulated:
        with pytest.raises(Simulated):
            module.make_human("train", 2, wishes, cloth="skinned")
        return
    human = module.make_human("train", 2, wishes, cloth="skinned")
    assert human.description["cloth"] == "skinned"
    assert human.description["measures"]["under"] < 0.005
    assert human.description["measures"]["hips"] > 0.95


def test_outfits_of_skinned_cloth_are_drawn_without_skirts(monkeypatch: pytest.MonkeyPatch) -> None:
    from ncpifu_cli.synth import human as module

    numbers = [number for number in range(1, 60) if _wears_a_skirt(number)]
    assert numbers, "nobody drawn wears one"
    monkeypatch.setattr(module, "drape", lambda *_: pytest.fail("simulated"))
    outfit = module.make_human("train", numbers[0], Wishes(body={"gender": 0.0}), cloth="skinned").description["outfit"]
    assert not any("skirt" in worn["garment"] or "dress" in worn["garment"] for worn in outfit)


def _wears_a_skirt(number: int) -> bool:
    from ncpifu_cli.synth.garments.outfit import choose_outfit
    from ncpifu_cli.synth.streams import Streams, global_seed

    return any(worn.spec.cut == "skirt" for worn in choose_outfit(Streams(global_seed("train", number)), True, False))


def test_unknown_wishes_are_refused_early() -> None:
    from ncpifu_cli.synth.human import make_human

    with pytest.raises(NcpifuError, match="pose"):
        make_human("train", 1, Wishes(pose="moonwalk"))
    with pytest.raises(NcpifuError, match="garment"):
        make_human("train", 1, Wishes(pose="stand", outfit=("toga",)))


@pytest.mark.parametrize("style", ["short", "long", "afro", "ponytail", "baseball_cap"])
def test_hair_sits_on_the_head_and_off_the_face(style: str) -> None:
    from ncpifu_cli.synth.body import load_body_model
    from ncpifu_cli.synth.cloth import SurfaceQuery
    from ncpifu_cli.synth.hair import make_hair
    from ncpifu_cli.synth.hair.scalp import Scalp
    from ncpifu_cli.synth.looks.head import Head
    from ncpifu_cli.synth.phenotype import sample_phenotype

    model = load_body_model()
    shape = model.shape(sample_phenotype(np.random.default_rng(1)))
    transforms = shape.skeleton.transforms({})
    head = Head.of(model, shape)
    surface = SurfaceQuery(shape.body, model.body_triangles)
    parts = make_hair(style, Scalp.of(model, shape, head, transforms), np.full(3, 0.3), surface, np.random.default_rng(2), 3)
    points = np.concatenate([part.vertices for part in parts])
    assert points[:, 2].max() > head.top_z
    assert points[:, 2].max() < head.top_z + 0.12
    nose = head.eyes + np.array([0, -0.03, -0.04])
    assert np.linalg.norm(points - nose, axis=1).min() > 0.03


def test_the_mouth_is_solid() -> None:
    import igl

    from ncpifu_cli.synth.body import load_body_model
    from ncpifu_cli.synth.phenotype import sample_phenotype
    from ncpifu_cli.synth.topology import boundary_edges

    model = load_body_model()
    points = model.fine.matrix @ model.shape(sample_phenotype(np.random.default_rng(1))).body
    in_mouth = model.fine.mask("inside-mouth") > 0.5
    middle = points[in_mouth].mean(axis=0)
    assert len(boundary_edges(model.fine.triangles)) == 0
    assert igl.fast_winding_number(points, model.fine.triangles, middle[None])[0] == pytest.approx(1, abs=0.05)


def test_a_child_is_dressed_at_an_adults_size_and_a_smile_moves_only_the_face() -> None:
    from dataclasses import replace

    from ncpifu_cli.synth.body import DRESSING_HEIGHT_M, load_body_model
    from ncpifu_cli.synth.phenotype import Features, sample_phenotype

    model = load_body_model()
    child = model.shape(replace(sample_phenotype(np.random.default_rng(1)), age=0.3))
    assert 0.6 < child.scale < 0.95
    assert np.ptp(child.body[:, 2]) == pytest.approx(DRESSING_HEIGHT_M, abs=0.01)
    adult = sample_phenotype(np.random.default_rng(1))
    serious, smiling = model.shape(adult, Features()), model.shape(adult, Features(expression="smile"))
    moved = np.linalg.norm(smiling.body - serious.body, axis=1) > 1e-4
    assert 100 < moved.sum() < 5000
    assert serious.body[moved, 2].min() > serious.skeleton.head("neck01")[2]
