"""Our HEVC streams, decoded by libavcodec: to the bit what the encoder reconstructed, for all sorts of pictures."""

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

from cfm.codecs.annex_b import last_unit
from cfm.codecs.external.decoding import decode_annex_b
from cfm.codecs.hevc.codec import CTUS, Hevc
from cfm.codecs.hevc.encoder import LARGEST_EFFORT, encode_picture, settings_of
from cfm.data.colour import rgb_to_yuv420
from cfm.data.scenes.compose import generate_scene
from cfm.errors import ConfigurationError


def matches(encoded):
    """Whether a decoder makes of the stream what the encoder did."""
    return decoded_matches(encoded, "hevc")


@pytest.mark.parametrize("ctu", CTUS)
@pytest.mark.parametrize("content", CONTENTS)
def test_a_decoder_reconstructs_what_the_encoder_did(content, ctu):
    for picture, qp, distortion, description in stress_set(content):
        encoded = encode_picture(picture, qp, distortion, ctu=ctu, deblocking=False)
        assert matches(encoded), f"{description}, CTU {ctu}"


@pytest.mark.parametrize("ctu", CTUS)
@pytest.mark.parametrize("options", [{}, {"deltas": (-2, 0, 2)}, {"effort": LARGEST_EFFORT}])
def test_natural_pictures_are_reconstructed_as_the_encoder_did(ctu, options):
    for index, picture in enumerate(natural_pictures()):
        data = weighted(picture.height, picture.width)
        for qp, distortion in zip(QPS[1::3], itertools.cycle((None, data))):
            encoded = encode_picture(picture, qp, distortion, ctu=ctu, deblocking=False, **options)
            assert matches(encoded), f"picture {index}, QP {qp}, CTU {ctu}, {options}"


@pytest.mark.parametrize("ctu", CTUS)
def test_qps_by_group_and_chroma_offsets_decode(ctu):
    picture = picture_of("textured", 120, 136)
    choices = itertools.product((2, 30, 49), (-12, 0, 12), ((0, 2), (-4, -2, 0, 2, 4), (-12, 12)))
    for qp, offset, deltas in choices:
        encoded = encode_picture(picture, qp, None, deltas, offset, ctu, deblocking=False)
        assert matches(encoded), f"QP {qp}, offset {offset}, deltas {deltas}, CTU {ctu}"


@pytest.mark.parametrize("content", CONTENTS)
def test_everything_at_once_decodes(content):
    picture, data = picture_of(content, 91, 75), weighted(91, 75)
    for qp, ctu in itertools.product((5, 27, 44), CTUS):
        encoded = encode_picture(picture, qp, data, (-5, -1, 0, 3), 4, ctu, deblocking=False, effort=LARGEST_EFFORT)
        assert matches(encoded), f"{content}, QP {qp}, CTU {ctu}"


def test_decoders_deblock_where_the_stream_says_so():
    picture = picture_of("textured", 96, 128)
    shown = [
        decode_annex_b(encode_picture(picture, 40, deblocking=deblocking).stream, "hevc", "yuv420p")[0].astype(int)
        for deblocking in (False, True)
    ]
    assert 0 < np.abs(shown[0] - shown[1]).mean() < 3


def log_cost_of(picture, qp, **options):
    """Logarithm of what the encoder minimises: errors before deblocking and bits, by its own weights."""
    encoded, settings = encode_picture(picture, qp, **options), settings_of(qp, (0,), 1, 0, False)
    pairs = zip(encoded.planes, picture.planes, strict=True)
    errors = [np.square(a[: b.shape[0], : b.shape[1]].astype(float) - b).sum() for a, b in pairs]
    error = errors[0] + settings.chroma_weight * (errors[1] + errors[2])
    return np.log(error + settings.lambda_ * 8 * len(encoded.stream))


def test_more_effort_and_deltas_lower_the_cost():
    pictures = [rgb_to_yuv420(generate_scene(1, "val2017", index, 320, 240).image) for index in range(3)]
    pictures += [picture_of("textured", 240, 320, seed) for seed in range(2)]
    qps = (29, 33, 37, 41)
    for picture in pictures:
        plain, effort, deltas = (
            np.mean([log_cost_of(picture, qp, **options) for qp in qps])
            for options in ({}, {"effort": LARGEST_EFFORT}, {"deltas": (-2, -1, 0, 1, 2)})
        )
        assert effort < plain
        assert deltas < plain


def test_only_the_deltas_that_are_asked_for_are_used():
    # A single one is a finer quantiser at the lambda of the slice's QP.
    picture = natural_pictures()[0]
    errors = [
        np.square(
            encode_picture(picture, qp, deltas=deltas).planes[0][:112, :160] - picture.planes[0].astype(float)
        ).mean()
        for qp, deltas in ((34, (0,)), (40, (-6,)), (40, (0,)))
    ]
    assert errors[0] < errors[1] < 0.95 * errors[2]
    streams = {encode_picture(picture, 51, deltas=deltas).stream for deltas in ((-3,), (-3, 2), (-3, 2, 9))}
    assert len(streams) == 1


@pytest.mark.parametrize("qp", [10, 30, 40])
@pytest.mark.parametrize("ctu", CTUS)
def test_the_bits_that_decisions_count_are_the_bits_written(ctu, qp):
    encoded = encode_picture(picture_of("textured", 240, 320), qp, ctu=ctu)
    slice_bits, header_and_end = 8 * len(last_unit(encoded.stream)[1]), 64
    assert encoded.counted_bits == pytest.approx(slice_bits - header_and_end, rel=0.003, abs=32)


def test_larger_coding_tree_units_cost_less():
    picture = natural_pictures()[0]
    costs = [cost_of(encode_picture(picture, 40, ctu=ctu), picture, "hevc", 40) for ctu in CTUS]
    assert costs[2] < costs[0]


def test_a_coding_tree_unit_of_another_size_is_refused():
    with pytest.raises(ConfigurationError, match="CTU 8"):
        Hevc(ctu=8)


def test_the_parameters_reach_the_encoder():
    picture = picture_of("textured", 80, 96)
    options = ({}, {"ctu": 16}, {"chroma_offset": 6}, {"deltas": (-3, 3)}, {"effort": LARGEST_EFFORT})
    streams = {Hevc(**option).encode(picture, 33) for option in options}
    assert len(streams) == len(options)
