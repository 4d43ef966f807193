"""x264 and x265, the encoders that PyAV's FFmpeg is linked with.

The tests read the slice header's QP back with FFmpeg's header tracer, over the whole range of QPs.
"""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

import av

from cfm.codecs.external.decoding import frame_of
from cfm.codecs.external.standard import StandardCodec
from cfm.codecs.picture import Picture

PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
START_CODE = b"\0\0\1"
AVC_SEI = 6


class PyavCodec(StandardCodec):
    """An encoder in PyAV, run once a picture in one thread."""

    presets = PRESETS
    default_preset = "veryslow"
    encoder: ClassVar[str]
    parameters_name: ClassVar[str]
    fixed_parameters: ClassVar[str]

    def _encode_frame(self, picture: Picture, qp: int, pixel_format: str) -> bytes:
        context = av.CodecContext.create(self.encoder, "w")
        context.width, context.height = picture.width, picture.height
        context.pix_fmt = pixel_format
        context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
        context.thread_count = 1
        context.options = {
            "preset": self.preset,
            "tune": "psnr",
            self.parameters_name: f"{self.fixed_parameters}:qp={qp}",
        }
        frame = frame_of(picture.planes, pixel_format)
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
        return b"".join(bytes(packet) for packet in packets)


class X264(PyavCodec):
    """x264, High profile, all intra, tuned for PSNR; the slice QP is the asked one, and QP 0 is its lossless mode.

    `ipratio=1` keeps the I-frame's QP from being lowered, `aq-mode=0` and `psy=0` keep every macroblock at it. The SEI
    message in which x264 describes itself is taken out of the stream.
    """

    name = "x264"
    decoder = "h264"
    encoder = "libx264"
    parameters_name = "x264-params"
    fixed_parameters = (
        "keyint=1:ipratio=1:aq-mode=0:psy=0:mbtree=0:threads=1:lookahead-threads=1:"
        "repeat-headers=1:annexb=1:force-cfr=1"
    )
    formats: ClassVar = {("yuv420", 8): "yuv420p"}

    def _encode_frame(self, picture: Picture, qp: int, pixel_format: str) -> bytes:
        return without_sei(super()._encode_frame(picture, qp, pixel_format))


class X265(PyavCodec):
    """x265, all intra, tuned for PSNR; the slice QP is the asked one.

    One thread, no wavefronts: their entropy coder resets would cost bits. 4:0:0 and 4:2:0 of 10 bit need the 10-bit
    build that PyAV ships.
    """

    name = "x265"
    decoder = "hevc"
    encoder = "libx265"
    parameters_name = "x265-params"
    fixed_parameters = (
        "keyint=1:ipratio=1:aq-mode=0:cutree=0:psy-rd=0:psy-rdoq=0:pools=none:frame-threads=1:wpp=0:pmode=0:"
        "info=0:repeat-headers=1:annexb=1:hash=0:log-level=none"
    )
    least_side = 32
    formats: ClassVar = {
        ("yuv420", 8): "yuv420p",
        ("yuv420", 10): "yuv420p10le",
        ("grey", 8): "gray",
        ("grey", 10): "gray10le",
    }


def without_sei(stream: bytes) -> bytes:
    """An H.264 Annex B stream without its SEI NAL units; the others keep their start codes."""
    starts = []
    position = stream.find(START_CODE)
    while position >= 0:
        # A fourth zero byte before a start code belongs to it.
        starts.append((position - (position > 0 and stream[position - 1] == 0), position + len(START_CODE)))
        position = stream.find(START_CODE, position + len(START_CODE))
    ends = [begin for begin, _ in starts[1:]] + [len(stream)]
    return b"".join(
        stream[begin:end] for (begin, payload), end in zip(starts, ends, strict=True) if stream[payload] & 31 != AVC_SEI
    )
