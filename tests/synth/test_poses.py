import numpy as np
import pytest
from stick_figure import skeleton

from ncpifu_cli.config.synth import LimbWish, PoseWish
from ncpifu_cli.errors import NcpifuError
from ncpifu_cli.synth.poses import FAMILIES, choose_pose, rotations_for, self_overlap
from ncpifu_cli.synth.poses.families import PoseContext
from ncpifu_cli.synth.poses.limbs import Limb, pose_arm, pose_leg, two_bone_ik
from ncpifu_cli.synth.poses.solve import Pose
from ncpifu_cli.synth.rotations import about, align, limited, scaled, swing_twist, unit


def _posed_head(label: str, rotations: dict) -> np.ndarray:
    bones = skeleton()
    transform = bones.transforms(rotations)[bones.parents[bones.index[label]]]
    return transform[:, :3] @ bones.head(label) + transform[:, 3]


def test_ik_reaches_its_target_bent_towards_the_pole() -> None:
    root, target = np.array([0.2, 0.0, 1.4]), np.array([0.3, -0.3, 1.2])
    limb = two_bone_ik(root, 0.3, 0.25, target, [1, 0, 0])
    assert np.allclose(root + limb.upper + limb.lower, target)
    assert np.linalg.norm(limb.upper) == pytest.approx(0.3)
    assert np.linalg.norm(limb.lower) == pytest.approx(0.25)
    assert limb.upper[0] > 0.1


def test_ik_out_of_reach_points_at_the_target() -> None:
    limb = two_bone_ik(np.zeros(3), 0.3, 0.25, [0, 0, -5], [1, 0, 0])
    end = limb.upper + limb.lower
    assert np.allclose(unit(end), [0, 0, -1])
    assert np.linalg.norm(end) == pytest.approx(0.985 * 0.55)


@pytest.mark.parametrize("side", ["L", "R"])
def test_an_arm_points_where_it_is_told(side: str) -> None:
    mirror = 1 if side == "L" else -1
    upper, lower = np.array([0.3 * mirror, -0.8, -0.5]), np.array([0.1 * mirror, -0.9, 0.4])
    rotations = pose_arm(skeleton(), side, Limb(upper, lower))
    elbow, wrist = _posed_head(f"lowerarm01.{side}", rotations), _posed_head(f"wrist.{side}", rotations)
    shoulder = _posed_head(f"upperarm01.{side}", rotations)
    assert unit(elbow - shoulder) @ unit(upper) > 0.999
    assert unit(wrist - elbow) @ unit(lower) > 0.98


def test_a_leg_points_where_it_is_told_and_the_knee_bends_forwards() -> None:
    upper, lower = np.array([0.05, -0.8, -1]), np.array([0.05, 0.3, -1])
    rotations = pose_leg(skeleton(), "L", Limb(upper, lower))
    hip, knee, ankle = (_posed_head(f"{bone}.L", rotations) for bone in ("upperleg01", "lowerleg01", "foot"))
    assert unit(knee - hip) @ unit(upper) > 0.999
    assert unit(ankle - knee) @ unit(lower) > 0.99
    assert knee[1] < hip[1]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_gives_rotations_and_keeps_bones_long(name: str) -> None:
    bones = skeleton()
    rotations = rotations_for(PoseWish(family=name), bones, np.random.default_rng(0), 0.02)
    assert set(rotations) <= set(bones.labels)
    for joint, matrix in rotations.items():
        assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-9), joint
        assert np.linalg.det(matrix) == pytest.approx(1)
    arm = np.linalg.norm(_posed_head("wrist.L", rotations) - _posed_head("lowerarm01.L", rotations))
    assert arm == pytest.approx(np.linalg.norm(bones.head("wrist.L") - bones.head("lowerarm01.L")), rel=1e-6)


