"""From files of sketches and calibrations to the distortion of every picture that is coded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cfm.codecs.picture import Picture
from cfm.errors import InputError
from cfm.sensitivity.calibration import Calibration, load_calibration
from cfm.sensitivity.schemes import Mixing, scheme_distortion
from cfm.sensitivity.sketch_file import load_sketch

FEATURE_DISTANCE = "feature_distance"  # the network decides partition and delta-QP, "idse" the rest


class Guide:
    """What guides an encoder over the pictures of a shard.

    Parameters
    ----------
    scheme : str
        One of `cfm.sensitivity.schemes.SCHEMES`.
    mixing : Mixing
        Of a picture's own form with the base.
    calibration, sketches : path or None
        Files, where the scheme uses them.
    network : mapping or None
        Arguments of `load_network`, with the device, for the scheme "feature_distance".

    Raises
    ------
    InputError
        If the calibration cannot be read, or is of another network.
    """

    def __init__(
        self,
        scheme: str,
        mixing: Mixing,
        calibration: Path | None = None,
        sketches: Path | None = None,
        network: Mapping[str, Any] | None = None,
    ):
        self.scheme, self.mixing, self.sketches = scheme, mixing, sketches
        self._calibration_file = calibration
        self.calibration: Calibration | None = load_calibration(calibration) if calibration else None

        self.network = None
        if scheme == FEATURE_DISTANCE:
            # Imported here: the other schemes guide an encoder without PyTorch.
            from cfm.tasks.loading import load_network, network_digest

            options = {key: value for key, value in network.items() if key != "device"}
            if self.calibration.network_sha256 != network_digest(**options):
                raise InputError(
                    f"{calibration}: the calibration of another network than {options['spec']}; make it again"
                )
            self.network = load_network(**network)

    @property
    def chroma_qp_offset(self) -> int:
        """The chroma QP offset that fits the calibration; 0 where there is none."""
        return self.calibration.chroma_qp_offset if self.calibration else 0

    def guidance(self, image_id: int, picture: Picture) -> dict[str, Any]:
        """Arguments of an encoder beside picture and point: `distortion`, and `judge` where the network itself decides.

        Raises
        ------
        InputError
            One line that names the files, where the sketch is of another picture or network than the rest.
        """
        sketch = load_sketch(self.sketches, image_id) if self.sketches else None
        scheme = "idse" if self.scheme == FEATURE_DISTANCE else self.scheme
        size = (picture.height, picture.width)
        try:
            if sketch:
                sketch.check_made_for(picture)
            found = {"distortion": scheme_distortion(scheme, *size, self.calibration, sketch, self.mixing)}
        except InputError as error:
            files = " and ".join(str(file) for file in (self.sketches, self._calibration_file) if file)
            raise InputError(f"{files}: {error}") from None
        if self.network:
            from cfm.sensitivity.feature_judge import FeatureJudge

            found["judge"] = FeatureJudge(self.network, picture, self.calibration, self.mixing.tau)
        return found


def guide_of(
    guidance: Mapping[str, Any],
    calibration: Sequence[str],
    sketches: Sequence[str],
    network: Mapping[str, Any] | None = None,
) -> tuple[Guide, dict[str, int]]:
    """The guide that a plan describes, and the options of the codec that follow from it.

    Parameters
    ----------
    guidance : mapping
        From `GuidancePlan.guidance`.
    calibration, sketches : sequence of str
        One file or none.
    network : mapping or None
        As in `Guide`.
    """
    files = [Path(names[0]) if names else None for names in (calibration, sketches)]
    guide = Guide(guidance["scheme"], Mixing(guidance["tau"], guidance["normalise"]), *files, network)
    return guide, ({"chroma_offset": guide.chroma_qp_offset} if guidance["own_offset"] else {})
