import numpy as np
import pytest
from stick_figure import grid, skeleton, tube

from ncpifu_cli.config.synth import GarmentWish
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.garments.catalogue import BY_NAME, TEMPLATES
from ncpifu_cli.synth.garments.details import DETAILS
from ncpifu_cli.synth.garments.fields import Landmarks
from ncpifu_cli.synth.garments.outfit import choose_outfit, outfit_of
from ncpifu_cli.synth.garments.rims import LIP_DEPTH_M, with_lips
from ncpifu_cli.synth.garments.skirt import extrude_skirt
from ncpifu_cli.synth.garments.spec import Template
from ncpifu_cli.synth.looks.fabric import HELD_OUT_PATTERNS, PATTERNS, Cloth, paint_fabric
from ncpifu_cli.synth.looks.palette import PALETTES, draw_color, draw_contrast
from ncpifu_cli.synth.streams import Streams
from ncpifu_cli.synth.topology import boundary_edges, boundary_loops, triangulate


def _wishes(*names: str) -> list[GarmentWish]:
    return [GarmentWish(garment=name) for name in names]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.name)
def test_every_template_draws_a_garment_that_can_be_made(template: Template) -> None:
    spec = template.draw(np.random.default_rng(3))
    assert set(spec.details) <= set(DETAILS)
    assert set(spec.patterns) <= set(PATTERNS)
    assert spec.palette in PALETTES
    assert 0 < spec.ease < 0.06
    assert any(pattern not in HELD_OUT_PATTERNS for pattern in spec.patterns)
    if template.slot in ("top", "outer", "dress"):
        assert spec.cut == "top"
        assert spec.sleeve > 0.1  # what hangs from the shoulders by a strap slides off
    else:
        assert spec.waist > 0.05


def test_names_are_unique_and_every_slot_is_filled_for_everyone() -> None:
    assert len(BY_NAME) == len(TEMPLATES)
    for slot in ("top", "outer", "bottom"):
        assert any(t.slot == slot and t.men > 0 and not t.held_out for t in TEMPLATES)
        assert any(t.slot == slot and t.women > 0 and not t.held_out for t in TEMPLATES)


def test_a_range_is_drawn_within_its_bounds() -> None:
    template = Template("x", "top", "top", {"ease": (0.01, 0.02), "gore_count": (3, 5), "sleeve": 0.4})
    drawn = [template.draw(np.random.default_rng(seed)) for seed in range(50)]
    assert {spec.gore_count for spec in drawn} == {3, 4, 5}
    assert all(0.01 <= spec.ease <= 0.02 for spec in drawn)
    assert {spec.sleeve for spec in drawn} == {0.4}


def test_a_misspelt_value_is_named() -> None:
    with pytest.raises(NcpifuError, match="slevee"):
        Template("x", "top", "top", {"slevee": 0.3})
    with pytest.raises(NcpifuError, match="cut"):
        Template("x", "top", "trouser", {})
    with pytest.raises(NcpifuError) as caught:
        outfit_of(_wishes("toga"), Streams(1))
    assert "tshirt" in caught.value.hint


@pytest.mark.parametrize("female", [False, True])
def test_every_outfit_covers_hips_and_chest(female: bool) -> None:
    for seed in range(200):
        outfit = choose_outfit(Streams(seed), female, held_out=False)
        slots = [BY_NAME[worn.spec.name].slot for worn in outfit]
        assert "dress" in slots or ("bottom" in slots and "top" in slots)
        assert not any(BY_NAME[worn.spec.name].held_out for worn in outfit)
        assert not any(worn.pattern in HELD_OUT_PATTERNS for worn in outfit)


def test_ood_shows_held_out_garments() -> None:
    names = {worn.spec.name for seed in range(60) for worn in choose_outfit(Streams(seed), seed % 2 == 0, held_out=True)}
    assert {"polo", "blazer"} <= names


def test_one_garment_does_not_reshuffle_another() -> None:
    alone = outfit_of(_wishes("jeans_slim", "tshirt"), Streams(5))
    other = outfit_of(_wishes("jeans_slim", "sweater"), Streams(5))
    assert alone[0] == other[0]


def test_a_tucked_shirt_ends_under_the_waistband() -> None:
    shirt, trousers = outfit_of(_wishes("shirt", "chinos"), Streams(2))
    assert shirt.spec.hem < trousers.spec.waist
    assert trousers.spec.ease >= 0.012


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_paints(name: str) -> None:
    points, _ = grid(40, 0.5)
    rng = np.random.default_rng(0)
    base = draw_color(rng)
    cloth = Cloth(points[:, 0], points[:, 1] + 1.2, points, np.ones(len(points), bool), base, draw_contrast(rng, base), 11)
    color = paint_fabric(name, cloth, np.random.default_rng(1))
    assert color.shape == (len(points), 3)
    assert color.min() >= 0
    assert color.max() <= 1
    if name not in ("plain", "heather", "denim", "knit"):
        assert color.std(axis=0).max() > 0.03, "the pattern does not show"
    assert np.array_equal(color, paint_fabric(name, cloth, np.random.default_rng(1)))


