"""Our AVC streams, decoded by libavcodec: to the bit what the encoder reconstructed, for all sorts of pictures."""

import itertools

import numpy as np
import pytest
from tests.codecs.stress import (
    CONTENTS,
    QPS,
    cost_of,
    decoded_matches,
    natural_pictures,
    picture_of,
    stress_set,
    weighted,
)

from cfm.codecs.avc.codec import Avc
from cfm.codecs.avc.encoder import encode_picture
from cfm.codecs.external.decoding import decode_annex_b
from cfm.errors import ConfigurationError


def matches(encoded):
    """Whether a decoder makes of the stream what the encoder did."""
    return decoded_matches(encoded, "h264")


@pytest.mark.parametrize("cabac", [True, False])
@pytest.mark.parametrize("content", CONTENTS)
def test_a_decoder_reconstructs_what_the_encoder_did(content, cabac):
    for picture, qp, distortion, description in stress_set(content):
        encoded = encode_picture(picture, qp, distortion, cabac=cabac, deblocking=False)
        assert matches(encoded), f"{description}, cabac {cabac}"


@pytest.mark.parametrize("cabac", [True, False])
def test_natural_pictures_are_reconstructed_as_the_encoder_did(cabac):
    for index, picture in enumerate(natural_pictures()):
        data = weighted(picture.height, picture.width)
        for qp, distortion, options in itertools.product(QPS, (None, data), ({}, {"deltas": (-2, 0, 2), "effort": 3})):
            encoded = encode_picture(picture, qp, distortion, cabac=cabac, deblocking=False, **options)
            assert matches(encoded), f"picture {index}, QP {qp}, cabac {cabac}, {options}"


@pytest.mark.parametrize("cabac", [True, False])
def test_qps_by_macroblock_and_chroma_offsets_decode(cabac):
    for qp, offset, deltas in itertools.product((2, 30, 49), (-12, 0, 12), ((0, 2), (-4, -2, 0, 2, 4), (-12, 12))):
        encoded = encode_picture(picture_of("textured", 80, 64), qp, None, deltas, offset, cabac, deblocking=False)
        assert matches(encoded), f"QP {qp}, offset {offset}, deltas {deltas}"


@pytest.mark.parametrize("cabac", [True, False])
@pytest.mark.parametrize("content", sorted(CONTENTS))
def test_the_luma_that_decisions_are_made_by_is_what_a_decoder_shows(content, cabac):
    for qp, deltas, effort in itertools.product((5, 24, 33, 45, 51), ((0,), (-4, 0, 2)), (1, 5)):
        picture = picture_of(content, 83, 67)
        encoded = encode_picture(picture, qp, deltas=deltas, cabac=cabac, effort=effort)
        shown = decode_annex_b(encoded.stream, "h264", "yuv420p")[0]
        assert np.array_equal(shown[:83, :67], encoded.shown_luma[:83, :67]), f"QP {qp}, {deltas}, effort {effort}"


def test_more_effort_lowers_the_cost():
    picture = picture_of("textured", 240, 320)

    def cost(**options):
        return cost_of(encode_picture(picture, 37, **options), picture, "h264", 37)

    assert cost(effort=5) < 0.995 * cost()
    assert cost(deltas=(-2, -1, 0, 1, 2), effort=5) < 0.995 * cost()


def test_effort_counts_where_the_nearest_qp_does_not_exist():
    picture = picture_of("textured", 64, 64)
    streams = {encode_picture(picture, 51, deltas=(-3, 2), effort=effort).stream for effort in (1, 5)}
    assert len(streams) == 2


@pytest.mark.parametrize("qp", [10, 30, 40])
@pytest.mark.parametrize("cabac", [True, False])
def test_the_bits_that_decisions_count_are_the_bits_written(cabac, qp):
    encoded = encode_picture(picture_of("textured", 240, 320), qp, cabac=cabac)
    nothing = encode_picture(picture_of("flat", 240, 320), qp, cabac=cabac)
    written, headers = 8 * len(encoded.stream), 8 * len(nothing.stream) - nothing.counted_bits
    assert encoded.counted_bits == pytest.approx(written - headers, rel=0.005, abs=16)


def test_a_picture_that_no_delta_gives_a_qp_is_refused():
    with pytest.raises(ConfigurationError, match="delta"):
        Avc(deltas=(-4, -2)).encode(picture_of("flat", 32, 32), 1)
