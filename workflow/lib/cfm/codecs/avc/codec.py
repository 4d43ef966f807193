"""AVC as a codec of the registry."""

from __future__ import annotations

from collections.abc import Sequence

from cfm.codecs.avc.encoder import encode_picture
from cfm.codecs.avc.settings import LARGEST_EFFORT
from cfm.codecs.distortion import DECISIONS, Distortion
from cfm.codecs.encoded import EncodedPicture
from cfm.codecs.judge import Judge
from cfm.codecs.picture import Picture
from cfm.codecs.sealed import SealedCodec


class Avc(SealedCodec):
    """Our intra encoder of AVC, High profile.

    Parameters
    ----------
    deltas : sequence of int
        What may be added to the QP in each macroblock.
    chroma_offset : int
        chroma_qp_index_offset.
    cabac : bool
        Whether the entropy coder is CABAC, else CAVLC.
    effort : int
        How many ways to choose its levels are tried in a macroblock, 1 to 5.
    decisions : sequence of str
        Which use a distortion's data, see `encode_picture`.

    Raises
    ------
    ConfigurationError
        If a delta, the offset or the effort is out of range, or there is no decision of a name.
    """

    name = "avc"
    decoder = "h264"
    largest_effort = LARGEST_EFFORT

    def __init__(
        self,
        deltas: Sequence[int] = (0,),
        chroma_offset: int = 0,
        cabac: bool = True,
        effort: int = 1,
        decisions: Sequence[str] = DECISIONS,
    ):
        super().__init__(deltas, chroma_offset, effort, decisions)
        self.cabac = cabac

    def _encode(
        self, picture: Picture, qp: int, distortion: Distortion | None, judge: Judge | None = None
    ) -> EncodedPicture:
        return encode_picture(
            picture,
            qp,
            distortion,
            self.deltas,
            self.chroma_offset,
            self.cabac,
            effort=self.effort,
            decisions=self.decisions,
            judge=judge,
        )
