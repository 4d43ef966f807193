"""What every job of the workflow does around its work: a log, one-line errors, one thread count for all libraries."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cfm.errors import one_line_errors

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def set_environment(library: str) -> None:
    """What jobs inherit: this library first, and one thread a job, because jobs are what runs side by side."""
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([library, others] if others else [library])
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")


class Tee:
    """A text stream that writes to two others."""

    def __init__(self, first: TextIO, second: TextIO):
        self.first, self.second = first, second

    def write(self, text: str) -> int:
        """Write to both streams."""
        self.first.write(text)
        return self.second.write(text)

    def flush(self) -> None:
        """Flush both streams."""
        self.first.flush()
        self.second.flush()

    def isatty(self) -> bool:
        """Never a terminal: half of it is a file."""
        return False


@contextmanager
def job(log: Path | str, threads: int = 1) -> Iterator[None]:
    """Run the body with standard error copied to `log`, PyTorch on `threads` threads, and user errors in one line."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    terminal = sys.stderr
    with open(log, "w", encoding="utf-8", buffering=1) as file:
        sys.stderr = Tee(terminal, file)
        try:
            with one_line_errors():
                yield
        finally:
            sys.stderr = terminal
