"""The person: a posed skeleton dressed with parts, and its 17 COCO keypoints."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cfm.data.scenes.categories import KEYPOINT_NAMES
from cfm.data.scenes.palette import HAIRS, SKINS, Colour, any_colour, chance, pick, scaled, uniform
from cfm.data.scenes.shapes import Ellipse, Limb, Paint, Part, Pattern, Point, Polygon
from cfm.data.scenes.skeleton import Build, Joint, random_build, random_skeleton

# Parts on which a keypoint lies; where another part is on top of it, the body itself hides it.
KEYPOINT_PARTS = {
    "nose": ("nose", "face"),
    "left_eye": ("left_eye", "face"),
    "right_eye": ("right_eye", "face"),
    "left_ear": ("left_ear",),
    "right_ear": ("right_ear",),
} | {
    f"{side}_{joint}": tuple(name.format(side) for name in names)
    for side in ("left", "right")
    for joint, names in {
        "shoulder": ("{}_upper_arm", "{}_sleeve", "torso"),
        "elbow": ("{}_upper_arm", "{}_fore_arm", "{}_sleeve"),
        "wrist": ("{}_fore_arm", "{}_hand"),
        "hip": ("{}_thigh", "pelvis", "torso", "skirt"),
        "knee": ("{}_thigh", "{}_shin", "skirt"),
        "ankle": ("{}_shin", "{}_foot"),
    }.items()
}
_TRUNK = ("torso", "pelvis", "skirt")
_FACE = KEYPOINT_NAMES[:3]


@dataclass(frozen=True)
class Keypoint:
    """A joint in the object's own coordinates.

    `facing` is false where the head is turned so far that the point cannot be placed; `parts` are the numbers (as in
    `Layer.part`) of the parts on which it is seen.
    """

    point: Point
    facing: bool
    parts: tuple[int, ...]


@dataclass(frozen=True)
class Clothes:
    """Colours and cuts."""

    skin: Colour
    hair: Colour
    shirt: Paint
    trousers: Colour
    shoes: Colour
    long_sleeves: bool
    long_legs: bool
    skirt: bool
    long_hair: bool


def _shirt_pattern(rng: np.random.Generator) -> Pattern | None:
    """Rings, stripes, a sash, or nothing; s runs down the torso and t across it."""
    kind = int(rng.integers(0, 6))
    count = int(rng.integers(3, 8))
    if kind == 0:
        return lambda s, t: (s * count).astype(np.int32) % 2 == 1
    if kind == 1:
        return lambda s, t: ((t + 1.0) * count).astype(np.int32) % 2 == 1
    if kind == 2:
        return lambda s, t: (s > 0.3) & (s < 0.55)
    return None


def _random_clothes(rng: np.random.Generator) -> Clothes:
    pattern = _shirt_pattern(rng)
    shirt, second = any_colour(rng), any_colour(rng)
    return Clothes(
        skin=scaled(pick(rng, SKINS), uniform(rng, 0.9, 1.08)),
        hair=scaled(pick(rng, HAIRS), uniform(rng, 0.8, 1.2)),
        shirt=Paint(shirt, pattern=pattern, second=second if pattern else None),
        trousers=any_colour(rng),
        shoes=scaled(any_colour(rng), 0.6),
        long_sleeves=chance(rng, 45),
        long_legs=chance(rng, 65),
        skirt=chance(rng, 18),
        long_hair=chance(rng, 40),
    )


def _flat(joint: Joint) -> Point:
    return joint[0], joint[1]


def _between(a: Joint, b: Joint, share: float) -> Joint:
    return tuple(p + (q - p) * share for p, q in zip(a, b, strict=True))


def _arm(joints: dict[str, Joint], side: str, girth: float, clothes: Clothes) -> list[tuple[float, Part]]:
    shoulder, elbow, wrist, hand = (joints[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand"))
    skin, sleeve = Paint(clothes.skin), Paint(clothes.shirt.colour)
    lower = sleeve if clothes.long_sleeves else skin
    upper_depth, lower_depth = (shoulder[2] + elbow[2]) / 2 + 0.02, (elbow[2] + wrist[2]) / 2 + 0.025
    arm: list[tuple[float, Part]] = [
        (
            upper_depth,
            Limb(_flat(shoulder), _flat(elbow), 0.041 * girth, 0.033 * girth, lower, name=f"{side}_upper_arm"),
        ),
        (lower_depth, Limb(_flat(elbow), _flat(wrist), 0.032 * girth, 0.024 * girth, lower, name=f"{side}_fore_arm")),
        (lower_depth + 0.003, Limb(_flat(wrist), _flat(hand), 0.024, 0.022, skin, name=f"{side}_hand")),
    ]
    if not clothes.long_sleeves:
        cuff = _flat(_between(shoulder, elbow, 0.6))
        sleeve_part = Limb(_flat(shoulder), cuff, 0.046 * girth, 0.043 * girth, sleeve, name=f"{side}_sleeve")
        arm.append((upper_depth + 0.001, sleeve_part))
    return arm


def _leg(joints: dict[str, Joint], side: str, girth: float, clothes: Clothes) -> list[tuple[float, Part]]:
    hip, knee, ankle, toe = (joints[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "toe"))
    skin, cloth = Paint(clothes.skin), Paint(clothes.trousers)
    thigh = skin if clothes.skirt else cloth
    shin = cloth if clothes.long_legs and not clothes.skirt else skin
    thigh_depth, shin_depth = (hip[2] + knee[2]) / 2, (knee[2] + ankle[2]) / 2
    return [
        (thigh_depth, Limb(_flat(hip), _flat(knee), 0.062 * girth, 0.046 * girth, thigh, name=f"{side}_thigh")),
        (shin_depth - 0.01, Limb(_flat(knee), _flat(ankle), 0.044 * girth, 0.030 * girth, shin, name=f"{side}_shin")),
        (shin_depth, Limb(_flat(ankle), _flat(toe), 0.032, 0.024, Paint(clothes.shoes, 0.2), name=f"{side}_foot")),
    ]


def _trunk(joints: dict[str, Joint], build: Build, clothes: Clothes) -> list[tuple[float, Part]]:
    """Torso, pelvis, neck and perhaps a skirt; as wide as the shoulders look under the body's turn."""
    dx = joints["left_shoulder"][0] - joints["right_shoulder"][0]
    depth = 0.075 * build.girth
    half = math.sqrt(0.25 * dx * dx + depth * depth)
    neck, pelvis = joints["neck"], joints["pelvis"]
    waist = max(0.75 * half, depth)
    torso = Limb(_flat(_between(neck, pelvis, 0.1)), _flat(pelvis), half, waist, clothes.shirt, cap=0.3, name="torso")
    hips = Limb(
        (pelvis[0], pelvis[1] - 0.02), (pelvis[0], pelvis[1] + 0.045), waist, waist * 0.95,
        Paint(clothes.trousers), cap=0.4, name="pelvis",
    )  # fmt: skip
    face = joints["face"]
    throat = Limb(_flat(neck), _flat(face), 0.034, 0.034, Paint(scaled(clothes.skin, 0.85)), name="neck")
    trunk: list[tuple[float, Part]] = [(-0.012, hips), (0.0, torso), (-0.02 if face[2] > neck[2] else 0.02, throat)]
    if clothes.skirt:
        x, y = _flat(pelvis)
        hem = waist * 1.45
        corners = (x - waist, y - 0.03), (x + waist, y - 0.03), (x + hem, y + 0.19), (x - hem, y + 0.19)
        # In front of walking legs, behind the thighs of somebody who sits.
        trunk.append((0.09, Polygon(corners, Paint(clothes.trousers), name="skirt")))
    return trunk


