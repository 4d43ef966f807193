"""Transform blocks: prediction, the trial of levels, its reconstruction, distortion and rate."""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIN_COST, COST, encode_bin
from cfm.codecs.hevc.local import COSINE, SINE, SKIP
from cfm.codecs.hevc.measure import distortion_of, level_weights
from cfm.codecs.hevc.prediction import filter_references, gather_references, predict, uses_filtered
from cfm.codecs.hevc.quantise import choose_levels
from cfm.codecs.hevc.residual import code_residual
from cfm.codecs.hevc.state import (
    BLOCK,
    COEFFICIENTS,
    HALF,
    HALF_REAL,
    HEIGHT,
    LOG2_CTU,
    OUT,
    PLANE_FIRST,
    PREDICTION,
    RESIDUAL,
    WEIGHTS,
    WIDTH,
)
from cfm.codecs.hevc.transform import dequantise, forward, inverse, inverse_skip, step_of
from cfm.codecs.kernels import general, inlined, kernel


@general
def gather(frame, work, plane, y, x, side):
    """Neighbours of a block of a plane, as they are and filtered."""
    options, references = frame.options, work.references
    chroma = 1 if plane else 0
    gather_references(
        frame.coded[plane], options[HEIGHT], options[WIDTH], options[LOG2_CTU], y, x, side, chroma, references[0]
    )
    if side > 4 and not chroma:
        filter_references(references[0], side, True, references[1])


@inlined
def predict_gathered(work, plane, mode, side):
    """Predict a block by a mode from the gathered neighbours."""
    row = 1 if uses_filtered(mode, side, plane) else 0
    predict(mode, work.references[row], side, plane == 0 and side < 32, work.line[0], work.integers[PREDICTION])


def _make_residual(side):
    @kernel
    def residual_of(source, y, x, prediction, out):
        for i in range(side):
            for j in range(side):
                out[i * side + j] = np.int32(np.int32(source[y + i, x + j]) - prediction[i * side + j])

    return residual_of


def _make_add(side):
    @kernel
    def add(prediction, residual, out):
        for k in range(side * side):
            out[k] = min(255, max(0, np.int32(prediction[k] + residual[k])))

    return add


_RESIDUAL4, _RESIDUAL8, _RESIDUAL16, _RESIDUAL32 = (
    _make_residual(4),
    _make_residual(8),
    _make_residual(16),
    _make_residual(32),
)
_ADD4, _ADD8, _ADD16, _ADD32 = _make_add(4), _make_add(8), _make_add(16), _make_add(32)


@inlined
def residual_of(source, y, x, prediction, side, out):
    """Source less prediction."""
    if side == 4:
        _RESIDUAL4(source, y, x, prediction, out)
    elif side == 8:
        _RESIDUAL8(source, y, x, prediction, out)
    elif side == 16:
        _RESIDUAL16(source, y, x, prediction, out)
    else:
        _RESIDUAL32(source, y, x, prediction, out)


@inlined
def add_residual(prediction, residual, side, out):
    """Decoded samples."""
    if side == 4:
        _ADD4(prediction, residual, out)
    elif side == 8:
        _ADD8(prediction, residual, out)
    elif side == 16:
        _ADD16(prediction, residual, out)
    else:
        _ADD32(prediction, residual, out)


@general
def weigh(work, local, plane, y, x, log2, sine, skip):
    """Bring what errors of a block's coefficients cost into `work.reals[WEIGHTS]`; before trials of it."""
    kind = (SKIP if skip else SINE if sine else COSINE + log2) if log2 == 2 else COSINE + log2
    mask = 63 if plane == 0 else 31
    level_weights(local, plane, kind, (y & mask) >> 2, (x & mask) >> 2, 1 << (log2 - 2), work.reals[WEIGHTS])


