"""kvazaar and vvenc, the encoders that the ffmpeg of imageio-ffmpeg is linked with, run as a process a picture.

The tests read the slice header's QP back with FFmpeg's header tracer, over the whole range of QPs.
"""

from __future__ import annotations

import subprocess
from abc import abstractmethod
from functools import cache
from typing import ClassVar

import imageio_ffmpeg
import numpy as np

from cfm.codecs.external.standard import StandardCodec
from cfm.codecs.picture import Picture
from cfm.errors import ConfigurationError, InputError

TIME_LIMIT_S = 1800


class FfmpegCodec(StandardCodec):
    """An encoder in the ffmpeg executable: samples go in and the stream comes out through pipes."""

    def _encode_frame(self, picture: Picture, qp: int, pixel_format: str) -> bytes:
        samples = b"".join(np.ascontiguousarray(plane).tobytes() for plane in self._input_planes(picture))
        command = [
            *(ffmpeg_executable(), "-hide_banner", "-loglevel", "error", "-nostdin", "-filter_threads", "1"),
            *("-f", "rawvideo", "-pix_fmt", self._input_format(), "-s", f"{picture.width}x{picture.height}"),
            *("-r", "25", "-i", "pipe:0", "-frames:v", "1", "-threads", "1", "-bitexact"),
            *self._encoder_options(picture, qp),
            *("-f", self.decoder, "pipe:1"),
        ]
        try:
            run = subprocess.run(command, input=samples, capture_output=True, timeout=TIME_LIMIT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigurationError(f"{self.name}: {command[0]} could not be run to its end ({error})") from None
        if run.returncode or not run.stdout:
            reason = run.stderr.decode(errors="replace").strip().split("\n")[-1]
            size = f"{picture.width}x{picture.height}"
            raise InputError(f"{self.name} fails at QP {qp} on a picture of {size} ({reason}); raise the QP")
        return run.stdout

    @abstractmethod
    def _input_format(self) -> str:
        """ffmpeg's name of the pixel format that is piped in."""

    @abstractmethod
    def _input_planes(self, picture: Picture) -> tuple[np.ndarray, ...]:
        """The padded picture as that format has it."""

    @abstractmethod
    def _encoder_options(self, picture: Picture, qp: int) -> list[str]:
        """Options of ffmpeg's command line between its input and its output."""


class Kvazaar(FfmpegCodec):
    """kvazaar, HEVC Main, all intra; the slice QP is the asked one. It has no psycho-visual tuning to turn off."""

    name = "kvazaar"
    decoder = "hevc"
    presets = (
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
    default_preset = "veryslow"
    least_side = 32
    formats: ClassVar = {("yuv420", 8): "yuv420p"}

    def _input_format(self) -> str:
        return "yuv420p"

    def _input_planes(self, picture: Picture) -> tuple[np.ndarray, ...]:
        return picture.planes

    def _encoder_options(self, picture: Picture, qp: int) -> list[str]:
        fixed = "period=1,gop=0,intra-qp-offset=0,threads=0,owf=0,wpp=0,info=0,hash=none"
        return ["-c:v", "libkvazaar", "-kvazaar-params", f"preset={self.preset},{fixed},qp={qp}"]


class Vvenc(FfmpegCodec):
    """vvenc, H.266, all intra, perceptual QP adaptation off; the slice QP is the asked one.

    vvenc lowers the QP of intra frames by 3 unless told not to (`IntraQPOffset=0`). The ffmpeg wrapper feeds it
    10-bit 4:2:0 only: 8-bit samples go in as their fourfold, which the encoder's internal depth of 8 takes back
    exactly, and a grey picture goes in with chroma planes that are not coded (4:0:0). It also leaves the stream one
    byte a pixel, which noise at the lowest QPs exceeds: an `InputError`.
    """

    name = "vvenc"
    decoder = "vvc"
    presets = ("faster", "fast", "medium", "slow", "slower")
    default_preset = "medium"
    largest_qp = 63
    least_side = 32
    formats: ClassVar = {
        ("yuv420", 8): "yuv420p",
        ("yuv420", 10): "yuv420p10le",
        ("grey", 8): "gray",
        ("grey", 10): "gray10le",
    }

    def _input_format(self) -> str:
        return "yuv420p10le"

    def _input_planes(self, picture: Picture) -> tuple[np.ndarray, ...]:
        planes = tuple(plane.astype("<u2") << (10 - picture.bit_depth) for plane in picture.planes)
        if picture.layout == "grey":
            chroma = np.full((picture.height // 2, picture.width // 2), 512, "<u2")
            planes += (chroma, chroma)
        return planes

    def _encoder_options(self, picture: Picture, qp: int) -> list[str]:
        chroma = "400" if picture.layout == "grey" else "420"
        parameters = (
            f"IntraPeriod=1:GOPSize=1:IntraQPOffset=0:InternalBitDepth={picture.bit_depth}:ChromaFormatIDC={chroma}:"
            "Threads=1:WaveFrontSynchro=0:SEIDecodedPictureHash=0:AccessUnitDelimiter=0"
        )
        options = ["-c:v", "libvvenc", "-preset", self.preset, "-qp", str(qp), "-qpa", "0", "-vvenc-params", parameters]
        return options


@cache
def ffmpeg_executable() -> str:
    """Path of the ffmpeg that imageio-ffmpeg ships; raises `ConfigurationError` where it has none for this machine."""
    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise ConfigurationError(f"imageio-ffmpeg has no ffmpeg for this machine ({error})") from None