def test_there_are_at_least_30_families_and_the_held_out_ones_are_kept_out() -> None:
    assert len(FAMILIES) >= 30
    rng = np.random.default_rng(0)
    seen = {choose_pose(rng, held_out=False).family for _ in range(600)}
    assert seen == {f.name for f in FAMILIES.values() if not f.held_out} - {"medley"}
    assert FAMILIES[choose_pose(rng, held_out=True).family].held_out


def test_poses_about_the_arms_are_drawn_on_all_kinds_of_legs() -> None:
    drawn = [choose_pose(np.random.default_rng(seed), held_out=False) for seed in range(600)]
    on_legs = [wish for wish in drawn if wish.stance is not None]
    assert {FAMILIES[wish.family].limbs for wish in on_legs} == {"arms"}
    assert {wish.stance for wish in on_legs} == {f.name for f in FAMILIES.values() if f.limbs == "legs"} - {"stand"}


def test_a_stance_gives_its_legs_and_the_pose_its_arms() -> None:
    both, legs, arms = (
        rotations_for(wish, skeleton(), np.random.default_rng(4))
        for wish in (PoseWish(family="hands_on_head", stance="feet_apart"), PoseWish(family="feet_apart"), PoseWish(family="hands_on_head"))
    )
    assert np.allclose(both["upperleg01.L"], legs["upperleg01.L"])
    assert np.allclose(both["upperarm01.R"], arms["upperarm01.R"])
    assert not np.allclose(both["upperarm01.R"], legs["upperarm01.R"])


def _ankles(rotations: dict) -> dict[str, np.ndarray]:
    return {side: _posed_head(f"foot.{side}", rotations) for side in ("L", "R")}


@pytest.mark.parametrize("seed", range(6))
def test_crossed_ankles_change_sides_one_before_the_other(seed: int) -> None:
    ankles = _ankles(rotations_for(PoseWish(family="legs_crossed"), skeleton(), np.random.default_rng(seed)))
    assert ankles["L"][0] < ankles["R"][0] + 0.02  # the subject's left is +x
    assert abs(ankles["L"][1] - ankles["R"][1]) > 0.12


@pytest.mark.parametrize("seed", range(6))
def test_on_the_catwalk_feet_are_on_one_line(seed: int) -> None:
    ankles = _ankles(rotations_for(PoseWish(family="catwalk"), skeleton(), np.random.default_rng(seed)))
    assert abs(ankles["L"][0] - ankles["R"][0]) < 0.13
    assert abs(ankles["L"][1] - ankles["R"][1]) > 0.22


def test_hips_come_down_until_both_feet_stand() -> None:
    context = PoseContext(skeleton(), np.random.default_rng(0))
    context.stand_on({"L": [0.1, -0.4, 0], "R": [0.1, 0.4, 0]}, {})
    feet = []
    for side, limb in context.targets.legs.items():
        hip, _, end = context.skeleton.leg(side)
        feet.append(hip + limb.upper + limb.lower)
        assert np.allclose(feet[-1][:2] - end[:2], [0.1 * (1 if side == "L" else -1) - end[0], -0.4 if side == "L" else 0.4], atol=1e-6)
    assert feet[0][2] == pytest.approx(feet[1][2])  # equally high, so both on the ground
    assert feet[0][2] > context.skeleton.leg("L")[2][2] + 0.05  # as seen from the hips, which are drawn where they were


def test_poses_are_reproducible_and_jittered() -> None:
    a, b, c = (rotations_for(PoseWish(family="walk"), skeleton(), np.random.default_rng(seed), 0.0) for seed in (1, 1, 2))
    assert all(np.array_equal(a[joint], b[joint]) for joint in a)
    assert not np.allclose(a["upperleg01.L"], c["upperleg01.L"])


def test_an_unknown_pose_lists_those_there_are() -> None:
    with pytest.raises(NcpifuError) as caught:
        rotations_for(PoseWish(family="moonwalk"), skeleton(), np.random.default_rng(0))
    assert "moonwalk" in caught.value.message
    assert "walk" in caught.value.hint


