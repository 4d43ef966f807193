"""The categories of the synthetic scenes, under COCO's own ids and names, and COCO's person skeleton."""

from __future__ import annotations

from typing import NamedTuple

from cfm.errors import ConfigurationError

PERSON, CAR, STOP_SIGN, SPORTS_BALL, BOTTLE, CLOCK = 1, 3, 13, 37, 44, 85


class Category(NamedTuple):
    """A category as COCO lists it."""

    id: int
    name: str
    supercategory: str


CATEGORIES = [
    Category(PERSON, "person", "person"),
    Category(CAR, "car", "vehicle"),
    Category(STOP_SIGN, "stop sign", "outdoor"),
    Category(SPORTS_BALL, "sports ball", "sports"),
    Category(BOTTLE, "bottle", "kitchen"),
    Category(CLOCK, "clock", "indoor"),
]

# Labels of the classification set count these names, which is the order torchvision's ImageFolder reads folders in.
OBJECT_CLASSES = tuple(sorted(category.name for category in CATEGORIES))

KEYPOINT_NAMES = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

# Pairs of one-based keypoint numbers, as in COCO's person_keypoints files.
SKELETON = (
    (16, 14),
    (14, 12),
    (17, 15),
    (15, 13),
    (12, 13),
    (6, 12),
    (7, 13),
    (6, 7),
    (6, 8),
    (7, 9),
    (8, 10),
    (9, 11),
    (2, 3),
    (1, 2),
    (1, 3),
    (2, 4),
    (3, 5),
    (4, 6),
    (5, 7),
)

IMAGE_ID_STEP = 1_000_000
_SPLIT_PREFIXES = ("train", "val", "test")


def split_code(split: str) -> int:
    """The number that keeps the seeds and picture ids of splits apart: 0 for train*, 1 for val*, 2 for test*.

    Raises
    ------
    ConfigurationError
        The name of the split starts with none of these.
    """
    for code, prefix in enumerate(_SPLIT_PREFIXES):
        if split.startswith(prefix):
            return code
    raise ConfigurationError(f"split {split!r}: name it train…, val… or test…, such as train2017")
