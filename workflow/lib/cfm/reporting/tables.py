"""Result tables: Parquet files, and CSV twins, that are checked against a schema whenever they are written or read.

A schema is a YAML file under `workflow/schemas/tables`: the columns with their type, unit and bounds. A column that the
schema does not name is refused, so that a table means the same in every stage.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import yaml

from cfm.errors import ConfigurationError, InputError
from cfm.provenance import atomic_path

SCHEMA_FOLDER = Path(__file__).parents[3] / "schemas" / "tables"

# Pandas types: the capitalised ones hold nulls beside integers and booleans, which numpy's cannot.
PANDAS_TYPES = {
    "int64": ("int64", "Int64"),
    "int32": ("int32", "Int32"),
    "float64": ("float64", "float64"),
    "float32": ("float32", "float32"),
    "bool": ("bool", "boolean"),
    "string": ("object", "object"),
    "list<float32>": ("object", "object"),
}
ARROW_TYPES = {
    "int64": pyarrow.int64(),
    "int32": pyarrow.int32(),
    "float64": pyarrow.float64(),
    "float32": pyarrow.float32(),
    "bool": pyarrow.bool_(),
    "string": pyarrow.string(),
    "list<float32>": pyarrow.list_(pyarrow.float32()),
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, dtype, unit, description : str
        `dtype` is a key of `PANDAS_TYPES`; `unit` is "1" for a count or a ratio and "label" for a name.
    nullable : bool
        Whether a row may lack the value (NaN counts as lacking).
    required : bool
        Whether the table must have the column at all.
    minimum, maximum : float or None
        Bounds of the values, both included.
    allowed : tuple of str or None
        The only values a label may take.
    """

    name: str
    dtype: str
    unit: str
    description: str
    nullable: bool = False
    required: bool = True
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, in the order in which they are written."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> list[str]:
        """Names of all the columns, also of those that a table may leave out."""
        return [column.name for column in self.columns]


@functools.cache
def load_schema(name: str) -> TableSchema:
    """The schema `name` from `workflow/schemas/tables`.

    Raises
    ------
    ConfigurationError
        If there is no such schema, or its file has an unknown key or type.
    """
    path = SCHEMA_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in SCHEMA_FOLDER.glob("*.yaml")))
        raise ConfigurationError(f"no table schema {name!r} in {SCHEMA_FOLDER}; known: {known}")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        columns = tuple(_column(entry) for entry in content["columns"])
        return TableSchema(content["name"], content["description"], columns)
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: not a table schema ({error}); correct the file") from error


def _column(entry: dict) -> Column:
    column = Column(**{**entry, "allowed": tuple(entry["allowed"]) if "allowed" in entry else None})
    if column.dtype not in PANDAS_TYPES:
        raise TypeError(f"column {column.name} has the unknown type {column.dtype!r}")
    return column


def checked(frame: pd.DataFrame, schema: str, source: Path | str) -> pd.DataFrame:
    """`frame` with the columns in the schema's order and of the schema's types.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows; the index is dropped.
    schema : str
        Name of a schema.
    source : path
        The file that an error names.

    Raises
    ------
    InputError
        If a column is missing or unknown, or a value has the wrong type, is missing or out of bounds.
    """
    table = load_schema(schema)
    unknown = [name for name in frame.columns if name not in table.column_names]
    missing = [column.name for column in table.columns if column.required and column.name not in frame.columns]
    if unknown or missing:
        problems = [f"unknown columns {unknown}"] * bool(unknown) + [f"missing columns {missing}"] * bool(missing)
        raise InputError(f"{source}: {' and '.join(problems)} for a {schema!r} table; make the table again")
    columns = [column for column in table.columns if column.name in frame.columns]
    return pd.DataFrame(
        {column.name: _checked_column(frame[column.name], column, source) for column in columns},
        columns=[column.name for column in columns],
    ).reset_index(drop=True)


def _checked_column(values: pd.Series, column: Column, source: Path | str) -> pd.Series:
    def refuse(reason: str) -> InputError:
        return InputError(f"{source}: column {column.name!r} {reason}; make the table again")

    missing = values.isna()
    if missing.any() and not column.nullable:
        raise refuse(f"lacks {int(missing.sum())} of {len(values)} values")
    if column.dtype in ("string", "list<float32>"):
        present = values[~missing]
        kind = str if column.dtype == "string" else (list, tuple, np.ndarray)
        if not present.map(lambda value: isinstance(value, kind)).all():
            raise refuse(f"has a value that is no {column.dtype}")
        if column.allowed and not present.isin(column.allowed).all():
            raise refuse(f"has the value {present[~present.isin(column.allowed)].iloc[0]!r}, not of {column.allowed}")
        return values.astype(object).where(~missing, None)
    try:
        converted = values.astype(PANDAS_TYPES[column.dtype][column.nullable])
    except (TypeError, ValueError) as error:
        raise refuse(f"does not convert to {column.dtype} ({error})") from error
    if "int" in column.dtype and not (converted[~missing] == values[~missing]).all():
        raise refuse("has values that are not whole numbers or do not fit its type")
    present = converted[~missing]
    if column.minimum is not None and (present < column.minimum).any():
        raise refuse(f"has the value {present.min()}, below its minimum {column.minimum:g}")
    if column.maximum is not None and (present > column.maximum).any():
        raise refuse(f"has the value {present.max()}, above its maximum {column.maximum:g}")
    return converted


def write_table(frame: pd.DataFrame, path: Path | str, schema: str, csv: bool = False) -> None:
    """Write `frame` as Parquet, whole or not at all, after checking it.

    Parameters
    ----------
    frame : pandas.DataFrame
        The rows.
    path : path
        The Parquet file.
    schema : str
        Name of a schema; its units and descriptions are kept in the file's column metadata.
    csv : bool
        Also write the same rows beside it, with the suffix `.csv`. The CSV is written first: where the Parquet file
        is there, both are.

    Raises
    ------
    InputError
        If the rows do not fit the schema.
    """
    path = Path(path)
    frame = checked(frame, schema, path)
    columns = {column.name: column for column in load_schema(schema).columns}
    fields = [
        pyarrow.field(name, ARROW_TYPES[columns[name].dtype]).with_metadata(
            {"unit": columns[name].unit, "description": columns[name].description}
        )
        for name in frame.columns
    ]
    table = pyarrow.Table.from_pandas(frame, pyarrow.schema(fields), preserve_index=False)
    if csv:
        with atomic_path(path.with_suffix(".csv")) as temporary:
            frame.to_csv(temporary, index=False, float_format="%.10g", lineterminator="\n")
    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(table, temporary)


def read_table(path: Path | str, schema: str) -> pd.DataFrame:
    """Read a Parquet table and check it.

    Raises
    ------
    InputError
        If the file is absent or damaged, or its rows do not fit the schema.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such table; run the stage that makes it")
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged table ({error}); delete it and run again") from error
    return checked(frame, schema, path)


def read_tables(paths: Iterable[Path | str], schema: str) -> pd.DataFrame:
    """The rows of several tables of one schema, in the order of `paths`, each checked as `read_table` does.

    Raises
    ------
    InputError
        As `read_table`, and if there are no paths.
    """
    frames = [read_table(path, schema) for path in paths]
    if not frames:
        raise InputError(f"no {schema!r} tables to read; select at least one shard and setting")
    return pd.concat(frames, ignore_index=True)
