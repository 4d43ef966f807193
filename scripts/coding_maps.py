"""Draw some pictures beside their importance maps and the QPs and partitions that schemes of an encoder gave them."""

from pathlib import Path

from cfm.data.images import read_rgb
from cfm.data.shards import source_pictures
from cfm.evaluation.guided_coding import coded_pictures, guided_encoder
from cfm.job import job
from cfm.reporting.coding_figures import CodedMaps, coding_maps
from cfm.reporting.drawing import save_figure
from cfm.reporting.tables import read_table
from cfm.sensitivity.sketch import importance_map
from cfm.sensitivity.sketch_file import load_sketch


def maps_of(encoder, pictures, point):
    """What is drawn of every picture under a scheme."""
    return [
        CodedMaps(
            encoder.scheme,
            8 * len(encoded.stream) / picture.pixels,
            encoded.qps.astype(int) - point,
            encoded.sides,
        )
        for _, picture, encoded in coded_pictures(encoder, pictures, point)
    ]


def main() -> None:
    """Write `output.svg` of the first `params.picture_count` pictures at `params.point`."""
    given, params = snakemake.input, snakemake.params
    pictures = source_pictures(read_table(given.subset, "subset"), 0, params.pictures)[: params.picture_count]
    sketches = [load_sketch(Path(given.judge), image_id) for image_id, _ in pictures]
    maps = [importance_map(sketch, params.block) for sketch in sketches]
    coded = [maps_of(guided_encoder(**described), pictures, params.point) for described in params.encoders]
    shown = [read_rgb(path) for _, path in pictures]
    save_figure(coding_maps(shown, maps, list(zip(*coded, strict=True)), params.block), snakemake.output.svg)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
