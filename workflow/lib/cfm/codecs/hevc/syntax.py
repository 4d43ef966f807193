"""Parameter sets, slice header and NAL units of our HEVC streams (H.265 7.3.1 to 7.3.6, annex A)."""

from __future__ import annotations

from cfm.codecs.annex_b import BitWriter, annex_b_unit
from cfm.errors import InputError

SLICE_IDR, VIDEO, SEQUENCE, PICTURE = 20, 32, 33, 34
MAIN_PROFILE = 1
# general_level_idc, and the largest picture in luma samples (table A.8).
LEVELS = ((30, 36864), (60, 122880), (63, 245760), (90, 552960), (93, 983040), (120, 2228224), (150, 8912896))
LEVELS += ((180, 35651584),)
LOG2_SMALLEST_UNIT, LOG2_SMALLEST_TRANSFORM, LOG2_LARGEST_TRANSFORM = 3, 2, 5


def nal_unit(kind: int, payload: bytes) -> bytes:
    """A NAL unit with its start code and emulation prevention."""
    return annex_b_unit(bytes([kind << 1, 1]), payload)


def level_of(height: int, width: int) -> int:
    """The lowest general_level_idc that allows a picture of height x width luma samples.

    Raises
    ------
    InputError
        If none does.
    """
    for level, largest in LEVELS:
        if height * width <= largest and max(height, width) ** 2 <= 8 * largest:
            return level
    raise InputError(f"a picture of {width}x{height} samples is larger than any level of HEVC allows; scale it down")


def _profile_and_level(writer: BitWriter, level: int) -> None:
    writer.put(MAIN_PROFILE, 8)  # general_profile_space, general_tier_flag and general_profile_idc
    writer.put(0b011 << 29, 32)  # compatible with Main and Main 10
    writer.put(0b1001, 4)  # progressive, frames only
    writer.put(0, 44)
    writer.put(level, 8)


def video_parameters(level: int) -> bytes:
    """The video parameter set."""
    writer = BitWriter()
    writer.put(0, 4)  # vps_video_parameter_set_id
    writer.put(0b11, 2)
    writer.put(0, 6)  # one layer
    writer.put(0, 3)  # one sub-layer
    writer.put(1, 1)
    writer.put(0xFFFF, 16)
    _profile_and_level(writer, level)
    _one_picture(writer)
    writer.put(0, 6)
    writer.ue(0)  # one layer set
    writer.put(0, 2)  # no timing, no extension
    return nal_unit(VIDEO, writer.stop())


def _one_picture(writer: BitWriter) -> None:
    writer.put(1, 1)  # sub_layer_ordering_info_present_flag
    for _ in range(3):  # pictures to buffer less 1, to reorder, latency
        writer.ue(0)


def sequence_parameters(height: int, width: int, log2_ctu: int, most_splits: int) -> bytes:
    """The sequence parameter set of a picture of 4:2:0; odd sides are rounded up, which is as fine as it can crop.

    most_splits: max_transform_hierarchy_depth_intra.
    """
    tall, wide = height + -height % 8, width + -width % 8
    writer = BitWriter()
    writer.put(0, 4)  # sps_video_parameter_set_id
    writer.put(0, 3)
    writer.put(1, 1)
    _profile_and_level(writer, level_of(tall, wide))
    writer.ue(0)  # sps_seq_parameter_set_id
    writer.ue(1)  # chroma_format_idc: 4:2:0
    writer.ue(wide)
    writer.ue(tall)
    right, bottom = (wide - width) // 2, (tall - height) // 2
    writer.put(1 if right or bottom else 0, 1)
    if right or bottom:
        for offset in (0, right, 0, bottom):
            writer.ue(offset)
    writer.ue(0)  # bit depth of luma less 8
    writer.ue(0)
    writer.ue(0)  # log2_max_pic_order_cnt_lsb less 4
    _one_picture(writer)
    writer.ue(LOG2_SMALLEST_UNIT - 3)
    writer.ue(log2_ctu - LOG2_SMALLEST_UNIT)
    writer.ue(LOG2_SMALLEST_TRANSFORM - 2)
    writer.ue(min(LOG2_LARGEST_TRANSFORM, log2_ctu) - LOG2_SMALLEST_TRANSFORM)
    writer.ue(0)  # max_transform_hierarchy_depth_inter
    writer.ue(most_splits)
    writer.put(0, 4)  # no scaling lists, asymmetric partitions, sample adaptive offset, PCM
    writer.ue(0)  # num_short_term_ref_pic_sets
    writer.put(0, 2)  # no long-term references, no temporal motion vectors
    writer.put(1, 1)  # strong_intra_smoothing_enabled_flag
    writer.put(0, 2)  # no VUI, no extension
    return nal_unit(SEQUENCE, writer.stop())


def picture_parameters(qp_group_depth: int | None, chroma_qp_offset: int) -> bytes:
    """The picture parameter set; qp_group_depth: diff_cu_qp_delta_depth, None where all units have the slice's QP."""
    writer = BitWriter()
    writer.ue(0)  # pps_pic_parameter_set_id
    writer.ue(0)  # pps_seq_parameter_set_id
    writer.put(0, 5)  # no dependent slices, no output flag, no extra header bits
    writer.put(1, 1)  # sign_data_hiding_enabled_flag
    writer.put(0, 1)
    writer.ue(0)
    writer.ue(0)
    writer.se(0)  # init_qp less 26
    writer.put(0, 1)
    writer.put(1, 1)  # transform_skip_enabled_flag
    writer.put(0 if qp_group_depth is None else 1, 1)
    if qp_group_depth is not None:
        writer.ue(qp_group_depth)
    writer.se(chroma_qp_offset)
    writer.se(chroma_qp_offset)
    # No slice offsets of chroma, weighted prediction (2), bypass, tiles, wavefronts, filters across slices.
    writer.put(0, 7)
    writer.put(1, 1)  # deblocking_filter_control_present_flag
    writer.put(1, 1)  # deblocking_filter_override_enabled_flag
    writer.put(0, 1)  # pps_deblocking_filter_disabled_flag
    writer.se(0)
    writer.se(0)
    writer.put(0, 2)  # no scaling lists, no list modification
    writer.ue(0)
    writer.put(0, 2)  # no header extension, no extension
    return nal_unit(PICTURE, writer.stop())


def slice_header(qp: int, deblocking: bool) -> bytes:
    """The header of the one slice of an IDR picture, aligned to bytes."""
    writer = BitWriter()
    writer.put(1, 1)  # first_slice_segment_in_pic_flag
    writer.put(0, 1)  # no_output_of_prior_pics_flag
    writer.ue(0)
    writer.ue(2)  # slice_type: I
    writer.se(qp - 26)
    writer.put(0 if deblocking else 1, 1)  # deblocking_filter_override_flag
    if not deblocking:
        writer.put(1, 1)  # slice_deblocking_filter_disabled_flag
    return writer.stop()
