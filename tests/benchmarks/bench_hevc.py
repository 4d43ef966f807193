"""Our HEVC encoder: rate and distortion against x265, times, memory, streams decoded to the bit. `make bench-hevc`."""

from __future__ import annotations

from tests.benchmarks.figures import Figure, report
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
from tests.codecs.stress import CONTENTS, decoded_matches, stress_set

from cfm.codecs.external.pyav import X265
from cfm.codecs.hevc.codec import CTUS
from cfm.codecs.hevc.encoder import LARGEST_EFFORT, encode_picture

HEVC = OwnEncoder("hevc", encode_picture, X265("veryslow"), "make bench-hevc")
EFFORT = min(3, LARGEST_EFFORT)
CURVES = (
    Setting("one QP", {}, 2.0),
    *([Setting(f"one QP, effort {EFFORT}", {"effort": EFFORT}, None)] if EFFORT > 1 else []),
    Setting("five delta-QPs", {"deltas": DELTAS}, None),
)
TIMES = (Setting("one QP", {}, 0.8), Setting("five delta-QPs", {"deltas": DELTAS}, 2.5))
RATIOS = {"weights and a diagonal": 1.15, "a rank-6 matrix": None, "16 sketches": None}
MEMORY_MIB, STREAMS = 500, 500


def stress() -> list[Figure]:
    """Streams of the tests' stress set that libavcodec decodes to the bit, and those that it does not."""
    found = [
        decoded_matches(encode_picture(picture, qp, distortion, ctu=ctu, deblocking=False), HEVC.anchor.decoder)
        for ctu in CTUS
        for content in CONTENTS
        for picture, qp, distortion, _ in stress_set(content)
    ]
    return [
        HEVC.at_least("streams that libavcodec decodes to the bit", sum(found), "streams", STREAMS),
        HEVC.at_most("  streams that it does not", len(found) - sum(found), "streams", 0),
    ]


def main() -> None:
    """Measure everything and report."""
    kind, chosen = pictures()
    encode_picture(chosen[0], 37)
    figures = [*times(HEVC, TIMES, RATIOS, chosen), threads(HEVC, None, chosen)]
    figures += [*rate_distortion(HEVC, CURVES, kind, chosen), *memory(HEVC, MEMORY_MIB), *stress()]
    report(HEVC.name, figures)


if __name__ == "__main__":
    main()
