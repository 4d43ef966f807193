"""The command line: `cfm`, also `python -m cfm`."""

from __future__ import annotations

import math
from pathlib import Path

import click

from cfm.errors import InputError, one_line_errors


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Coding for machines: tools beside the workflow."""


@cli.command("bd-rate")
@click.argument("anchor", type=click.Path(path_type=Path))
@click.argument("test", type=click.Path(path_type=Path))
def bd_rate(anchor: Path, test: Path) -> None:
    """Compare two curves: CSV files with the columns rate_bpp and quality."""
    from cfm.evaluation.bd_rate import bd_rate_from_csv

    found = bd_rate_from_csv(anchor, test)
    dropped = f"dominated points dropped: {found.dropped_anchor} of the anchor, {found.dropped_test} of the test"
    if not found.comparable:
        click.echo(f"not comparable: {found.reason}; {dropped}")
        return
    quality = "no common rate" if math.isnan(found.bd_quality) else f"{found.bd_quality:+.4f}"
    rate = f"BD-rate {found.bd_rate_percent:+.2f} %, BD-quality {quality}"
    click.echo(f"{rate}, overlap {100 * found.overlap:.0f} %; {dropped}")


NETWORK = click.option("--network", required=True, help="torchvision:<model>, module:factory or path/file.py:factory.")
WEIGHTS = click.option("--weights", type=click.Path(path_type=Path), help="Weights, where the factory takes them.")
SEED = click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Seed of the random vectors.")
OBJECTNESS = click.option("--objectness", is_flag=True, help="Scale the features by the square root of the objectness.")


@cli.command()
@click.argument("picture", type=click.Path(path_type=Path))
@NETWORK
@WEIGHTS
@click.option(
    "--probes", type=click.IntRange(1, 64), help="Random vectors K; the scheme's where absent, 2 without one."
)
@SEED
@OBJECTNESS
@click.option("--scheme", help="Write the distortion of a scheme, such as idse, in place of the raw sketch.")
@click.option("--calibration", type=click.Path(path_type=Path), help="From `cfm calibrate`, for schemes that need it.")
@click.option("--tau", type=float, help="Weight of what the picture's form is mixed with; the scheme's where absent.")
@click.option(
    "--normalise",
    type=click.Choice(["picture", "dataset"]),
    help="What the picture's form is divided by; the scheme's where absent.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
def sketch(
    picture: Path,
    network: str,
    weights: Path | None,
    probes: int | None,
    seed: int,
    objectness: bool,
    scheme: str | None,
    calibration: Path | None,
    tau: float | None,
    normalise: str | None,
    output: Path,
) -> None:
    """Sketch the Jacobian of a network at a picture (IDSE): what an encoder is guided by."""
    from cfm.sketching import distortion_file, sketch_file

    arguments = {"spec": network, **({"weights": str(weights)} if weights else {})}
    if scheme is None:
        if calibration or normalise or tau is not None:
            raise click.UsageError("--calibration, --tau and --normalise go with --scheme")
        made = sketch_file(picture, output, arguments, probes or 2, seed, objectness)
        click.echo(f"{output}: {len(made.y)} probes of {made.network} at {made.y.shape[2]}x{made.y.shape[1]}")
        return
    if objectness:
        raise click.UsageError("--objectness goes with a raw sketch; with --scheme name idse_objectness")
    offset = distortion_file(picture, output, arguments, seed, scheme, calibration, probes, tau, normalise)
    click.echo(f"{output}: distortion {scheme}; code with --rdo idse --sketch {output} --chroma-qp-offset={offset}")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@NETWORK
@WEIGHTS
@click.option("--pictures", default=100, show_default=True, type=click.IntRange(1), help="How many of the folder.")
@click.option("--probes", default=2, show_default=True, type=click.IntRange(1, 64), help="Random vectors K a picture.")
@SEED
@OBJECTNESS
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
def calibrate(
    folder: Path,
    network: str,
    weights: Path | None,
    pictures: int,
    probes: int,
    seed: int,
    objectness: bool,
    output: Path,
) -> None:
    """Measure what a network sees of a folder's pictures: the static matrix and chroma's weights."""
    from cfm.sketching import calibration_file

    arguments = {"spec": network, **({"weights": str(weights)} if weights else {})}
    made = calibration_file(folder, output, arguments, pictures, probes, seed, objectness)
    chroma = ", ".join(f"{weight:.2f}" for weight in made.chroma[1:])
    click.echo(f"{output}: {made.pictures} pictures, {made.network}; chroma weighs {chroma}, luma 1")


def whole_numbers(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    """The numbers of an option such as -4,-2,0,2,4."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers such as -4,-2,0,2,4") from None