def test_an_unknown_pattern_lists_those_there_are() -> None:
    points, _ = grid(2)
    with pytest.raises(NcpifuError, match="paisley"):
        paint_fabric("paisley", Cloth(points[:, 0], points[:, 1], points, np.ones(9, bool), np.ones(3), np.zeros(3), 0), np.random.default_rng(0))


def test_lips_fold_both_rims_of_a_tube_inside() -> None:
    vertices, quads = tube(24, 12)
    colors = np.full((len(vertices), 3), 0.5)
    folded, triangles, shaded, origin = with_lips(vertices, triangulate(quads), colors)
    new = folded[len(vertices) :]
    assert len(new) == 2 * 2 * 24
    assert len(shaded) == len(folded) == len(origin)
    assert np.linalg.norm(new[:, :2], axis=1).max() < 0.1 + 1e-9
    assert new[:, 2].min() > -0.002
    assert np.abs(np.minimum(new[48:, 2], 0.4 - new[48:, 2]) - LIP_DEPTH_M).max() < 0.004
    # The fold continues the surface: every old rim edge is now inside, walked once each way.
    assert not {tuple(e) for e in boundary_edges(triangulate(quads)).tolist()} & {tuple(e) for e in boundary_edges(triangles).tolist()}


def test_a_suit_is_of_one_cloth() -> None:
    trousers, shirt, jacket = outfit_of(_wishes("trousers", "shirt", "suit_jacket"), Streams(4))
    assert trousers.dyed_as == jacket.dyed_as == 2
    assert trousers.pattern == jacket.pattern
    assert shirt.dyed_as == 1


def test_wished_values_replace_only_themselves() -> None:
    plain = outfit_of(_wishes("jeans_slim", "shirt"), Streams(5))
    wished = outfit_of([GarmentWish(garment="jeans_slim"), GarmentWish(garment="shirt", pattern="dots", values={"sleeve": 0.5})], Streams(5))
    assert wished[1].spec == plain[1].spec.but(sleeve=0.5)
    assert wished[1].pattern == "dots"
    ranged = outfit_of([GarmentWish(garment="shirt", values={"ease": [0.02, 0.021]})], Streams(5))
    assert 0.02 <= ranged[0].spec.ease <= 0.021


def test_a_closed_garment_grows_a_closed_skirt_from_an_uneven_edge() -> None:
    marks = Landmarks.of(skeleton())
    points, quads = tube(48, 10, 0.18, 0.3)
    uneven = points + np.stack([np.zeros(len(points)), np.zeros(len(points)), marks.hip_z + 0.05 * np.sin(np.arctan2(points[:, 1], points[:, 0]))], axis=1)
    legs = np.random.default_rng(0).uniform([-0.15, -0.08, 0], [0.15, 0.08, marks.hip_z], (2000, 3))
    spec = BY_NAME["dress"].draw(np.random.default_rng(1))
    grown = extrude_skirt(spec, uneven, quads, legs, marks, marks.hip_z - 0.4, np.random.default_rng(2))
    assert [len(loop) for loop in boundary_loops(grown.quads)] == [48, 48], "a slit"
    assert grown.points[:, 2].min() == pytest.approx(marks.hip_z - 0.4)


def test_an_open_coat_grows_from_its_whole_lower_edge_though_one_front_corner_hangs() -> None:
    marks = Landmarks.of(skeleton())
    points, quads = tube(48, 10, 0.18, 0.3)
    points[:, 2] += marks.hip_z
    columns = np.arctan2(points[:, 1], points[:, 0])[quads]
    is_front = np.abs(columns + np.pi / 2).max(axis=1) < 0.2
    assert 0 < is_front.sum() < len(quads) / 4
    opened = quads[~is_front]
    angle = np.arctan2(points[:, 1], points[:, 0]) + np.pi / 2
    points[(points[:, 2] < marks.hip_z + 1e-6) & (angle > 0) & (angle < 0.45), 2] -= 0.06
    legs = np.random.default_rng(0).uniform([-0.15, -0.08, 0], [0.15, 0.08, marks.hip_z], (2000, 3))
    grown = extrude_skirt(BY_NAME["coat"].draw(np.random.default_rng(1)), points, opened, legs, marks, marks.hip_z - 0.4, np.random.default_rng(2))
    hem = grown.points[np.isclose(grown.points[:, 2], marks.hip_z - 0.4)]
    assert np.ptp(hem[:, 0]) > 0.3 and np.ptp(hem[:, 1]) > 0.3, "a panel on one side"
    assert len(boundary_loops(grown.quads)) == 1, "neck, front and hem are one edge"
