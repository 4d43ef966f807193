"""What the heads find in the pyramids that an allocation's operating points decode: one shard."""

import pandas as pd

from cfm.codecs.registry import make_codec
from cfm.data.shards import SourcePicture, source_pictures
from cfm.device import resolve_device
from cfm.evaluation.average_precision import load_annotations
from cfm.evaluation.detections import detections_from_prediction, gather_detections, label_categories
from cfm.features.decoding import allocated_outcomes, chosen_streams
from cfm.features.precoding import PrecodedScales
from cfm.job import job
from cfm.reporting.tables import read_table, read_tables, write_table
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.loading import load_network


def detect(
    network: TaskNetwork,
    pictures: list[SourcePicture],
    precoded: PrecodedScales,
    allocation: pd.DataFrame,
    category_ids: tuple[int, ...],
) -> pd.DataFrame:
    """Detections of every picture at every operating point: schema `point_detections`."""
    frames = [
        detections_from_prediction(outcome.image_id, outcome.prediction, category_ids).assign(point=outcome.point)
        for outcome in allocated_outcomes(network, pictures, precoded, allocation)
    ]
    found = gather_detections(frames)
    return (found if len(found) else found.assign(point=0)).astype({"point": "int32"})


def main() -> None:
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(given.subset, "subset"), params.shard, params.pictures)
        precoded = PrecodedScales(make_codec(**params.codec), dict(zip(params.points, given.packs, strict=True)))
        allocation = read_table(given.allocation, "allocation")
        allocation = allocation[allocation["image_id"].isin([picture.image_id for picture in pictures])]
        annotated = load_annotations(given.annotations).getCatIds()
        category_ids = label_categories(getattr(network, "category_ids", None), annotated)
        found = detect(network, pictures, precoded, allocation, category_ids)
        write_table(found, output.detections, "point_detections")
        streams = chosen_streams(read_tables(given.streams, "streams"), allocation)
        write_table(streams, output.streams, "point_streams")


if __name__ == "__main__":
    main()
