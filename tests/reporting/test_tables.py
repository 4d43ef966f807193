"""Tables: types, bounds and nulls are checked, files are whole, CSV twins agree."""

import re

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from cfm.errors import ConfigurationError, InputError
from cfm.reporting.tables import PANDAS_TYPES, SCHEMA_FOLDER, load_schema, read_table, read_tables, write_table

SCHEMAS = sorted(path.stem for path in SCHEMA_FOLDER.glob("*.yaml"))


def streams(**changes):
    frame = pd.DataFrame(
        {
            "image_id": [1, 2],
            "point": [37, 37],
            "scale": [None, 3],
            "size_bytes": [100, 200],
            "source_pixels": [81920, 81920],
            "encode_s": [0.5, 1 / 3],
        }
    )
    return frame.assign(**changes)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_loads_and_says_units(name):
    schema = load_schema(name)
    assert schema.name == name
    assert len(set(schema.column_names)) == len(schema.columns) > 0
    for column in schema.columns:
        assert column.unit
        assert re.match(r"[A-Zx].*\.$", column.description, re.DOTALL), column
        assert column.dtype in PANDAS_TYPES
        assert column.minimum is None or column.maximum is None or column.minimum <= column.maximum


def test_round_trip_keeps_types_nulls_and_values(tmp_path):
    path = tmp_path / "new" / "streams.parquet"
    write_table(streams().sample(frac=1, random_state=1)[::-1], path, "streams", csv=True)
    frame = read_table(path, "streams")
    assert frame.dtypes.astype(str).to_dict() == {
        "image_id": "int64",
        "point": "int32",
        "scale": "Int32",
        "size_bytes": "int64",
        "source_pixels": "int64",
        "encode_s": "float64",
    }
    assert frame["scale"].isna().sum() == 1
    assert set(frame["encode_s"]) == {0.5, 1 / 3}
    twin = pd.read_csv(path.with_suffix(".csv"))
    np.testing.assert_allclose(twin["encode_s"], frame["encode_s"], rtol=1e-9)
    assert sorted(file.name for file in path.parent.iterdir()) == ["streams.csv", "streams.parquet"]
    field = pyarrow.parquet.read_schema(path).field("encode_s")
    assert field.metadata[b"unit"] == b"second"


def test_same_rows_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_table(streams(), tmp_path / name / "t.parquet", "streams", csv=True)
    for suffix in ("parquet", "csv"):
        assert (tmp_path / "a" / f"t.{suffix}").read_bytes() == (tmp_path / "b" / f"t.{suffix}").read_bytes()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"note": "x"}, "unknown columns.*note"),
        ({"image_id": [1, None]}, "image_id.*lacks 1"),
        ({"image_id": [1, 2.5]}, "image_id.*int64|whole"),
        ({"image_id": ["a", "b"]}, "image_id.*int64"),
        ({"point": [1, 2**40]}, "point.*fit"),
        ({"size_bytes": [0, 1]}, "size_bytes.*minimum 1"),
        ({"encode_s": [-1.0, 1.0]}, "encode_s.*minimum 0"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_in_one_line(tmp_path, changes, problem):
    path = tmp_path / "streams.parquet"
    with pytest.raises(InputError, match=problem) as caught:
        write_table(streams(**changes), path, "streams", csv=True)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_missing_columns_bounds_above_and_unknown_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"missing columns.*point"):
        write_table(streams().drop(columns="point"), tmp_path / "t.parquet", "streams")
    row = {"task": ["detection"], "codec": ["elic"], "scheme": ["saba"], "image_id": [1], "scale": [0], "weight": [1.5]}
    with pytest.raises(InputError, match="above its maximum 1"):
        write_table(pd.DataFrame(row), tmp_path / "t.parquet", "importance")
    with pytest.raises(InputError, match="'detektion'"):
        write_table(pd.DataFrame(row | {"task": ["detektion"]}), tmp_path / "t.parquet", "importance")


def test_absent_damaged_and_foreign_files_are_named(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(InputError, match="no such table"):
        read_table(path, "streams")
    write_table(streams(), path, "streams")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        read_table(path, "streams")
    path.write_bytes(whole)
    with pytest.raises(InputError, match="missing columns"):
        read_table(path, "subset")
    with pytest.raises(ConfigurationError, match=r"known: .*streams"):
        load_schema("stream")


def test_tables_of_shards_are_joined_in_order(tmp_path):
    for shard in (0, 1):
        write_table(streams(image_id=[10 * shard, 10 * shard + 1]), tmp_path / f"{shard}.parquet", "streams")
    frame = read_tables([tmp_path / "1.parquet", tmp_path / "0.parquet"], "streams")
    assert list(frame["image_id"]) == [10, 11, 0, 1]
    with pytest.raises(InputError, match="no 'streams' tables"):
        read_tables([], "streams")
