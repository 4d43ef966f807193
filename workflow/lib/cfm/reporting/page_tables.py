"""The page's tables: numbers with their intervals, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cfm.errors import InputError
from cfm.evaluation.scoring import UNCOMPRESSED, main_metric
from cfm.reporting.curve_figures import METRIC_NAMES
from cfm.reporting.drawing import display_name, scale_name
from cfm.reporting.training_logs import Training, final, psnr_db

CAPTIONS = Path(__file__).parents[3] / "report"


@dataclass(frozen=True)
class PageTable:
    """A table of the page, ready to show.

    Attributes
    ----------
    title, caption : str
        Heading and explanation.
    columns : tuple of str
        Headings.
    rows : tuple of tuples of str
        Cells.
    folded : bool
        Whether it is shown only when asked for.
    """

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


def caption(kind: str) -> str:
    """The caption of a kind of figure or table, the same that Snakemake's report shows.

    Raises
    ------
    InputError
        If there is none.
    """
    path = CAPTIONS / f"{kind}.rst"
    if not path.is_file():
        raise InputError(f"{path}: no such caption; write one")
    return path.read_text(encoding="utf-8").strip()


def picture_counts(curves: pd.DataFrame) -> str:
    """How many pictures the tasks were scored on, in words."""
    counts = curves.groupby("task", sort=False)["pictures"].max()
    return ", ".join(f"{display_name(task)}: {count} pictures" for task, count in counts.items())


def summary_of(bd_rate: pd.DataFrame, study: str) -> str:
    """What the comparisons of a study say, in a sentence."""
    rows = bd_rate[bd_rate["study"] == study]
    if rows.empty:
        return "No curves were compared."
    compared = rows[rows["comparable"]]
    significant = int(compared["significant"].sum())
    return (
        f"Comparisons: {significant} with a significant difference, {len(compared) - significant} without, "
        f"{len(rows) - len(compared)} that cannot be made."
    )


def study_tables(tables: Mapping[str, pd.DataFrame], study: str) -> list[PageTable]:
    """The tables of a study's section."""
    shown = [bd_rate_rows(tables["bd_rate"], study), curve_rows(tables["curves"], study)]
    if study == "image_coding" and "idse_correlation" in tables:
        shown.append(correlation_rows(tables["idse_correlation"]))
    if study == "image_coding":
        shown += [rows(tables[name]) for name, rows in ENCODER_TABLES.items() if name in tables]
    if study == "feature_coding":
        shown += [
            fit_rows(tables[name], title, kind)
            for name, title, kind in (
                ("loss_rate_fit", "Loss over rate: fits", "loss_rate"),
                ("rate_phi_fit", "Rate over φ: fits", "rate_phi"),
            )
            if name in tables
        ]
    return [table for table in shown if table.rows]


def bd_rate_rows(bd_rate: pd.DataFrame, study: str) -> PageTable:
    """The comparisons of a study: a number with its interval and a verdict, or why there is none."""
    rows = []
    for row in bd_rate[bd_rate["study"] == study].to_dict("records"):
        kept = f"{row['points_anchor']}, {row['points_test']}"
        dropped = f"{row['dropped_anchor']}, {row['dropped_test']}"
        labels = (display_name(row["task"]), METRIC_NAMES[row["metric"]], row["anchor"], row["test"])
        numbers = (percent(row["bd_rate_percent"]), interval(row["low"], row["high"]))
        overlap = f"{100 * row['overlap']:.0f} %"
        rows.append((*labels, *numbers, verdict(row), signed(row["bd_quality"]), overlap, kept, dropped))
    columns = ("Task", "By", "Anchor", "Test", "BD-rate", "95 % interval", "Verdict", "BD-accuracy")
    columns += ("Overlap", "Points (anchor, test)", "Dropped")
    return PageTable("BD-rate", caption("bd_rate"), columns, tuple(rows))


def verdict(row: Mapping) -> str:
    """What a row of the schema `bd_rate` allows to be said."""
    if not row["comparable"]:
        return f"not comparable: {row['reason']}"
    if pd.isna(row["low"]):
        return "no interval: too few resamplings are comparable"
    if not row["significant"]:
        return "not significant"
    return "less rate" if row["bd_rate_percent"] < 0 else "more rate"


def curve_rows(curves: pd.DataFrame, study: str) -> PageTable:
    """The operating points of a study by the main metric."""
    rows = curves[(curves["study"] == study) & (curves["metric"] == curves["task"].map(main_metric))]
    cells = []
    for row in rows.sort_values(["task", "codec", "scheme", "rate_bpp"]).to_dict("records"):
        plain = row["scheme"] == UNCOMPRESSED
        name = UNCOMPRESSED if plain else f"{row['codec']}/{row['scheme']}"
        point = "" if plain else f"{row['point']:g}"
        rate = "" if plain else f"{row['rate_bpp']:.4f}"
        ends = interval(row["quality_low"], row["quality_high"], "{:.3f}")
        packed, encode_s = number(row["packed_bpp"], "{:.4f}"), number(row["encode_s"], "{:.3f}")
        cells.append(
            (display_name(row["task"]), name, point, rate, packed, number(row["quality"], "{:.4f}"), ends, encode_s)
        )
    columns = ("Task", "Codec/scheme", "Point", "Rate [bit/pixel]", "Packed [bit/sample]", "Accuracy", "95 % interval")
    columns += ("Encoding [s/picture]",)
    return PageTable("Operating points", caption("curves"), columns, tuple(cells), folded=True)


