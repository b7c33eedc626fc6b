"""The widest gap along each ray: by boxes whose gaps are known, closed, nested and open, seen from both sides."""

import numpy as np
import trimesh

from ncpifu_cli.geometry.gaps import widest_gap
from ncpifu_cli.geometry.inside import InsideTest

SIZE = 32


def box(z_low: float, z_high: float, half: float = 0.4) -> trimesh.Trimesh:
    """From z_low to z_high, `half` to each side."""
    return trimesh.creation.box(bounds=[[-half, -half, z_low], [half, half, z_high]])


def gap_of(*parts: trimesh.Trimesh, turned: bool = False) -> np.ndarray:
    """Begin and end at the middle pixel; `turned`: seen from behind, told in the frame of the front."""
    mesh = trimesh.util.concatenate(parts)
    test = InsideTest(mesh.vertices, mesh.faces)
    turn = np.array([-1, 1, -1]) if turned else np.ones(3)
    gap = widest_gap(mesh.vertices * turn, mesh.faces, SIZE, lambda points: test.inside(points * turn), 0.02)
    assert not gap[:, 0, 0].any()
    begin, end = gap[:, SIZE // 2, SIZE // 2]
    return np.array([-end, -begin] if turned else [begin, end])


def test_between_two_boxes() -> None:
    for turned in (False, True):
        assert np.allclose(gap_of(box(-0.5, -0.3), box(0.1, 0.3), turned=turned), [0.1, -0.3], atol=1e-6)


def test_the_widest_of_two() -> None:
    assert np.allclose(gap_of(box(-0.5, -0.4), box(-0.2, 0.0), box(0.1, 0.3)), [-0.2, -0.4], atol=1e-6)


def test_none_where_parts_touch_overlap_or_lie_within_each_other() -> None:
    for parts in ([box(0, 0.2)], [box(0, 0.2), box(0.21, 0.4)], [box(0, 0.2), box(0.1, 0.4)], [box(0, 0.4), box(0.1, 0.3, half=0.3)]):
        assert not gap_of(*parts).any()


def test_between_parts_that_are_nested_themselves() -> None:
    """Skin in a sleeve before a shirt."""
    sleeve, arm, shirt, trunk = box(0.2, 0.4), box(0.25, 0.35, half=0.35), box(-0.3, 0.0), box(-0.25, -0.05, half=0.35)
    assert np.allclose(gap_of(sleeve, arm, shirt, trunk), [0.2, 0.0], atol=1e-6)


def test_an_open_part_hides_no_gap_and_makes_none() -> None:
    """Skin that is cut away under cloth: entries and exits do not add up, from neither side."""
    open_skin = box(-0.25, -0.05, half=0.35)
    open_skin.update_faces(open_skin.face_normals[:, 2] < 0.5)  # its front is gone
    for turned in (False, True):
        assert np.allclose(gap_of(box(-0.3, 0.0), open_skin, box(0.2, 0.4), turned=turned), [0.2, 0.0], atol=1e-6)
        assert not gap_of(box(-0.3, 0.0), open_skin, turned=turned).any()


def test_more_crossings_than_are_kept_do_no_harm() -> None:
    parts = [box(-0.8 + 0.02 * k, -0.79 + 0.02 * k) for k in range(60)]
    assert gap_of(*parts).shape == (2,)
