"""Progress of long stages: things done, rate, time left, on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts finished things and prints a line at most every `interval_s` seconds, and one at the end.

    Parameters
    ----------
    total : int
        How many things there are.
    unit : str
        What a thing is called in the plural, such as "pictures".
    what : str
        What is being done, such as "encoding x265 QP 37".
    interval_s : float
        Least time between two lines, seconds.
    """

    def __init__(self, total: int, unit: str, what: str, interval_s: float = 10.0):
        self.total, self.unit, self.what, self.interval_s = total, unit, what, interval_s
        self.done = self.bytes_coded = 0
        self.started_s = self.printed_s = time.monotonic()

    def step(self, bytes_coded: int = 0, count: int = 1) -> None:
        """Note that `count` more things are done, which made `bytes_coded` bytes."""
        self.done += count
        self.bytes_coded += bytes_coded
        now_s = time.monotonic()
        if self.done >= self.total or now_s - self.printed_s >= self.interval_s:
            self.printed_s = now_s
            print(self.line(now_s), file=sys.stderr, flush=True)

    def line(self, now_s: float) -> str:
        """The line for the state at `now_s` (monotonic clock, seconds)."""
        elapsed_s = max(now_s - self.started_s, 1e-9)
        rate = self.done / elapsed_s
        left_s = (self.total - self.done) / rate if rate else float("inf")
        coded = f", {self.bytes_coded / 1000:.1f} kB" if self.bytes_coded else ""
        return f"{self.what}: {self.done}/{self.total} {self.unit}, {rate:.2f}/s, {left_s:.0f} s left{coded}"
