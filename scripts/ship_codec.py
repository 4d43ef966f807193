"""Put the trained points of a learned codec into one folder, scored on validation data, with their manifest."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from cfm.codecs.learned.manifest import NAME, add_to_manifest, score_codec
from cfm.codecs.learned.training import CodecTraining
from cfm.codecs.learned.weights import load_model
from cfm.codecs.picture import Picture
from cfm.codecs.registry import make_codec
from cfm.data.images import read_rgb
from cfm.device import resolve_device
from cfm.features.extraction import extract
from cfm.features.mosaic import pack_scale
from cfm.job import job
from cfm.provenance import atomic_path
from cfm.tasks.loading import load_network


def validation_pictures(folder: Path, count: int, networks: list[dict]) -> list[Picture]:
    """The first pictures of a folder, or the mosaics of their features where networks are given."""
    # Snakemake keeps a hidden file in folders that its rules make.
    pictures = [read_rgb(path) for path in sorted(folder.glob("[!.]*"))[:count]]
    if not networks:
        planes = [tuple(np.ascontiguousarray(plane) for plane in rgb.transpose(2, 0, 1)) for rgb in pictures]
        return [Picture(plane, "rgb", 8) for plane in planes]
    loaded = [load_network(**network) for network in networks]
    return [
        pack_scale(scale, "rgb").picture
        for network in loaded
        for rgb in pictures
        for scale in extract(network, rgb).features
    ]


def benchmark_s(path: Path) -> float:
    """Wall-clock seconds of a job, from the table that Snakemake's `benchmark` writes."""
    with open(path, newline="") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


def ship(
    folder: Path,
    points: list[int],
    files: list[dict[str, Path]],
    trainings: list[dict],
    origins: list[dict],
    pictures: list[Picture],
    what: str,
) -> None:
    """Copy, score and describe every point.

    `files` has `weights`, `log` and `benchmark` of each point, `trainings` the arguments of its `CodecTraining`,
    `origins` what else decided the result; `what` says which pictures the scores are of.
    """
    (folder / NAME).unlink(missing_ok=True)
    for point, file, training, origin in zip(points, files, trainings, origins, strict=True):
        shipped = folder / f"{point}.safetensors"
        with atomic_path(shipped) as temporary:
            shutil.copyfile(file["weights"], temporary)
        architecture = load_model(shipped).architecture
        settings: dict[str, Any] = {key: value for key, value in training.items() if key != "architecture"}
        score = score_codec(make_codec(architecture.family, weights={point: file["weights"]}), point, pictures, what)
        add_to_manifest(
            shipped,
            architecture.family,
            architecture.as_dict(),
            CodecTraining(**settings),
            file["log"],
            score,
            benchmark_s(file["benchmark"]),
            origin,
        )


def main() -> None:
    """Hand over what the rule gives."""
    given, params = snakemake.input, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        parts = zip(given.weights, given.training_logs, params.benchmarks, strict=True)
        files = [dict(zip(("weights", "log", "benchmark"), map(Path, part), strict=True)) for part in parts]
        pictures = validation_pictures(Path(params.pictures), params.picture_count, params.networks)
        folder = Path(snakemake.output.manifest).parent
        origins = [origin | {"device": str(resolve_device(params.device))} for origin in params.origins]
        ship(folder, params.points, files, params.trainings, origins, pictures, params.what)


if __name__ == "__main__":
    main()