@general
def try_block(
    work, local, decision, source, plane, y, x, log2, sine, skip, scan, qp, hides, level_lambda, states, flag, row
):
    """Choose the levels of a predicted block, into a row of the trials; returns (distortion, whether there are any).

    decision: which one the distortion is for; flag: context of the flag that tells so.
    """
    side, chroma = 1 << log2, (1 if plane else 0)
    coefficients, residual, prediction = work.reals[COEFFICIENTS], work.reals[RESIDUAL], work.integers[PREDICTION]
    samples, levels = work.samples[row], work.levels[row]
    residual_of(source, y, x, prediction, side, residual)
    transformed = residual
    if not skip:
        forward(residual, side, sine, work.reals[HALF_REAL], coefficients)
        transformed = coefficients
    state = states[flag]
    coded = choose_levels(
        transformed,
        work.reals[WEIGHTS],
        step_of(qp),
        log2,
        chroma,
        scan,
        states,
        BIN_COST[state],
        BIN_COST[state ^ 1],
        level_lambda,
        hides,
        levels,
        work.last_costs[0],
    )
    if coded:
        rows, columns = dequantise(levels, 0, side, log2, qp, work.integers[BLOCK])
        if skip:
            inverse_skip(work.integers[BLOCK], work.integers[OUT])
        else:
            inverse(work.integers[BLOCK], side, sine, rows, columns, work.integers[HALF], work.integers[OUT])
        add_residual(prediction, work.integers[OUT], side, samples)
    else:
        for k in range(side * side):
            samples[k] = prediction[k]
    mask = 63 if plane == 0 else 31
    error = distortion_of(
        local,
        decision,
        plane,
        (y & mask) >> 2,
        (x & mask) >> 2,
        source,
        y,
        x,
        samples,
        side,
        work.errors[0],
        work.errors[1],
    )
    return error, coded


@general
def standing_distortion(frame, work, local, decision, plane, y, x, side):
    """Distortion of what stands in the frame in a square of a plane, as far as the picture goes, in a decision."""
    coded, samples, total = frame.coded[plane], work.samples[0], 0.0
    mask = 63 if plane == 0 else 31
    for top in range(y, min(y + side, coded.shape[0]), 4):
        for left in range(x, min(x + side, coded.shape[1]), 4):
            for k in range(16):
                samples[k] = coded[top + (k >> 2), left + (k & 3)]
            total += distortion_of(
                local,
                decision,
                plane,
                (top & mask) >> 2,
                (left & mask) >> 2,
                frame.source[plane],
                top,
                left,
                samples,
                4,
                work.errors[0],
                work.errors[1],
            )
    return total


@general
def unit_distortion(frame, work, local, settings, decision, y, x, log2):
    """The same of a block of all planes, at (y, x) in luma samples."""
    side = 1 << log2
    total = standing_distortion(frame, work, local, decision, 0, y, x, side)
    for plane in (1, 2):
        error = standing_distortion(frame, work, local, decision, plane, y >> 1, x >> 1, side >> 1)
        total += settings.chroma_weight * error
    return total


@general
def count_block(work, states, row, log2, chroma, scan, skip, hides, flag, coded):
    """Cost of a trial's flag and levels; the contexts follow."""
    coder = work.coders[0]
    coder[COST] = 0
    encode_bin(coder, work.outputs[0], states, flag, 1 if coded else 0)
    if coded:
        code_residual(coder, work.outputs[0], states, work.levels[row], 0, log2, chroma, scan, skip, hides)
    return coder[COST]


@general
def commit_block(frame, tree, work, plane, y, x, log2, z, row):
    """Write a trial into the frame and the tree."""
    side, coded = 1 << log2, frame.coded[plane]
    samples, levels, out = work.samples[row], work.levels[row], tree.levels
    for i in range(side):
        for j in range(side):
            coded[y + i, x + j] = samples[i * side + j]
    first = PLANE_FIRST[plane] + (16 * z if plane == 0 else 4 * z)
    for k in range(side * side):
        out[first + k] = levels[k]
