"""Choose the pictures of a run, check them, and write their table and annotations."""

from pathlib import Path

from cfm.data.checks import check_boxes, check_pictures
from cfm.data.coco import ANNOTATION_FILES, CocoFolder
from cfm.data.subset import select_subset, write_subset_annotations
from cfm.job import job
from cfm.reporting.tables import write_table


def annotation_folders(root: str, split: str, tasks: list[str]) -> dict[str, CocoFolder]:
    """By annotation file ("instances", "person_keypoints"): read for the task that asks most of it."""
    exacting = {ANNOTATION_FILES[task]: task for task in ("detection", "segmentation", "keypoints") if task in tasks}
    return {kind: CocoFolder(root, split, task) for kind, task in exacting.items()}


def chosen_from(folders: dict[str, CocoFolder], selection: str) -> CocoFolder:
    """The folder whose pictures are chosen from: the one that knows of persons where they are asked for."""
    order = ["person_keypoints", "instances"] if selection == "person" else ["instances", "person_keypoints"]
    return next(folders[kind] for kind in order if kind in folders)


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        folders = annotation_folders(params.root, params.split, params.tasks)
        base = chosen_from(folders, params.selection)
        subset = select_subset(base, params.picture_count, params.seed, params.selection, params.shard_size)
        check_pictures(base, subset["image_id"], params.minimum_side)
        for folder in folders.values():
            check_boxes(folder, [image_id for image_id in subset["image_id"] if image_id in folder.pictures])
        for path in snakemake.output.annotations:
            write_subset_annotations(folders[Path(path).stem], subset["image_id"], path, base)
        write_table(subset, snakemake.output.subset, "subset")


if __name__ == "__main__":
    main()
