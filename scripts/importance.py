"""What the heads lose when one scale of a picture is coded: MFIP's measurements on a shard."""

import pandas as pd

from cfm.codecs.registry import make_codec
from cfm.data.images import read_rgb
from cfm.data.shards import SourcePicture, source_pictures
from cfm.device import resolve_device
from cfm.evaluation.average_precision import load_annotations
from cfm.features.extraction import extract
from cfm.features.precoding import PrecodedScales
from cfm.job import job
from cfm.progress import Progress
from cfm.reporting.tables import read_table, write_table
from cfm.sensitivity.detection_agreement import agreement_losses
from cfm.sensitivity.ground_truth import ground_truth_losses
from cfm.sensitivity.mfip import scale_losses
from cfm.tasks.contract import TaskNetwork
from cfm.tasks.loading import load_network

MEASURES = {"lossless": scale_losses, "detections": agreement_losses}


def measure(
    network: TaskNetwork, pictures: list[SourcePicture], precoded: PrecodedScales, reference: str
) -> pd.DataFrame:
    """Losses of every picture, scale, point and part: schema `losses`.

    reference: "lossless" (what the heads lose) or "detections" (average precision against the lossless detections).
    """
    progress = Progress(len(pictures), "pictures", f"importance for {network.task} on {precoded.codec.name}")
    tables = []
    for picture in pictures:
        features, prepared = extract(network, read_rgb(picture.path))
        tables.append(MEASURES[reference](network, features, prepared, picture.image_id, precoded))
        progress.step()
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        network = load_network(device=str(resolve_device(params.device)), **params.network)
        pictures = source_pictures(read_table(snakemake.input.subset, "subset"), params.shard, params.pictures)
        packs = dict(zip(params.points, snakemake.input.packs, strict=True))
        precoded = PrecodedScales(make_codec(**params.codec), packs)
        if params.reference == "ground_truth":
            truth = load_annotations(snakemake.input.annotations[0])
            losses = ground_truth_losses(network, pictures, precoded, truth)
        else:
            losses = measure(network, pictures, precoded, params.reference)
        write_table(losses, snakemake.output.losses, "losses")


if __name__ == "__main__":
    main()
