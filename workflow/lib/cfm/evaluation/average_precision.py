"""COCO average precision, kept per picture so that a resampled set of pictures is scored in milliseconds.

pycocotools finds the matches of detections and annotations once; `MatchTable` keeps them, and accumulates precision and
recall for any weights of the pictures. With all weights 1 it computes what pycocotools' `accumulate` computes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pycocotools import mask as mask_utilities
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cfm.errors import InputError
from cfm.evaluation.detections import to_coco_results

RECALLS = np.linspace(0.0, 1.0, 101)
IOUS = np.linspace(0.5, 0.95, 10)
AREAS = {"bbox": ("all", "small", "medium", "large"), "segm": ("all", "small", "medium", "large")}
AREAS["keypoints"] = ("all", "medium", "large")  # COCO scores no keypoints of small persons
MAX_DETECTIONS = {"bbox": 100, "segm": 100, "keypoints": 20}

# Metric: the IoU thresholds that are averaged and the area range.
METRICS = {
    "AP": (slice(None), "all"),
    "AP50": (slice(0, 1), "all"),
    "AP75": (slice(5, 6), "all"),
    "APs": (slice(None), "small"),
    "APm": (slice(None), "medium"),
    "APl": (slice(None), "large"),
}
MINIMUM_SCORE = 0.3  # of detections that stand for the truth
UNCOUNTED_AREA = 1e11  # beyond COCO's area ranges: such annotations are matched, but missing them costs nothing
KIND_OF_TASK = {"detection": "bbox", "segmentation": "segm", "keypoints": "keypoints"}


@dataclass(frozen=True)
class MatchTable:
    """Matches of one setting, by cell (area range a, category k; cell number a K + k).

    Attributes
    ----------
    kind : {"bbox", "segm", "keypoints"}
        What was matched.
    image_ids : (I,) int64
        The pictures, sorted.
    category_ids : (K,) int64
        The categories.
    ground_truth : (A, K, I) int32
        Annotations that count, a picture.
    cell_start : (A K + 1,) int64
        Row where a cell's detections begin.
    image : (N,) int32
        Index of the picture of a detection; the scores fall within a cell.
    true_positive, false_positive : (N, T) bool
        Outcome at each of the T = 10 IoU thresholds; neither where COCO ignores the detection.
    """

    kind: str
    image_ids: np.ndarray
    category_ids: np.ndarray
    ground_truth: np.ndarray
    cell_start: np.ndarray
    image: np.ndarray
    true_positive: np.ndarray
    false_positive: np.ndarray

    def quality(self, metric: str, weights: np.ndarray | None = None) -> float:
        """One of COCO's average precisions of the weighted pictures.

        Parameters
        ----------
        metric : str
            A key of `METRICS`.
        weights : (I,) array or None
            How often each picture counts, 0 or more; None counts every picture once.

        Returns
        -------
        float
            In [0, 1]; NaN where no annotation counts, which pycocotools reports as -1.
        """
        ious, area = METRICS[metric]
        if area not in AREAS[self.kind]:
            return float("nan")
        weights = np.ones(len(self.image_ids)) if weights is None else np.asarray(weights, np.float64)
        a, categories = AREAS[self.kind].index(area), len(self.category_ids)
        positives = self.ground_truth[a] @ weights
        counted = positives > 0
        if not counted.any():
            return float("nan")
        starts = self.cell_start[a * categories : (a + 1) * categories + 1]
        precisions = self._interpolated_precisions(starts, ious, weights, np.where(counted, positives, 1.0))
        return float(precisions[counted].mean())

    def _interpolated_precisions(
        self, starts: np.ndarray, ious: slice, weights: np.ndarray, positives: np.ndarray
    ) -> np.ndarray:
        """Mean over `RECALLS` of the precision of every cell, (cells, thresholds); all cells at once.

        Parameters
        ----------
        starts : (cells + 1,) array
            Rows where the cells, one after the other, begin, and the end of the last.
        ious : slice
            Thresholds.
        weights : (I,) array
            Of the pictures.
        positives : (cells,) array
            Weighted annotations, above 0.
        """
        rows, first = slice(starts[0], starts[-1]), starts - starts[0]
        cell = np.repeat(np.arange(len(positives)), np.diff(starts))
        weight = weights[self.image[rows], None]
        true, false = (
            _running_sums(weight * outcome[rows, ious], first, cell)
            for outcome in (self.true_positive, self.false_positive)
        )
        precision = true / (false + true + np.spacing(1))
        # The highest precision at this row or behind it in its cell: no cell reaches into the one before, whose numbers
        # are higher by 2.
        height = 2.0 * (len(positives) - cell)[:, None]
        envelope = np.maximum.accumulate((precision + height)[::-1], axis=0)[::-1] - height
        # How many recalls are reached by every row, and so for the first time in it.
        reached = np.searchsorted(RECALLS, true / positives[cell, None], side="right")
        before = np.concatenate([np.zeros((1, true.shape[1]), reached.dtype), reached[:-1]])
        before[first[:-1][np.diff(starts) > 0]] = 0
        sums = np.concatenate([np.zeros((1, true.shape[1])), np.cumsum(envelope * (reached - before), axis=0)])
        return (sums[first[1:]] - sums[first[:-1]]) / len(RECALLS)

    def qualities(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """All metrics of `METRICS` by name."""
        return {metric: self.quality(metric, weights) for metric in METRICS}


def _running_sums(values: np.ndarray, first: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Sums (N, T) of the rows of a cell up to each; cells begin at the rows `first`, the last of which is the end."""
    sums = np.cumsum(values, axis=0)
    return sums - np.concatenate([np.zeros((1, values.shape[1])), sums])[first[cell]]


