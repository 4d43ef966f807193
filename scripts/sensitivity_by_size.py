"""What the heads find when one scale alone is coded, at every point: one shard of figure 1 of MFIBA."""

import pandas as pd
import torch

from cfm.codecs.registry import make_codec
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture, source_pictures
from cfm.device import resolve_device
from cfm.evaluation.average_precision import load_annotations
from cfm.evaluation.detections import detections_from_prediction, gather_detections, label_categories
from cfm.features.decoding import degraded_pyramids
from cfm.features.extraction import extract
from cfm.features.precoding import PrecodedScales
from cfm.job import job
from cfm.progress import Progress
from cfm.reporting.tables import read_table, write_table
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.loading import load_network


def detect(
    network: TaskNetwork, pictures: list[SourcePicture], precoded: PrecodedScales, category_ids: tuple[int, ...]
) -> pd.DataFrame:
    """Detections of every picture, scale and point: schema `scale_detections`."""
    progress = Progress(len(pictures), "pictures", f"{network.task} with one scale from {precoded.codec.name}")
    frames = []
    for picture in pictures:
        features, prepared = extract(network, read_rgb(picture.path))
        for scale, point, degraded in degraded_pyramids(features, picture.image_id, precoded):
            with torch.no_grad():
                prediction = network.predict(degraded, prepared)
            frames.append(
                detections_from_prediction(picture.image_id, prediction, category_ids).assign(scale=scale, point=point)
            )
        progress.step()
    found = gather_detections(frames)
    return found if len(found) else found.assign(scale=0, point=0)


def main() -> None:
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(snakemake.input.subset, "subset"), params.shard, params.pictures)
        packs = dict(zip(params.points, snakemake.input.packs, strict=True))
        category_ids = label_categories(
            getattr(network, "category_ids", None), load_annotations(snakemake.input.annotations).getCatIds()
        )
        found = detect(network, pictures, PrecodedScales(make_codec(**params.codec), packs), category_ids)
        write_table(found.astype({"scale": "int32", "point": "int32"}), snakemake.output.detections, "scale_detections")


if __name__ == "__main__":
    main()
