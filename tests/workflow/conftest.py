"""A copy of the checkout in which the workflow runs, so that tests can edit code and configuration."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


class Checkout:
    """A copy of the tracked files, and Snakemake in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (REPOSITORY / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPOSITORY / name, folder / name)

    def command(self, *arguments: str, configuration: str = "tests/config/tiny.yaml") -> list[str]:
        """Snakemake's command line."""
        tool = Path(sys.executable).with_name("snakemake")
        return [str(tool), "--configfile", *configuration.split(), "--nolock", "--cores", "2", *arguments]

    def run(self, *arguments: str, configuration: str = "tests/config/tiny.yaml") -> subprocess.CompletedProcess:
        """Run Snakemake and wait for it."""
        command = self.command(*arguments, configuration=configuration)
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=environment(), check=False)

    def pending(self, *arguments: str, configuration: str = "tests/config/tiny.yaml") -> set[str]:
        """Names of the rules that a dry run lists."""
        done = self.run("--dry-run", *arguments, configuration=configuration)
        assert done.returncode == 0, done.stdout + done.stderr
        words = (line.split() for line in (done.stdout + done.stderr).splitlines())
        return {line[1].rstrip(":") for line in words if len(line) == 2 and line[0] in ("rule", "localrule")}

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


def environment() -> dict[str, str]:
    """The environment without the library's path: a clone must find its own."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@pytest.fixture
def checkout(tmp_path):
    """A fresh copy."""
    return Checkout(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A copy in which the tiny configuration has run from end to end."""
    made = Checkout(tmp_path_factory.mktemp("finished"))
    done = made.run()
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return made
