"""What a scene holds and where: objects of random category, size and turn, and clutter behind and among them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cfm.data.scenes.background import draw_clutter
from cfm.data.scenes.car import draw_car
from cfm.data.scenes.categories import BOTTLE, CAR, CLOCK, PERSON, SPORTS_BALL, STOP_SIGN
from cfm.data.scenes.objects import draw_bottle, draw_clock, draw_sports_ball, draw_stop_sign
from cfm.data.scenes.palette import chance, pick, uniform
from cfm.data.scenes.person import Keypoint, draw_person
from cfm.data.scenes.render import Frame, Window
from cfm.data.scenes.shapes import Part, joint_bounds
from cfm.data.scenes.texture import GRAIN_SIZE

_DRAW: dict[int, Callable[[np.random.Generator], list[Part]]] = {
    CAR: draw_car,
    STOP_SIGN: draw_stop_sign,
    SPORTS_BALL: draw_sports_ball,
    BOTTLE: draw_bottle,
    CLOCK: draw_clock,
}
# Area of a drawn object in its own units, about; and how far from upright it turns, degrees.
_AREA = {PERSON: 0.17, CAR: 0.22, STOP_SIGN: 0.76, SPORTS_BALL: 0.785, BOTTLE: 0.25, CLOCK: 0.8}
_TURN = {PERSON: 14, CAR: 10, STOP_SIGN: 15, SPORTS_BALL: 30, BOTTLE: 25, CLOCK: 15}
# Persons are the hardest to learn and the only ones with keypoints.
_DRAWN_CATEGORIES = (PERSON, PERSON, PERSON, CAR, STOP_SIGN, SPORTS_BALL, BOTTLE, CLOCK)
# Square roots of the areas, in pixels: COCO's small, medium and large, whose limits are 32 and 96.
_SIDES_PX = ((19, 31), (34, 92), (100, 140))


@dataclass(frozen=True)
class Item:
    """Something to draw.

    `category_id` is None for clutter; `window` is what the parts reach in the picture, pixels; the larger `depth`, the
    nearer; `roughness` is the contrast of its fine texture, taken from row and column `grain_at` of the texture field;
    `keypoints` are a person's.
    """

    category_id: int | None
    parts: list[Part]
    frame: Frame
    window: Window
    depth: float
    roughness: float
    grain_at: tuple[int, int]
    keypoints: tuple[Keypoint, ...] | None


def random_item(rng: np.random.Generator, category_id: int | None, side_px: float, limit_px: float) -> Item:
    """An object whose area is about side_px squared, no longer than `limit_px`, at the origin."""
    keypoints = None
    if category_id is None:
        parts, scale = draw_clutter(rng), side_px
        turn, mirror = pick(rng, (8, 8, 90)), False
    else:
        if category_id == PERSON:
            parts, keypoints = draw_person(rng)
        else:
            parts = _DRAW[category_id](rng)
        scale = side_px / math.sqrt(_AREA[category_id])
        turn, mirror = _TURN[category_id], category_id == CAR and chance(rng, 50)
    bounds = joint_bounds(parts)
    scale = min(scale, limit_px / max(bounds.right - bounds.left, bounds.bottom - bounds.top))
    frame = Frame.at(0.0, 0.0, scale, uniform(rng, -turn, turn), mirror)
    column, row = (int(value) for value in rng.integers(0, GRAIN_SIZE, 2))
    roughness = uniform(rng, 0.03, 0.22)
    return Item(category_id, parts, frame, frame.window(bounds), 0.0, roughness, (row, column), keypoints)


def moved(item: Item, x: float, y: float, depth: float) -> Item:
    """The item with the middle of its window at about (x, y)."""
    middle_x, middle_y = (item.window.left + item.window.right) / 2, (item.window.top + item.window.bottom) / 2
    frame = replace(item.frame, x=round((x - middle_x) * 64) / 64, y=round((y - middle_y) * 64) / 64)
    return replace(item, frame=frame, window=frame.window(joint_bounds(item.parts)), depth=depth)


def _overlap(a: Window, b: Window) -> float:
    """Common area as a share of the smaller window."""
    wide = min(a.right, b.right) - max(a.left, b.left)
    high = min(a.bottom, b.bottom) - max(a.top, b.top)
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(window.right - window.left) * (window.bottom - window.top) for window in (a, b)]
    return wide * high / min(areas)


def _place(rng: np.random.Generator, item: Item, others: list[Item], width: int, height: int) -> Item | None:
    """The item at a place where it hides little of the others, or None where twelve draws find none."""
    allowed = 0.45 if chance(rng, 35) else 0.12
    half_x, half_y = (item.window.right - item.window.left) / 2, (item.window.bottom - item.window.top) / 2
    # Now and then an object is cut by the picture's edge, by less than a third of its length.
    inset = 0.4 if chance(rng, 20) else 0.97
    margin_x, margin_y = min(half_x * inset, 0.5 * width), min(half_y * inset, 0.5 * height)
    for _ in range(12):
        x, y = uniform(rng, margin_x, width - margin_x), uniform(rng, margin_y, height - margin_y)
        candidate = moved(item, x, y, y + half_y + uniform(rng, -20, 20))
        if all(_overlap(candidate.window, other.window) <= allowed for other in others):
            return candidate
    return None


def random_objects(rng: np.random.Generator, width: int, height: int) -> list[Item]:
    """Two to eight objects, at most two of them large."""
    wanted = int(rng.integers(2, 9))
    sizes = [pick(rng, (0, 0, 1, 1, 1, 2, 2)) for _ in range(wanted)]
    while sizes.count(2) > 2:
        sizes[sizes.index(2)] = 1
    items: list[Item] = []
    # Large ones first, while there is room; crowded scenes may end with fewer.
    for size in sorted([*sizes, 0, 1], reverse=True):
        category_id = pick(rng, _DRAWN_CATEGORIES)
        item = random_item(rng, category_id, uniform(rng, *_SIDES_PX[size]), 1.1 * min(width, height))
        placed = _place(rng, item, items, width, height)
        if placed is not None:
            items.append(placed)
        if len(items) == wanted:
            break
    return items


def random_clutter(rng: np.random.Generator, width: int, height: int, in_front: bool) -> list[Item]:
    """Six to fourteen things behind all objects and, with `in_front`, up to two small ones among them."""
    items = []
    for _ in range(int(rng.integers(6, 15))):
        item = random_item(rng, None, uniform(rng, 25, 130), width)
        items.append(moved(item, uniform(rng, 0, width), uniform(rng, 0, height), -1000.0 + len(items)))
    if in_front:
        for _ in range(int(rng.integers(0, 3))):
            item = random_item(rng, None, uniform(rng, 20, 45), width)
            items.append(moved(item, uniform(rng, 0, width), uniform(rng, 0, height), uniform(rng, 0, height)))
    return items