def test_a_wished_limb_points_where_it_is_told_and_the_rest_stays() -> None:
    wish = PoseWish(family="walk", right_arm=LimbWish(upper=(-1, 0, 0.1), lower=(0, -1, 0)), lean=10)
    walk, wished = (rotations_for(w, skeleton(), np.random.default_rng(1)) for w in (PoseWish(family="walk"), wish))
    bones = skeleton()
    world = bones.transforms(wished | {joint: np.eye(3) for joint in wished if joint.startswith(("spine", "root"))})
    elbow, shoulder = world[bones.index["lowerarm01.R"]], world[bones.index["upperarm01.R"]]
    ends = [t[:, :3] @ bones.head(name) + t[:, 3] for t, name in ((shoulder, "upperarm01.R"), (elbow, "lowerarm01.R"))]
    assert unit(ends[1] - ends[0]) @ unit([-1, 0, 0.1]) > 0.99
    assert np.array_equal(walk["upperleg01.L"], wished["upperleg01.L"])
    assert not np.allclose(walk["spine02"], wished["spine02"])


def test_sitting_thighs_are_level_and_jumping_feet_hang() -> None:
    sitting = rotations_for(PoseWish(family="sit"), skeleton(), np.random.default_rng(3))
    knee, hip = _posed_head("lowerleg01.L", sitting), _posed_head("upperleg01.L", sitting)
    assert knee[1] < hip[1] - 0.3
    assert abs(knee[2] - hip[2]) < 0.12
    jumping = rotations_for(PoseWish(family="jump"), skeleton(), np.random.default_rng(3))
    assert (jumping["foot.L"] @ [0, -1, 0])[2] < -0.05


def test_heels_tilt_the_feet_toes_down() -> None:
    flat, high = (rotations_for(PoseWish(), skeleton(), np.random.default_rng(3), 0.0, heels) for heels in (0.0, 14.0))
    assert (high["foot.L"] @ [0, -1, 0])[2] < (flat["foot.L"] @ [0, -1, 0])[2] - 0.15


def test_half_way_into_a_pose() -> None:
    pose = Pose("test", {"head": about([0, 0, 1], 60)})
    assert np.allclose(pose.at(0.5)["head"], about([0, 0, 1], 30))
    assert np.allclose(pose.at(0.0)["head"], np.eye(3))


def test_rotation_helpers() -> None:
    rotation = about([1, 2, 3], 70)
    swing, twist = swing_twist(rotation, [0, 0, 1])
    assert np.allclose(swing @ twist, rotation)
    assert np.allclose(twist @ [0, 0, 1], [0, 0, 1])
    assert np.allclose(align([1, 0, 0], [0, 1, 1]) @ [1, 0, 0], unit([0, 1, 1]))
    assert np.allclose(scaled(rotation, 0.5) @ scaled(rotation, 0.5), rotation)
    assert np.allclose(limited(rotation, 35), scaled(rotation, 0.5))


def test_overlap_sees_a_body_inside_itself() -> None:
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=3, radius=0.2)
    vertices, faces = np.asarray(sphere.vertices), np.asarray(sphere.faces, np.int64)
    apart, inside = [np.concatenate([vertices, vertices + np.array([x, 0, 0])]) for x in (1.0, 0.2)]
    both = np.concatenate([faces, faces + len(vertices)])
    assert self_overlap(apart, both) == 0
    assert self_overlap(inside, both) > 0.1


def test_a_medley_is_like_no_family_and_never_drawn() -> None:
    def arms(seed: int) -> list[np.ndarray]:
        turns = rotations_for(PoseWish(family="medley"), skeleton(), np.random.default_rng(seed))
        return [turns[f"upperarm01.{side}"] for side in "LR"]

    first, again, other = arms(1), arms(1), arms(2)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, atol=0.05)
    assert "medley" not in {choose_pose(np.random.default_rng(seed), held_out=False).family for seed in range(400)}
