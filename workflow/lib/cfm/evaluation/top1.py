"""Top-1 accuracy of a classifier, kept per picture as `MatchTable` keeps average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cfm.errors import InputError


@dataclass(frozen=True)
class Top1Table:
    """Which pictures were classified correctly.

    Attributes
    ----------
    image_ids : (I,) int64
        The pictures, sorted.
    correct : (I,) bool
        Whether the best label is the right one.
    """

    image_ids: np.ndarray
    correct: np.ndarray

    def quality(self, metric: str, weights: np.ndarray | None = None) -> float:
        """Share of the weighted pictures that are correct; NaN where all weights are 0.

        Parameters
        ----------
        metric : {"top1"}
            The one measure there is.
        weights : (I,) array or None
            How often each picture counts; None counts every picture once.

        Raises
        ------
        ValueError
            If the metric is another.
        """
        if metric != "top1":
            raise ValueError(f"a classification has no {metric}")
        weights = np.ones(len(self.correct)) if weights is None else np.asarray(weights, np.float64)
        total = weights.sum()
        return float(weights @ self.correct / total) if total else float("nan")

    def qualities(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """The measure by name."""
        return {"top1": self.quality("top1", weights)}


def match_classes(truth: pd.DataFrame, classifications: pd.DataFrame) -> Top1Table:
    """Compare the best labels with the right ones.

    Parameters
    ----------
    truth : pandas.DataFrame
        Columns `image_id` and `label`: the pictures that are scored.
    classifications : pandas.DataFrame
        Rows of the schema `classifications`.

    Raises
    ------
    InputError
        If a picture has no classification, or two.
    """
    truth = truth[["image_id", "label"]].sort_values("image_id")
    found = classifications[classifications["image_id"].isin(truth["image_id"])].set_index("image_id")["label"]
    if found.index.has_duplicates or len(found) != len(truth):
        raise InputError(f"{len(found)} classifications for {len(truth)} pictures; make the evaluation's tables again")
    labels = found.loc[truth["image_id"]].to_numpy()
    return Top1Table(truth["image_id"].to_numpy(np.int64), labels == truth["label"].to_numpy())
