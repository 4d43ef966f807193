"""Scenes: objects and clutter placed on a background, lit, shadowed, occluded and seen through a noisy sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cfm.data.scenes.background import background
from cfm.data.scenes.categories import CATEGORIES, OBJECT_CLASSES, split_code
from cfm.data.scenes.palette import uniform
from cfm.data.scenes.place import Item, moved, random_clutter, random_item, random_objects
from cfm.data.scenes.render import Layer, Light, Window, render
from cfm.data.scenes.shapes import joint_bounds

LEAST_VISIBLE_PX = 60
LEAST_VISIBLE_SHARE = 0.25
SMALLEST_SIDE_PX = 32
FEWEST_OBJECTS = 2
COMPOSE_ATTEMPTS = 4


@dataclass(frozen=True)
class SceneObject:
    """An annotated object.

    mask : (h, w) bool, the visible part. bbox : (x, y, width, height), tight around the mask, pixels. area : pixels of
    the mask. keypoints : (17, 3) float64 of x, y (pixels) and COCO's visibility 0, 1, 2; None for all but persons.
    """

    category_id: int
    mask: np.ndarray
    bbox: tuple[int, int, int, int]
    area: int
    keypoints: np.ndarray | None


@dataclass(frozen=True)
class Scene:
    """A picture (h, w, 3) uint8 and its annotated objects."""

    image: np.ndarray
    objects: list[SceneObject]


@dataclass(frozen=True)
class _Drawn:
    item: Item
    layer: Layer


def _random_light(rng: np.random.Generator) -> Light:
    x, y = uniform(rng, -0.65, 0.65), uniform(rng, -0.7, 0.25)
    return Light(x, y, math.sqrt(1.0 - x * x - y * y), uniform(rng, 0.35, 0.65))


def _crop(window: Window, width: int, height: int) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """Slices of the picture and of the layer where the two meet, or None where they do not."""
    left, right = max(window.left, 0), min(window.right, width)
    top, bottom = max(window.top, 0), min(window.bottom, height)
    if left >= right or top >= bottom:
        return None
    rows, columns = slice(top, bottom), slice(left, right)
    return (rows, columns), (
        slice(top - window.top, bottom - window.top),
        slice(left - window.left, right - window.left),
    )


def _visible_masks(drawn: list[_Drawn], width: int, height: int) -> tuple[list[_Drawn], list[np.ndarray]]:
    """Masks (h, w) of what can be seen of each layer (ordered back to front), without objects that hardly can.

    A dropped object is not drawn either, so that nothing in the picture lacks its annotation; dropping one only adds to
    what is visible of the others.
    """
    kept, masks = [], []
    hidden = np.zeros((height, width), bool)
    for one in reversed(drawn):
        crop = _crop(one.layer.window, width, height)
        visible = np.zeros((height, width), bool)
        full = one.layer.mask
        if crop is not None:
            visible[crop[0]] = full[crop[1]] & ~hidden[crop[0]]
        seen = int(np.count_nonzero(visible))
        least = max(LEAST_VISIBLE_PX, LEAST_VISIBLE_SHARE * int(np.count_nonzero(full)))
        if one.item.category_id is None or seen >= least:
            kept.append(one)
            masks.append(visible)
            hidden |= visible
    return kept[::-1], masks[::-1]


def _softened(coverage: np.ndarray, reach: int) -> np.ndarray:
    """Coverage smeared over about `reach` pixels by two rounds of four shifted copies; grows by 2 * reach each side."""
    pad = 2 * reach
    soft = np.zeros((coverage.shape[0] + 2 * pad, coverage.shape[1] + 2 * pad), np.float32)
    soft[pad:-pad, pad:-pad] = coverage
    for shift in (reach, max(1, reach // 2)):
        total = np.zeros_like(soft)
        core = slice(shift, -shift)
        for dy in (0, 2 * shift):
            for dx in (0, 2 * shift):
                total[core, core] += soft[dy : dy + soft.shape[0] - 2 * shift, dx : dx + soft.shape[1] - 2 * shift]
        soft = total * np.float32(0.25)
    return soft


def _cast_shadow(picture: np.ndarray, layer: Layer, light: Light, strength: float) -> None:
    """Darken `picture` (3, h, w) where the layer keeps the light away from what is behind it."""
    _, height, width = picture.shape
    size = max(layer.coverage.shape)
    distance = 0.12 * size / light.z
    reach = max(1, size // 40)
    shadow = _softened(layer.coverage, reach)
    left = layer.window.left - 2 * reach - int(light.x * distance // 1)
    top = layer.window.top - 2 * reach - int(light.y * distance // 1)
    window = Window(left, top, left + shadow.shape[1], top + shadow.shape[0])
    crop = _crop(window, width, height)
    if crop is not None:
        picture[(slice(None), *crop[0])] *= 1.0 - shadow[crop[1]] * strength


def _composite(picture: np.ndarray, drawn: list[_Drawn], light: Light, strength: float) -> None:
    """Draw the layers, back to front, onto `picture` (3, h, w)."""
    _, height, width = picture.shape
    for one in drawn:
        crop = _crop(one.layer.window, width, height)
        if crop is None:
            continue
        _cast_shadow(picture, one.layer, light, strength)
        target = picture[(slice(None), *crop[0])]
        target *= 1.0 - one.layer.coverage[crop[1]]
        target += one.layer.colour[(slice(None), *crop[1])]


def _camera(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Exposure, tint, softness and noise: (3, h, w) reflectances to (h, w, 3) uint8."""
    gain = uniform(rng, 0.75, 1.3)
    tints = [gain * uniform(rng, 0.9, 1.1) for _ in range(3)]
    softness, noise = uniform(rng, 0.0, 0.22), uniform(rng, 0.0, 10.0)
    lit = np.stack([plane * tint for plane, tint in zip(picture, tints, strict=True)])
    for _ in range(2):
        inner = lit[:, 1:-1] * (1.0 - 2.0 * softness) + (lit[:, :-2] + lit[:, 2:]) * softness
        lit[:, 1:-1] = inner
        lit = lit.transpose(0, 2, 1)
    grain = rng.random(lit.shape, dtype=np.float32) + rng.random(lit.shape, dtype=np.float32) - 1.0
    levels = np.floor(lit * 255.0 + grain * noise + 0.5)
    return np.ascontiguousarray(np.clip(levels, 0.0, 255.0).astype(np.uint8).transpose(1, 2, 0))


