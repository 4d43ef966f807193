"""Measured figures of a benchmark: printed as a table and written to results/bench/<topic>.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cfm.provenance import atomic_path

FOLDER = Path("results/bench")


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes
    ----------
    figure : str
        What was measured.
    value : float
        The measurement.
    unit : str
        Its unit.
    target : float or None
        What it should reach; None where it only informs.
    meets : bool or None
        Whether it does.
    command : str
        What measures it again.
    """

    figure: str
    value: float
    unit: str
    target: float | None
    meets: bool | None
    command: str


def at_most(figure: str, value: float, unit: str, target: float | None, command: str) -> Figure:
    """A figure that should not exceed its target."""
    return Figure(figure, float(value), unit, target, None if target is None else bool(value <= target), command)


def at_least(figure: str, value: float, unit: str, target: float | None, command: str) -> Figure:
    """A figure that should not fall below its target."""
    return Figure(figure, float(value), unit, target, None if target is None else bool(value >= target), command)


def report(topic: str, figures: list[Figure]) -> None:
    """Print the table and write the file."""
    width = max(len(figure.figure) for figure in figures)
    print(f"{'figure':<{width}}  {'value':>10}  {'unit':<8}  {'target':>8}  meets")
    for found in figures:
        target = "" if found.target is None else f"{found.target:g}"
        meets = {None: "", True: "yes", False: "NO"}[found.meets]
        print(f"{found.figure:<{width}}  {found.value:>10.4g}  {found.unit:<8}  {target:>8}  {meets}")
    with atomic_path(FOLDER / f"{topic}.json") as temporary:
        temporary.write_text(json.dumps([asdict(found) for found in figures], indent=1) + "\n", encoding="utf-8")
    print(f"written to {FOLDER / f'{topic}.json'}")
