"""What a user can get wrong ends in one line that names the file and the cure, before any long stage."""

import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

LONG_RULES = ("rule encode", "rule precode", "rule sketch", "rule detect_originals", "rule train_", "rule distill")


def configured(checkout, change):
    """The tiny configuration after `change`, in the checkout."""
    path = checkout.folder / "changed.yaml"
    values = yaml.safe_load((checkout.folder / "tests/config/tiny.yaml").read_text(encoding="utf-8"))
    change(values)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path.name


def error_of(checkout, configuration, *arguments):
    """The one error line of a run that must fail without starting a long stage."""
    done = checkout.run(*arguments, configuration=configuration)
    text = done.stdout + done.stderr
    assert done.returncode != 0, text
    assert not any(name in text for name in LONG_RULES), text
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, text
    return lines[0]


def test_a_misspelt_key(checkout):
    def change(values):
        values["image_coding"]["codecs"]["x264"]["prest"] = "fast"

    line = error_of(checkout, configured(checkout, change), "--dry-run")
    assert "prest" in line
    assert "'preset'" in line
    assert not (checkout.folder / "results/tiny").exists()


def test_weights_that_are_not_there(checkout):
    def change(values):
        values["tasks"]["detection"]["weights"] = "elsewhere.safetensors"

    assert "elsewhere.safetensors" in error_of(checkout, configured(checkout, change), "--dry-run")


def test_a_folder_that_is_not_there(checkout):
    def change(values):
        values["data"] = {"source": "coco", "root": "nowhere", "pictures": 2}

    line = error_of(checkout, configured(checkout, change), "--dry-run")
    assert "nowhere" in line
    assert "data.root" in line


@pytest.mark.parametrize("damage", ["flipped", "pickle"])
def test_weights_that_are_damaged(checkout, damage):
    weights = checkout.folder / "workflow/models/demo/tasks/detection.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content) if damage == "flipped" else b"\x80\x04\x95posix\nsystem\n.")
    line = error_of(checkout, "tests/config/tiny.yaml")
    assert "detection.safetensors" in line
    assert not (checkout.folder / "results/tiny/preflight.json").exists()


def test_a_network_for_another_task(checkout):
    def change(values):
        values["tasks"]["detection"]["network"] = "cfm.tasks.demo:keypoints"
        values["tasks"]["detection"]["weights"] = "workflow/models/demo/tasks/keypoints.safetensors"

    line = error_of(checkout, configured(checkout, change))
    assert "tasks.detection" in line
    assert "keypoints" in line


def test_codec_weights_of_other_shapes(checkout):
    def change(values):
        values["image_coding"]["codecs"]["cheng2020-attn"]["models"]["n"] = 32

    line = error_of(checkout, configured(checkout, change))
    assert "cheng2020-attn" in line


def test_a_preset_that_the_encoder_does_not_have(checkout):
    def change(values):
        values["image_coding"]["codecs"]["x264"]["preset"] = "verslow"

    line = error_of(checkout, configured(checkout, change))
    assert "verslow" in line


@pytest.fixture
def coco(checkout):
    """A small folder in COCO's layout, and the configuration of it."""
    root = checkout.folder / "pictures"
    rng = np.random.default_rng(1)
    images = []
    (root / "annotations").mkdir(parents=True)
    (root / "val2017").mkdir()
    for number in (1, 2, 3):
        samples = rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)
        Image.fromarray(samples).save(root / "val2017" / f"{number}.jpg")
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 80, "height": 64})
    category = {"id": 1, "name": "person", "supercategory": "person"}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 20, 20], "area": 400, "iscrowd": 0}
    write(root, {"images": images, "annotations": [box], "categories": [category]})

    def change(values):
        values["data"] = {"source": "coco", "root": "pictures", "pictures": 3, "selection": "first"}
        del values["tasks"]["classification"]

    return root, configured(checkout, change)


def write(root, document):
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(document))


def read(root):
    return json.loads((root / "annotations" / "instances_val2017.json").read_text())


def test_a_truncated_picture(checkout, coco):
    root, configuration = coco
    path = root / "val2017" / "2.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    assert "2.jpg" in error_of(checkout, configuration)
    assert not (checkout.folder / "results/tiny/data/subset.parquet").exists()


def test_a_missing_picture(checkout, coco):
    root, configuration = coco
    (root / "val2017" / "3.jpg").unlink()
    assert "3.jpg" in error_of(checkout, configuration)


def test_annotations_that_name_an_absent_picture(checkout, coco):
    root, configuration = coco
    document = read(root)
    document["annotations"][0]["image_id"] = 99
    write(root, document)
    line = error_of(checkout, configuration)
    assert "99" in line
    assert "instances_val2017.json" in line


def test_a_picture_that_is_not_rgb_is_refused_and_a_grey_one_is_taken(checkout, coco):
    root, configuration = coco
    grey = Image.open(root / "val2017" / "1.jpg").convert("L")
    grey.save(root / "val2017" / "1.jpg")
    done = checkout.run("--until", "select_subset", configuration=configuration)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(checkout.folder / "results")
    Image.open(root / "val2017" / "2.jpg").convert("CMYK").save(root / "val2017" / "2.jpg")
    line = error_of(checkout, configuration)
    assert "CMYK" in line
    assert "2.jpg" in line


def test_a_picture_smaller_than_a_block(checkout, coco):
    root, configuration = coco
    Image.new("RGB", (80, 8)).save(root / "val2017" / "2.jpg")
    line = error_of(checkout, configuration)
    assert "2.jpg" in line
    assert "80x8" in line


def test_more_pictures_than_there_are(checkout, coco):
    _, configuration = coco
    text = (checkout.folder / configuration).read_text().replace("pictures: 3", "pictures: 30")
    (checkout.folder / configuration).write_text(text)
    line = error_of(checkout, configuration)
    assert "30" in line
    assert "3" in line
