"""Props on a stick figure's trunk, and the curves they are swept along; no body model needed."""

from dataclasses import replace

import numpy as np
import pytest
from stick_figure import skeleton, tube

from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.body import BodyShape
from ncpifu_cli.synth.looks.head import Head
from ncpifu_cli.synth.parts import Part
from ncpifu_cli.synth.phenotype import sample_phenotype
from ncpifu_cli.synth.props import PROPS, Wearer, choose_props, make_props
from ncpifu_cli.synth.rotations import about
from ncpifu_cli.synth.skeleton import Skeleton
from ncpifu_cli.synth.streams import Streams
from ncpifu_cli.synth.sweep import band, ellipse, outline, resample, sweep


class _Scalp:
    """What props ask of a scalp."""

    def __init__(self) -> None:
        bones = skeleton()
        self.shape = BodyShape(sample_phenotype(np.random.default_rng(0)), np.zeros((0, 3)), bones)
        self.transforms = bones.transforms({})
        eyes = np.array([[0.03, -0.09, 1.66], [-0.03, -0.09, 1.66]])
        self.head = Head(eyes[0], eyes[1], eyes.mean(axis=0), np.array([0, 0.01, 1.67]), 1.78, 1.0)

    @property
    def head_transform(self) -> np.ndarray:
        return self.transforms[self.shape.skeleton.index["head"]]


@pytest.fixture(scope="module")
def wearer() -> Wearer:
    trunk, _ = tube(80, 120, 0.13, 0.65)
    trunk = trunk * [1.25, 1, 1] + [0, 0, 0.85]
    return Wearer(_Scalp(), trunk, trunk, np.full(3, 0.4), np.random.default_rng(4))  # type: ignore[arg-type]


def _volume(part: Part) -> float:
    corners = part.vertices[part.triangles] - part.vertices.mean(axis=0)
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


@pytest.mark.parametrize("name", sorted(set(PROPS) - {"hood"}))
def test_every_prop_is_solid_and_near_its_wearer(name: str, wearer: Wearer) -> None:
    parts = make_props([name], wearer)[name]
    assert parts
    for part in parts:
        assert np.isfinite(part.vertices).all()
        assert _volume(part) > 0, "turned inside out"
        assert part.vertices[:, 2].min() > 0.7
        assert np.linalg.norm(part.vertices[:, :2], axis=1).max() < 0.7
        edges = np.sort(np.concatenate([part.triangles[:, [0, 1]], part.triangles[:, [1, 2]], part.triangles[:, [2, 0]]]), axis=1)
        assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all(), "open"


def test_a_bag_hangs_before_the_trunk_and_gives_way_to_hands(wearer: Wearer) -> None:
    pouch = make_props(["bag"], wearer)["bag"][0].vertices
    assert pouch[:, 1].max() < -0.1
    bones = wearer.scalp.shape.skeleton
    hands = {f"finger3-1.{side}": np.array([sign * 0.07, -0.17, 0.97]) for side, sign in (("L", 1), ("R", -1))}
    before = replace(
        wearer.scalp.shape, skeleton=Skeleton(bones.labels, bones.parents, np.array([hands.get(b, h) for b, h in zip(bones.labels, bones.heads, strict=True)]))
    )
    busy = _Scalp()
    busy.shape = before
    assert make_props(["bag"], replace(wearer, scalp=busy)) == {}


def test_nobody_who_sits_has_a_bag(wearer: Wearer) -> None:
    sitting = _Scalp()
    sitting.transforms = sitting.shape.skeleton.transforms({"upperleg01.L": about([1, 0, 0], -80), "upperleg01.R": about([1, 0, 0], -80)})
    assert make_props(["bag"], replace(wearer, scalp=sitting)) == {}


def test_a_tie_lies_before_the_shirt(wearer: Wearer) -> None:
    blade = make_props(["tie"], wearer)["tie"][0].vertices
    assert blade[:, 1].max() < -0.12
    assert np.ptp(blade[:, 2]) > 0.25


def test_an_unknown_prop_lists_those_there_are(wearer: Wearer) -> None:
    with pytest.raises(NcpifuError) as caught:
        make_props(["sword"], wearer)
    assert "glasses" in caught.value.hint


def test_props_fit_the_occasion() -> None:
    def drawn(garments: list[str], pose: str, hair: str, held_out: bool = False) -> set[str]:
        return {name for seed in range(300) for name in choose_props(Streams(seed), garments, pose, hair, held_out)}

    plain = drawn(["chinos", "tshirt"], "stand", "short")
    assert {"glasses", "bag"} <= plain
    assert not plain & {"tie", "telephone", "hood", "backpack"}
    assert "telephone" in drawn(["chinos", "tshirt"], "call", "short")
    assert "tie" in drawn(["trousers", "shirt", "suit_jacket"], "stand", "short")
    assert "hood" in drawn(["chinos", "hoodie"], "stand", "short")
    assert "hood" not in drawn(["chinos", "hoodie"], "stand", "long")
    assert "backpack" in drawn(["chinos", "tshirt"], "stand", "short", held_out=True)


def test_a_strap_lies_around_the_outside() -> None:
    points, _ = tube(40, 80, 0.1, 0.4)
    curve, outwards = outline(points, np.array([0, 0, 0.2]), np.array([0.3, 0, 1.0]), 0.005)
    radius = np.hypot(curve[:, 0], curve[:, 1])
    assert radius.min() > 0.098
    assert ((curve[:, :2] * outwards[:, :2]).sum(axis=1) > 0).all()
    assert outline(points, np.array([0, 0, 5.0]), np.array([0, 0, 1.0]), 0.005) is None


def test_a_swept_ring_is_a_torus() -> None:
    angle = np.arange(64) / 64 * 2 * np.pi
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(64)], axis=1)
    vertices, faces = sweep(ring, ring, np.array([0.0, 0, 1]), ellipse(0.2, 0.2, 24), closed=True)
    assert _volume(Part("x", vertices, faces, vertices)) == pytest.approx(2 * np.pi**2 * 0.01, rel=0.03)
    path = resample(np.array([[0.0, 0, 0], [1, 0, 0]]), 5, closed=False)
    assert np.allclose(np.diff(path[:, 0]), 0.25)
    bar, sides = sweep(path, np.tile([0.0, 1, 0], (5, 1)), np.array([0.0, 0, 1]), band(0.1, 0.2), closed=False)
    assert _volume(Part("x", bar, sides, bar)) == pytest.approx(0.02, rel=1e-6)
