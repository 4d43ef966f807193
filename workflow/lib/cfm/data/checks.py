"""Checks of the chosen pictures before any long stage starts: whole files, declared sizes, boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cfm.data.coco import CocoFolder
from cfm.data.images import MINIMUM_SIDE, read_rgb
from cfm.errors import InputError
from cfm.progress import Progress

BOX_TOLERANCE_PX = 2.0


def check_pictures(folder: CocoFolder, image_ids: Sequence[int], minimum_side: int = MINIMUM_SIDE) -> None:
    """Decode every chosen picture whole and compare it, and its boxes, with what the annotations declare.

    Parameters
    ----------
    folder : CocoFolder
        The split.
    image_ids : sequence of int
        The chosen pictures.
    minimum_side : int
        Least width and height, pixels.

    Raises
    ------
    InputError
        One line: the first problem, and how many more pictures have one.
    """
    _raise_first(_coco_problems(folder, image_ids, minimum_side))


def check_boxes(folder: CocoFolder, image_ids: Sequence[int]) -> None:
    """Compare the boxes of chosen pictures with the declared sizes; `check_pictures` without decoding anything.

    Raises
    ------
    InputError
        One line: the first problem, and how many more pictures have one.
    """
    _raise_first(box_problem(folder, image_id) for image_id in image_ids)


def check_files(paths: Iterable[Path | str], minimum_side: int = MINIMUM_SIDE) -> None:
    """Decode every picture whole; `check_pictures` without annotations.

    Raises
    ------
    InputError
        One line: the first problem, and how many more pictures have one.
    """
    _raise_first(_file_problems(list(paths), minimum_side))


def box_problem(folder: CocoFolder, image_id: int) -> str | None:
    """What is wrong with the boxes of a picture: a negative side, or more than 2 px beyond the picture; else None.

    Sides of 0 are let pass: COCO's own files hold some.
    """
    picture = folder.pictures[image_id]
    for annotation in folder.annotations_of(image_id):
        x, y, width, height = annotation["bbox"]
        where = f"{folder.annotation_path}: bbox {annotation['bbox']} of annotation {annotation['id']}"
        if width < 0 or height < 0:
            return f"{where} has a negative side; correct it"
        excess_px = max(-x, -y, x + width - picture.width, y + height - picture.height)
        if excess_px > BOX_TOLERANCE_PX:
            return (
                f"{where} lies {excess_px:g} px outside picture {image_id} of {picture.width}x{picture.height}; "
                "correct it (boxes are x, y, width, height in pixels)"
            )
    return None


def _coco_problems(folder: CocoFolder, image_ids: Sequence[int], minimum_side: int) -> Iterator[str | None]:
    progress = Progress(len(image_ids), "pictures", f"checking {folder.split}")
    for image_id in image_ids:
        progress.step()
        picture, path = folder.pictures[image_id], folder.picture_path(image_id)
        try:
            height, width, _ = read_rgb(path, minimum_side).shape
        except InputError as error:
            yield str(error)
            continue
        if (width, height) != (picture.width, picture.height):
            yield (
                f"{path}: {width}x{height} pixels where {folder.annotation_path.name} declares "
                f"{picture.width}x{picture.height}; replace the picture or correct the declaration"
            )
        else:
            yield box_problem(folder, image_id)


def _file_problems(paths: Sequence[Path | str], minimum_side: int) -> Iterator[str | None]:
    progress = Progress(len(paths), "pictures", "checking pictures")
    for path in paths:
        progress.step()
        try:
            read_rgb(path, minimum_side)
        except InputError as error:
            yield str(error)


def _raise_first(found: Iterable[str | None]) -> None:
    problems = [problem for problem in found if problem is not None]
    if problems:
        more = f" ({len(problems) - 1} more pictures have problems)" if len(problems) > 1 else ""
        raise InputError(problems[0] + more)
