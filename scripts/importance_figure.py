"""Draw some pictures above the importance maps that their Jacobian sketches give."""

from pathlib import Path

from cfm.data.images import read_rgb
from cfm.job import job
from cfm.reporting.drawing import save_figure
from cfm.reporting.sensitivity_figures import importance_maps
from cfm.reporting.tables import read_table
from cfm.sensitivity.sketch import importance_map
from cfm.sensitivity.sketch_file import load_sketch, sketched_ids


def main() -> None:
    """Write `output.svg` of the first `params.picture_count` pictures of the sketch file `input.sketches`."""
    params = snakemake.params
    names = read_table(snakemake.input.subset, "subset").set_index("image_id")["file_name"]
    chosen = sketched_ids(Path(snakemake.input.sketches))[: params.picture_count]
    sketches = [load_sketch(Path(snakemake.input.sketches), image_id) for image_id in chosen]
    pictures = [read_rgb(Path(params.pictures) / names[image_id]) for image_id in chosen]
    maps = [importance_map(sketch, params.block) for sketch in sketches]
    save_figure(importance_maps(pictures, maps, params.block), snakemake.output.svg)


if __name__ == "__main__":
    with job(snakemake.log[0]):
        main()