def correlation_rows(table: pd.DataFrame) -> PageTable:
    """Correlations of the IDSE prediction."""
    rows = tuple(
        (
            display_name(row["task"]),
            f"{row['codec']}/{row['scheme']}",
            f"{row['point']:g}",
            str(row["pictures"]),
            number(row["pearson"], "{:.3f}"),
            interval(row["pearson_low"], row["pearson_high"], "{:.3f}"),
            number(row["spearman"], "{:.3f}"),
            interval(row["spearman_low"], row["spearman_high"], "{:.3f}"),
            number(row["log_ratio_median"], "{:+.2f}"),
            number(row["log_ratio_median_seen"], "{:+.2f}"),
        )
        for row in table.to_dict("records")
    )
    columns = ("Task", "Codec/scheme", "Point", "Pictures", "Pearson (log-log)", "95 %", "Spearman", "95 %")
    columns += ("log10 bias", "By seen probes")
    return PageTable("IDSE against the true feature distance", caption("idse_correlation"), columns, rows, folded=True)


def overhead_rows(table: pd.DataFrame) -> PageTable:
    """What guidance costs our own encoders."""
    rows = tuple(
        (
            f"{row['codec']}/{row['scheme']}",
            number(row["encode_s"], "{:.3f}"),
            number(row["encode_ratio"], "{:.2f}"),
            number(row["guide_s"], "{:.3f}"),
            number(row["sketch_s"], "{:.3f}"),
        )
        for row in table.to_dict("records")
    )
    columns = ("Codec/scheme", "Encoding [s/picture]", "Over sse", "From sketch to distortion [s]")
    columns += ("Sketch beyond a forward pass [s]",)
    return PageTable("Overhead", caption("overhead"), columns, rows, folded=True)


def bit_share_rows(table: pd.DataFrame) -> PageTable:
    """Where bits and errors went."""
    rows = tuple(
        (
            f"{row['codec']}/{row['scheme']}",
            f"{row['point']:g}",
            str(row["pictures"]),
            *(number(100 * row[name], "{:.1f} %") for name in ("area_share", "bit_share", "error_share")),
        )
        for row in table.to_dict("records")
    )
    columns = ("Codec/scheme", "Point", "Pictures", "Area", "Bits", "Squared error")
    return PageTable("Bits and errors inside objects", caption("bit_shares"), columns, rows, folded=True)


ENCODER_TABLES = {"overhead": overhead_rows, "bit_shares": bit_share_rows}


def fit_rows(table: pd.DataFrame, title: str, kind: str) -> PageTable:
    """Fitted models of either kind, which share the columns cc and rmse."""
    model = "model" if "model" in table.columns else "kind"
    rows = tuple(
        (
            display_name(row["task"]),
            display_name(row["codec"]),
            row[model],
            "all" if pd.isna(row["scale"]) else scale_name(int(row["scale"])),
            *(number(row.get(name), "{:.4g}") for name in ("a", "b", "c")),
            number(row["cc"], "{:.4f}"),
            number(row["rmse"], "{:.4g}"),
        )
        for row in table.to_dict("records")
    )
    columns = ("Task", "Codec", "Model", "Scale", "a", "b", "c", "CC", "RMSE")
    return PageTable(title, caption(kind), columns, rows, folded=True)


def training_rows(trainings: Sequence[Training]) -> PageTable:
    """How every learned model was trained."""
    rows = []
    for training in trainings:
        model = f"{training.codec}/{training.weighting}" if training.weighting else training.codec
        labels = (display_name(training.study), model, str(training.point), number(training.lambda_, "{:g}"))
        rate = distortion = ""
        if training.steps:
            ended, distilled = final(training.steps), training.study == "distillation"
            rate = number(ended.rate_bpp, "{:.4f}")
            distortion = f"{ended.distortion:.4g}" if distilled else f"{psnr_db(ended.distortion):.2f} dB"
        iterations = number(training.iterations, "{:,.0f}")
        rows.append((*labels, iterations, rate, distortion, training.origin, training.initial, training.weights))
    columns = (
        "Study",
        "Model",
        "Point",
        "λ",
        "Iterations",
        "Rate [bit/pixel]",
        "Distortion",
        "Training",
        "Started from",
    )
    return PageTable("Models", caption("trained_models"), (*columns, "Weights"), tuple(rows))


def times_table(times: pd.DataFrame) -> PageTable:
    """What the rules took."""
    rows = tuple(
        (
            row["rule"],
            str(row["jobs"]),
            f"{row['total_s']:.1f}",
            f"{row['longest_s']:.1f}",
            number(row["memory_mb"], "{:.0f}"),
        )
        for row in times.to_dict("records")
    )
    columns = ("Rule", "Jobs", "Total [s]", "Longest [s]", "Memory [MB]")
    return PageTable("Times", "Wall time of the rules, summed over their jobs.", columns, rows)


def number(value: float | None, form: str) -> str:
    """A number, or nothing where there is none."""
    return "" if value is None or pd.isna(value) else form.format(value).replace("-", "−")


def percent(value: float | None) -> str:
    """A signed percentage."""
    return number(value, "{:+.2f} %")


def signed(value: float | None) -> str:
    """A signed difference of accuracies."""
    return number(value, "{:+.4f}")


def interval(low: float | None, high: float | None, form: str = "{:+.1f}") -> str:
    """Both ends of an interval, or nothing."""
    return "" if low is None or pd.isna(low) else f"[{number(low, form)}, {number(high, form)}]"
