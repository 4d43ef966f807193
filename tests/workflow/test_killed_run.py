"""A run that is killed goes on where it was, to the same bytes."""

import hashlib
import os
import signal
import subprocess
import time

from tests.workflow.conftest import environment

TARGET = "results/tiny/image_coding/scores/detection/x264/sse.parquet"


def digests(folder):
    """SHA-256 of all packs under a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.zip")
    }


def test_a_killed_run_continues_to_the_same_bytes(finished, checkout):
    streams = checkout.folder / "results/tiny/image_coding/streams/x264"
    process = subprocess.Popen(
        checkout.command(TARGET),
        cwd=checkout.folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and len(list(streams.rglob("*.zip"))) < 2:
        time.sleep(0.2)
    assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in streams.rglob("*.parquet") if not path.name.startswith(".")}
    result = checkout.run(TARGET)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
    kept = [path for path, mtime_ns in done.items() if path.stat().st_mtime_ns == mtime_ns]
    assert kept, "nothing that was finished before the kill was kept"
    assert not list((checkout.folder / "results").rglob("*.part*"))
    whole = finished.folder / "results/tiny/image_coding/streams/x264"
    assert digests(streams) == digests(whole)
