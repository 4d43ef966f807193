"""Trainings in the report: logs of the run or of manifests, means that end with the training, models without a log."""

import json
import math
from pathlib import Path

import pytest
import yaml

from cfm.configuration.reading import parse_configuration
from cfm.documentation import merge
from cfm.errors import InputError
from cfm.report_plan import ReportPlan
from cfm.reporting.page import Run, render_page
from cfm.reporting.page_tables import training_rows
from cfm.reporting.training_figures import averaged, short_number, training_curves
from cfm.reporting.training_logs import Step, final, has_log, psnr_db, read_training

REPOSITORY = Path(__file__).parents[2]
COLUMNS = "iteration,loss,rate_bpp,distortion,learning_rate\n"


def model(weights, log="", **fields):
    identity = {"study": "feature_coding", "codec": "elic", "weighting": "", "point": 0, "lambda_": 0.5}
    return {**identity, "weights": str(weights), "log": str(log), "initial": "", "origin": "", **fields}


def manifest(folder, **entry):
    path = folder / "manifest.json"
    path.write_text(json.dumps({"models": {"0.safetensors": {"sha256": "0" * 64, **entry}}}))
    return path


def test_a_log_of_the_run_is_read_whole(tmp_path):
    log = tmp_path / "0.csv"
    log.write_text(COLUMNS + "20,3.5,0.5,6,0.1\n40,1.75,0.25,3,0.1\n")
    origin = {"initial": "results/x/models/codecs/elic/3.safetensors", "origin": "this run"}
    training = read_training(model(tmp_path / "0.safetensors", log, **origin))
    assert training.steps == (Step(20, 3.5, 0.5, 6), Step(40, 1.75, 0.25, 3))
    assert (training.iterations, training.origin, training.initial) == (40, "this run", "elic/3.safetensors")
    assert read_training(model(tmp_path / "0.safetensors", log)).initial == "random weights"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", COLUMNS + "20,much,0.5,6,0.1\n", COLUMNS + "20,3.5\n"])
def test_what_is_no_log_is_named(tmp_path, text):
    (tmp_path / "0.csv").write_text(text)
    with pytest.raises(InputError, match=r"0\.csv: not the log of a training .* train again"):
        read_training(model(tmp_path / "0.safetensors", tmp_path / "0.csv"))


def test_a_manifest_tells_what_was_trained_whatever_the_configuration_says(tmp_path):
    rows = [{"iteration": 90.0, "loss": 2.0, "rate_bpp": 1.0, "distortion": 4.0, "learning_rate": 0.1}]
    settings = {"lambda_": 0.25, "iterations": 99}
    path = manifest(tmp_path, settings=settings, log=rows, data="pictures", command="make it", initial=None)
    assert has_log(path, "0.safetensors")
    training = read_training(model(tmp_path / "0.safetensors", path))
    assert (training.lambda_, training.iterations) == (0.25, 99)
    assert (training.origin, training.initial) == ("pictures; make it", "random weights")
    assert training.steps == (Step(90, 2, 1, 4),)


def test_where_there_is_no_log_there_is_none(tmp_path):
    assert not has_log(tmp_path / "absent.json", "0.safetensors")
    assert not has_log(manifest(tmp_path), "0.safetensors")
    assert not has_log(manifest(tmp_path, log=[]), "0.safetensors")
    assert not has_log(manifest(tmp_path, log=[1]), "1.safetensors")
    for text in ("[1, 2]", '{"models": [1]}', '{"models": {"0.safetensors": "x"}}', "not JSON"):
        (tmp_path / "foreign.json").write_text(text)
        assert not has_log(tmp_path / "foreign.json", "0.safetensors")
    assert read_training(model("0.safetensors", origin="elsewhere"))[-4:] == ((), None, "elsewhere", "")


def test_a_training_ends_with_the_mean_of_its_last_tenth():
    steps = [Step(n, 0.0, float(n > 90), 2.0 * n) for n in range(1, 101)]
    assert final(steps) == Step(95.5, 0.0, 1.0, 191.0)
    assert final(steps[:1]) == steps[0]


def test_means_are_equally_long_on_a_logarithmic_axis_and_end_with_the_training():
    steps = [Step(n, 1.0, float(n), 1.0) for n in range(20, 100_001, 20)]
    drawn = averaged(steps)
    assert 25 < len(drawn) <= 38  # ten a decade, fewer where the log has no rows
    assert drawn[-1].iteration == 100_000
    assert drawn[-1].rate_bpp == pytest.approx((100_000 + 100_000 * 10**-0.1) / 2, rel=1e-3)
    assert [step.iteration for step in averaged(steps[:3])] == [20, 40, 60]


def test_psnr_and_numbers_of_an_axis():
    assert psnr_db(255**2) == 0
    assert psnr_db(65.025) == pytest.approx(30)
    assert math.isfinite(psnr_db(0))
    assert [short_number(value) for value in (0.5, 20, 1000, 200_000, 1.5e6)] == ["0.5", "20", "1k", "200k", "1.5M"]