def load_annotations(path: Path | str) -> COCO:
    """Read a COCO annotation file, silently.

    Raises
    ------
    InputError
        If the file is absent or no COCO annotation file.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such annotation file; check the data folder")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return COCO(str(path))
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a COCO annotation file ({error!r}); restore the file") from error


def detections_as_truth(
    annotations: COCO, detections: pd.DataFrame, kind: str, minimum_score: float = MINIMUM_SCORE
) -> COCO:
    """Detections in place of the annotations of the same pictures: what coding changes is measured without labels.

    Parameters
    ----------
    annotations : COCO
        Its pictures and categories are taken.
    detections : pandas.DataFrame
        Rows of the schema `detections`.
    kind : {"bbox", "segm", "keypoints"}
        What is matched.
    minimum_score : float
        Detections of a lower score are matched but do not count, so that a weak one that comes back is no false alarm.
    """
    truth = []
    for number, result in enumerate(to_coco_results(detections, kind), 1):
        x, y, width, height = result.get("bbox") or mask_utilities.toBbox(result["segmentation"]).tolist()
        area = width * height if result["score"] >= minimum_score else UNCOUNTED_AREA
        truth.append(
            result | {"id": number, "area": area, "iscrowd": 0, "bbox": [x, y, width, height], "num_keypoints": 17}
        )
    made = COCO()
    made.dataset = {key: annotations.dataset[key] for key in ("images", "categories")} | {"annotations": truth}
    with contextlib.redirect_stdout(io.StringIO()):
        made.createIndex()
    return made


def match_detections(
    annotations: COCO, detections: pd.DataFrame, kind: str, image_ids: Sequence[int] | None = None
) -> MatchTable:
    """Match detections with annotations by pycocotools.

    Parameters
    ----------
    annotations : COCO
        From `load_annotations`.
    detections : pandas.DataFrame
        Rows of the schema `detections`; those of other pictures than `image_ids` are left out.
    kind : {"bbox", "segm", "keypoints"}
        What is matched; "keypoints" considers only the categories that have keypoints.
    image_ids : sequence of int or None
        The pictures that are scored; None for all of the annotation file.

    Raises
    ------
    InputError
        If a picture is not in the annotation file, or its annotations lack what `kind` needs.
    """
    known = set(annotations.getImgIds())
    image_ids = sorted(known) if image_ids is None else sorted({int(number) for number in image_ids})
    if absent := [number for number in image_ids if number not in known]:
        raise InputError(f"picture {absent[0]} (and {len(absent) - 1} more) is not in the annotations; check the split")
    category_ids = sorted(annotations.getCatIds())
    if kind == "keypoints":
        category_ids = [number for number in category_ids if "keypoints" in annotations.loadCats([number])[0]]
    _check_ground_truth(annotations, kind, image_ids, category_ids)
    results = to_coco_results(detections[detections["image_id"].isin(image_ids)], kind)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(annotations, _loaded(annotations, results), kind)
        evaluation.params.imgIds, evaluation.params.catIds = image_ids, category_ids
        evaluation.params.maxDets = [MAX_DETECTIONS[kind]]
        evaluation.evaluate()
    return _table_of(evaluation, kind, image_ids, category_ids)


def _check_ground_truth(annotations: COCO, kind: str, image_ids: list[int], category_ids: list[int]) -> None:
    needed = {"bbox": {"bbox"}, "segm": {"segmentation"}, "keypoints": {"keypoints", "num_keypoints", "bbox"}}[kind]
    for annotation in annotations.loadAnns(annotations.getAnnIds(imgIds=image_ids, catIds=category_ids)):
        if missing := (needed | {"area", "iscrowd"}) - annotation.keys():
            raise InputError(
                f"annotation {annotation['id']} lacks {sorted(missing)}, which scoring {kind} needs; "
                "name the annotation file of this task"
            )
        if annotation["id"] == 0:
            # pycocotools marks a match by the annotation's id and would take this one for a miss.
            raise InputError("an annotation has the id 0, which pycocotools cannot match; count ids from 1")
    if not category_ids:
        raise InputError(f"the annotations have no category to score {kind} with; name the file of this task")


def _loaded(annotations: COCO, results: list[dict]) -> COCO:
    """pycocotools' own reading of results, which fails on none at all."""
    if results:
        return annotations.loadRes(results)
    empty = COCO()
    empty.dataset = {key: annotations.dataset[key] for key in ("images", "categories")} | {"annotations": []}
    empty.createIndex()
    return empty


