"""From tables of a run to curves and BD-rates, with counts and rates checked by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from cfm.errors import ConfigurationError, InputError
from cfm.evaluation.average_precision import detections_as_truth, match_detections
from cfm.evaluation.comparison import bd_rate_table, curves_table, load_draws
from cfm.evaluation.scoring import Draws, load_truth, save_draws, score_entries, scores_table
from cfm.evaluation.size_sensitivity import size_sensitivity
from cfm.reporting.tables import checked, read_table, write_table

PICTURES = 16
WIDTH, HEIGHT = 100, 80
DRAWS = Draws(seed=3, repeats=30)
CURVES = [("x265", "sse", 1.0), ("vvenc", "sse", 0.7), ("x264", "sse", 1.4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that all tests read."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def entries(folder):
    """Settings of three curves with their files."""
    return write_entries(folder)


@pytest.fixture(scope="module")
def truth(folder):
    ids = range(1, PICTURES + 1)
    annotations = {
        "images": [{"id": i, "width": WIDTH, "height": HEIGHT} for i in ids],
        "categories": [{"id": 7, "name": "thing"}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0}
            for i in ids
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(annotations))
    subset = pd.DataFrame(
        {"image_id": ids, "file_name": "x.png", "width": WIDTH, "height": HEIGHT, "shard": 0, "label": 1}
    )
    return load_truth(subset, folder / "annotations.json")


def detections(rng, point):
    """A box a picture that is off by less the higher the point."""
    off = rng.uniform(0, 12, PICTURES) / (1 + point)
    box = {"image_id": range(1, PICTURES + 1), "category_id": 7, "score": rng.random(PICTURES)}
    return pd.DataFrame(box | {"x": 10 + off, "y": 10.0, "w": 40.0, "h": 40.0})


def streams(point, factor):
    sizes = (factor * 100 * 2**point * np.linspace(0.8, 1.2, PICTURES)).astype(int)
    rows = {"image_id": range(1, PICTURES + 1), "point": point, "scale": None, "size_bytes": sizes}
    return pd.DataFrame(rows | {"source_pixels": WIDTH * HEIGHT, "encode_s": 0.5})


def write_entries(folder, points=4):
    """Files of three curves in two shards; the same detections, so that only the rates differ."""
    entries = []
    for codec, scheme, factor in CURVES:
        for point in range(points):
            entry = {"codec": codec, "scheme": scheme, "point": point, "detections": [], "streams": []}
            found = detections(np.random.default_rng(point), point)
            for shard in (0, 1):
                chosen = slice(shard * 8, shard * 8 + 8)
                stem = folder / f"{codec}-{point}-{shard}"
                write_table(found[chosen], f"{stem}.detections.parquet", "detections")
                write_table(streams(point, factor)[chosen], f"{stem}.streams.parquet", "streams")
                entry["detections"].append(f"{stem}.detections.parquet")
                entry["streams"].append(f"{stem}.streams.parquet")
            entries.append(entry)
    return entries


@pytest.fixture(scope="module")
def run(folder, truth, entries):
    """Scores and draws of a study: one file a codec, and the uncompressed pictures."""
    original = folder / "original.parquet"
    write_table(detections(np.random.default_rng(9), 50), original, "detections")
    plain = {"codec": "none", "scheme": "uncompressed", "point": 0, "detections": [original], "streams": []}
    frames, files = [], []
    for name, part in (("a", entries[:4]), ("b", entries[4:]), ("c", [plain])):
        scored = score_entries("image_coding", "detection", part, truth, DRAWS)
        frames.append(checked(scores_table(scored), "scores", name))
        files.append(folder / f"{name}.npz")
        save_draws(files[-1], scored, truth, DRAWS)
    return pd.concat(frames, ignore_index=True), files


def test_rates_are_pooled_and_sizes_add_up(run):
    scores, _ = run
    row = scores[(scores["codec"] == "vvenc") & (scores["point"] == 2) & (scores["metric"] == "AP")].iloc[0]
    assert row["size_bytes"] == streams(2, 0.7)["size_bytes"].sum()
    assert row["rate_bpp"] == pytest.approx(8 * row["size_bytes"] / (PICTURES * WIDTH * HEIGHT))
    assert np.isnan(row["packed_bpp"])
    assert (row["pictures"], row["encode_s"]) == (PICTURES, 0.5)
    assert row["quality_low"] <= row["quality"] <= row["quality_high"]
    plain = scores[scores["scheme"] == "uncompressed"].set_index("metric")
    assert plain.loc["AP", "rate_bpp"] == 0
    assert plain.loc["AP", "quality"] == pytest.approx(1.0)
    assert np.isnan(plain.loc["APl", "quality"])


def test_bd_rates_of_scaled_rates_are_exact_for_every_anchor(run):
    scores, files = run
    curves = curves_table(scores, None)
    table = checked(bd_rate_table(curves, load_draws(files), {"image_coding": ["x265/sse"]}), "bd_rate", "test")
    assert list(table["test"]) == ["vvenc/sse", "x264/sse"]
    np.testing.assert_allclose(table["bd_rate_percent"], [-30, 40], atol=1)  # sizes are whole bytes
    assert table["significant"].all()
    assert (table["low"] <= table["bd_rate_percent"]).all()
    with pytest.raises(ConfigurationError, match=r"'x263/sse' is no curve.*x264/sse"):
        bd_rate_table(curves, load_draws(files), {"image_coding": ["x263/sse"]})
    assert len(checked(bd_rate_table(curves, load_draws(files), {}), "bd_rate", "test")) == 0


def test_an_anchor_within_every_codec():
    rng = np.random.default_rng(0)
    identity, rows = [], []
    for codec in ("elic", "vvenc"):
        for scheme, factor in (("uniform", 1.0), ("mfiba", 0.8)):
            for point in range(4):
                identity.append(("feature_coding", "keypoints", codec, scheme, float(point)))
                rows.append((factor * 2**point, 0.1 * point + 0.1))
    curves = pd.DataFrame(identity, columns=["study", "task", "codec", "scheme", "point"])
    curves[["rate_bpp", "quality"]] = rows
    curves["metric"] = "AP"
    rates = np.array(rows)[:, :1] * rng.uniform(0.9, 1.1, 20)
    drawn = type("Drawn", (), {"identity": curves.iloc[:, :5], "rates_bpp": rates, "qualities": rates})
    drawn.qualities = np.repeat(np.array(rows)[:, 1:], 20, axis=1)
    table = bd_rate_table(curves, drawn, {"feature_coding": ["*/uniform"]})
    assert list(zip(table["anchor"], table["test"], strict=True)) == [
        ("elic/uniform", "elic/mfiba"),
        ("vvenc/uniform", "vvenc/mfiba"),
    ]
    np.testing.assert_allclose(table["bd_rate_percent"], -20)
    # A pair that two anchors stand for is compared once.
    table = bd_rate_table(curves, drawn, {"feature_coding": ["elic/uniform", "*/uniform"]})
    pairs = list(zip(table["anchor"], table["test"], strict=True))
    assert len(pairs) == len(set(pairs)) == 4


def test_draws_of_other_pictures_or_seeds_are_not_mixed(run, tmp_path, truth, entries):
    _, files = run
    scored = score_entries("image_coding", "detection", entries[:1], truth, Draws(4, 30))
    save_draws(tmp_path / "other.npz", scored, truth, Draws(4, 30))
    with pytest.raises(InputError, match=r"other\.npz: drawn otherwise"):
        load_draws([*files, tmp_path / "other.npz"])
    (tmp_path / "cut.npz").write_bytes(files[0].read_bytes()[:-40])
    with pytest.raises(InputError, match=r"cut\.npz: damaged"):
        load_draws([tmp_path / "cut.npz"])
    with pytest.raises(InputError, match="no resampled scores"):
        load_draws([])


def test_the_same_run_gives_the_same_bytes(run, tmp_path, truth, entries):
    _, files = run
    scored = score_entries("image_coding", "detection", entries[:4], truth, DRAWS)
    save_draws(tmp_path / "again.npz", scored, truth, DRAWS)
    assert (tmp_path / "again.npz").read_bytes() == files[0].read_bytes()


def test_a_missing_stream_and_a_setting_scored_twice_are_named(run, tmp_path, truth, entries):
    scores, _ = run
    entry = entries[0]
    with pytest.raises(InputError, match=r"x265/sse/0\.0: no stream of picture 9 \(and 7 more\)"):
        score_entries("image_coding", "detection", [entry | {"streams": entry["streams"][:1]}], truth, DRAWS)
    with pytest.raises(InputError, match=r"x264/sse/0\.0 is scored twice"):
        curves_table(pd.concat([scores, scores[scores["codec"] == "x264"]]), None)
    wrong = streams(0, 1.0).assign(source_pixels=5)
    write_table(wrong, tmp_path / "wrong.parquet", "streams")
    with pytest.raises(InputError, match="not of the picture's size"):
        score_entries("image_coding", "detection", [entry | {"streams": [tmp_path / "wrong.parquet"]}], truth, DRAWS)


def test_tables_with_several_points_score_as_their_parts(tmp_path, truth):
    parts = {point: (detections(np.random.default_rng(point), point), streams(point, 1.0)) for point in (0, 1)}
    found = pd.concat([frame.assign(point=float(point)) for point, (frame, _) in parts.items()])
    sent = [
        frame.assign(point=float(point), codec_point=point, scale=scale, samples=5000)
        for point, (_, frame) in [*parts.items(), (2, parts[0])]
        for scale in (0, 1)
    ]
    write_table(found, tmp_path / "d.parquet", "point_detections")
    write_table(pd.concat(sent), tmp_path / "s.parquet", "point_streams")
    entry = {"codec": "elic", "scheme": "saba", "point": None, "detections": [tmp_path / "d.parquet"]}
    scored = score_entries("feature_coding", "detection", [entry | {"streams": [tmp_path / "s.parquet"]}], truth, DRAWS)
    rows = scores_table(scored).query("metric == 'AP'").set_index("point")
    assert list(rows.index) == [0.0, 1.0, 2.0]
    assert rows.loc[2.0, "quality"] == 0  # its detections table has no rows: nothing was found
    assert rows.loc[1.0, "size_bytes"] == 2 * parts[1][1]["size_bytes"].sum()
    assert rows.loc[1.0, "packed_bpp"] == pytest.approx(8 * rows.loc[1.0, "size_bytes"] / (2 * 5000 * PICTURES))
    assert rows.loc[1.0, "encode_s"] == 1.0


def test_classification_is_scored_without_annotations(tmp_path, truth):
    found = pd.DataFrame({"image_id": range(1, PICTURES + 1), "label": [1] * 12 + [0] * 4, "score": 0.5})
    write_table(found, tmp_path / "c.parquet", "classifications")
    entry = {
        "codec": "none",
        "scheme": "uncompressed",
        "point": 0,
        "detections": [tmp_path / "c.parquet"],
        "streams": [],
    }
    scored = score_entries("image_coding", "classification", [entry], load_truth(truth.subset, None), DRAWS)
    assert scores_table(scored)[["metric", "quality"]].values.tolist() == [["top1", 0.75]]


def test_feature_distances_join_the_curves(run, tmp_path):
    scores, _ = run
    identity = {"study": "image_coding", "task": "detection", "codec": "x264", "scheme": "sse", "point": 1}
    values = {"image_id": [1, 2], "feature_distance": [2.0, 4.0], "objectness_distance": 1.0}
    values |= {"idse": 1.0, "idse_seen": None, "sse": 1.0, "psnr_y_db": None}
    write_table(pd.DataFrame(values | identity), tmp_path / "d.parquet", "distances")
    curves = checked(curves_table(scores, read_table(tmp_path / "d.parquet", "distances")), "curves", "test")
    assert curves["feature_distance"].notna().sum() == 6
    assert curves["feature_distance"].dropna().unique() == [3.0]


def test_sensitivity_compares_every_scale_and_point_with_no_coding(truth):
    found = detections(np.random.default_rng(1), 0)
    coded = found.assign(scale=1, point=0)
    sent = pd.concat([streams(0, 1.0).assign(scale=scale, samples=800) for scale in (0, 1)])
    table = size_sensitivity("detection", "elic", truth, coded, detections(np.random.default_rng(1), 50), sent)
    table = checked(table, "sensitivity_by_size", "test").set_index(["scale", "metric"])
    assert table.loc[(0, "AP"), "quality"] == 0  # nothing was found with that scale coded
    assert 0 < table.loc[(1, "AP"), "quality"] < table.loc[(1, "AP"), "quality_uncoded"]
    assert table.loc[(1, "APm"), "quality"] == table.loc[(1, "AP"), "quality"]
    assert np.isnan(table.loc[(1, "APl"), "quality"])
    assert table.loc[(0, "AP"), "rate"] == pytest.approx(8 * sent["size_bytes"].mean() / 800)


def test_the_feature_distance_is_a_metric_of_its_own(run, tmp_path, truth, entries):
    rng = np.random.default_rng(0)
    identity = {"study": "image_coding", "task": "detection", "codec": "x264", "scheme": "sse", "point": 0.0}
    values = {"image_id": range(1, PICTURES + 1), "feature_distance": rng.uniform(1, 9, PICTURES)}
    values |= {"objectness_distance": 1.0, "idse": 1.0, "idse_seen": None, "sse": 1.0, "psnr_y_db": None}
    table = pd.DataFrame(identity | values)
    write_table(table, tmp_path / "d.parquet", "distances")
    (setting,) = score_entries(
        "image_coding", "detection", [entries[0] | {"distances": [tmp_path / "d.parquet"]}], truth, DRAWS
    )
    found = setting.scores.set_index("metric").loc["fidelity_db"]
    assert found["quality"] == pytest.approx(-10 * np.log10(table["feature_distance"].mean()))
    assert found["quality_low"] < found["quality"] < found["quality_high"]
    assert setting.qualities["fidelity_db"].shape == setting.qualities["AP"].shape
    write_table(table[1:], tmp_path / "d.parquet", "distances")
    with pytest.raises(InputError, match="feature distances of other pictures"):
        score_entries("image_coding", "detection", [entries[0] | {"distances": [tmp_path / "d.parquet"]}], truth, DRAWS)


def test_the_uncompressed_detections_agree_with_themselves(tmp_path, truth, entries):
    found = detections(np.random.default_rng(3), 1).assign(score=0.9)
    write_table(found, tmp_path / "original.parquet", "detections")
    uncompressed = detections_as_truth(truth.annotations, found, "bbox")
    same = match_detections(uncompressed, found, "bbox", truth.subset["image_id"])
    assert same.quality("AP") == pytest.approx(1)
    weak = pd.concat([found, found.assign(score=0.1, x=found["x"] + 60)])
    weaker = detections_as_truth(truth.annotations, weak, "bbox")
    assert match_detections(weaker, weak, "bbox", truth.subset["image_id"]).quality("AP") == pytest.approx(1)
    assert match_detections(weaker, found, "bbox", truth.subset["image_id"]).quality("AP") == pytest.approx(1)
    half = match_detections(uncompressed, found[::2], "bbox", truth.subset["image_id"])
    assert half.quality("AP") < 0.8


def test_points_of_a_classification_in_one_table_score_as_their_parts(tmp_path, truth):
    found = pd.DataFrame({"image_id": range(1, PICTURES + 1), "label": [1] * 12 + [0] * 4, "score": 0.5})
    write_table(pd.concat([found.assign(point=p) for p in (0.0, 1.0)]), tmp_path / "c.parquet", "point_classifications")
    for point in (0, 1):
        write_table(streams(point, 1.0), tmp_path / f"s{point}.parquet", "streams")
    entry = {"codec": "x265", "scheme": "sse", "point": None, "detections": [tmp_path / "c.parquet"]}
    entry |= {"streams": [tmp_path / "s0.parquet", tmp_path / "s1.parquet"]}
    scored = score_entries("image_coding", "classification", [entry], load_truth(truth.subset, None), DRAWS)
    assert list(scores_table(scored)["point"]) == [0.0, 1.0]