def _seen_keypoints(one: _Drawn, visible: np.ndarray) -> np.ndarray:
    """Keypoints (17, 3) of a person: 2 seen, 1 hidden by itself or by something else, 0 outside or turned away."""
    height, width = visible.shape
    points = np.zeros((len(one.item.keypoints), 3))
    for row, keypoint in zip(points, one.item.keypoints, strict=True):
        x, y = one.item.frame.to_picture(*keypoint.point)
        column, line = int(x // 1), int(y // 1)
        if not keypoint.facing or not (0 <= column < width and 0 <= line < height):
            continue
        sample_y, sample_x = int((y - one.layer.window.top) * 2 // 1), int((x - one.layer.window.left) * 2 // 1)
        on_top = int(one.layer.part[sample_y, sample_x]) in keypoint.parts
        row[:] = round(x * 100) / 100, round(y * 100) / 100, 2 if on_top and visible[line, column] else 1
        # Rounding must not move the point into the next pixel, where there may be no mask.
        row[0], row[1] = min(row[0], column + 0.99), min(row[1], line + 0.99)
    return points


def _annotated(one: _Drawn, visible: np.ndarray) -> SceneObject:
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    bbox = left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
    keypoints = _seen_keypoints(one, visible) if one.item.keypoints is not None else None
    return SceneObject(one.item.category_id, visible, bbox, int(np.count_nonzero(visible)), keypoints)


def _compose(rng: np.random.Generator, items: list[Item], width: int, height: int) -> Scene:
    """Draw items, the smaller `depth` the further behind, on a random background under a random light."""
    light, strength = _random_light(rng), uniform(rng, 0.15, 0.55)
    picture = background(rng, height, width)
    drawn = [
        _Drawn(item, render(item.parts, item.frame, joint_bounds(item.parts), light, item.roughness, item.grain_at))
        for item in sorted(items, key=lambda item: item.depth)
    ]
    drawn, masks = _visible_masks(drawn, width, height)
    _composite(picture, drawn, light, strength)
    objects = [
        _annotated(one, mask) for one, mask in zip(drawn, masks, strict=True) if one.item.category_id is not None
    ]
    return Scene(_camera(rng, picture), objects)


def _check_size(width: int, height: int) -> None:
    if min(width, height) < SMALLEST_SIDE_PX:
        raise ValueError(f"a scene of {width} x {height} pixels is too small: use at least {SMALLEST_SIDE_PX} a side")


def generate_scene(seed: int, split: str, index: int, width: int, height: int) -> Scene:
    """Scene number `index` of a split: the same picture and annotations on every machine, whatever else is made.

    It holds two to eight objects; fewer only where the picture is too small for two, which a few attempts show.

    Parameters
    ----------
    seed : int
        Not negative; one data set has one seed.
    split : str
        Starts with train, val or test; the splits' scenes differ.
    index : int
        From 0.
    width, height : int
        Pixels, at least 32.

    Raises
    ------
    ConfigurationError
        For another split.
    ValueError
        The picture is too small.
    """
    _check_size(width, height)
    rng = np.random.default_rng([seed, split_code(split), index])
    for _ in range(COMPOSE_ATTEMPTS):
        items = random_objects(rng, width, height)
        scene = _compose(rng, random_clutter(rng, width, height, True) + items, width, height)
        if len(scene.objects) >= FEWEST_OBJECTS:
            break
    return scene


def generate_object(seed: int, split: str, index: int, size: int = 96) -> tuple[np.ndarray, int]:
    """Picture number `index` of the classification set: one object on a background with clutter.

    Returns
    -------
    image : ndarray
        (size, size, 3) uint8.
    label : int
        Position of the category's name in `OBJECT_CLASSES`; the labels take turns with `index`.

    Raises
    ------
    ConfigurationError, ValueError
        As `generate_scene`.
    """
    _check_size(size, size)
    rng = np.random.default_rng([seed, split_code(split), index, size])
    label = index % len(OBJECT_CLASSES)
    category_id = next(category.id for category in CATEGORIES if category.name == OBJECT_CLASSES[label])
    item = random_item(rng, category_id, size, size * uniform(rng, 0.5, 0.95))
    middle = 0.5 * size
    item = moved(item, middle + uniform(rng, -0.08, 0.08) * size, middle + uniform(rng, -0.08, 0.08) * size, 0.0)
    return _compose(rng, [*random_clutter(rng, size, size, False), item], size, size).image, label
