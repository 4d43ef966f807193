"""How long the rules of a run took, from Snakemake's benchmark files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cfm.errors import InputError


def rule_times(folder: Path | str) -> pd.DataFrame:
    """Time and memory of every rule.

    Parameters
    ----------
    folder : path
        Holds one folder a rule (or one .tsv file, for a rule that is one job) of Snakemake's benchmark files.

    Returns
    -------
    pandas.DataFrame
        Columns `rule`, `jobs`, `total_s` (wall time, summed over jobs), `longest_s` and `memory_mb` (largest resident
        set, NaN where no job ran long enough to be measured), by falling total time.

    Raises
    ------
    InputError
        If a file is no benchmark.
    """
    rows = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        try:
            frame = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
            first = frame.iloc[0]
            seconds, memory_mb = float(first["s"]), float(first["max_rss"])
        except (ValueError, KeyError, IndexError) as error:
            raise InputError(f"{path}: not a benchmark file ({error!r}); delete it") from error
        rows.append((path.relative_to(folder).parts[0].removesuffix(".tsv"), seconds, memory_mb))
    frame = pd.DataFrame(rows, columns=["rule", "seconds", "memory_mb"])
    grouped = frame.groupby("rule").agg(
        jobs=("seconds", "size"),
        total_s=("seconds", "sum"),
        longest_s=("seconds", "max"),
        memory_mb=("memory_mb", "max"),
    )
    return grouped.reset_index().sort_values("total_s", ascending=False, ignore_index=True)
