"""What a network sees of training pictures, for the schemes of our encoders: the static matrix, chroma's weights."""

from pathlib import Path

from cfm.device import resolve_device
from cfm.job import job
from cfm.sketching import calibration_file


def main() -> None:
    """Hand over what the rule gives."""
    params = snakemake.params
    with job(snakemake.log[0], snakemake.threads):
        calibration_file(
            Path(params.folder),
            Path(snakemake.output.calibration),
            params.network,
            device=str(resolve_device(params.device)),
            key="image_coding.calibration.pictures",
            **params.settings,
        )


if __name__ == "__main__":
    main()
