"""What guidance costs our own encoders: the time of the search, of the sketches, and of what is made of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from cfm.reporting.tables import load_schema


class TimedScheme(NamedTuple):
    """What was measured of a scheme of an encoder.

    Attributes
    ----------
    codec, scheme : str
        Which.
    streams : pandas.DataFrame
        Rows of the schema `streams`.
    sketches : pandas.DataFrame or None
        Rows of the schema `sketches` of those that guided it; None where none did.
    """

    codec: str
    scheme: str
    streams: pd.DataFrame
    sketches: pd.DataFrame | None


def overhead_table(schemes: Iterable[TimedScheme]) -> pd.DataFrame:
    """Rows of the schema `overhead`, one a scheme, in their order.

    The first passes of a network take longer than the others: the time of a sketch is a median.
    """
    rows = []
    for codec, scheme, streams, sketches in schemes:
        guide_s = streams["guide_s"].mean() if "guide_s" in streams else None
        beyond_s = None if sketches is None else (sketches["sketch_s"] - sketches["forward_s"]).median()
        row = {"codec": codec, "scheme": scheme, "pictures": streams["image_id"].nunique()}
        rows.append(row | {"encode_s": streams["encode_s"].mean(), "guide_s": guide_s, "sketch_s": beyond_s})
    table = pd.DataFrame(rows)
    plain = table[table["scheme"] == "sse"].set_index("codec")["encode_s"]
    table["encode_ratio"] = table["encode_s"] / table["codec"].map(plain)
    return table[load_schema("overhead").column_names]
