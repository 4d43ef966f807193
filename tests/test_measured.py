"""The README's measured tables: drawn from the tables and manifests that are there, and nothing else."""

from pathlib import Path

import pandas as pd
import pytest

from cfm import measured
from cfm.errors import ConfigurationError


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """An empty checkout whose run "small" has one table."""
    tables = tmp_path / "results/small/tables"
    tables.mkdir(parents=True)
    columns = {"study": "image_coding", "task": "detection", "metric": "AP", "anchor": "x265/sse", "reason": ""}
    rows = [
        columns
        | {"test": "x264/sse", "comparable": True, "bd_rate_percent": 15.77, "low": -5.87, "high": 50.26}
        | {"significant": False},
        columns | {"test": "vvenc/sse", "comparable": True, "bd_rate_percent": -0.7, "significant": False},
        columns | {"test": "elic/mfiba", "comparable": False, "reason": "too few", "significant": False},
    ]
    pd.DataFrame(rows).to_csv(tables / "bd_rate.csv", index=False)
    monkeypatch.setattr(measured, "REPOSITORY", tmp_path)
    return tmp_path


def test_schemes_are_compared_within_their_codec(checkout):
    same = {"study": "image_coding", "task": "detection", "comparable": True, "reason": "", "high": -5.0}
    rows = [
        same
        | {"anchor": "avc/sse", "test": "avc/idse", "metric": "fidelity_db", "bd_rate_percent": -25.04, "low": -30.0}
        | {"significant": True},
        same
        | {"anchor": "avc/sse", "test": "avc/idse", "metric": "AP", "bd_rate_percent": -9.0, "low": -30.0}
        | {"significant": False},
        same
        | {"anchor": "avc/static", "test": "avc/idse", "metric": "fidelity_db", "bd_rate_percent": -6.0}
        | {"significant": False},
        same | {"anchor": "x265/sse", "test": "avc/idse", "metric": "AP", "bd_rate_percent": 1.0, "significant": False},
    ]
    pd.DataFrame(rows).to_csv(checkout / "results/small/tables/bd_rate.csv", index=False)
    measured.take("small")
    written = measured.filled("<!-- measured: schemes small -->\n<!-- end -->")
    assert "| avc | idse | **−25.0** [−30.0, −5.0] |  | −6.0 | −9.0 [−30.0, −5.0] |  |" in written
    assert written.count("idse") == 1


def test_rivals_stand_beside_a_few_schemes_of_ours(checkout):
    same = {"study": "image_coding", "task": "detection", "comparable": True, "significant": False, "metric": "AP"}
    tests = ("avc/idse", "avc/sse", "avc/static_dqp", "x264/sse")
    rows = [same | {"anchor": "x265/sse", "test": test, "bd_rate_percent": 3.04} for test in tests]
    rows += [same | {"anchor": "avc/sse", "test": "x264/sse", "bd_rate_percent": 7.0}]
    pd.DataFrame(rows).assign(low=None, high=None).to_csv(checkout / "results/small/tables/bd_rate.csv", index=False)
    measured.take("small")
    lines = measured.filled("<!-- measured: rivals small -->\n<!-- end -->").splitlines()[3:-1]
    assert lines == ["| avc, idse | +3.0 |  |  |", "| avc, sse | +3.0 |  |  |", "| x264 | +3.0 |  |  |"]


def test_decisions_stand_against_the_squared_error_of_the_same_encoder(checkout):
    same = {"study": "image_coding", "task": "detection", "comparable": True, "significant": True, "low": -9.0}
    same |= {"metric": "fidelity_db", "high": -1.0}
    rows = [
        same | {"anchor": "avc/sse", "test": "avc/only_mode", "bd_rate_percent": -5.0},
        same | {"anchor": "hevc/sse", "test": "hevc/only_levels", "bd_rate_percent": -6.0},
        same | {"anchor": "avc/static", "test": "avc/only_mode", "bd_rate_percent": -7.0},
        same | {"anchor": "avc/sse", "test": "avc/only_mode", "bd_rate_percent": -8.0, "metric": "AP"},
    ]
    pd.DataFrame(rows).to_csv(checkout / "results/small/tables/bd_rate.csv", index=False)
    measured.take("small")
    lines = measured.filled("<!-- measured: decisions small -->\n<!-- end -->").splitlines()[1:-1]
    assert lines[0] == "| scheme | avc | hevc |"
    assert lines[2:] == ["| only_mode | **−5.0** [−9.0, −1.0] |  |", "| only_levels |  | **−6.0** [−9.0, −1.0] |"]


