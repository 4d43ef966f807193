"""Our AVC encoder: rate and distortion against x264, times, memory. `make bench-avc`."""

from __future__ import annotations

from tests.benchmarks.figures import report
from tests.benchmarks.own_encoder import (
    DELTAS,
    OwnEncoder,
    Setting,
    memory,
    pictures,
    rate_distortion,
    threads,
    times,
)

from cfm.codecs.avc.encoder import encode_picture
from cfm.codecs.external.pyav import X264

AVC = OwnEncoder("avc", encode_picture, X264("veryslow"), "make bench-avc")
EFFORT = 5
ALL_DELTAS = {"deltas": DELTAS, "effort": EFFORT}
CURVES = (
    Setting("one QP", {}, -2.0),
    Setting(f"one QP, effort {EFFORT}", {"effort": EFFORT}, None),
    Setting(f"five delta-QPs, effort {EFFORT}", ALL_DELTAS, -5.0),
)
TIMES = (Setting("one QP", {}, 0.25), Setting(f"five delta-QPs, effort {EFFORT}", ALL_DELTAS, 0.8))
RATIOS = {"weights and a diagonal": 1.15, "a rank-6 matrix": 1.4, "16 sketches": 2.2}
MEMORY_MIB, TWO_THREADS = 300, 1.7


def main() -> None:
    """Measure everything and report."""
    kind, chosen = pictures()
    encode_picture(chosen[0], 37)
    figures = [*times(AVC, TIMES, RATIOS, chosen), threads(AVC, TWO_THREADS, chosen)]
    figures += [*rate_distortion(AVC, CURVES, kind, chosen), *memory(AVC, MEMORY_MIB)]
    report(AVC.name, figures)


if __name__ == "__main__":
    main()