def _face(joints: dict[str, Joint], build: Build, clothes: Clothes) -> list[tuple[float, Part]]:
    r = build.head
    skin = Paint(clothes.skin)
    dark = Paint((0.07, 0.05, 0.05))

    def spot(name: str, radii: Point, paint: Paint) -> tuple[float, Part]:
        return joints[name][2], Ellipse(_flat(joints[name]), radii, paint, name=name)

    parts = [
        (
            joints["hair"][2],
            Ellipse(_flat(joints["hair"]), (0.96 * r, 1.06 * r), Paint(clothes.hair, 0.1), name="hair"),
        ),
        (joints["face"][2], Ellipse(_flat(joints["face"]), (0.84 * r, 1.02 * r), skin, name="face")),
    ]
    front = joints["face"][2]
    for name in ("left_ear", "right_ear"):
        # An ear towards the viewer lies on the face and the hair, the other behind both.
        z = front + 0.001 if joints[name][2] > joints["head"][2] - 0.5 * r else min(front, joints["hair"][2]) - 0.01
        parts.append(
            (z, Ellipse(_flat(joints[name]), (0.17 * r, 0.28 * r), Paint(scaled(clothes.skin, 0.88)), name=name))
        )
    if joints["nose"][2] > joints["head"][2] - 0.1 * r:
        parts.append(spot("nose", (0.13 * r, 0.2 * r), Paint(scaled(clothes.skin, 0.8))))
    for name in ("left_eye", "right_eye"):
        if joints[name][2] > joints["head"][2] + 0.1 * r:
            parts.append(spot(name, (0.14 * r, 0.12 * r), dark))
    if joints["mouth"][2] > joints["head"][2] + 0.3 * r:
        parts.append(spot("mouth", (0.3 * r, 0.07 * r), Paint((0.6, 0.2, 0.2))))
    if clothes.long_hair:
        x, y, z = joints["hair"]
        end = (x, y + 1.9 * r)
        parts.append(
            (z - 0.02, Limb((x, y), end, 0.95 * r, 0.8 * r, Paint(clothes.hair, 0.1), cap=0.5, name="long_hair"))
        )
    return parts


def _keypoints(joints: dict[str, Joint], build: Build, numbers: dict[str, int]) -> tuple[Keypoint, ...]:
    keypoints = []
    for name in KEYPOINT_NAMES:
        x, y, z = joints[name]
        head_z = joints["head"][2]
        facing = name not in _FACE or z > head_z - 0.1 * build.head
        own = [part for part in KEYPOINT_PARTS[name] if part in numbers]
        if name.endswith(("_shoulder", "_hip", "_knee")) and z < -0.06:
            own = [part for part in own if part not in _TRUNK]
        keypoints.append(Keypoint((x, y), facing, tuple(numbers[part] for part in own)))
    return tuple(keypoints)


def draw_person(rng: np.random.Generator) -> tuple[list[Part], tuple[Keypoint, ...]]:
    """A person in a random pose and dress: parts from back to front and the 17 COCO keypoints, about 1 unit tall."""
    build = random_build(rng)
    joints = random_skeleton(rng, build)
    clothes = _random_clothes(rng)
    placed = _trunk(joints, build, clothes) + _face(joints, build, clothes)
    for side in ("left", "right"):
        placed += _arm(joints, side, build.girth, clothes) + _leg(joints, side, build.girth, clothes)
    placed.sort(key=lambda item: item[0])
    parts = [part for _, part in placed]
    numbers = {part.name: number for number, part in enumerate(parts, start=1)}
    return parts, _keypoints(joints, build, numbers)
