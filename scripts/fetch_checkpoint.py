"""Fetch a network's published weights, and take them only if they load as a network of their family."""

import os
import shutil
from pathlib import Path

from cfm.codecs.learned.weights import load_model
from cfm.codecs.learned.zoo import Address, zoo_address
from cfm.data.download import download
from cfm.errors import WeightsError
from cfm.job import job
from cfm.provenance import atomic_path


def fetch_checkpoint(source: dict, kept: Path, made: Path) -> None:
    """Fetch a file, or take it from those that were fetched before, and put it where the run expects it.

    Parameters
    ----------
    source : dict
        `family`, and `url` and `sha256`, or the `zoo`'s metric and a `quality`.
    kept : path
        Folder of fetched files, which stay for other runs.
    made : path
        The file to make: another name of the fetched one, or a copy where that cannot be.

    Raises
    ------
    DownloadError
        If the file cannot be fetched whole, or its checksum is another.
    WeightsError
        If it is no network of the family.
    """
    family = source["family"]
    if "zoo" in source:
        address = zoo_address(family, source["zoo"], source["quality"])
    else:
        address = Address(source["url"], source["sha256"])
    fetched = download(address.url, kept / made.name, sha256=address.sha256)
    try:
        load_model(fetched.path, family=family)
    except WeightsError as error:
        raise WeightsError(f"{error} (fetched from {address.url})") from None
    with atomic_path(made) as temporary:
        try:
            os.link(fetched.path, temporary)
        except OSError:  # another file system, or one without links
            shutil.copyfile(fetched.path, temporary)


def main() -> None:
    """Hand over what the rule gives."""
    with job(snakemake.log[0], snakemake.threads):
        fetch_checkpoint(snakemake.params.source, Path(snakemake.params.kept), Path(snakemake.output[0]))


if __name__ == "__main__":
    main()
