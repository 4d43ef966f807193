"""From files of sketches and calibrations to the distortion of every picture that is coded."""

from __future__ import annotations

from pathlib import Path

from cfm.codecs.distortion import Distortion
from cfm.codecs.picture import Picture
from cfm.errors import InputError
from cfm.sensitivity.calibration import Calibration, load_calibration
from cfm.sensitivity.schemes import Mixing, scheme_distortion
from cfm.sensitivity.sketch_file import load_sketch


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
    """

    def __init__(self, scheme: str, mixing: Mixing, calibration: Path | None = None, sketches: Path | None = None):
        self.scheme, self.mixing, self.sketches = scheme, mixing, sketches
        self._calibration_file = calibration
        self.calibration: Calibration | None = load_calibration(calibration) if calibration else None

    @property
    def chroma_qp_offset(self) -> int:
        """The chroma QP offset that fits the calibration; 0 where there is none."""
        return self.calibration.chroma_qp_offset if self.calibration else 0

    def distortion(self, image_id: int, picture: Picture) -> Distortion | None:
        """The distortion of a picture.

        Raises
        ------
        InputError
            One line that names the files, where the sketch is of another picture or network than the rest.
        """
        sketch = load_sketch(self.sketches, image_id) if self.sketches else None
        try:
            if sketch:
                sketch.check_made_for(picture)
            return scheme_distortion(self.scheme, picture.height, picture.width, self.calibration, sketch, self.mixing)
        except InputError as error:
            files = " and ".join(str(file) for file in (self.sketches, self._calibration_file) if file)
            raise InputError(f"{files}: {error}") from None
