"""Scenes: exact masks, boxes and keypoints, sizes, and independence of everything but the seed."""

from __future__ import annotations

import numpy as np
import pytest

from cfm.data.scenes.categories import CATEGORIES, KEYPOINT_NAMES, OBJECT_CLASSES, PERSON, split_code
from cfm.data.scenes.compose import LEAST_VISIBLE_PX, generate_object, generate_scene
from cfm.errors import ConfigurationError

WIDTH, HEIGHT = 320, 256


@pytest.fixture(scope="module")
def scenes():
    return [generate_scene(11, "train2017", index, WIDTH, HEIGHT) for index in range(40)]


def test_a_scene_depends_on_seed_split_and_index_alone(scenes):
    again = generate_scene(11, "train2017", 7, WIDTH, HEIGHT)
    np.testing.assert_array_equal(again.image, scenes[7].image)
    assert [thing.bbox for thing in again.objects] == [thing.bbox for thing in scenes[7].objects]
    others = [generate_scene(12, "train2017", 7, WIDTH, HEIGHT), generate_scene(11, "val2017", 7, WIDTH, HEIGHT)]
    assert all(not np.array_equal(other.image, again.image) for other in others)


def test_pictures_and_counts(scenes):
    for scene in scenes:
        assert scene.image.shape == (HEIGHT, WIDTH, 3)
        assert scene.image.dtype == np.uint8
        assert 2 <= len(scene.objects) <= 8
        assert 20 < scene.image.mean() < 235


def test_masks_are_disjoint_and_boxes_tight(scenes):
    for scene in scenes:
        masks = np.stack([thing.mask for thing in scene.objects])
        assert masks.shape[1:] == (HEIGHT, WIDTH)
        assert masks.sum(0).max() == 1
        for thing in scene.objects:
            x, y, width, height = thing.bbox
            inside = thing.mask[y : y + height, x : x + width]
            assert thing.area == inside.sum() == thing.mask.sum() >= LEAST_VISIBLE_PX
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.any()


def test_all_categories_and_sizes_are_frequent(scenes):
    things = [thing for scene in scenes for thing in scene.objects]
    assert {thing.category_id for thing in things} == {category.id for category in CATEGORIES}
    assert len(CATEGORIES) >= 5
    small = sum(thing.area < 32**2 for thing in things)
    large = sum(thing.area > 96**2 for thing in things)
    assert min(small, large, len(things) - small - large) > 0.12 * len(things)


def test_keypoints_belong_to_persons_and_lie_on_the_mask_where_seen(scenes):
    seen = hidden = outside = 0
    for scene in scenes:
        for thing in scene.objects:
            assert (thing.keypoints is not None) == (thing.category_id == PERSON)
            if thing.keypoints is None:
                continue
            assert thing.keypoints.shape == (len(KEYPOINT_NAMES), 3)
            for x, y, visibility in thing.keypoints:
                assert visibility in (0, 1, 2)
                if visibility == 0:
                    assert (x, y) == (0, 0)
                else:
                    assert 0 <= x < WIDTH
                    assert 0 <= y < HEIGHT
                if visibility == 2:
                    assert thing.mask[int(y), int(x)]
            counts = np.bincount(thing.keypoints[:, 2].astype(int), minlength=3)
            outside, hidden, seen = outside + counts[0], hidden + counts[1], seen + counts[2]
    assert min(seen, hidden, outside) > 0


def test_a_person_seen_from_the_front_has_its_left_on_the_right_of_the_picture(scenes):
    left, right = KEYPOINT_NAMES.index("left_eye"), KEYPOINT_NAMES.index("right_eye")
    persons = [thing.keypoints for scene in scenes for thing in scene.objects if thing.keypoints is not None]
    facing = [points for points in persons if points[left, 2] and points[right, 2] and points[0, 2]]
    mirrored = sum(points[left, 0] < points[right, 0] for points in facing)
    assert len(facing) > 10
    assert mirrored < 0.1 * len(facing)


@pytest.mark.parametrize(("width", "height"), [(32, 32), (33, 57), (97, 40), (401, 131)])
def test_any_size_from_32_pixels_works(width, height):
    scene = generate_scene(1, "test", 0, width, height)
    assert scene.image.shape == (height, width, 3)
    assert all(thing.mask.shape == (height, width) for thing in scene.objects)


def test_small_pictures_and_unknown_splits_are_refused():
    with pytest.raises(ValueError, match="too small"):
        generate_scene(1, "train", 0, 31, 64)
    with pytest.raises(ConfigurationError, match="'holdout'"):
        generate_scene(1, "holdout", 0, 64, 64)


def test_splits_have_their_codes():
    assert [split_code(split) for split in ("train2017", "val", "test-dev")] == [0, 1, 2]


def test_objects_take_turns_and_repeat():
    assert [generate_object(3, "val", index)[1] for index in range(6)] == list(range(len(OBJECT_CLASSES)))
    image, label = generate_object(3, "val", 4, 64)
    again, _ = generate_object(3, "val", 4, 64)
    assert image.shape == (64, 64, 3)
    assert OBJECT_CLASSES[label] == "sports ball"
    np.testing.assert_array_equal(image, again)
