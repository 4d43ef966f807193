"""Folders of pictures for classification: `root/split/<class>/<picture>`, as ImageFolder and ImageNet have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cfm.errors import InputError

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".ppm", ".bmp", ".webp", ".tif", ".tiff"}


def list_classification(root: Path | str, split: str, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """List the pictures of a split with their classes.

    Parameters
    ----------
    root : path
        The folder that holds the splits.
    split : str
        Such as "val".
    classes : sequence of str, optional
        The class names in the order of the network's labels; by default the split's class folders, sorted by name.

    Returns
    -------
    DataFrame
        image_id (int, 1 onwards, by class and file name), file_name (str, within the split's folder), label (int, index
        of the class), class_name (str).

    Raises
    ------
    InputError
        If the folder is missing, has no class folders or pictures, or has a class that `classes` does not name.
    """
    folder = Path(root) / split
    present = class_names(folder)
    order = list(present if classes is None else classes)
    if len(set(order)) != len(order):
        raise InputError(f"{folder}: the class names given repeat themselves; name every class once")
    rows = []
    for class_name in present:
        if class_name not in order:
            raise InputError(
                f"{folder / class_name}: not one of the network's {len(order)} classes; rename it or move it away"
            )
        names = sorted(entry.name for entry in (folder / class_name).iterdir() if _is_picture(entry))
        if not names:
            raise InputError(f"{folder / class_name}: holds no pictures; fill the folder or move it away")
        rows += [(f"{class_name}/{name}", order.index(class_name), class_name) for name in names]
    frame = pd.DataFrame(rows, columns=["file_name", "label", "class_name"])
    frame.insert(0, "image_id", range(1, len(frame) + 1))
    return frame


def class_names(folder: Path | str) -> list[str]:
    """Names of a split's class folders, sorted: label l is the l-th of them.

    Raises
    ------
    InputError
        If the split's folder is missing or has no class folders.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a folder with one sub-folder a class")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise InputError(f"{folder}: has no class folders; sort the pictures into one sub-folder a class")
    return names


def check_classes(folder: Path | str, count: int) -> None:
    """Check that a split has a folder for every class of a network: one less, and all labels after it were others.

    Parameters
    ----------
    folder : path
        The split's folder.
    count : int
        Classes that the network knows.

    Raises
    ------
    InputError
        If there are more or fewer class folders, or as `class_names`.
    """
    names = class_names(folder)
    if len(names) != count:
        raise InputError(
            f"{folder}: has {len(names)} class folders, {names[0]} to {names[-1]}, where the network knows {count} "
            "classes; give every class its folder of pictures and move others away"
        )


def _is_picture(entry: Path) -> bool:
    return entry.is_file() and not entry.name.startswith(".") and entry.suffix.lower() in PICTURE_SUFFIXES
