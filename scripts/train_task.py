"""Train one of the demo's task networks on the scenes, score it on the validation scenes, and write its manifest."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from cfm.data.classification import list_classification
from cfm.data.coco import CocoFolder
from cfm.data.scenes.categories import OBJECT_CLASSES
from cfm.data.shards import SourcePicture
from cfm.device import resolve_device
from cfm.evaluation.average_precision import load_annotations, match_detections
from cfm.evaluation.detections import classification_from_prediction
from cfm.evaluation.pictures import detect_originals, predictions
from cfm.evaluation.top1 import match_classes
from cfm.job import job
from cfm.provenance import identified
from cfm.tasks.loading import load_network
from cfm.tasks.manifest import manifest_path, write_manifest
from cfm.tasks.training import TaskTraining, train_task

KINDS = {
    "detection": {"box": "bbox"},
    "segmentation": {"box": "bbox", "mask": "segm"},
    "keypoints": {"keypoint": "keypoints"},
}
FIRST = 48


def score(task: str, weights: Path, root: Path, split: str, device: str) -> dict[str, Any]:
    """Quality on a split's uncompressed pictures: of all, and of the first 48."""
    network = load_network(f"cfm.tasks.demo:{task}", device, weights=str(weights))
    if task == "classification":
        table = list_classification(root, split, OBJECT_CLASSES)
        files = zip(table["image_id"], table["file_name"], strict=True)
        pictures = [SourcePicture(int(image_id), root / split / name) for image_id, name in files]
        found = [
            classification_from_prediction(image_id, scores) for image_id, scores in predictions(network, pictures)
        ]
        top1 = match_classes(table, pd.concat(found, ignore_index=True)).quality("top1")
        return {"split": split, "pictures": len(table), "top1": round(top1, 4)}
    folder = CocoFolder(root, split, task)
    pictures = [SourcePicture(image_id, folder.picture_path(image_id)) for image_id in folder.pictures]
    image_ids = list(folder.pictures)
    detections = detect_originals(network, pictures, network.category_ids)
    annotations = load_annotations(folder.annotation_path)
    content: dict[str, Any] = {"split": split}
    for ids in (image_ids, image_ids[:FIRST]):
        part = {name: match_detections(annotations, detections, kind, ids) for name, kind in KINDS[task].items()}
        values = {
            f"{name}_{metric}": round(float(value), 4)
            for name, matched in part.items()
            for metric, value in matched.qualities().items()
            if not math.isnan(value)  # sizes that no annotation has
        }
        content["all" if ids is image_ids else "first"] = {"pictures": len(ids), **values}
    return content


def train_and_describe(
    task: str,
    root: Path,
    splits: tuple[str, str],
    settings: TaskTraining,
    checkpoint: Path,
    weights: Path,
    log: Path,
    device: str,
) -> None:
    """Train on the first split, score on the second, and write weights, log and manifest."""
    training_s = train_task(task, root, settings, checkpoint, weights, log, device, splits[0])
    manifest_path(weights).unlink(missing_ok=True)  # of weights that were here before
    scores = score(task, weights, root, splits[1], device)
    command = "make retrain"
    write_manifest(weights, task, settings, training_s, device, log, scores, command)


def main() -> None:
    """Hand over what the rule gives."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        checkpoint = identified(params.checkpoint, params.code, [file for file in given if Path(file).is_file()])
        initial = str(given.initial[0]) if given.initial else None
        settings = TaskTraining.from_mapping({**params.training, "initial": initial})
        train_and_describe(
            params.task,
            Path(params.root),
            (params.train_split, params.val_split),
            settings,
            checkpoint,
            Path(made.weights),
            Path(made.training_log),
            str(resolve_device(params.device)),
        )
        checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
