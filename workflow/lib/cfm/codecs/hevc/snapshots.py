"""Decisions, levels and samples of a coding unit or more, put aside and brought back."""

from __future__ import annotations

from cfm.codecs.hevc.state import LOG2_CTU, MODE, PLANE_FIRST, PREVIOUS_QP
from cfm.codecs.hevc.tables import Z_ORDER
from cfm.codecs.kernels import general, inlined


@general
def keep(frame, tree, slot, z, y, x, log2):
    """Put a unit's decisions, levels and samples aside."""
    _move_units(tree.units, tree.kept_units[slot], z, log2)
    _move_levels(tree.levels, tree.kept_levels[slot], z, log2)
    samples = tree.kept_samples[slot]
    for plane in range(3):
        side, coded = 1 << (log2 if plane == 0 else log2 - 1), frame.coded[plane]
        top, left = (y, x) if plane == 0 else (y >> 1, x >> 1)
        first = PLANE_FIRST[plane]
        tall, wide = min(side, coded.shape[0] - top), min(side, coded.shape[1] - left)
        for i in range(tall):
            for j in range(wide):
                samples[first + i * side + j] = coded[top + i, left + j]


@general
def restore(frame, tree, slot, z, y, x, log2):
    """Bring back what `keep` put aside."""
    _move_units(tree.kept_units[slot], tree.units, z, log2)
    _move_levels(tree.kept_levels[slot], tree.levels, z, log2)
    samples = tree.kept_samples[slot]
    for plane in range(3):
        side, coded = 1 << (log2 if plane == 0 else log2 - 1), frame.coded[plane]
        top, left = (y, x) if plane == 0 else (y >> 1, x >> 1)
        first = PLANE_FIRST[plane]
        tall, wide = min(side, coded.shape[0] - top), min(side, coded.shape[1] - left)
        for i in range(tall):
            for j in range(wide):
                coded[top + i, left + j] = samples[first + i * side + j]


@inlined
def unit_at(frame, y, x):
    """Index in its coding tree block of the unit at (y, x)."""
    inside = (1 << frame.options[LOG2_CTU]) - 1
    return Z_ORDER[(y & inside) >> 2, (x & inside) >> 2]


@general
def fill_maps(frame, tree, y, x, log2):
    """Write modes and depth of a coding unit into the frame."""
    modes, units = frame.modes, tree.units
    inside = (1 << (frame.options[LOG2_CTU] - 2)) - 1
    for row in range(y >> 2, (y + (1 << log2)) >> 2):
        for column in range(x >> 2, (x + (1 << log2)) >> 2):
            modes[1 + row, 1 + column] = units[Z_ORDER[row & inside, column & inside], MODE]
    fill_depth(frame, y, x, log2)


@general
def _move_units(source, target, z, log2):
    for unit in range(z, z + (1 << (2 * log2 - 4))):
        for k in range(source.shape[1]):
            target[unit, k] = source[unit, k]


@general
def _move_levels(source, target, z, log2):
    count = 1 << (2 * log2)
    for k in range(16 * z, 16 * z + count):
        target[k] = source[k]
    for plane in (1, 2):
        first = PLANE_FIRST[plane] + 4 * z
        for k in range(first, first + count // 4):
            target[k] = source[k]


@general
def fill_depth(frame, y, x, log2):
    """Write the depth of a coding unit into the frame."""
    depths, depth = frame.depths, frame.options[LOG2_CTU] - log2
    for row in range(1 + (y >> 3), 1 + ((y + (1 << log2)) >> 3)):
        for column in range(1 + (x >> 3), 1 + ((x + (1 << log2)) >> 3)):
            depths[row, column] = depth


@general
def fill_qps(frame, y, x, log2):
    """Write the QP of the coding unit that was coded last into the frame."""
    qps, qp = frame.qps, frame.slice_state[PREVIOUS_QP]
    for row in range(y >> 3, (y + (1 << log2)) >> 3):
        for column in range(x >> 3, (x + (1 << log2)) >> 3):
            qps[row, column] = qp
