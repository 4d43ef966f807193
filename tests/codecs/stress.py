"""Pictures, sizes, QPs and distortions that every encoder of ours has to code to the bit."""

import itertools
from pathlib import Path

import numpy as np

from cfm.codecs.distortion import Distortion
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.picture import Picture, plane_shapes
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.data.scenes.compose import generate_scene

SIZES = ((1, 1), (1, 67), (16, 16), (17, 3), (43, 67), (48, 32), (67, 43))
QPS = (0, 1, 10, 17, 24, 31, 38, 45, 51)
REAL = Path("../shared/coco-mini/val2017")


def textured(shape, rng):
    """Smoothed noise with an edge: what intra prediction is made for."""
    height, width = shape
    waves = np.cumsum(np.cumsum(rng.normal(size=shape), 0), 1)
    span = max(np.ptp(waves), 1e-9)
    picture = 200 * (waves - waves.min()) / span + 10 * rng.random(shape)
    picture[:, width // 2 :] += 40 * (np.arange(height)[:, None] > height // 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


CONTENTS = {
    "textured": textured,
    "noise": lambda shape, rng: rng.integers(0, 256, shape, dtype=np.uint8),
    "board": lambda shape, rng: (255 * (np.indices(shape).sum(0) % 2)).astype(np.uint8),
    "flat": lambda shape, rng: np.full(shape, 77, np.uint8),
}


def picture_of(content, height, width, seed=0):
    rng = np.random.default_rng(seed)
    planes = (CONTENTS[content](shape, rng) for shape in plane_shapes("yuv420", height, width))
    return Picture(tuple(planes), "yuv420", 8)


def weighted(height, width, seed=0):
    """A distortion that has everything."""
    rng = np.random.default_rng(seed)
    shapes = plane_shapes("yuv420", height, width)
    return Distortion(
        height,
        width,
        sse=np.array([0.3, 0.6, 0.5]),
        weights=rng.uniform(0.2, 3, (3, -(-height // 16), -(-width // 16))),
        frequency=rng.uniform(0.1, 1, (3, 16)),
        samples=rng.uniform(0.1, 0.5, (3, 16)),
        factors=rng.normal(0, 0.2, (3, 2, 16)),
        sketches=tuple(rng.normal(0, 0.3, (3, *shape)).astype(np.float32) for shape in shapes),
    )


def stress_set(content):
    """Pictures of one content of all sizes, at all QPs, with and without a distortion; each with a description."""
    for (height, width), qp, with_data in itertools.product(SIZES, QPS, (False, True)):
        distortion = weighted(height, width) if with_data else None
        description = f"{content} {width}x{height}, QP {qp}, data {with_data}"
        yield picture_of(content, height, width), qp, distortion, description


def natural_pictures():
    """An embedded scene, and real pictures where the validation data lies beside the checkout."""
    scene = generate_scene(1, "val2017", 0, 160, 112).image
    real = [read_rgb(path)[:150, :175] for path in sorted(REAL.glob("*.jpg"))[:3]]
    return [rgb_to_yuv420(np.ascontiguousarray(rgb)) for rgb in (scene, *real)]


def decoded_matches(encoded, decoder):
    """Whether libavcodec makes of a stream what the encoder reconstructed."""
    decoded = decode_annex_b(encoded.stream, decoder, "yuv420p")
    return all(
        np.array_equal(plane, coded[: plane.shape[0], : plane.shape[1]])
        for plane, coded in zip(decoded, encoded.planes, strict=True)
    )


def cost_of(encoded, picture, decoder, qp):
    """Squared error of the luma that a decoder shows, and the bits at about what they are worth at a QP."""
    shown = decode_annex_b(encoded.stream, decoder, "yuv420p")[0]
    error = np.square(shown.astype(float) - picture.planes[0]).sum()
    return error + 0.6 * 2 ** ((qp - 12) / 3) * 8 * len(encoded.stream)
