"""HEVC as a codec of the registry."""

from __future__ import annotations

from collections.abc import Sequence

from cfm.codecs.distortion import DECISIONS, Distortion
from cfm.codecs.encoded import EncodedPicture
from cfm.codecs.hevc.encoder import LARGEST_EFFORT, encode_picture
from cfm.codecs.judge import Judge
from cfm.codecs.picture import Picture
from cfm.codecs.sealed import SealedCodec
from cfm.errors import ConfigurationError

CTUS = (16, 32, 64)


class Hevc(SealedCodec):
    """Our intra encoder of HEVC, Main profile.

    Parameters
    ----------
    deltas : sequence of int
        What may be added to the QP in each quantisation group.
    chroma_offset : int
        pps_cb_qp_offset and pps_cr_qp_offset.
    ctu : int
        Luma samples along a side of a coding tree unit: 16, 32 or 64.
    effort : int
        How much is tried, from 1.
    decisions : sequence of str
        Which use a distortion's data, see `encode_picture`.

    Raises
    ------
    ConfigurationError
        If a delta, the offset, the unit or the effort is out of range, or there is no decision of a name.
    """

    name = "hevc"
    decoder = "hevc"
    largest_effort = LARGEST_EFFORT

    def __init__(
        self,
        deltas: Sequence[int] = (0,),
        chroma_offset: int = 0,
        ctu: int = 64,
        effort: int = 1,
        decisions: Sequence[str] = DECISIONS,
    ):
        super().__init__(deltas, chroma_offset, effort, decisions)
        if ctu not in CTUS:
            raise ConfigurationError(f"codec hevc: CTU {ctu}; name one of {', '.join(map(str, CTUS))}")
        self.ctu = ctu

    def _encode(
        self, picture: Picture, qp: int, distortion: Distortion | None, judge: Judge | None = None
    ) -> EncodedPicture:
        return encode_picture(
            picture,
            qp,
            distortion,
            self.deltas,
            self.chroma_offset,
            self.ctu,
            effort=self.effort,
            decisions=self.decisions,
            judge=judge,
        )