def test_a_line_a_model_with_a_log(made_up):
    trainings = made_up.make_trainings()
    rate, quality = training_curves(trainings, "feature_coding").axes
    named = [text.get_text() for text in rate.texts]
    assert named == ["λ = 0.0032", "λ = 0.015", "λ = 0.15"]  # one has no log
    assert (rate.get_ylabel(), quality.get_ylabel()) == ("rate [bit/mosaic sample]", "PSNR [dB]")
    assert (rate.get_xscale(), rate.get_yscale(), quality.get_yscale()) == ("log", "log", "linear")
    assert [line.get_xdata()[-1] for line in rate.lines] == [1000, 1000, 5000]
    last = averaged(trainings[0].steps)[-1].distortion
    assert quality.lines[0].get_ydata()[-1] == pytest.approx(psnr_db(last))
    heights = [text.get_position()[1] for text in rate.texts]
    assert heights == sorted(heights)
    assert 0 <= heights[0] <= heights[-1] <= 1  # on a logarithmic axis too
    distance = training_curves(trainings, "distillation").axes[1]
    assert distance.get_ylabel() == "feature distance"
    assert distance.lines[0].get_ydata()[-1] == pytest.approx(last)


def test_the_page_has_a_section_with_every_model(made_up, tables):
    trainings = made_up.make_trainings()
    run = Run("test", "Title", False, "", "abc", 7)
    text = render_page(run, tables, [], made_up.make_times(), trainings)
    assert '<section id="training">' in text
    rows = training_rows(trainings).rows
    assert [row[:4] for row in rows[::3]] == [
        ("Feature coding", "elic", p, v) for p, v in (("0", "0.0032"), ("3", "0.15"))
    ]
    assert all(training.weights in text for training in trainings)
    assert [row[4] for row in rows] == ["1,000", "1,000", "", "5,000"]
    ended = final(trainings[0].steps)
    assert rows[0][5:7] == (f"{ended.rate_bpp:.4f}", f"{psnr_db(ended.distortion):.2f} dB")
    assert rows[2][5:9] == ("", "", "", "")
    distilled = training_rows([trainings[0]._replace(study="distillation", weighting="none")]).rows[0]
    assert distilled[1] == "elic/none"
    assert distilled[6] == f"{ended.distortion:.4g}"
    assert '<section id="training">' not in render_page(run, tables, [], made_up.make_times())


def plan_of(*names, **changes):
    values = {}
    for name in names:
        values = merge(values, yaml.safe_load((REPOSITORY / "config" / name).read_text(encoding="utf-8")))
    return ReportPlan(parse_configuration(merge(values, changes)), REPOSITORY)


def training_figures(plan):
    return {figure.name: plan.figure_tables(figure.kind, figure.name)["logs"] for figure in plan.training_figures()}


def test_shipped_models_have_the_logs_of_their_manifests(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    plan = plan_of("demo.yaml")
    logs = training_figures(plan)
    assert logs["feature_coding-elic"] == ["workflow/models/demo/codecs/elic/manifest.json"]
    assert logs["distillation-objectness"] == ["workflow/models/demo/codecs/distillation/objectness/manifest.json"]
    models = plan.figure_labels("training_curves", "distillation-none")["models"]
    assert [(row["point"], row["lambda_"]) for row in models] == [(0, 0.5), (1, 1.0), (2, 2.0)]
    assert all(read_training(row).steps for row in plan.learned_models() if row["log"])


def test_trained_models_have_the_logs_that_the_run_will_write():
    plan = plan_of("demo.yaml", "retrain.yaml")
    logs = training_figures(plan)
    assert logs["feature_coding-elic"] == [f"results/retrain/models/codecs/elic/{point}.csv" for point in range(4)]
    assert logs["distillation-none"][0] == "results/retrain/models/distillation/none/0.csv"
    trained = [row for row in plan.learned_models() if row["codec"] == "cheng2020-attn"]
    initial = {(row["study"], row["point"]): row["initial"] for row in trained}
    assert initial["distillation", 1] == "results/retrain/models/codecs/cheng2020-attn/1.safetensors"
    assert initial["image_coding", 3] == ""
    assert initial["image_coding", 0].endswith("cheng2020-attn/3.safetensors")
    assert {row["origin"] for row in trained} == {"this run"}


def test_models_without_a_manifest_have_no_figure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_of("demo.yaml")
    assert plan.training_figures() == []
    assert [row["log"] for row in plan.learned_models() if row["codec"] == "elic"] == [""] * 4


def test_published_weights_are_named_with_their_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_of("coco2017.yaml")
    published = [row for row in plan.learned_models() if row["study"] == "image_coding"]
    assert published[2]["origin"] == "compressai's zoo, mse, quality 3"
    rows = training_rows([read_training(row) for row in published]).rows
    assert rows[0][3:9] == ("", "", "", "", "compressai's zoo, mse, quality 1", "")
    assert "image_coding-cheng2020-attn" not in training_figures(plan)
