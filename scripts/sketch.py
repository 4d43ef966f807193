"""Sketches of a task network's Jacobian at the pictures of a shard."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from cfm.codecs.picture import Picture
from cfm.data.colour import rgb_to_yuv420
from cfm.data.differentiable_colour import planes_to_rgb
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture, source_pictures
from cfm.device import resolve_device
from cfm.job import job
from cfm.progress import Progress
from cfm.reporting.tables import read_table, write_table
from cfm.sensitivity.jacobian import probe_generator, sketch_picture
from cfm.sensitivity.sketch import Sketch, importance_map
from cfm.sensitivity.sketch_file import save_sketches
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.loading import load_network, network_digest


class Timed(NamedTuple):
    """A sketch with the time that it took, forward pass included, and that of one plain forward pass."""

    sketch: Sketch
    forward_s: float
    sketch_s: float


def forward_seconds(network: TaskNetwork, picture: Picture) -> float:
    """Time of one plain forward pass, from the planes to the features."""
    planes = [torch.from_numpy(plane.astype(np.float32)) for plane in picture.planes]
    started_s = time.perf_counter()
    with torch.no_grad():
        features = network.features(network.prepare(planes_to_rgb(*planes)))
        features[-1].cpu()  # waits until an accelerator is done
    return time.perf_counter() - started_s


def sketches(
    network: TaskNetwork, digest: str, pictures: list[SourcePicture], probes: int, objectness: bool, seed: int
) -> Iterator[Timed]:
    """The sketch of every picture, in order."""
    progress = Progress(len(pictures), "pictures", f"sketching {network.name}, {probes} probes")
    for picture in pictures:
        planes = rgb_to_yuv420(read_rgb(picture.path))
        generator = probe_generator(seed, picture.image_id)
        started_s = time.perf_counter()
        sketch = sketch_picture(network, planes, picture.image_id, probes, generator, objectness, network_sha256=digest)
        sketch_s = time.perf_counter() - started_s
        yield Timed(sketch, forward_seconds(network, planes), sketch_s)
        progress.step()


def summarised(made: Iterator[Timed], block: int, rows: list[tuple]) -> Iterator[Sketch]:
    """Pass sketches on, noting a row of the schema `sketches` for each."""
    for sketch, *times_s in made:
        importance = importance_map(sketch, block)
        levels = (*sketch.mean_weights, importance.mean(), importance.max())
        rows.append((sketch.image_id, sketch.probes, *levels, *times_s))
        yield sketch


def main() -> None:
    params, rows = snakemake.params, []
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(snakemake.input.subset, "subset"), params.shard, params.pictures)
        made = sketches(network, network_digest(**params.network), pictures, **params.sketch)
        save_sketches(snakemake.output.sketches, summarised(made, params.block, rows))
        columns = ["image_id", "probes", "weight_y", "weight_cb", "weight_cr", "importance_mean", "importance_max"]
        columns += ["forward_s", "sketch_s"]
        write_table(pd.DataFrame(rows, columns=columns), snakemake.output.summary, "sketches")


if __name__ == "__main__":
    main()