def _table_of(evaluation: COCOeval, kind: str, image_ids: list[int], category_ids: list[int]) -> MatchTable:
    """Gather pycocotools' per-picture results, which run over categories, areas and pictures."""
    areas, pictures = len(AREAS[kind]), len(image_ids)
    ground_truth = np.zeros((areas, len(category_ids), pictures), np.int32)
    cells: dict[tuple[int, int], list[tuple[int, dict]]] = {}
    for position, result in enumerate(evaluation.evalImgs):
        if result is not None:
            cell, i = divmod(position, pictures)
            k, a = divmod(cell, areas)
            ground_truth[a, k, i] = np.count_nonzero(np.asarray(result["gtIgnore"]) == 0)
            cells.setdefault((a, k), []).append((i, result))
    parts = [_cell_rows(cells.get((a, k), [])) for a in range(areas) for k in range(len(category_ids))]
    return MatchTable(
        kind=kind,
        image_ids=np.asarray(image_ids, np.int64),
        category_ids=np.asarray(category_ids, np.int64),
        ground_truth=ground_truth,
        cell_start=np.concatenate([[0], np.cumsum([len(image) for image, _, _ in parts])]).astype(np.int64),
        image=np.concatenate([image for image, _, _ in parts]),
        true_positive=np.concatenate([true for _, true, _ in parts]),
        false_positive=np.concatenate([false for _, _, false in parts]),
    )


def _cell_rows(results: list[tuple[int, dict]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, true and false positives of one cell's detections, by falling score as `accumulate` sorts them."""
    if not results:
        return np.zeros(0, np.int32), np.zeros((0, len(IOUS)), bool), np.zeros((0, len(IOUS)), bool)
    image = np.concatenate([np.full(len(result["dtScores"]), i, np.int32) for i, result in results])
    scores = np.concatenate([np.asarray(result["dtScores"], np.float64) for _, result in results])
    matched = np.concatenate([result["dtMatches"] for _, result in results], axis=1).T != 0
    ignored = np.concatenate([result["dtIgnore"] for _, result in results], axis=1).T.astype(bool)
    order = np.argsort(-scores, kind="stable")
    # Behind the last true positive no recall is reached any more: those rows change no average precision.
    true, false = (matched & ~ignored)[order], (~matched & ~ignored)[order]
    used = 1 + np.flatnonzero(true.any(axis=1)).max(initial=-1)
    return image[order][:used], true[:used], false[:used]
