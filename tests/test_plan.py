"""What the demo's configuration asks for."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from cfm.configuration.reading import parse_configuration
from cfm.documentation import merge
from cfm.errors import ConfigurationError
from cfm.readiness import Readiness
from cfm.report_plan import ReportPlan

REPOSITORY = Path(__file__).parents[1]


def read(name):
    return yaml.safe_load((REPOSITORY / "config" / name).read_text(encoding="utf-8"))


@pytest.fixture
def demo():
    return ReportPlan(parse_configuration(read("demo.yaml")), REPOSITORY)


@pytest.fixture
def retrain():
    return ReportPlan(parse_configuration(merge(read("demo.yaml"), read("retrain.yaml"))), REPOSITORY)


def test_the_demo_of_the_encoders_is_the_image_coding_study_alone(demo):
    values = merge(read("demo.yaml"), read("encoders.yaml"))
    plan = ReportPlan(parse_configuration(values), REPOSITORY)
    assert plan.studies == ["image_coding"]
    assert set(plan.compared_schemes) == {"avc", "hevc"}
    assert plan.made_pictures("test2017", "pictures") == 40
    assert demo.compared_schemes == {}


def test_pictures_fill_their_shards():
    values = read("demo.yaml")
    values["data"] |= {"pictures": 21, "shard_size": 10}
    assert ReportPlan(parse_configuration(values), REPOSITORY).shards == ["0000", "0001", "0002"]


def test_every_curve_is_asked_for_once(demo):
    curves = demo.curves()
    assert len(curves) == len(set(curves))
    assert ("feature_coding", "keypoints", "elic", "mfiba") in curves
    assert ("distillation", "detection", "cheng2020-attn", "objectness") in curves
    assert ("image_coding", "classification", "none", "uncompressed") in curves


def test_a_job_is_given_the_weights_of_its_point_only(demo):
    codec = demo.codec("image_coding", "cheng2020-attn", "sse", [2])
    assert list(codec["weights"]) == [2]
    assert codec["weights"][2].endswith("codecs/cheng2020-attn/2.safetensors")
    assert demo.codec("distillation", "cheng2020-attn", "objectness", [1])["weights"][1].endswith(
        "distillation/objectness/1.safetensors"
    )


def test_standard_codecs_name_no_weights(demo):
    assert demo.codec("image_coding", "x265") == {"name": "x265", "preset": "veryslow"}


def test_an_allocation_is_given_the_settings_that_it_uses(demo):
    assert "lambda_sweep" in demo.allocation("mfiba")
    assert "lambda_sweep" not in demo.allocation("uniform")


def test_phi_is_the_lagrangian_of_a_learned_model_and_the_qp_of_a_standard_codec(demo):
    lagrangians = demo.configuration.feature_coding.codecs["elic"].models.lagrangians
    assert demo.phi("elic")["values"] == dict(enumerate(lagrangians))
    qps = demo.configuration.feature_coding.codecs["vvenc"].points
    assert demo.phi("vvenc")["values"] == {qp: float(qp) for qp in qps}


def test_every_codec_is_made_once_before_the_run(demo):
    ready = Readiness(demo)
    assert [codec["name"] for codec in ready.standard_codecs] == ["x264", "x265", "kvazaar", "vvenc", "vvenc"]
    assert [codec["name"] for codec in ready.learned_codecs] == ["cheng2020-attn", "elic", *["cheng2020-attn"] * 3]


def test_retraining_makes_every_shipped_model(demo, retrain):
    assert Readiness(retrain).files == []
    learned = ReportPlan(parse_configuration(merge(read("demo.yaml"), read("learned.yaml"))), REPOSITORY)
    files = Readiness(demo).files + Readiness(learned).files
    shipped = {str(Path(file).parent.relative_to("workflow/models/demo")) for file in files}
    made = {str(Path(manifest).parent.relative_to("results/retrain/shipped")) for manifest in retrain.shipped_models()}
    assert made == shipped


def test_the_first_model_starts_from_nothing_and_the_others_from_it(retrain):
    assert retrain.codec_initial("elic", 3) == []
    assert retrain.codec_initial("elic", 0) == ["results/retrain/models/codecs/elic/3.safetensors"]
    training = retrain.configuration.feature_coding.codecs["elic"].models.train
    assert retrain.codec_training("elic", 3)["iterations"] == training.iterations
    assert retrain.codec_training("elic", 0)["iterations"] == training.finetune_iterations


DIGEST = "0123456789abcdef" * 4
ADDRESS = {"url": "https://example.org/a/ELIC_0004.pth.tar?download=1", "sha256": DIGEST}


@pytest.fixture
def published(tmp_path):
    """The demo with weights of the zoo, of an address and of a file, and a training that starts from an address."""
    (tmp_path / "b.pth").write_text("weights")
    values = read("demo.yaml")
    values["distillation"] |= {"folder": "train", "train": {"iterations": 1}}
    values["image_coding"]["codecs"]["cheng2020-attn"]["models"] = {"zoo": "ms-ssim"}
    checkpoints = [ADDRESS, {"path": str(tmp_path / "b.pth"), "sha256": DIGEST}]
    features = values["feature_coding"]
    features["codecs"]["elic"] = {"points": [0, 1], "models": {"lagrangians": [1, 2], "checkpoints": checkpoints}}
    steps = {"iterations": 2, "finetune_iterations": 1, "initial": {"url": ADDRESS["url"], "sha256": DIGEST[::-1]}}
    models = {"folder": "train", "n": 8, "m": 40, "lagrangians": [1, 2], "train": steps}
    features["codecs"]["tcm"] = {"codec": "lic-tcm", "points": [0, 1], "models": models}
    features["dataset"] = {"tasks": ["detection"], "pictures": 1}
    return values


def test_published_weights_are_fetched_or_used_where_they_are(published, tmp_path):
    plan = ReportPlan(parse_configuration(published), REPOSITORY)
    folder = "results/demo/models/checkpoints"
    coding = {"portable": True, "precision": "float32", "device": "auto"}
    elic = plan.codec("feature_coding", "elic")
    assert elic == {
        "name": "elic",
        "weights": {0: f"{folder}/elic-0123456789ab.pth", 1: str(tmp_path / "b.pth")},
        **coding,
    }
    assert plan.codec_weights("feature_coding", "elic", "", 0) == [elic["weights"][0]]
    assert plan.checkpoint_source("elic-0123456789ab.pth") == {"family": "elic", **ADDRESS}
    base = plan.codec_weights("image_coding", "cheng2020-attn", "sse", 2)
    assert base == [f"{folder}/cheng2020-attn-ms-ssim-3.pth"]
    zoo = {"family": "cheng2020-attn", "zoo": "ms-ssim", "quality": 3}
    assert plan.checkpoint_source("cheng2020-attn-ms-ssim-3.pth") == zoo
    distilled = plan.codec("distillation", "cheng2020-attn", "none", [2])
    assert distilled == {
        "name": "cheng2020-attn",
        "weights": {2: "results/demo/models/distillation/none/2.safetensors"},
        **coding,
    }
    assert plan.phi("elic")["values"] == {0: 1, 1: 2}
    assert plan.trained_codecs() == ["tcm"]
    with pytest.raises(ConfigurationError, match="no such checkpoint"):
        plan.checkpoint_source("b.pth")


def test_a_training_starts_from_a_checkpoint_and_the_others_from_it(published):
    plan = ReportPlan(parse_configuration(published), REPOSITORY)
    (initial,) = plan.codec_initial("tcm", 1)
    assert initial == "results/demo/models/checkpoints/lic-tcm-fedcba987654.pth"
    assert plan.checkpoint_source(Path(initial).name)["url"] == ADDRESS["url"]
    assert plan.codec_initial("tcm", 0) == ["results/demo/models/codecs/tcm/1.safetensors"]
    assert "initial" not in plan.codec_training("tcm", 1)


def test_only_published_files_that_are_there_are_looked_at_before_the_run(published, tmp_path):
    initial = {"path": str(tmp_path / "c.pth"), "sha256": DIGEST}
    published["feature_coding"]["codecs"]["tcm"]["models"]["train"]["initial"] = initial
    ready = Readiness(ReportPlan(parse_configuration(published), REPOSITORY))
    (learned,) = ready.learned_codecs
    assert learned["weights"] == {1: str(tmp_path / "b.pth")}
    assert [entry["architecture"]["channels"] for entry in ready.initials] == [8]
    with pytest.raises(
        ConfigurationError, match=r"c\.pth: .*feature_coding\.codecs\.tcm\.models\.train\.initial\.path"
    ):
        ready.check_files()
    (tmp_path / "c.pth").write_text("weights")
    ready.check_files()
    (tmp_path / "b.pth").unlink()
    with pytest.raises(
        ConfigurationError, match=r"b\.pth: .*feature_coding\.codecs\.elic\.models\.checkpoints\.1\.path"
    ):
        ready.check_files()


def test_code_of_other_codecs_does_not_count(demo):
    assert demo.codec_code("encode", "image_coding", "x264") == demo.codec_code("encode", "image_coding", "x265")
    assert demo.codec_code("encode", "image_coding", "x264") != demo.codec_code(
        "encode", "image_coding", "cheng2020-attn"
    )


def test_code_of_one_of_our_encoders_is_that_of_no_other(monkeypatch):
    values = read("demo.yaml")
    values["image_coding"]["codecs"] |= {name: {"points": [33, 37]} for name in ("avc", "hevc")}
    plan = ReportPlan(parse_configuration(values), REPOSITORY)
    assert plan.codec("image_coding", "hevc") == {"name": "hevc", "deltas": [0], "effort": 1}
    monkeypatch.setattr(plan, "code", lambda *_, without: set(without))
    own = {"cfm.codecs.avc", "cfm.codecs.hevc"}
    used = {name: own - plan.codec_code("encode", "image_coding", name) for name in ("avc", "hevc", "x265")}
    assert used == {"avc": {"cfm.codecs.avc"}, "hevc": {"cfm.codecs.hevc"}, "x265": set()}


def test_a_codec_on_downsampled_pictures_is_a_section_like_others():
    values = read("demo.yaml")
    values["image_coding"]["codecs"]["x265-half"] = {"codec": "x265", "points": [22, 27], "downsample": 2}
    plan = ReportPlan(parse_configuration(values), REPOSITORY)
    assert plan.codec("image_coding", "x265-half") == {"name": "x265", "downsample": 2}
    assert ("image_coding", "detection", "x265-half", "sse") in plan.curves()
    codes = [plan.codec_code("encode", "image_coding", name) for name in ("x264", "x265", "x265-half")]
    assert codes[0] == codes[1] != codes[2]


def test_classification_is_a_task_of_the_image_study_on_pictures_of_its_own():
    values = read("demo.yaml")
    values["data"] |= {"classification_pictures": 21, "shard_size": 10}
    values["image_coding"]["tasks"] = ["classification", "detection"]
    values["image_coding"]["codecs"]["avc"] = {"points": [33, 37], "rdo": ["sse", "idse"]}
    plan = ReportPlan(parse_configuration(values), REPOSITORY)
    objects, scenes = plan.picture_set("classification"), plan.picture_set("detection")
    assert (objects.table, objects.folder) == ("results/demo/data/objects.parquet", "results/demo/data/objects/val2017")
    assert objects.shards == ["0000", "0001", "0002"]
    assert plan.coded_set(objects.streams) == objects
    assert plan.coded_set(scenes.streams) == scenes == plan.picture_set("keypoints")
    assert "classification" not in plan.picture_tasks
    curves = plan.curves()
    assert len(curves) == len(set(curves))
    assert ("image_coding", "classification", "x265", "sse") in curves
    (entry, *_) = plan.score_files("image_coding", "classification", "avc", "idse")
    folder = "results/demo/image_coding"
    assert entry["detections"][2] == f"{folder}/results/classification/avc/idse/0002.classifications.parquet"
    assert entry["streams"][2] == f"{folder}/object_streams/avc/idse/33/0002.parquet"
    assert f"{folder}/results/classification/avc/idse/0002.distances.parquet" in plan.distances("image_coding")
    assert plan.truth("image_coding", "classification") == {"subset": objects.table}
    keypoints = {"subset": scenes.table, "annotations": plan.subset_annotations("keypoints")}
    assert plan.truth("feature_coding", "keypoints") == keypoints
    assert plan.truth("image_coding", "keypoints").keys() == {*keypoints, "uncompressed"}
    assert [plan.guide_task(pictures.streams) for pictures in (objects, scenes)] == ["classification", "detection"]


def test_a_missing_file_is_named_with_a_cure():
    values = read("demo.yaml")
    values["tasks"]["detection"]["weights"] = "absent.safetensors"
    with pytest.raises(ConfigurationError, match=r"absent\.safetensors: .*make retrain"):
        Readiness(ReportPlan(parse_configuration(values), REPOSITORY)).check_files()


class Job(SimpleNamespace):
    """A job's wildcards, of the image coding study's pictures where it does not say otherwise."""

    def __init__(self, **wildcards):
        super().__init__(**{"study": "image_coding", "streams": "streams", "shard": "0000"} | wildcards)


@pytest.fixture
def guided():
    values = read("demo.yaml")
    image = values["image_coding"]
    image["codecs"] = {
        "x265": {"points": [33, 37], "preset": "medium"},
        "avc": {"points": [33, 37], "rdo": ["sse", "static", "idse", "idse_dqp", "idse_objectness", "levels"]},
    }
    image["schemes"] = {"levels": {"distortion": "idse", "decisions": ["levels"], "chroma_qp_offset": -3, "probes": 5}}
    image["calibration"] = {"pictures": 7, "split": "test2017"}
    del values["distillation"]
    return ReportPlan(parse_configuration(values), REPOSITORY)


def test_a_scheme_names_what_guides_it(guided):
    folder = "results/demo/image_coding"
    calibration = [f"{folder}/calibration/detection/plain.npz"]
    found = {name: guided.guides(Job(codec="avc", scheme=name)) for name in ("sse", "static", "idse", "levels")}
    assert found["sse"] == {"calibration": [], "sketches": [], "judge": []}
    assert found["static"] == {"calibration": calibration, "sketches": [], "judge": []}
    sketches = f"{folder}/guide_plain_2/detection/0000.npz"
    assert found["idse"] == {"calibration": calibration, "sketches": [sketches], "judge": []}
    assert found["levels"]["sketches"] == [f"{folder}/guide_plain_5/detection/0000.npz"]
    objectness = guided.guides(Job(codec="avc", scheme="idse_objectness"))
    assert objectness["calibration"] == [f"{folder}/calibration/detection/objectness.npz"]
    assert guided.guidance(Job(codec="x265", scheme="sse")) == {}
    assert guided.guidance(Job(codec="avc", scheme="idse"))["own_offset"]
    assert not guided.guidance(Job(codec="avc", scheme="levels"))["own_offset"]


def test_a_schemes_options_of_the_encoder_replace_the_codecs(guided):
    options = {name: guided.codec("image_coding", "avc", name) for name in ("idse", "idse_dqp", "levels")}
    assert options["idse"]["deltas"] == [0]
    assert options["idse_dqp"]["deltas"] == [-2, 0, 2]
    assert options["levels"] == options["idse"] | {"chroma_offset": -3, "decisions": ["levels"]}


def test_encoders_with_several_schemes_are_analysed(guided, demo):
    folder = "results/demo/image_coding"
    kinds = [figure.kind for figure in guided.figures()]
    assert {"scheme_curves", "coding_maps", "bit_shares", "decisions"} <= set(kinds)
    assert guided.plotted_schemes == {"avc": ["sse", "idse", "idse_objectness"]}
    assert guided.figure_labels("rate_accuracy", "image_coding")["shown"] == guided.plotted_schemes
    assert guided.figure_labels("rate_accuracy", "distillation")["shown"] == {}
    assert guided.mapped_schemes("avc") == ["sse", "idse_dqp", "idse_objectness"]
    assert (guided.middle_point("avc"), guided.outer_points("avc")) == (37, [33, 37])
    encoder = guided.encoder("avc", "idse_dqp")
    assert encoder["codec"]["deltas"] == [-2, 0, 2]
    assert encoder["guidance"] == guided.guidance(Job(codec="avc", scheme="idse_dqp"))
    files = [f"{folder}/calibration/detection/plain.npz", f"{folder}/guide_plain_2/detection/0000.npz"]
    assert encoder["calibration"] + encoder["sketches"] == files
    assert guided.encoder_files("avc", ["sse", "idse", "idse_dqp"]) == files
    assert guided.shared_bits == [f"{folder}/bit_shares/avc.parquet"]
    assert guided.page_tables()["overhead"] == ["results/demo/tables/overhead.parquet"]
    timed = {entry["scheme"]: entry for entry in guided.timed_schemes()}
    assert timed["levels"]["sketches"][0] == f"{folder}/guide_plain_5/detection/0000.parquet"
    assert timed["sse"]["sketches"] == []
    assert timed["sse"]["streams"][0] == f"{folder}/streams/avc/sse/33/0000.parquet"
    assert not {"coding_maps", "bit_shares", "decisions"} & {figure.kind for figure in demo.figures()}
    assert demo.timed_schemes() == []


def test_schemes_that_leave_decisions_out_stand_beside_the_whole_one(guided):
    assert guided.ablated_schemes == ["idse", "levels"]
    assert guided.figure_labels("decisions", "detection")["schemes"] == ["idse", "levels"]


def test_minutes_a_picture_are_not_spent_again():
    values = read("demo.yaml")
    values["image_coding"]["codecs"]["avc"] = {"points": [33, 37], "rdo": ["sse", "feature_distance"]}
    plan = ReportPlan(parse_configuration(values), REPOSITORY)
    assert plan.repeated_schemes("avc") == ["sse"]
    assert [entry["scheme"] for entry in plan.timed_schemes()] == ["sse", "feature_distance"]


def test_probes_that_guide_are_others_than_those_that_judge(guided):
    roles = {role: guided.sketching(role) for role in ("sketch", "guide_plain_2", "guide_objectness_2")}
    assert roles["sketch"]["seed"] != roles["guide_plain_2"]["seed"]
    assert (roles["guide_objectness_2"]["objectness"], roles["guide_objectness_2"]["probes"]) == (True, 2)
    seen = [guided.seen_sketches(Job(codec="avc", scheme=name, task="detection")) for name in ("idse", "static")]
    assert seen == [["results/demo/image_coding/guide_plain_2/detection/0000.npz"], []]


def test_a_calibration_has_pictures_of_its_own(guided):
    assert guided.calibration_folder("detection") == "results/demo/data/scenes/test2017"
    assert guided.made_pictures("test2017", "scenes") == guided.made_pictures("test2017", "objects") == 7
    assert guided.made_pictures("val2017", "scenes") == 200
    assert guided.calibrating("objectness")["objectness"]


def test_schemes_are_compared_with_the_baselines_of_their_codec(guided):
    assert guided.anchors["image_coding"] == ["x265/sse", "*/sse", "*/static"]
