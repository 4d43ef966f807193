"""What a finished run has made."""

import html.parser
import json
import zipfile

import pandas as pd
import pyarrow.parquet

RUN = "results/tiny"


def table(finished, name):
    return pd.read_parquet(finished.folder / RUN / "tables" / f"{name}.parquet")


def test_every_curve_is_scored(finished):
    curves = table(finished, "curves")
    main = curves[curves["metric"].isin(["AP", "top1"])]
    counts = main.groupby(["study", "task", "codec", "scheme"]).size().to_dict()
    assert counts == {
        ("image_coding", "classification", "none", "uncompressed"): 1,
        ("image_coding", "detection", "none", "uncompressed"): 1,
        ("image_coding", "detection", "x264", "sse"): 3,
        ("image_coding", "detection", "cheng2020-attn", "sse"): 2,
        ("distillation", "detection", "none", "uncompressed"): 1,
        ("distillation", "detection", "cheng2020-attn", "none"): 2,
        ("distillation", "detection", "cheng2020-attn", "objectness"): 2,
        ("feature_coding", "detection", "none", "uncompressed"): 1,
        ("feature_coding", "detection", "x265", "uniform"): 3,
        ("feature_coding", "detection", "x265", "mfiba"): 3,
    }


def test_rates_are_the_bytes_in_the_packs(finished):
    curves = table(finished, "curves")
    row = curves[(curves["codec"] == "x264") & (curves["point"] == 39) & (curves["metric"] == "AP")].iloc[0]
    size_bytes = 0
    for pack in (finished.folder / RUN / "image_coding/streams/x264/sse/39").glob("*.zip"):
        with zipfile.ZipFile(pack) as archive:
            size_bytes += sum(member.file_size for member in archive.infolist())
    assert row["size_bytes"] == size_bytes
    assert row["rate_bpp"] == 8 * size_bytes / (4 * 320 * 256)


def test_uniform_feature_rates_are_the_bytes_in_the_packs(finished):
    curves = table(finished, "curves")
    rows = curves[(curves["scheme"] == "uniform") & (curves["metric"] == "AP")].sort_values("rate_bpp")
    sizes = []
    for point in (42, 32, 22):
        packs = (finished.folder / RUN / f"feature_coding/precode/detection/x265/{point}").glob("*.zip")
        sizes.append(sum(member.file_size for pack in packs for member in zipfile.ZipFile(pack).infolist()))
    assert rows["size_bytes"].tolist() == sizes


def test_tables_carry_units_and_have_csv_twins(finished):
    folder = finished.folder / RUN / "tables"
    schema = pyarrow.parquet.read_schema(folder / "curves.parquet")
    assert schema.field("rate_bpp").metadata[b"unit"]
    assert len(pd.read_csv(folder / "curves.csv")) == len(table(finished, "curves"))
    assert len(pd.read_csv(folder / "bd_rate.csv")) == len(table(finished, "bd_rate"))


def test_the_page_stands_alone(finished):
    text = (finished.folder / RUN / "report/index.html").read_text(encoding="utf-8")
    outside = []

    class Links(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            outside.extend(
                value for key, value in attributes if key in ("src", "href") and not value.startswith(("data:", "#"))
            )

    Links().feed(text)
    assert outside == []
    assert "demo" in text.lower()


def test_every_figure_is_vector_and_raster(finished):
    figures = finished.folder / RUN / "figures"
    drawn = sorted(path.relative_to(figures).with_suffix("") for path in figures.rglob("*.svg"))
    assert len(drawn) >= 8
    assert all((figures / path).with_suffix(".png").is_file() for path in drawn)


def test_preflight_notes_the_digests_of_all_weights(finished):
    digests = json.loads((finished.folder / RUN / "preflight.json").read_text())["files"]
    assert "workflow/models/demo/tasks/detection.safetensors" in digests
    assert all(len(digest) == 64 for digest in digests.values())


def test_snakemakes_own_report_can_be_made(finished):
    done = finished.run("--report", "report.zip")
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(finished.folder / "report.zip") as archive:
        assert any(name.endswith("report.html") for name in archive.namelist())


def test_the_settings_for_coco_ask_for_a_dag_that_exists(checkout):
    pending = checkout.pending(configuration="config/coco2017.yaml")
    assert {"download_coco", "train_codec", "distill", "feature_dataset", "precode", "page"} <= pending


def test_retraining_asks_for_a_dag_that_exists(checkout):
    done = checkout.run("ship_models", "--dry-run", configuration="config/demo.yaml config/retrain.yaml")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert all(rule in text for rule in ("train_task", "train_codec", "distill", "ship_codec"))
