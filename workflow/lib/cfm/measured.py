"""The measured figures of the README: tables that are written from a run's own tables and from the models' manifests.

`python -m cfm.measured RUN` takes the tables of `results/RUN` into `results/measured/RUN` and writes the README anew;
with `--check` it tells whether the README says what these tables and the manifests say.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cfm.analysis_plan import PLOTTED
from cfm.configuration.studies import DELTAS
from cfm.errors import ConfigurationError, one_line_errors
from cfm.provenance import atomic_path

REPOSITORY = Path(__file__).resolve().parents[3]
MEASURED = Path("results/measured")
README = Path("README.md")
MANIFESTS = Path("workflow/models/demo/tasks")
STUDIES = ("image_coding", "distillation", "feature_coding")
TABLES = ("bd_rate", "curves", "idse_correlation", "overhead")
LARGEST_INDEX = 8  # points above are QPs, which fall as the rate rises; models are numbered by rising rate
SCHEME_COLUMNS = (
    ("sse", "fidelity_db"),
    ("sse_chroma", "fidelity_db"),
    ("static", "fidelity_db"),
    ("sse", "AP"),
    ("sse", "AP_agreement"),
)
RIVAL_METRICS = ("AP", "AP_agreement", "fidelity_db")
METRIC_TITLES = {"fidelity_db": "feature distance", "AP": "AP", "AP_agreement": "AP on uncompressed detections"}
BLOCK = re.compile(r"(<!-- measured: ([a-z_]+) ?(\S*) -->\n).*?(<!-- end -->)", re.DOTALL)
NETWORKS = {
    "detection": ("Faster R-CNN", "box AP", "box_AP"),
    "segmentation": ("Mask R-CNN", "mask AP", "mask_AP"),
    "keypoints": ("Keypoint R-CNN", "keypoint AP", "keypoint_AP"),
    "classification": ("classifier", "top-1", "top1"),
}


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def curve_name(curve: str) -> str:
    """Codec and scheme of a curve; the scheme of codecs that have but one is not said."""
    return curve.removesuffix("/sse").replace("/", ", ")


def by_study(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in the order of the studies."""
    return table.sort_values("study", key=lambda column: column.map(STUDIES.index), kind="stable")


def signed(value: float) -> str:
    """A percentage with its sign and one digit."""
    return f"{value:+.1f}".replace("-", "−")


def verdict(row: pd.Series) -> str:
    """BD-rate with its interval and whether it is significant, or why there is none."""
    if not row["comparable"]:
        return f"not comparable: {row['reason']}"
    if pd.isna(row["low"]):
        return f"{signed(row['bd_rate_percent'])}, no interval: too few resamplings are comparable"
    judged = "significant" if row["significant"] else "not significant"
    return f"{signed(row['bd_rate_percent'])} [{signed(row['low'])}, {signed(row['high'])}], {judged}"


def bd_rate_block(folder: Path) -> str:
    """BD-rates by average precision, or by the first class."""
    table = pd.read_csv(folder / "bd_rate.csv")
    table = by_study(table[table["metric"].isin(("AP", "top1"))])
    rows = [
        [
            row["study"].replace("_", " "),
            row["task"],
            curve_name(row["anchor"]),
            curve_name(row["test"]),
            verdict(row),
        ]
        for _, row in table.iterrows()
    ]
    return markdown(["study", "task", "anchor", "test", "BD-rate, % [95 % interval]"], rows)


def accuracy_block(folder: Path) -> str:
    """Rate and average precision of every operating point of the detection task."""
    table = pd.read_csv(folder / "curves.csv")
    table = by_study(table[(table["metric"] == "AP") & (table["task"] == "detection")])
    rows = []
    for (study, codec, scheme), curve in table.groupby(["study", "codec", "scheme"], sort=False):
        points = curve.sort_values("rate_bpp")
        name = "uncompressed" if scheme == "uncompressed" else curve_name(f"{codec}/{scheme}")
        pairs = [f"{point.quality:.3f} at {point.rate_bpp:.3f}" for point in points.itertuples()]
        rows.append([study.replace("_", " "), name, ", ".join(pairs)])
    return markdown(["study", "curve", "box AP at rate, bpp"], rows)


