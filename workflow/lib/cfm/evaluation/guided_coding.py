"""Pictures coded again by one of our encoders as a scheme of the study has it, for what the encoder knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cfm.codecs.encoded import EncodedPicture
from cfm.codecs.picture import Picture
from cfm.codecs.registry import make_codec
from cfm.codecs.sealed import SealedCodec
from cfm.data.colour import rgb_to_yuv420
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture
from cfm.sensitivity.guidance import guide_of


class GuidedEncoder(NamedTuple):
    """An encoder under a scheme.

    Attributes
    ----------
    scheme : str
        Row of the table of schemes.
    codec : SealedCodec
        Makes and decodes the streams.
    guide : callable or None
        Arguments of the encoder beside picture and point, by the picture's id and samples; None for the squared error.
    """

    scheme: str
    codec: SealedCodec
    guide: Callable[[int, Picture], dict[str, Any]] | None


class Coded(NamedTuple):
    """A picture of id `image_id`, and what an encoder made of it."""

    image_id: int
    picture: Picture
    encoded: EncodedPicture


def guided_encoder(
    scheme: str,
    codec: Mapping[str, Any],
    guidance: Mapping[str, Any],
    calibration: Sequence[str],
    sketches: Sequence[str],
) -> GuidedEncoder:
    """The encoder that `AnalysisPlan.encoder` describes."""
    if not guidance:
        return GuidedEncoder(scheme, make_codec(**codec), None)
    guide, options = guide_of(guidance, calibration, sketches)
    return GuidedEncoder(scheme, make_codec(**codec, **options), guide.guidance)


def coded_pictures(encoder: GuidedEncoder, pictures: Sequence[SourcePicture], point: int) -> Iterator[Coded]:
    """Code pictures at a point, one after the other; raises `InputError` where a sketch is of another picture."""
    for image_id, path in pictures:
        picture = rgb_to_yuv420(read_rgb(path))
        guidance = encoder.guide(image_id, picture) if encoder.guide else {}
        yield Coded(image_id, picture, encoder.codec.encode_picture(picture, point, **guidance))
