"""A jointed body in three dimensions, posed at random and turned about its vertical axis.

Body coordinates: x to the person's left, y down, z forward, the pelvis at the origin, about 1 unit from crown to sole.
Seen by the camera after the turn: x right, y down, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cfm.data.scenes.palette import chance, cos_sin, pick, uniform

Joint = tuple[float, float, float]
Range = tuple[float, float]


class Pose(NamedTuple):
    """Ranges of joint angles in degrees; legs and arms of the two sides are drawn apart."""

    arm_spread: Range
    arm_swing: Range
    elbow: Range
    leg_spread: Range
    leg_swing: Range
    knee: Range


POSES = (
    Pose((6, 22), (-15, 20), (0, 35), (2, 9), (-6, 6), (0, 6)),
    Pose((6, 16), (-45, 45), (10, 70), (1, 6), (-35, 35), (0, 45)),
    Pose((70, 160), (-10, 10), (-20, 40), (3, 22), (-8, 8), (0, 12)),
    Pose((30, 95), (-20, 40), (0, 90), (8, 35), (-15, 25), (0, 30)),
    Pose((5, 30), (10, 75), (20, 110), (4, 16), (55, 85), (60, 95)),
)


@dataclass(frozen=True)
class Build:
    """Proportions of a body, all in units of its height."""

    torso: float
    shoulder: float
    hip: float
    girth: float
    upper_arm: float
    fore_arm: float
    thigh: float
    shin: float
    head: float


def random_build(rng: np.random.Generator) -> Build:
    """A grown-up, or in one draw of five a child with a larger head and shorter limbs."""
    child = chance(rng, 20)
    limb = uniform(rng, 0.8, 0.9) if child else uniform(rng, 0.93, 1.07)
    return Build(
        torso=uniform(rng, 0.28, 0.32),
        shoulder=uniform(rng, 0.105, 0.13),
        hip=uniform(rng, 0.055, 0.07),
        girth=uniform(rng, 0.9, 1.35),
        upper_arm=0.175 * limb,
        fore_arm=0.160 * limb,
        thigh=0.240 * limb,
        shin=0.230 * limb,
        head=uniform(rng, 0.095, 0.11) if child else uniform(rng, 0.075, 0.088),
    )


def _direction(side: int, spread: float, swing: float) -> Joint:
    """Unit vector that points down at 0, 0, outwards by `spread` and forward by `swing` degrees."""
    cos_spread, sin_spread = cos_sin(spread)
    cos_swing, sin_swing = cos_sin(swing)
    return side * sin_spread, cos_spread * cos_swing, cos_spread * sin_swing


def _beyond(start: Joint, direction: Joint, length: float) -> Joint:
    return tuple(origin + component * length for origin, component in zip(start, direction, strict=True))


def _posed_limbs(rng: np.random.Generator, pose: Pose, build: Build, joints: dict[str, Joint]) -> None:
    """Add elbows, wrists, hands, knees, ankles and toes."""
    stride = 1 if chance(rng, 50) else -1
    for side, prefix in ((1, "left"), (-1, "right")):
        spread, swing = uniform(rng, *pose.arm_spread), uniform(rng, *pose.arm_swing)
        bend = uniform(rng, *pose.elbow)
        # A raised arm bends sideways and up, a hanging one bends forward.
        out, forward = (bend, 0.0) if spread > 60 else (0.15 * bend, bend)
        elbow = _beyond(joints[f"{prefix}_shoulder"], _direction(side, spread, swing), build.upper_arm)
        fore_arm = _direction(side, spread + out, swing + forward)
        joints[f"{prefix}_elbow"] = elbow
        joints[f"{prefix}_wrist"] = _beyond(elbow, fore_arm, build.fore_arm)
        joints[f"{prefix}_hand"] = _beyond(elbow, fore_arm, build.fore_arm + 0.045)

        spread, swing = uniform(rng, *pose.leg_spread), uniform(rng, *pose.leg_swing)
        if pose.leg_swing[0] < 0:
            swing = abs(swing) * side * stride
        bend = uniform(rng, *pose.knee)
        knee = _beyond(joints[f"{prefix}_hip"], _direction(side, spread, swing), build.thigh)
        shin = _direction(side, spread * 0.6, swing - bend)
        joints[f"{prefix}_knee"] = knee
        joints[f"{prefix}_ankle"] = _beyond(knee, shin, build.shin)
        toe = _direction(side, 12.0, 78.0 + 0.5 * (swing - bend))
        joints[f"{prefix}_toe"] = _beyond(joints[f"{prefix}_ankle"], (toe[0], toe[1] + 0.25, toe[2]), 0.075)


def _head(build: Build, neck: Joint, joints: dict[str, Joint]) -> None:
    """Add the centres of head, face and hair, and eyes, ears and nose."""
    r = build.head
    x, y, z = neck
    centre = x, y - 0.035 - r, z + 0.15 * r
    joints["head"] = centre
    offsets = {
        "nose": (0.0, 0.15, 1.05),
        "left_eye": (0.38, -0.12, 0.86),
        "right_eye": (-0.38, -0.12, 0.86),
        "mouth": (0.0, 0.55, 0.85),
        "left_ear": (0.88, 0.05, -0.05),
        "right_ear": (-0.88, 0.05, -0.05),
        "face": (0.0, 0.14, 0.14),
        "hair": (0.0, -0.16, -0.16),
    }
    for name, offset in offsets.items():
        joints[name] = tuple(centre[axis] + r * offset[axis] for axis in range(3))


def random_skeleton(rng: np.random.Generator, build: Build) -> dict[str, Joint]:
    """Joints of a body in a random pose, by name, as the camera sees them: (x right, y down, z to the viewer).

    Besides the 17 COCO keypoints there are neck, pelvis, head, face, hair, mouth, hands and toes.
    """
    pose = pick(rng, POSES)
    lean_cos, lean_sin = cos_sin(uniform(rng, -4, 14))
    up = (0.0, -lean_cos, lean_sin)
    joints: dict[str, Joint] = {"pelvis": (0.0, 0.0, 0.0), "neck": _beyond((0.0, 0.0, 0.0), up, build.torso)}
    for side, prefix in ((1, "left"), (-1, "right")):
        x, y, z = _beyond((0.0, 0.0, 0.0), up, build.torso - 0.02)
        joints[f"{prefix}_shoulder"] = (x + side * build.shoulder, y, z)
        joints[f"{prefix}_hip"] = (side * build.hip, 0.01, 0.0)
    _posed_limbs(rng, pose, build, joints)
    _head(build, joints["neck"], joints)

    view = int(rng.integers(0, 100))
    if view < 70:
        yaw = uniform(rng, -50, 50)
    elif view < 88:
        yaw = uniform(rng, 60, 105) * (1 if chance(rng, 50) else -1)
    else:
        yaw = uniform(rng, 140, 220)
    cos, sin = cos_sin(yaw)
    return {name: (x * cos + z * sin, y, z * cos - x * sin) for name, (x, y, z) in joints.items()}