def test_overhead_is_told_by_scheme(checkout):
    columns = ("codec", "scheme", "encode_s", "encode_ratio", "guide_s", "sketch_s")
    rows = [("avc", "sse", 0.1, 1.0, None, None), ("avc", "idse", 0.114, 1.14, 0.0042, 0.0915)]
    rows += [("avc", "idse_dqp", 0.2, 2.0, 0.0042, 0.0915)]
    pd.DataFrame(rows, columns=columns).to_csv(checkout / "results/small/tables/overhead.csv", index=False)
    measured.take("small")
    lines = measured.filled("<!-- measured: overhead small -->\n<!-- end -->").splitlines()[3:-1]
    assert lines == ["| avc | sse | 0.10 | 1.00 |  |  |", "| avc | idse | 0.11 | 1.14 | 0.004 | 0.091 |"]


def test_a_block_is_written_from_the_table_and_the_rest_stays(checkout):
    measured.take("small")
    text = "before\n<!-- measured: bd_rate small -->\nold\n<!-- end -->\nafter\n"
    written = measured.filled(text)
    assert "| image coding | detection | x265 | x264 | +15.8 [−5.9, +50.3], not significant |" in written
    assert "| vvenc | −0.7, no interval: too few resamplings are comparable |" in written
    assert "| elic, mfiba | not comparable: too few |" in written
    assert "old" not in written
    assert written.startswith("before\n")
    assert written.endswith("<!-- end -->\nafter\n")
    assert measured.filled(written) == written


def test_of_several_schemes_the_block_of_correlations_shows_the_squared_error(checkout):
    values = {"point": 33, "pearson": 0.5, "pearson_low": 0.4, "pearson_high": 0.6, "log_ratio_median": 0.0}
    rows = [values | {"codec": "x265", "scheme": "sse"}, values | {"codec": "elic", "scheme": "mfiba"}]
    rows += [values | {"codec": "avc", "scheme": name, "log_ratio_median_seen": -1.0} for name in ("idse", "sse")]
    rows[-1]["log_ratio_median_seen"] = None
    pd.DataFrame(rows).to_csv(checkout / "results/small/tables/idse_correlation.csv", index=False)
    measured.take("small")
    written = measured.filled("<!-- measured: idse small -->\n<!-- end -->")
    assert [line.split(" | ")[0] for line in written.splitlines()[3:-1]] == ["| x265", "| elic, mfiba", "| avc"]
    written = measured.filled("<!-- measured: idse_bias small -->\n<!-- end -->")
    assert written.splitlines()[3:-1] == ["| avc, idse | 33 | 1.00 | 0.10 |"]


def test_what_was_not_measured_is_an_error(checkout):
    with pytest.raises(ConfigurationError, match="no tables"):
        measured.take("other")
    with pytest.raises(ConfigurationError, match="not measured"):
        measured.filled("<!-- measured: bd_rate other -->\n<!-- end -->")
    with pytest.raises(ConfigurationError, match="no block"):
        measured.filled("<!-- measured: nothing small -->\n<!-- end -->")


def test_the_readme_says_what_was_measured():
    text = (measured.REPOSITORY / measured.README).read_text(encoding="utf-8")
    assert len(measured.BLOCK.findall(text)) >= 4
    assert measured.filled(text) == text
    assert Path(measured.REPOSITORY, measured.MEASURED, "demo").is_dir()
