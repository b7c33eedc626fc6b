"""Poses as aims: directions and two-bone IK (limbs), families (library), rotations and the self-penetration check (solve)."""

from ncpifu_cli.synth.poses.families import FAMILIES
from ncpifu_cli.synth.poses.solve import FALLBACK, LARGEST_OVERLAP, Pose, choose_pose, rotations_for, self_overlap, solve_pose

__all__ = ["FALLBACK", "FAMILIES", "LARGEST_OVERLAP", "Pose", "choose_pose", "rotations_for", "self_overlap", "solve_pose"]
