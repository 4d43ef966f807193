"""Classification in the image coding study: the classification set through a codec, from end to end."""

import math
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from cfm.data.classification import list_classification

RUN = "results/classes"
PICTURES, SHARD_SIZE, SIDE = 12, 6, 96


def configured(checkout, change=lambda values: None):
    """The tiny configuration with the classifier alone, and one codec with and without downsampling."""
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    values["run"] = "classes"
    values["data"] |= {"shard_size": SHARD_SIZE, "classification_pictures": PICTURES}
    values["image_coding"] |= {
        "tasks": ["classification"],
        "codecs": {
            "x264": {"points": [30, 48], "preset": "veryfast"},
            "x264-half": {"codec": "x264", "downsample": 2, "points": [26, 44], "preset": "veryfast"},
        },
    }
    del values["distillation"], values["feature_coding"]
    change(values)
    path = checkout.folder / "classes.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def table(checkout, name):
    return pd.read_parquet(checkout.folder / RUN / f"{name}.parquet")


def test_the_classification_set_is_coded_classified_and_compared(checkout):
    configuration = configured(checkout)
    done = checkout.run(configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    folder = checkout.folder / RUN
    curves = table(checkout, "tables/curves")
    assert set(curves["metric"]) == {"top1", "fidelity_db"}
    curves = curves[curves["metric"] == "top1"]
    points = curves.groupby(["study", "task", "codec", "scheme"]).size().to_dict()
    assert points == {
        ("image_coding", "classification", "none", "uncompressed"): 1,
        ("image_coding", "classification", "x264", "sse"): 2,
        ("image_coding", "classification", "x264-half", "sse"): 2,
    }
    assert (curves["pictures"] == PICTURES).all()
    for row in curves[curves["scheme"] == "sse"].itertuples():
        packs = sorted((folder / f"image_coding/object_streams/{row.codec}/sse/{row.point:.0f}").glob("*.zip"))
        assert [pack.stem for pack in packs] == ["0000", "0001"]
        members = [member for pack in packs for member in zipfile.ZipFile(pack).infolist()]
        assert (len(members), sum(member.file_size for member in members)) == (PICTURES, row.size_bytes)
        assert row.rate_bpp == pytest.approx(8 * row.size_bytes / (PICTURES * SIDE * SIDE))
        assert row.feature_distance > 0
    found = pd.concat(
        table(checkout, f"image_coding/results/classification/x264/sse/{shard}.classifications")
        for shard in ("0000", "0001")
    )
    found = found[found["point"] == 48].set_index("image_id")
    truth = table(checkout, "data/objects").set_index("image_id")
    listed = list_classification(folder / "data/objects", "val2017").set_index("image_id")
    assert truth["label"].equals(listed["label"].loc[truth.index].astype("int32"))
    right = (found["label"].loc[truth.index] == truth["label"]).mean()
    assert curves.set_index(["codec", "point"])["quality"][("x264", 48)] == pytest.approx(right)
    compared = table(checkout, "tables/bd_rate")
    assert set(compared["metric"]) == {"top1", "fidelity_db"}
    assert set(zip(compared["anchor"], compared["test"], strict=True)) == {("x264/sse", "x264-half/sse")}
    assert len(table(checkout, "tables/idse_correlation")) == 4
    for name in ("rate_accuracy/image_coding", "idse/classification", "importance_maps/classification"):
        assert (folder / f"figures/{name}.svg").is_file()
    assert not (folder / "data/subset.parquet").exists()
    assert not (folder / "data/scenes").exists()
    assert checkout.pending(configuration=configuration) == set()
    text = (checkout.folder / configuration).read_text(encoding="utf-8")
    (checkout.folder / configuration).write_text(text.replace("- 30\n", "- 30\n      - 40\n"), encoding="utf-8")
    pending = checkout.pending(configuration=configuration)
    assert {"encode", "classify_pictures", "score", "page"} <= pending
    assert not pending & {"make_objects", "select_objects", "classify_originals", "sketch"}


def test_both_sets_of_pictures_go_through_the_codecs_of_one_study(checkout):
    def change(values):
        values["image_coding"]["tasks"] = ["classification", "detection"]
        values["image_coding"]["codecs"] = {"avc": {"points": [30, 40], "rdo": ["sse", "idse_sketch"]}}
        values["image_coding"]["anchor"] = "avc"

    done = checkout.run("--dry-run", configuration=configured(checkout, change))
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    lines = [line for line in text.splitlines() if line.strip().startswith("input: ") and "/guide_plain_8/" in line]
    inputs = [line for line in lines if line.count(",") == 1]  # of the jobs that encode: sketches and pictures
    objects = [line for line in inputs if "objects.parquet" in line]
    assert len(inputs) == 2 * (2 + 1)  # points, and shards of either set
    assert len(objects) == 4
    assert all(("guide_plain_8/classification/" in line) == (line in objects) for line in inputs)
    assert all(rule in text for rule in ("rule evaluate_pictures:", "rule classify_pictures:", "rule select_subset:"))


@pytest.fixture
def imagenet(checkout):
    """Pictures as ImageNet has them, in the folders of a thousand classes, and a configuration for them."""
    rng = np.random.default_rng(4)
    root = checkout.folder / "pictures/val"
    for number in range(1000):
        folder = root / f"n{10_000_000 + 37 * number}"
        folder.mkdir(parents=True)
        samples = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(samples).resize((45, 40)).save(folder / f"ILSVRC2012_val_{number:08d}.JPEG", format="JPEG")

    def change(values):
        values["data"] |= {"classification_root": "pictures", "classification_pictures": 3, "split": "val"}
        values["tasks"] = {"classification": {"network": "torchvision:resnet18", "options": {"weights": None}}}

    return root, configured(checkout, change)


def test_folders_as_imagenet_has_them_are_classified_by_a_network_of_torchvision(checkout, imagenet):
    _, configuration = imagenet
    target = f"{RUN}/image_coding/results/classification/x264-half/sse/0000.classifications.parquet"
    done = checkout.run(target, configuration=configuration)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    truth = table(checkout, "data/objects")
    names = [name.split("/")[0] for name in truth["file_name"]]
    assert [f"n{10_000_000 + 37 * label}" for label in truth["label"]] == names
    found = pd.read_parquet(checkout.folder / target)
    for _, rows in found.groupby("point"):
        assert rows["image_id"].tolist() == truth["image_id"].tolist()
    assert found["label"].between(0, 999).all()
    assert found["score"].between(1e-9, 1).all()
    assert math.isfinite(found["score"].sum())


@pytest.mark.parametrize(("missing", "words"), [(1, "999 class folders"), (-1, "1001 class folders")])
def test_class_folders_that_are_not_those_of_the_network(checkout, imagenet, missing, words):
    root, configuration = imagenet
    if missing > 0:
        (root / "n10000370").rename(checkout.folder / "elsewhere")
    else:
        (root / "n10000370.old").mkdir()
    done = checkout.run(configuration=configuration)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert done.returncode != 0
    assert len(lines) == 1
    assert words in lines[0]
    assert "1000 classes" in lines[0]
    assert "rule encode" not in done.stdout + done.stderr


def test_a_classification_root_that_is_not_there(checkout):
    def change(values):
        values["data"] |= {"classification_root": "nowhere"}

    done = checkout.run("--dry-run", configuration=configured(checkout, change))
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]
    assert done.returncode != 0
    assert len(lines) == 1
    assert "nowhere/val2017" in lines[0]
    assert "data.classification_root" in lines[0]
