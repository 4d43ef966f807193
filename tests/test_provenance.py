"""Files take their name when they are whole, and what a killed process left goes."""

import os
import subprocess
import sys

import pytest

from cfm.provenance import atomic_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def ended():
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_appears_when_it_is_whole(tmp_path):
    with atomic_path(tmp_path / "rates.csv") as temporary:
        temporary.write_text("whole")
        assert names(tmp_path) == [temporary.name]
        assert temporary.suffix == ".csv"
    assert names(tmp_path) == ["rates.csv"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "rates.csv") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert names(tmp_path) == []


@pytest.mark.parametrize("as_folder", [False, True])
def test_what_a_killed_process_left_goes_and_a_living_one_keeps_its_own(tmp_path, ended, as_folder):
    left = tmp_path / f".rates.{ended}.part.csv"
    left.mkdir() if as_folder else left.touch()
    living = f".rates.{os.getppid()}.part.csv"
    other = f".rates.more.{ended}.part.csv"
    (tmp_path / living).touch()
    (tmp_path / other).touch()
    with atomic_path(tmp_path / "rates.csv") as temporary:
        temporary.touch()
    assert names(tmp_path) == sorted([living, other, "rates.csv"])
