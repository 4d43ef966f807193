"""Fetch COCO's official archives into `<root>/downloads` and unpack them into the official layout."""

import json
from pathlib import Path

from cfm.data.archives import extract_zip
from cfm.data.download import download
from cfm.job import job
from cfm.provenance import atomic_path


def download_all(files: dict[str, dict], root: Path) -> dict[str, dict]:
    """Fetch and unpack every file.

    Parameters
    ----------
    files : dict of str to dict
        By name: `url`, and where they are published `size_bytes`, `sha256` and `md5`.
    root : path
        The folder that gets COCO's layout.

    Returns
    -------
    dict of str to dict
        By name: url, size_bytes and sha256 as measured.
    """
    manifest = {}
    for name, file in files.items():
        archive = root / "downloads" / Path(file["url"]).name
        fetched = download(file["url"], archive, file.get("size_bytes"), file.get("sha256"), file.get("md5"))
        manifest[name] = {"url": file["url"], "size_bytes": fetched.size_bytes, "sha256": fetched.sha256}
        extract_zip(archive, root)
    return manifest


def main() -> None:
    """Hand over what the rule gives."""
    root = Path(snakemake.params.root)
    with job(snakemake.log[0], snakemake.threads):
        manifest = download_all(snakemake.params.files, root)
        with atomic_path(root / "downloads" / "manifest.json") as temporary:
            temporary.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
