"""Frames of FFmpeg and planes of samples, and decoding of one-frame Annex B streams with the decoders in PyAV."""

from __future__ import annotations

import av
import numpy as np

from cfm.errors import BitstreamError

SIXTEEN_BIT_SUFFIX = "10le"


def frame_planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """The planes of a frame as arrays (h, w): uint8, or uint16 where the format has 10 bits."""
    dtype = np.dtype("<u2" if frame.format.name.endswith(SIXTEEN_BIT_SUFFIX) else "u1")
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // dtype.itemsize)
        planes.append(rows[:, : plane.width].astype(dtype.newbyteorder("=")))
    return planes


def frame_of(planes: tuple[np.ndarray, ...], pixel_format: str) -> av.VideoFrame:
    """A frame that holds copies of the planes."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixel_format)
    dtype = np.dtype("<u2" if pixel_format.endswith(SIXTEEN_BIT_SUFFIX) else "u1")
    for target, plane in zip(frame.planes, planes, strict=True):
        rows = np.zeros((target.height, target.line_size // dtype.itemsize), dtype)
        rows[:, : target.width] = plane
        target.update(rows.tobytes())
    return frame


def decode_annex_b(stream: bytes, decoder: str, pixel_format: str) -> list[np.ndarray]:
    """Decode a stream of one frame.

    Parameters
    ----------
    stream : bytes
        NAL units with start codes.
    decoder : str
        FFmpeg's name of it: "h264", "hevc" or "vvc".
    pixel_format : str
        What the frame must have, such as "yuv420p".

    Returns
    -------
    list of arrays (h, w)
        The frame's planes.

    Raises
    ------
    BitstreamError
        If the decoder reports an error, or there is not exactly one frame of this format.
    """
    context = av.CodecContext.create(decoder, "r")
    context.options = {"err_detect": "explode"}
    context.thread_count = 1
    try:
        frames = [*context.decode(av.Packet(stream)), *context.decode(None)]
    except av.error.FFmpegError as error:
        raise BitstreamError(f"the {decoder} decoder refuses the stream ({error}); encode the picture anew") from None
    if len(frames) != 1 or frames[0].format.name != pixel_format:
        got = ", ".join(frame.format.name for frame in frames) or "no frame"
        raise BitstreamError(f"the {decoder} decoder gave {got} where one {pixel_format} frame belongs")
    return frame_planes(frames[0])
