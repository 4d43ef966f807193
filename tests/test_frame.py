"""Errors, progress, atomic files and the frame around a job."""

import re
import subprocess
import sys

import pytest

from cfm.errors import BitstreamError, ConfigurationError, one_line_errors
from cfm.job import job
from cfm.progress import Progress
from cfm.provenance import atomic_path, commit_of, sha256_of


def test_user_errors_are_one_line_and_an_exit_status(capsys):
    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise BitstreamError("a.bin: cut\n  short; encode it again")
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: a.bin: cut short; encode it again\n"
    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise ConfigurationError("x")
    assert caught.value.code == 2


def test_programming_errors_are_shown_in_full():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        raise ZeroDivisionError


def test_a_jobs_log_has_what_the_terminal_has(tmp_path, capsys):
    with pytest.raises(SystemExit), job(tmp_path / "logs" / "a.log"):
        print("halfway", file=sys.stderr)
        raise BitstreamError("a.bin: damaged")
    log = (tmp_path / "logs" / "a.log").read_text()
    assert log == capsys.readouterr().err == "halfway\nerror: a.bin: damaged\n"


def test_files_appear_whole_or_not_at_all(tmp_path):
    path = tmp_path / "sub" / "table.csv"
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".csv"
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_a_failed_rewrite_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old"


def test_sha256_of_a_known_text(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_progress_tells_done_rate_and_time_left():
    progress = Progress(10, "pictures", "encoding")
    for _ in range(4):
        progress.step(500)
    line = progress.line(progress.started_s + 2)
    assert line == "encoding: 4/10 pictures, 2.00/s, 3 s left, 2.0 kB"


def test_the_commit_of_a_checkout(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert commit_of(tmp_path) == ""
    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    clean = commit_of(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("two")
    assert commit_of(tmp_path) == f"{clean} + changes"
