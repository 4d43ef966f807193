"""Streams that were coded with other instructions and another number of threads decode all the same."""

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.codecs.test_learned_codec import spread

from cfm.codecs.learned.architecture import Architecture
from cfm.codecs.learned.training import initial_model
from cfm.codecs.learned.weights import save_weights

REPOSITORY = Path(__file__).parents[2]
INSTRUCTIONS = {
    "default": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "avx512": {"ATEN_CPU_CAPABILITY": "avx512"},
}
"""Of torch's own kernels and of the libraries that it calls."""

# Asked for more than it has, a processor stops the program.
BEST = torch.backends.cpu.get_cpu_capability().lower()
HERE = {"avx2": ["default", "avx2"]}.get(BEST, list(INSTRUCTIONS) if BEST.startswith("avx") else ["default"])

LARGEST_STEP = 4
"""Of 16-bit samples: what sums of single precision in another order may make in the synthesis."""

ENVIRONMENTS = list(product(HERE, (1, 2)))
# Wide enough that sums are vectorised and split among threads otherwise.
ARCHITECTURES = (
    Architecture("cheng2020-attn", 32),
    Architecture("elic", 48, 64),
    Architecture("lic-tcm", 16, 40),
)


def run(action, folder, capability, threads, count):
    environment = (
        os.environ | INSTRUCTIONS[capability] | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    )
    environment["PYTHONPATH"] = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "workflow/lib")])
    command = [sys.executable, "-m", "tests.codecs.portable_worker", action, str(threads), str(folder), str(count)]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def write_models(folder):
    for architecture in ARCHITECTURES:
        model = spread(initial_model(architecture, 5, None))
        save_weights(folder / f"{architecture.family}.safetensors", model, architecture)


def mismatches(folder, encoders, decoders, count):
    """Streams that are an error, families whose decoded pictures differ by more than rounding, and where."""
    wrong = []
    for encoder in encoders:
        run("encode", folder, *encoder, count)
        first = {}
        for decoder in decoders:
            errors = run("decode", folder, *decoder, count)
            wrong += [(encoder, decoder, line) for line in errors]
            for architecture in ARCHITECTURES:
                decoded = np.load(folder / f"{architecture.family}.npy").astype(np.int64)
                before = first.setdefault(architecture.family, decoded)
                if not errors and np.abs(decoded - before).max() > LARGEST_STEP:
                    wrong.append((encoder, decoder, architecture.family))
    return wrong


def test_streams_of_two_environments_decode_in_each_other(tmp_path):
    write_models(tmp_path)
    ends = [ENVIRONMENTS[0], ENVIRONMENTS[-1]]
    assert mismatches(tmp_path, ends, ends, 4) == []


@pytest.mark.slow
def test_two_hundred_mosaics_decode_in_every_environment(tmp_path):
    """200 mosaics of three families, each coded in six environments and decoded in all six: 7,200 a family."""
    write_models(tmp_path)
    assert mismatches(tmp_path, ENVIRONMENTS, ENVIRONMENTS, 200) == []