def idse_block(folder: Path) -> str:
    """Correlation of IDSE with the true feature distance, a row a codec, a column a point from high to low rate.

    Of codecs with several schemes the one that minimises the squared error is shown.
    """
    table = pd.read_csv(folder / "idse_correlation.csv")
    several = table.groupby("codec")["scheme"].transform("nunique") > 1
    table = table[~several | (table["scheme"] == "sse")]
    rows = []
    for (codec, scheme), curve in table.groupby(["codec", "scheme"], sort=False):
        falling = curve.sort_values("point", ascending=curve["point"].max() > LARGEST_INDEX)
        values = [f"{row.pearson:.2f} [{row.pearson_low:.2f}, {row.pearson_high:.2f}]" for row in falling.itertuples()]
        points = ", ".join(f"{point:g}" for point in falling["point"])
        rows.append([curve_name(f"{codec}/{scheme}"), points, ", ".join(values)])
    return markdown(["codec", "points", "log–log correlation [95 % interval] at these points"], rows)


def schemes_block(folder: Path) -> str:
    """BD-rates of the schemes of our encoders against those of the same codec that know less of the picture."""
    table = pd.read_csv(folder / "bd_rate.csv")
    table = table[(table["study"] == "image_coding") & (table["task"] == "detection")]
    found = {(row["test"], row["anchor"], row["metric"]): row for row in table[table["comparable"]].to_dict("records")}
    rows = []
    for curve in dict.fromkeys(test for test, anchor, _ in found if anchor == f"{test.split('/')[0]}/sse"):
        codec, scheme = curve.split("/")
        cells = [found.get((curve, f"{codec}/{anchor}", metric)) for anchor, metric in SCHEME_COLUMNS]
        rows.append([codec, scheme, *(with_interval(cell) for cell in cells)])
    header = [f"against {anchor}, {METRIC_TITLES[metric]}" for anchor, metric in SCHEME_COLUMNS]
    return markdown(["codec", "scheme", *header], rows)


def rivals_block(folder: Path) -> str:
    """BD-rates of other codecs, and of a few schemes of ours, against x265."""
    table = pd.read_csv(folder / "bd_rate.csv")
    table = table[(table["study"] == "image_coding") & (table["task"] == "detection") & table["comparable"]]
    table = table[table["anchor"] == "x265/sse"]
    found = {(row["test"], row["metric"]): row for row in table.to_dict("records")}
    curves = [name for name in dict.fromkeys(table["test"]) if name.split("/")[1] in PLOTTED]
    several = {codec for codec, scheme in (name.split("/") for name in curves) if scheme != "sse"}
    rows = [
        [name.replace("/", ", ") if name.split("/")[0] in several else curve_name(name)]
        + [with_interval(found.get((name, metric))) for metric in RIVAL_METRICS]
        for name in curves
    ]
    return markdown(["against x265", *(METRIC_TITLES[metric] for metric in RIVAL_METRICS)], rows)


def decisions_block(folder: Path) -> str:
    """BD-rates by feature distance against the same encoder's squared error, a row a scheme, a column an encoder."""
    table = pd.read_csv(folder / "bd_rate.csv")
    table = table[(table["study"] == "image_coding") & (table["task"] == "detection") & table["comparable"]]
    table = table[table["metric"] == "fidelity_db"]
    found = {
        row["test"]: row for row in table.to_dict("records") if row["anchor"] == f"{row['test'].split('/')[0]}/sse"
    }
    codecs, schemes = (list(dict.fromkeys(name.split("/")[part] for name in found)) for part in (0, 1))
    rows = [[scheme, *(with_interval(found.get(f"{codec}/{scheme}")) for codec in codecs)] for scheme in schemes]
    return markdown(["scheme", *codecs], rows)


def overhead_block(folder: Path) -> str:
    """What guidance costs, in times a picture, a row a scheme and encoder; those with delta-QPs are left out."""
    table = pd.read_csv(folder / "overhead.csv")
    rows = [
        [
            row.codec,
            row.scheme,
            f"{row.encode_s:.2f}",
            f"{row.encode_ratio:.2f}",
            *("" if pd.isna(value) else f"{value:.3f}" for value in (row.guide_s, row.sketch_s)),
        ]
        for row in table[~table["scheme"].str.endswith(DELTAS)].itertuples()
    ]
    header = ["codec", "scheme", "search, s", "over sse", "distortion from the sketch, s", "sketch beyond a pass, s"]
    return markdown(header, rows)


