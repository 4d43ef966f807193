"""Subsets of a data set: which pictures a run uses, cut into shards, and their annotations for the evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from cfm.data.classification import list_classification
from cfm.data.coco import CocoFolder
from cfm.errors import ConfigurationError, InputError
from cfm.provenance import atomic_path

KINDS = ("random", "annotated", "person", "first")


def select_subset(folder: CocoFolder, count: int | str, seed: int, kind: str, shard_size: int) -> pd.DataFrame:
    """Choose pictures of a split.

    Parameters
    ----------
    folder : CocoFolder
        The split.
    count : int or "all"
        How many pictures. For one seed, a smaller subset is part of a larger one.
    seed : int
        Seeds the random choice over the sorted ids.
    kind : str
        "random": of all pictures; "annotated": of those with an annotation that is no crowd (with `task` "keypoints":
        that has labelled keypoints); "person": of those with labelled keypoints; "first": those of the lowest ids.
    shard_size : int
        Pictures a shard.

    Returns
    -------
    DataFrame
        image_id, file_name, width, height (pixels), shard (0 onwards); by ascending image id.

    Raises
    ------
    InputError
        If the split holds fewer such pictures than asked for.
    ConfigurationError
        If the kind is unknown, or is "person" and the annotations were not read for keypoints.
    """
    if kind not in KINDS:
        raise ConfigurationError(f"unknown kind of subset {kind!r}; use one of {', '.join(KINDS)}")
    if kind == "person" and folder.task != "keypoints":
        raise ConfigurationError(f"{folder.annotation_path}: kind 'person' needs the task keypoints; use 'annotated'")
    candidates = [image_id for image_id in folder.pictures if _qualifies(folder, image_id, kind)]
    chosen = choose(candidates, count, None if kind == "first" else seed, str(folder.annotation_path), kind)
    frame = pd.DataFrame([folder.pictures[image_id] for image_id in chosen])
    return frame.assign(shard=np.arange(len(frame)) // shard_size)


def select_classification(
    root: Path | str,
    split: str,
    count: int | str,
    seed: int,
    kind: str,
    shard_size: int,
    classes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Choose pictures of a classification split, as `select_subset` does ("random", "annotated" or "first").

    Returns
    -------
    DataFrame
        The columns of `select_subset`, then label (int) and class_name (str).

    Raises
    ------
    InputError
        If the split holds fewer pictures than asked for, or one that cannot be read.
    ConfigurationError
        If the kind does not apply to classification.
    """
    if kind not in ("random", "annotated", "first"):
        raise ConfigurationError(f"subset kind {kind!r} does not apply to classification; use random or first")
    listing = list_classification(root, split, classes).set_index("image_id", drop=False)
    chosen = choose(list(listing.index), count, None if kind == "first" else seed, str(Path(root) / split), kind)
    frame = listing.loc[chosen].reset_index(drop=True)
    sizes = [_declared_size(Path(root) / split / file_name) for file_name in frame["file_name"]]
    frame.insert(2, "width", [width for width, _ in sizes])
    frame.insert(3, "height", [height for _, height in sizes])
    frame.insert(4, "shard", np.arange(len(frame)) // shard_size)
    return frame


def choose(candidates: Sequence[int], count: int | str, seed: int | None, source: str, kind: str) -> list[int]:
    """Choose `count` of the ascending `candidates`, at random by `seed` or the first ones where it is None; ascending.

    Raises
    ------
    InputError
        If there are fewer candidates, or none; the line names `source`.
    """
    wanted = len(candidates) if count == "all" else int(count)
    if not 1 <= wanted <= len(candidates):
        raise InputError(
            f"{source}: {wanted or 'some'} pictures of kind {kind!r} are asked for and there are {len(candidates)}; "
            "ask for fewer, or for another kind or split"
        )
    if seed is None:
        return list(candidates[:wanted])
    order = np.random.default_rng(seed).permutation(len(candidates))
    return [candidates[index] for index in sorted(order[:wanted])]


def write_subset(frame: pd.DataFrame, path: Path | str) -> None:
    """Write a subset as Parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def write_subset_annotations(folder: CocoFolder, image_ids: Sequence[int], out_path: Path | str) -> None:
    """Write the annotation file restricted to the chosen pictures, with all its categories.

    Raises
    ------
    InputError
        If an id is not in the split.
    """
    wanted = {int(image_id) for image_id in image_ids}
    unknown = sorted(wanted - folder.pictures.keys())
    if unknown:
        raise InputError(f"{folder.annotation_path}: holds no image {unknown[0]}; select the subset anew")
    document = dict(folder.document)
    document["images"] = [image for image in document["images"] if image["id"] in wanted]
    document["annotations"] = [entry for entry in document["annotations"] if entry["image_id"] in wanted]
    _write_json(document, out_path)


def write_classification_annotations(
    frame: pd.DataFrame, out_path: Path | str, classes: Sequence[str] | None = None
) -> None:
    """Write the labels of `select_classification` in COCO's form: one annotation a picture, category id = label.

    `classes` are the class names in the order of the labels; by default those that the chosen pictures show.
    """
    if classes is None:
        named = frame[["label", "class_name"]].drop_duplicates().sort_values("label").itertuples(index=False)
        categories = [{"id": int(label), "name": name} for label, name in named]
    else:
        categories = [{"id": label, "name": name} for label, name in enumerate(classes)]
    images = frame[["image_id", "file_name", "width", "height"]].rename(columns={"image_id": "id"})
    annotations = [
        {"id": int(image_id), "image_id": int(image_id), "category_id": int(label)}
        for image_id, label in zip(frame["image_id"], frame["label"], strict=True)
    ]
    document = {"images": images.to_dict("records"), "annotations": annotations, "categories": categories}
    _write_json(document, out_path)


def _qualifies(folder: CocoFolder, image_id: int, kind: str) -> bool:
    if kind in ("random", "first"):
        return True
    annotations = [entry for entry in folder.annotations_of(image_id) if not entry["iscrowd"]]
    if kind == "person" or folder.task == "keypoints":
        return any(entry.get("num_keypoints", 0) > 0 for entry in annotations)
    return bool(annotations)


def _declared_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the header alone; `check_files` decodes the rest."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError):
        raise InputError(f"{path}: not a picture; replace it with a whole copy or move it away") from None


def _write_json(document: dict, path: Path | str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
