"""Shares inside objects, against masks and maps whose shares are known."""

from collections import namedtuple

import numpy as np
import pytest
from pycocotools import mask as mask_utilities
from pycocotools.coco import COCO

from cfm.codecs.picture import Picture
from cfm.evaluation.bit_shares import mean_shares, object_mask, shares
from cfm.evaluation.guided_coding import Coded, GuidedEncoder

HEIGHT, WIDTH = 40, 56


def annotations(*found):
    known = COCO()
    known.dataset = {
        "images": [{"id": n, "height": HEIGHT, "width": WIDTH} for n in (1, 2)],
        "annotations": [{"id": n, "image_id": 1, "category_id": 1} | entry for n, entry in enumerate(found, 1)],
        "categories": [{"id": 1, "name": "thing"}],
    }
    known.createIndex()
    return known


def test_masks_of_all_forms_are_joined():
    polygon = {"segmentation": [[0, 0, 8, 0, 8, 8, 0, 8]], "bbox": [0, 0, 8, 8]}
    crowd = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    crowd[20:30, 20:30] = 1
    compressed = {"segmentation": mask_utilities.encode(crowd), "iscrowd": 1, "bbox": [20, 20, 10, 10]}
    lengths = [HEIGHT * 50, HEIGHT * 2, HEIGHT * 4]
    plain = {"segmentation": {"size": [HEIGHT, WIDTH], "counts": lengths}, "iscrowd": 1, "bbox": [50, 0, 2, HEIGHT]}
    box = {"bbox": [-3.0, 33.6, 6.0, 90.0]}
    mask = object_mask(annotations(polygon, compressed, plain, box), 1, HEIGHT, WIDTH)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:8, :8] = expected[20:30, 20:30] = expected[:, 50:52] = expected[34:, :3] = True
    assert (mask == expected).all()
    assert not object_mask(annotations(polygon), 2, HEIGHT, WIDTH).any()


def test_bits_count_by_the_part_of_their_group_that_is_inside():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:16, :8] = True  # half of the first group
    mask[32:, 48:] = True  # all of the last, which has 8x8 samples
    bits = np.ones((3, 4))
    bits[0, 0], bits[2, 3] = 10, 5
    error = np.where(mask, 3.0, 1.0)
    found = shares(mask, bits, error)
    assert found.area == pytest.approx((128 + 64) / (HEIGHT * WIDTH))
    assert found.bits == pytest.approx((5 + 5) / 25)
    assert found.error == pytest.approx(3 * 192 / (3 * 192 + HEIGHT * WIDTH - 192))
    assert np.isnan(shares(mask, bits, np.zeros(mask.shape)).error)


def test_pictures_without_objects_are_left_out():
    planes = (np.full((HEIGHT, WIDTH), 9, np.uint8), np.zeros((20, 28), np.uint8), np.zeros((20, 28), np.uint8))
    picture, Encoded = Picture(planes, "yuv420", 8), namedtuple("Encoded", "stream bits")
    decoded = Picture((planes[0] + np.uint8(2), *planes[1:]), "yuv420", 8)
    codec = namedtuple("Codec", "decode")(lambda stream: decoded)
    coded = [Coded(image_id, picture, Encoded(b"", np.ones((3, 4)))) for image_id in (1, 2)]
    known = annotations({"bbox": [0, 0, WIDTH, 20]})
    found, count = mean_shares(GuidedEncoder("sse", codec, None), coded, known)
    assert count == 1
    assert (found.area, found.error) == (0.5, 0.5)
    assert found.bits == pytest.approx((4 + 4 * 4 / 16) / 12)
    found, count = mean_shares(GuidedEncoder("sse", codec, None), coded[1:], known)
    assert count == 0
    assert np.isnan(found).all()