def with_interval(row: dict[str, Any] | None) -> str:
    """A BD-rate and its interval, bold where it excludes 0; nothing where there is none."""
    if row is None or pd.isna(row["bd_rate_percent"]):
        return ""
    if pd.isna(row["low"]):
        return signed(row["bd_rate_percent"])
    value = signed(row["bd_rate_percent"])
    return f"{f'**{value}**' if row['significant'] else value} [{signed(row['low'])}, {signed(row['high'])}]"


def idse_bias_block(folder: Path) -> str:
    """How far IDSE is from the true feature distance by probes that the encoder saw and by others, a row a curve.

    Schemes with delta-QPs are left out.
    """
    table = pd.read_csv(folder / "idse_correlation.csv").dropna(subset=["log_ratio_median_seen"])
    table = table[~table["scheme"].str.endswith(DELTAS)]
    rows = []
    for (codec, scheme), curve in table.groupby(["codec", "scheme"], sort=False):
        falling = curve.sort_values("point", ascending=curve["point"].max() > LARGEST_INDEX)
        unseen, seen = (10 ** falling[name] for name in ("log_ratio_median", "log_ratio_median_seen"))
        points = ", ".join(f"{point:g}" for point in falling["point"])
        values = [", ".join(f"{value:.2f}" for value in ratios) for ratios in (unseen, seen)]
        rows.append([curve_name(f"{codec}/{scheme}"), points, *values])
    return markdown(["curve", "points", "IDSE over true distance, unseen probes", "by the probes that guided"], rows)


def networks_block(_: Path) -> str:
    """Scores of the shipped networks on uncompressed validation scenes, from their manifests."""
    rows = []
    for task, (network, score, key) in NETWORKS.items():
        found: dict[str, Any] = json.loads((REPOSITORY / MANIFESTS / f"{task}.json").read_text(encoding="utf-8"))
        parts = found["score"]
        everything = parts.get("all", parts)
        first = f"{parts['first'][key]:.3f}" if "first" in parts else ""
        rows.append([network, score, first, f"{everything[key]:.3f}"])
    return markdown(["network", "score", "first 48 scenes", "all 200 scenes"], rows)


BLOCKS = {
    "schemes": schemes_block,
    "rivals": rivals_block,
    "decisions": decisions_block,
    "overhead": overhead_block,
    "bd_rate": bd_rate_block,
    "accuracy": accuracy_block,
    "idse": idse_block,
    "idse_bias": idse_bias_block,
    "networks": networks_block,
}


def filled(text: str) -> str:
    """A text in which everything between `<!-- measured: BLOCK RUN -->` and `<!-- end -->` is written anew.

    Raises
    ------
    ConfigurationError
        If a block has no such name or its run was not measured.
    """

    def block(match: re.Match[str]) -> str:
        name, run = match[2], match[3]
        if name not in BLOCKS:
            raise ConfigurationError(f"{README}: no block {name!r}; there are {', '.join(BLOCKS)}")
        folder = REPOSITORY / MEASURED / run
        if not folder.is_dir():
            raise ConfigurationError(f"{folder}: not measured; run `python -m cfm.measured {run}` after the run")
        return f"{match[1]}{BLOCKS[name](folder)}{match[4]}"

    return BLOCK.sub(block, text)


def take(run: str) -> None:
    """Copy the tables of a finished run to where the README reads them.

    Raises
    ------
    ConfigurationError
        If the run has no tables.
    """
    tables = REPOSITORY / "results" / run / "tables"
    found = [tables / f"{name}.csv" for name in TABLES if (tables / f"{name}.csv").is_file()]
    if not found:
        raise ConfigurationError(f"{tables}: no tables; run the workflow with the configuration of {run!r} first")
    (REPOSITORY / MEASURED / run).mkdir(parents=True, exist_ok=True)
    for path in found:
        shutil.copyfile(path, REPOSITORY / MEASURED / run / path.name)


def main() -> None:
    """Take the runs that the command line names and write the README, or check it."""
    with one_line_errors():
        path = REPOSITORY / README
        if "--check" in sys.argv[1:]:
            text = path.read_text(encoding="utf-8")
            if filled(text) != text:
                raise ConfigurationError(f"{README}: not what {MEASURED} says; run `python -m cfm.measured`")
            return
        for run in sys.argv[1:]:
            take(run)
        text = filled(path.read_text(encoding="utf-8"))
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
