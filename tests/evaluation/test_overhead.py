"""Overhead of guidance: means and medians of made-up times."""

import numpy as np
import pandas as pd
import pytest

from cfm.evaluation.overhead import TimedScheme, overhead_table
from cfm.reporting.tables import checked


def streams(encode_s, guide_s=None):
    frame = pd.DataFrame({"image_id": [1, 2, 1, 2], "encode_s": encode_s})
    return frame if guide_s is None else frame.assign(guide_s=guide_s)


def test_ratios_are_to_the_squared_error_of_the_same_encoder():
    sketches = pd.DataFrame({"forward_s": [0.1, 0.1, 0.1], "sketch_s": [9.0, 0.3, 0.4]})
    schemes = [
        TimedScheme("avc", "idse", streams([1.0, 2, 3, 4], [0.1, 0.1, 0.2, 0.2]), sketches),
        TimedScheme("avc", "sse", streams([1.0, 2, 2, 3], [None] * 4), None),
        TimedScheme("hevc", "sse", streams([5.0] * 4), None),
        TimedScheme("other", "idse", streams([5.0] * 4), None),
    ]
    table = checked(overhead_table(schemes), "overhead", "test")
    first, second, third, last = table.to_dict("records")
    assert first["encode_s"] == pytest.approx(2.5)
    assert first["encode_ratio"] == pytest.approx(1.25)
    assert first["guide_s"] == pytest.approx(0.15)
    assert first["sketch_s"] == pytest.approx(0.3)  # the first of all, of 9 s, does not count
    assert first["pictures"] == 2
    assert second["encode_ratio"] == third["encode_ratio"] == 1
    assert np.isnan([second["guide_s"], second["sketch_s"], third["guide_s"], last["encode_ratio"]]).all()
