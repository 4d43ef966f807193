"""Fine-tune a learned codec on the weighted feature distance of a task network."""

from pathlib import Path

from cfm.codecs.learned.training import CodecTraining
from cfm.codecs.learned.weights import load_model
from cfm.device import resolve_device
from cfm.distillation.crops import AnnotatedCrops
from cfm.distillation.training import distill_codec
from cfm.job import job
from cfm.provenance import identified
from cfm.tasks.loading import load_network


def main() -> None:
    """Hand over what the rule gives."""
    given, made, params = snakemake.input, snakemake.output, snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        device = str(resolve_device(params.device))
        checkpoint = identified(params.checkpoint, params.code, given)
        distill_codec(
            load_network(device=device, **params.network),
            params.weighting,
            load_model(given.initial[0], family=params.family).architecture,
            CodecTraining(**params.training),
            AnnotatedCrops(params.root, params.split),
            Path(given.initial[0]),
            checkpoint,
            Path(made.weights),
            Path(made.training_log),
            device,
        )
        checkpoint.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
