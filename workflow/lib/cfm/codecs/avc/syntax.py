"""Parameter sets, slice header and NAL units of our AVC streams (H.264 7.3.1 to 7.3.3, annex A)."""

from __future__ import annotations

from cfm.codecs.annex_b import BitWriter, annex_b_unit
from cfm.errors import InputError

SLICE_IDR, SEQUENCE, PICTURE = 5, 7, 8
HIGH_PROFILE = 100
# level_idc and the largest frame in macroblocks (table A-1), without the levels that allow no larger frame.
LEVELS = ((10, 99), (11, 396), (21, 792), (22, 1620), (31, 3600), (32, 5120), (40, 8192), (42, 8704), (50, 22080))
LEVELS += ((51, 36864), (60, 139264))


def level_of(rows: int, columns: int) -> int:
    """The lowest level_idc that allows a frame of so many macroblocks.

    Raises
    ------
    InputError
        If none does.
    """
    for level, largest in LEVELS:
        if rows * columns <= largest and max(rows, columns) ** 2 <= 8 * largest:
            return level
    raise InputError(
        f"a picture of {16 * columns}x{16 * rows} samples is larger than any level of AVC allows; scale it down"
    )


def nal_unit(kind: int, payload: bytes) -> bytes:
    """A NAL unit of a picture that others refer to, with its start code."""
    return annex_b_unit(bytes([3 << 5 | kind]), payload)


def sequence_parameters(height: int, width: int) -> bytes:
    """The sequence parameter set of one frame of 4:2:0; odd sides are rounded up, which is as fine as it can crop."""
    rows, columns = -(-height // 16), -(-width // 16)
    writer = BitWriter()
    writer.put(HIGH_PROFILE, 8)
    writer.put(0, 8)
    writer.put(level_of(rows, columns), 8)
    writer.ue(0)  # seq_parameter_set_id
    writer.ue(1)  # chroma_format_idc: 4:2:0
    writer.ue(0)  # bit depth of luma less 8
    writer.ue(0)  # bit depth of chroma less 8
    writer.put(0, 2)  # no transform bypass, flat scaling matrices
    writer.ue(0)  # log2_max_frame_num less 4
    writer.ue(2)  # pic_order_cnt_type: output order is decoding order
    writer.ue(0)  # max_num_ref_frames
    writer.put(0, 1)  # no gaps in frame_num
    writer.ue(columns - 1)
    writer.ue(rows - 1)
    writer.put(1, 1)  # frames only
    writer.put(1, 1)  # direct_8x8_inference_flag
    right, bottom = (16 * columns - width) // 2, (16 * rows - height) // 2
    writer.put(1 if right or bottom else 0, 1)
    if right or bottom:
        for offset in (0, right, 0, bottom):
            writer.ue(offset)
    writer.put(0, 1)  # no VUI
    return nal_unit(SEQUENCE, writer.stop())


def picture_parameters(cabac: bool, chroma_qp_offset: int) -> bytes:
    """The picture parameter set."""
    writer = BitWriter()
    writer.ue(0)  # pic_parameter_set_id
    writer.ue(0)  # seq_parameter_set_id
    writer.put(1 if cabac else 0, 1)
    writer.put(0, 1)
    writer.ue(0)  # one slice group
    writer.ue(0)
    writer.ue(0)
    writer.put(0, 3)  # no weighted prediction
    writer.se(0)  # pic_init_qp less 26
    writer.se(0)
    writer.se(chroma_qp_offset)
    writer.put(1, 1)  # deblocking_filter_control_present_flag
    writer.put(0, 2)  # no constrained intra prediction, no redundant pictures
    writer.put(1, 1)  # transform_8x8_mode_flag
    writer.put(0, 1)
    writer.se(chroma_qp_offset)
    return nal_unit(PICTURE, writer.stop())


def slice_header(qp: int, deblocking: bool) -> BitWriter:
    """The header of the one slice of an IDR picture."""
    writer = BitWriter()
    writer.ue(0)  # first_mb_in_slice
    writer.ue(7)  # slice_type: all slices are intra
    writer.ue(0)
    writer.put(0, 4)  # frame_num
    writer.ue(0)  # idr_pic_id
    writer.put(0, 2)  # no_output_of_prior_pics_flag, long_term_reference_flag
    writer.se(qp - 26)
    writer.ue(0 if deblocking else 1)  # disable_deblocking_filter_idc
    if deblocking:
        writer.se(0)
        writer.se(0)
    return writer