@cli.command()
@click.argument("picture", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The stream to write.")
@click.option("--codec", default="avc", show_default=True, type=click.Choice(["avc", "hevc"]), help="Which encoder.")
@click.option("--qp", required=True, type=click.IntRange(0, 51), help="Quantiser of the picture.")
@click.option("--rdo", default="sse", show_default=True, type=click.Choice(["sse", "idse"]), help="The distortion.")
@click.option("--sketch", type=click.Path(path_type=Path), help="Data of the distortion, for --rdo idse.")
@click.option("--tau", type=float, help="Weight of the squared error beside a raw sketch; 0.5 where absent.")
@click.option("--delta-qp", default="0", callback=whole_numbers, help="What a block may add, as -4,-2,0,2,4.")
@click.option(
    "--chroma-qp-offset", default=0, show_default=True, type=click.IntRange(-12, 12), help="In the picture's header."
)
@click.option("--effort", default=1, show_default=True, type=click.IntRange(1, 5), help="How much is tried.")
@click.option("--entropy", type=click.Choice(["cabac", "cavlc"]), help="For avc; cabac where absent.")
@click.option("--ctu", type=click.Choice(["16", "32", "64"]), help="Coding tree unit, for hevc; 64 where absent.")
def encode(
    picture: Path,
    output: Path,
    codec: str,
    qp: int,
    rdo: str,
    sketch: Path | None,
    tau: float | None,
    delta_qp: tuple[int, ...],
    chroma_qp_offset: int,
    effort: int,
    entropy: str | None,
    ctu: str | None,
) -> None:
    """Code a picture, which any decoder of the standard plays."""
    from cfm.coding import encode_file

    if (rdo == "idse") != (sketch is not None):
        raise click.UsageError("--rdo idse goes with --sketch FILE, which `cfm sketch` makes")
    if (entropy and codec != "avc") or (ctu and codec != "hevc"):
        raise click.UsageError("--entropy goes with --codec avc, --ctu with --codec hevc")
    options = {"deltas": delta_qp, "chroma_offset": chroma_qp_offset, "effort": effort}
    options |= {"cabac": entropy == "cabac"} if entropy else {}
    options |= {"ctu": int(ctu)} if ctu else {}
    coded, size_bytes = encode_file(picture, output, codec, qp, sketch, tau, **options)
    rate_bpp = 8 * size_bytes / coded.pixels
    click.echo(f"{output}: {codec}, {coded.width}x{coded.height}, {size_bytes} bytes, {rate_bpp:.4f} bpp")


@cli.command()
@click.argument("stream", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The picture: .png or .y4m.")
def decode(stream: Path, output: Path) -> None:
    """Decode a stream of `cfm encode` into a picture."""
    from cfm.coding import decode_file

    picture = decode_file(stream, output)
    click.echo(f"{output}: {picture.width}x{picture.height}")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
def inspect(file: Path) -> None:
    """Tell what a stream, pack, sketch, table or weights file holds."""
    from cfm.inspection import describe

    for line in describe(file):
        click.echo(line)


def main() -> None:
    """Run the command line: exit status 2 for bad usage, 1 for what else the user can mend."""
    with one_line_errors():
        try:
            cli(standalone_mode=False)
        except click.ClickException as error:
            error.show()
            raise SystemExit(2) from None
        except click.Abort:
            raise SystemExit(130) from None
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise InputError(
                f"{place}{error.strerror or error}; check the path, its permissions and the disk"
            ) from None


if __name__ == "__main__":
    main()
