"""Judges in the place of the distortion: their streams decode, follow what the judge says, and what it may not say."""

from importlib import import_module

import numpy as np
import pytest
from tests.codecs.stress import decoded_matches, picture_of, weighted

from cfm.codecs.distortion import Distortion
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.judge import cropped
from cfm.codecs.registry import OWN
from cfm.errors import InputError

DECODERS = {"avc": "h264", "hevc": "hevc"}
SIZES = [(1, 1), (16, 33), (67, 43), (48, 64)]


@pytest.fixture(params=OWN)
def name(request):
    return request.param


@pytest.fixture
def encode_picture(name):
    return import_module(f"cfm.codecs.{name}.encoder").encode_picture


class SquaredError:
    """A judge that weighs squared errors of luma by column, and chroma as luma."""

    def __init__(self, picture, weights=1.0):
        self.source = [plane.astype(float) for plane in picture.planes]
        self.weights = weights * np.ones(picture.width)
        self.decoded = [np.full(plane.shape, -1) for plane in picture.planes]
        self.calls = self.most = 0

    def regions(self, y, x, candidate):
        for plane, samples in enumerate(candidate):
            top, left = (y, x) if plane == 0 else (y // 2, x // 2)
            yield plane, np.s_[top : top + samples.shape[0], left : left + samples.shape[1]], samples

    def distortions(self, y, x, candidates):
        assert len({tuple(plane.shape for plane in candidate) for candidate in candidates}) == 1
        self.calls, self.most = self.calls + 1, max(self.most, len(candidates))
        found = []
        for candidate in candidates:
            total = 0.0
            for plane, region, samples in self.regions(y, x, candidate):
                assert samples.dtype == np.uint8
                weights = self.weights[:: 1 if plane == 0 else 2][region[1]]
                total += (weights * np.square(self.source[plane][region] - samples)).sum()
            found.append(total)
        return np.array(found)

    def commit(self, y, x, candidate):
        for plane, region, samples in self.regions(y, x, candidate):
            self.decoded[plane][region] = samples


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("options", [{}, {"deltas": (-3, 0, 2), "chroma_offset": -4}])
def test_judged_streams_decode_to_what_was_committed(encode_picture, name, height, width, options):
    for content, qp in (("textured", 24), ("textured", 40), ("noise", 34)):
        picture = picture_of(content, height, width)
        data = weighted(height, width) if qp == 40 else None
        judge = SquaredError(picture)
        encoded = encode_picture(picture, qp, data, **options, deblocking=False, judge=judge)
        assert decoded_matches(encoded, DECODERS[name]), f"{content}, QP {qp}"
        for committed, coded in zip(judge.decoded, encoded.planes, strict=True):
            assert np.array_equal(committed, coded[: committed.shape[0], : committed.shape[1]])
        assert judge.most >= (3 if "deltas" in options else 2)


def test_the_luma_that_a_judge_of_avc_sees_is_what_a_decoder_shows():
    encode_picture = import_module("cfm.codecs.avc.encoder").encode_picture
    for qp, cabac in ((24, True), (38, False), (46, True)):
        picture = picture_of("textured", 67, 83)
        judge = SquaredError(picture)
        encoded = encode_picture(picture, qp, deltas=(-4, 0, 4), cabac=cabac, judge=judge)
        shown = decode_annex_b(encoded.stream, "h264", "yuv420p")[0]
        assert np.array_equal(judge.decoded[0], shown[:67, :83])


def test_a_judge_of_squared_errors_costs_about_as_much_as_the_squared_error(encode_picture):
    # Both weigh chroma as luma.
    picture, options = picture_of("textured", 96, 128), {"deltas": (-2, 0, 2)}
    options["distortion"] = Distortion(96, 128, weighs_chroma=True)
    judged = encode_picture(picture, 34, **options, judge=SquaredError(picture))
    plain = encode_picture(picture, 34, **options)
    error = [np.square(coded.planes[0][:96, :128] - picture.planes[0].astype(float)).sum() for coded in (judged, plain)]
    costs = [e + 0.6 * 2 ** (22 / 3) * 8 * len(c.stream) for e, c in zip(error, (judged, plain), strict=True)]
    assert 0.9 * costs[1] < costs[0] < 1.02 * costs[1]  # more is tried in full
    assert len(judged.stream) == pytest.approx(len(plain.stream), rel=0.1)


def test_a_judge_that_loves_a_region_moves_bits_there(encode_picture):
    picture = picture_of("textured", 96, 128)
    judge = SquaredError(picture, np.where(np.arange(128) < 64, 0.1, 8))
    plain, judged = (
        encode_picture(picture, 34, deltas=(-4, 0, 4), judge=chosen) for chosen in (SquaredError(picture), judge)
    )
    errors = [
        np.square(coded.planes[0][:96, :128] - picture.planes[0].astype(float)).reshape(96, 2, 64).mean((0, 2))
        for coded in (plain, judged)
    ]
    assert errors[1][0] > 1.1 * errors[0][0]
    assert errors[1][1] < 0.9 * errors[0][1]
    assert judged.qps[:, 4:].mean() < judged.qps[:, :4].mean() - 4


@pytest.mark.parametrize("found", [[1.0], [[1.0, 2.0]], [np.nan] * 2, []])
def test_what_is_no_distortion_is_refused(encode_picture, found):
    picture = picture_of("textured", 16, 16)
    judge = SquaredError(picture)
    judge.distortions = lambda y, x, candidates: found
    with pytest.raises(InputError, match=r"judge: .* for the region at 0, 0, not \d finite distortions"):
        encode_picture(picture, 30, judge=judge)


def test_regions_end_where_the_picture_does():
    planes = [np.zeros((16, 16), np.int32), *(np.zeros((8, 8), np.int32) for _ in range(2))]
    assert [plane.shape for plane in cropped(planes, 5, 40)] == [(5, 16), (3, 8), (3, 8)]
