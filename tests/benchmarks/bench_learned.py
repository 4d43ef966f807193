"""Learned codecs: time against the published loops, estimates, portable streams, memory. `make bench-learned`.

Networks of the published sizes have random weights, whose latents are spread so that symbols are many; whatever depends
on trained weights is measured with the demo's networks.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from tests.benchmarks.figures import Figure, at_most, report
from tests.codecs.direct_tcm import DirectTcm
from tests.codecs.portable_worker import mosaic
from tests.codecs.test_learned_codec import damaged, spread
from torch.nn import functional

from cfm.codecs.container import LEARNED_FAMILIES, read_learned, write_learned
from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.backend import CompressionModel
from cfm.codecs.learned.entropy import LatentCoder
from cfm.codecs.learned.training import initial_model
from cfm.codecs.learned.transforms import Transforms
from cfm.codecs.learned.weights import save_weights
from cfm.codecs.picture import Picture
from cfm.codecs.registry import make_codec
from cfm.data.images import read_rgb
from cfm.errors import BitstreamError

COMMAND = "make bench-learned"
HEIGHT, WIDTH = 512, 768
PUBLISHED = {"elic": Architecture("elic", 192, 320), "lic-tcm": Architecture("lic-tcm", 64, 320)}
ROUNDS = {"elic": 7, "lic-tcm": 5}
THREADS = 2
LARGE_HEIGHT, LARGE_WIDTH = 1800, 3040  # mosaic of P2 of an 800x1200 input
HOST_GIB = 16.0
SHIPPED = Path("workflow/models/demo/codecs")
PICTURES = Path("../shared/coco-mini/val2017")
MOSAICS, PICTURE_COUNT = 40, 8
DAMAGED = 5000  # files a family
SPREAD = 20.0  # of random latents: about a bit a pixel
LOOPS = {"elic": "loop of compressai", "lic-tcm": "published loop, written anew"}
Setting = tuple[bool, str]  # portable, precision of the transforms


class Ours:
    """Our coding of samples (1, 3, H, W) with a network at one setting."""

    def __init__(self, model: CompressionModel, architecture: Architecture, setting: Setting):
        portable, precision = setting
        self.transforms = Transforms(model, precision)
        self.coder = LatentCoder(model, architecture.latent_channels, portable)

    def encode(self, samples: torch.Tensor):
        """The coded latent."""
        return self.coder.encode(self.transforms.analyse(samples))[0]

    def decode(self, coded) -> torch.Tensor:
        """Samples of the bench's size."""
        return self.transforms.synthesise(self.coder.decode(coded, HEIGHT // 64, WIDTH // 64).float())


def spread_model(architecture: Architecture) -> CompressionModel:
    """A network with random weights whose latents are large."""
    model = initial_model(architecture, 1, None).eval().requires_grad_(False)
    spread(model, SPREAD)
    model.update(force=True)
    return model


def smooth_samples(height: int, width: int) -> torch.Tensor:
    """(1, 3, H, W) in [0, 1]: waves and noise."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(1, 3, height // 32, width // 32, generator=generator)
    waves = functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (waves + 0.03 * torch.randn(waves.shape, generator=generator)).clamp(0, 1)


def published_loop(model: CompressionModel, family: str) -> tuple[Callable, Callable]:
    """Encoding and decoding as compressai does it for ELIC, and as LIC-TCM's authors do."""
    if family == "elic":
        return model.compress, lambda coded: model.decompress(coded["strings"], coded["shape"])["x_hat"]
    direct = DirectTcm(model.state_dict(), model.slices, model.entropy_bottleneck, model.gaussian_conditional)
    return direct.compress, lambda coded: direct.decompress(*coded, (HEIGHT // 64, WIDTH // 64))


def times(family: str) -> list[Figure]:
    """Encoding and decoding, each round through all settings, as ratios to the published loop's."""
    architecture = PUBLISHED[family]
    model, samples = spread_model(architecture), smooth_samples(HEIGHT, WIDTH)
    settings: list[Setting] = [(False, "float32"), (False, "bfloat16"), (True, "float32"), (True, "bfloat16")]
    ways = {"published": published_loop(model, family)}
    for setting in settings:
        ours = Ours(model, architecture, setting)
        ways[setting] = (ours.encode, ours.decode)
    taken: dict[tuple, list[float]] = {}
    for turn in range(ROUNDS[family] + 1):
        for name, (encode, decode) in ways.items():
            encode_s, coded = timed(encode, samples)
            decode_s, _ = timed(decode, coded)
            if turn:  # the first round warms up
                taken.setdefault((name, "encoding"), []).append(encode_s)
                taken.setdefault((name, "decoding"), []).append(decode_s)
    figures = []
    targets = {(False, "float32"): 0.75 if family == "elic" else 0.5, (False, "bfloat16"): 0.5}
    for action in ("encoding", "decoding"):
        base = median(taken["published", action])
        figures.append(at_most(f"{family}: {action} by the {LOOPS[family]}", base, "s", None, COMMAND))
        for portable, precision in settings:
            name = f"{family}: {action}, {precision}{', portable' if portable else ''}"
            ratio = median(taken[(portable, precision), action]) / base
            figures.append(at_most(name, ratio, "ratio", targets.get((portable, precision)), COMMAND))
    return figures


def timed(function: Callable, argument) -> tuple[float, object]:
    """Seconds of a call, and what it gave."""
    started_s = time.perf_counter()
    result = function(argument)
    return time.perf_counter() - started_s, result


def real_pictures(count: int) -> list[Picture]:
    """Pictures beside the checkout, or mosaic-like ones where there are none."""
    paths = sorted(PICTURES.glob("*.jpg"))[:count]
    if not paths:
        return [mosaic(seed) for seed in range(count)]
    planes = [read_rgb(path).transpose(2, 0, 1) for path in paths]
    return [Picture(tuple(np.ascontiguousarray(plane) for plane in rgb), "rgb", 8) for rgb in planes]


def psnr_db(decoded: Picture, picture: Picture) -> float:
    """PSNR over all planes."""
    error = np.stack(decoded.planes).astype(float) - np.stack(picture.planes)
    return 10 * np.log10((2**picture.bit_depth - 1) ** 2 / np.mean(error**2))


def shipped() -> list[Figure]:
    """What bfloat16 and double precision change, and how good estimates are, on the demo's networks."""
    losses: dict[str, list[float]] = {family: [] for family in LEARNED_FAMILIES}
    costs, errors, slower = [], [], []
    for folder in sorted(SHIPPED.glob("*/manifest.json")):
        family = json.loads(folder.read_text())["family"]
        # The feature codecs are named as their families are.
        features = folder.parent.name in ("elic", "lic-tcm")
        pictures = [mosaic(seed) for seed in range(MOSAICS)] if features else real_pictures(PICTURE_COUNT)
        weights = {int(path.stem): path for path in folder.parent.glob("*.safetensors")}
        codecs = [
            make_codec(family, weights=weights, portable=portable, precision=precision)
            for portable, precision in ((True, "float32"), (True, "bfloat16"), (False, "float32"))
        ]
        for point in weights:
            sizes, qualities, seconds = np.zeros((3, len(pictures))), np.zeros((3, len(pictures))), np.zeros(3)
            for index, picture in enumerate(pictures):
                for way, codec in enumerate(codecs):
                    encode_s, stream = timed(lambda p, codec=codec, q=point: codec.encode(p, q), picture)
                    decode_s, decoded = timed(codec.decode, stream)
                    sizes[way, index], qualities[way, index] = len(stream), psnr_db(decoded, picture)
                    seconds[way] += (encode_s + decode_s) * (index > 0)
                errors.append(abs(codecs[0].size_bytes(picture, point) / sizes[0, index] - 1))
            losses[family].append(np.mean(qualities[0] - qualities[1]))
            costs.append(sizes[0].sum() / sizes[2].sum() - 1)
            slower.append(seconds[0] / seconds[2])
    return [
        *(
            at_most(f"{family}: bfloat16 transforms, loss of PSNR, worst point", max(found), "dB", 0.02, COMMAND)
            for family, found in losses.items()
        ),
        at_most("estimate without entropy coding: largest error", 100 * max(errors), "%", 0.5, COMMAND),
        at_most("  median error", 100 * median(errors), "%", None, COMMAND),
        at_most("portable: bytes, median over points", 100 * median(costs), "%", None, COMMAND),
        at_most("portable: time of the demo's networks, median over points", median(slower), "ratio", None, COMMAND),
    ]


def memory() -> list[Figure]:
    """Peak memory of processes that code and decode a large mosaic at published sizes."""
    figures = []
    for family in PUBLISHED:
        for portable in (False, True):
            title = f"{family}: memory, mosaic of {LARGE_HEIGHT}x{LARGE_WIDTH}{', portable' if portable else ''}"
            figures.append(at_most(title, memory_gib(family, portable), "GiB", HOST_GIB, COMMAND))
    return figures


def memory_gib(family: str, portable: bool) -> float:
    """Peak resident memory of one such process."""
    program = (
        "import torch\n"
        "from tests.benchmarks import bench_learned as b\n"
        f"architecture = b.PUBLISHED[{family!r}]\n"
        f"ours = b.Ours(b.spread_model(architecture), architecture, ({portable}, 'float32'))\n"
        "stride = architecture.stride\n"
        f"height, width = (-(-side // stride) * stride for side in {LARGE_HEIGHT, LARGE_WIDTH})\n"
        "with torch.inference_mode():\n"
        "    coded = ours.encode(b.smooth_samples(height, width))\n"
        "    ours.transforms.synthesise(ours.coder.decode(coded, height // 64, width // 64).float())\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return float(done.stdout) / 2**20


def portable_streams() -> list[Figure]:
    """Streams of 200 mosaics a family that do not decode in another environment."""
    from tests.codecs.test_portable import ARCHITECTURES, ENVIRONMENTS, mismatches, write_models

    count = 200
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder))
        wrong = mismatches(Path(folder), ENVIRONMENTS, ENVIRONMENTS, count)
    title = f"portable streams that do not decode, of {count * len(ARCHITECTURES) * len(ENVIRONMENTS) ** 2}"
    return [at_most(title, len(wrong), "streams", 0, COMMAND)]


def damaged_files() -> list[Figure]:
    """The worst that damaged and forged files do at published sizes: seconds to the error, and memory taken."""
    worst = {}
    for family in PUBLISHED:
        program = f"from tests.benchmarks import bench_learned as b\nb.print_damage({family!r})\n"
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        worst[family] = [float(part) for part in done.stdout.split()]
    figures = []
    for family, (seconds, mib) in worst.items():
        figures.append(at_most(f"{family}: damaged files, longest time to the error", seconds, "s", 1.0, COMMAND))
        figures.append(at_most(f"{family}: damaged files, memory beyond that of coding", mib, "MiB", 256, COMMAND))
    return figures


def print_damage(family: str) -> None:
    """In a process of its own: print the longest time to an error, s, and the growth of the peak memory, MiB."""
    torch.set_num_threads(THREADS)
    architecture = PUBLISHED[family]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0.safetensors"
        save_weights(path, spread_model(architecture), architecture)
        codec = make_codec(family, weights={0: path})
        codec.decode(codec.encode(mosaic(0), 0))
        streams = [codec.encode(mosaic(seed), 0) for seed in range(2)]
    before_mib, worst_s = peak_mib(), 0.0
    real = read_learned(streams[0])
    sides = ((8, 8), (1800, 3040), (4096, 8192), (65535, 65535))
    forged = [
        write_learned(dataclasses.replace(real, string=string, height=height, width=width))
        for string in (real.string, b"\xff" * 40_000, bytes(40_000), b"\xff" * 1_000_000)
        for height, width in sides
    ]
    for stream in (*forged, *damaged(streams, np.random.default_rng(1), DAMAGED)):
        started_s = time.perf_counter()
        try:
            codec.decode(stream)
        except BitstreamError:
            worst_s = max(worst_s, time.perf_counter() - started_s)
    print(worst_s, peak_mib() - before_mib)


def peak_mib() -> float:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


PARTS = {
    "times": lambda: [figure for family in PUBLISHED for figure in times(family)],
    "damaged": damaged_files,
    "shipped": shipped,
    "memory": memory,
    "portable": portable_streams,
}


def main(names: list[str]) -> None:
    """Measure the parts that are named, or all, and report."""
    torch.set_num_threads(THREADS)
    figures: list[Figure] = []
    with torch.inference_mode():
        for name in names or PARTS:
            figures += PARTS[name]()
    report("learned" if not names else f"learned-{'-'.join(names)}", figures)


if __name__ == "__main__":
    main(sys.argv[1:])
