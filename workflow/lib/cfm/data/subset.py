"""Subsets of a data set: which pictures a run uses, cut into shards, and their annotations for the evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

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


def write_subset_annotations(
    folder: CocoFolder, image_ids: Sequence[int], out_path: Path | str, base: CocoFolder | None = None
) -> None:
    """Write the annotation file restricted to the chosen pictures, with all its categories.

    Parameters
    ----------
    folder : CocoFolder
        The split, with the annotations of one task.
    image_ids : sequence of int
        The chosen pictures.
    out_path : path
        The JSON file to write, whole or not at all.
    base : CocoFolder, optional
        The folder that the pictures were chosen from. What it lists and `folder` does not is taken from it, without
        annotations: some `person_keypoints` files leave out the pictures that show nobody.

    Raises
    ------
    InputError
        If neither lists a chosen picture.
    """
    wanted = {int(image_id) for image_id in image_ids}
    images = {image["id"]: image for source in filter(None, (base, folder)) for image in source.document["images"]}
    unknown = sorted(wanted - images.keys())
    if unknown:
        raise InputError(f"{folder.annotation_path}: holds no image {unknown[0]}; select the subset anew")
    document = folder.document | {
        "images": [images[image_id] for image_id in sorted(wanted)],
        "annotations": [entry for entry in folder.document["annotations"] if entry["image_id"] in wanted],
    }
    with atomic_path(out_path) as temporary:
        temporary.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def _qualifies(folder: CocoFolder, image_id: int, kind: str) -> bool:
    if kind in ("random", "first"):
        return True
    annotations = [entry for entry in folder.annotations_of(image_id) if not entry["iscrowd"]]
    if kind == "person" or folder.task == "keypoints":
        return any(entry.get("num_keypoints", 0) > 0 for entry in annotations)
    return bool(annotations)
