"""Train one rate point of a learned codec on pictures or on the feature dataset."""

from pathlib import Path

from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.sources import CropSource, PictureCrops, ShardCrops
from cfm.codecs.learned.training import CodecTraining, train_codec
from cfm.device import resolve_device
from cfm.job import job
from cfm.provenance import identified


def source_of(data: Path, pictures: str) -> CropSource:
    """The feature dataset where `data` is its manifest, else the folder of training pictures."""
    return ShardCrops.of_folder(data.parent) if data.name == "dataset.json" else PictureCrops.of_folder(pictures)


def main() -> None:
    """Hand over what the rule gives."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        settings = dict(params.training)
        checkpoint = identified(params.checkpoint, params.code, given)
        architecture = Architecture(**settings.pop("architecture"))
        train_codec(
            architecture,
            CodecTraining(**settings),
            source_of(Path(given[0]), params.pictures),
            checkpoint,
            Path(made.weights),
            Path(made.training_log),
            Path(given.initial[0]) if given.initial else None,
            str(resolve_device(params.device)),
        )
        checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
