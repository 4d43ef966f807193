"""Which decisions use the data of a distortion, in every encoder of ours."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from tests.codecs.stress import decoded_matches, natural_pictures, picture_of, weighted

from cfm.codecs.distortion import DECISIONS, Distortion
from cfm.codecs.registry import OWN
from cfm.errors import ConfigurationError


@pytest.fixture(params=OWN)
def name(request):
    return request.param


@pytest.fixture
def encode_picture(name):
    return import_module(f"cfm.codecs.{name}.encoder").encode_picture


def ablated(height, width):
    """Data that differ from the squared error in everything."""
    return replace(weighted(height, width), plain=np.array([0.9, 1.5, 2.0]), weighs_chroma=True)


OPTIONS = {"deltas": (-3, 0, 3), "effort": 2}


def test_decisions_without_data_are_those_of_the_plain_weights(encode_picture):
    picture, data = picture_of("textured", 67, 83), ablated(67, 83)
    plain = Distortion(67, 83, sse=data.plain, weighs_chroma=True)
    assert (
        encode_picture(picture, 34, data, **OPTIONS, decisions=()).stream
        == encode_picture(picture, 34, plain, **OPTIONS).stream
    )
    # Where all the data are a weighted squared error, too, other decisions may use it.
    other = Distortion(67, 83, sse=np.array([0.3, 2, 2]), plain=data.plain, weighs_chroma=True)
    some = [("partition",), ("mode", "levels"), DECISIONS]
    assert len({encode_picture(picture, 34, other, **OPTIONS, decisions=used).stream for used in some}) == 3


def test_data_that_are_the_plain_weights_decide_alike(encode_picture):
    picture, weights = picture_of("textured", 67, 83), np.array([0.7, 1.5, 1.2])
    data = Distortion(
        67, 83, weights, plain=weights, pixels=tuple(np.zeros(p.shape, np.float32) for p in picture.planes)
    )
    bits = [
        len(encode_picture(picture, 34, data, **OPTIONS, decisions=used).stream)
        for used in ((), ("partition",), ("mode",), ("levels",), ("delta_qp",), DECISIONS)
    ]
    assert max(bits) < 1.005 * min(bits)


def test_each_decision_alone_changes_the_stream_and_it_decodes(encode_picture, name):
    picture = natural_pictures()[0]
    data = ablated(picture.height, picture.width)
    uses = [(), *((decision,) for decision in DECISIONS), DECISIONS]
    coded = [encode_picture(picture, 34, data, **OPTIONS, decisions=used, deblocking=False) for used in uses]
    assert len({encoded.stream for encoded in coded}) == len(uses)
    decoder = {"avc": "h264", "hevc": "hevc"}[name]
    assert all(decoded_matches(encoded, decoder) for encoded in coded)
    with pytest.raises(ConfigurationError, match="no decision is called 'modes'"):
        encode_picture(picture, 34, data, decisions=("modes",))
