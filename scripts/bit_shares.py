"""Where an encoder of ours spends bits and errors under every scheme, against the masks of annotated objects."""

import pandas as pd

from cfm.data.shards import source_pictures
from cfm.evaluation.average_precision import load_annotations
from cfm.evaluation.bit_shares import mean_shares
from cfm.evaluation.guided_coding import coded_pictures, guided_encoder
from cfm.job import job
from cfm.progress import Progress
from cfm.reporting.tables import read_table, write_table


def main() -> None:
    """Write `output.shares` of the first `params.picture_count` pictures at `params.points`."""
    given, params, rows = snakemake.input, snakemake.params, []
    with job(snakemake.log[0], snakemake.threads):
        pictures = source_pictures(read_table(given.subset, "subset"), 0, params.pictures)[: params.picture_count]
        annotations = load_annotations(given.annotations)
        progress = Progress(len(params.encoders) * len(params.points), "settings", f"{params.codec}: where bits went")
        for described in params.encoders:
            encoder = guided_encoder(**described)
            for point in params.points:
                found, count = mean_shares(encoder, coded_pictures(encoder, pictures, point), annotations)
                rows += [(params.codec, encoder.scheme, float(point), count, *found)] * (count > 0)
                progress.step()
        columns = ["codec", "scheme", "point", "pictures", "area_share", "bit_share", "error_share"]
        write_table(pd.DataFrame(rows, columns=columns), snakemake.output.shares, "bit_shares", csv=True)


if __name__ == "__main__":
    main()
