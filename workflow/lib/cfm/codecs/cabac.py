"""The arithmetic coder of AVC and HEVC, and the cost of what it would write (H.264 9.3, H.265 9.3).

A coder is an array of integers, see the constants below. It either writes into a buffer of bytes or, with `COUNTING`
set, only adds up what the bins cost, so that the bits that decisions are made with and the bits that are written come
out of one and the same code. A context's state is one byte: twice the probability's index, plus the likelier bin.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.kernels import inlined, kernel, numbers

LOW, RANGE, OUTSTANDING, FIRST, POSITION, COST, COUNTING, FIELDS = range(8)
COST_BITS = 15  # a cost of 1 << COST_BITS is one bit
BIT = 1 << COST_BITS
STATES = 64

# rangeTabLPS (table 9-44 of H.264, 9-46 of H.265): a row a state, a column a quarter of the range.
RANGE_LPS = numbers(
    """128 176 208 240 128 167 197 227 128 158 187 216 123 150 178 205 116 142 169 195 111 135 160 185 105 128 152
    175 100 122 144 166 95 116 137 158 90 110 130 150 85 104 123 142 81 99 117 135 77 94 111 128 73 89 105 122
    69 85 100 116 66 80 95 110 62 76 90 104 59 72 86 99 56 69 81 94 53 65 77 89 51 62 73 85 48 59 69 80 46 56 66
    76 43 53 63 72 41 50 59 69 39 48 56 65 37 45 54 62 35 43 51 59 33 41 48 56 32 39 46 53 30 37 43 50 29 35 41
    48 27 33 39 45 26 31 37 43 24 30 35 41 23 28 33 39 22 27 32 37 21 26 30 35 20 24 29 33 19 23 27 31 18 22 26
    30 17 21 25 28 16 20 23 27 15 19 22 25 14 18 21 24 14 17 20 23 13 16 19 22 12 15 18 21 12 14 17 20 11 14 16
    19 11 13 15 18 10 12 15 17 10 12 14 16 9 11 13 15 9 11 12 14 8 10 12 14 8 9 11 13 7 9 11 12 7 9 10 12 7 8 10
    11 6 8 9 11 6 7 9 10 6 7 8 9 2 2 2 2"""
).reshape(STATES, 4)

# transIdxLPS (table 9-45 of H.264): the state after the unlikelier bin.
AFTER_LPS = numbers(
    """0 0 1 2 2 4 4 5 6 7 8 9 9 11 11 12 13 13 15 15 16 16 18 18 19 19 21 21 22 22 23 24 24 25 26 26 27 27 28 29
    29 30 30 30 31 32 32 33 33 33 34 34 35 35 35 36 36 36 37 37 37 38 38 63"""
)


def _next_states() -> np.ndarray:
    """The state (row: state, column: bin) that a context has after a bin."""
    table = np.empty((2 * STATES, 2), np.uint8)
    for state in range(STATES):
        for likelier in (0, 1):
            row = 2 * state + likelier
            table[row, likelier] = 2 * min(state + 1, 62) + likelier if state < 63 else row
            table[row, 1 - likelier] = 2 * AFTER_LPS[state] + (1 - likelier if state == 0 else likelier)
    return table


def _bin_costs() -> np.ndarray:
    """Cost of the likelier (even) and the unlikelier (odd) bin of every state, by the standard's probability model."""
    unlikelier = 0.5 * (0.01875 / 0.5) ** (np.arange(STATES) / 63)
    return np.rint(BIT * np.stack([-np.log2(1 - unlikelier), -np.log2(unlikelier)], axis=1)).astype(np.int64).ravel()


NEXT_STATE = _next_states()
BIN_COST = _bin_costs()


def new_coder(counting: bool) -> np.ndarray:
    """A coder at the begin of a slice."""
    coder = np.zeros(FIELDS, np.int64)
    coder[RANGE], coder[FIRST], coder[COUNTING] = 510, 1, counting
    return coder


@kernel
def put_bit(coder, out, bit):
    """PutBit of H.264 9.3.4.2: a bit, and after it the outstanding ones, which are its opposite."""
    if coder[FIRST]:
        coder[FIRST] = 0
    else:
        position = coder[POSITION]
        if bit:
            out[position >> 3] |= np.uint8(128 >> (position & 7))
        coder[POSITION] = position + 1
    position, opposite = coder[POSITION], 1 - bit
    for _ in range(coder[OUTSTANDING]):
        if opposite:
            out[position >> 3] |= np.uint8(128 >> (position & 7))
        position += 1
    coder[POSITION], coder[OUTSTANDING] = position, 0


@kernel
def renormalise(coder, out):
    """Double the range until it is at least 256."""
    while coder[RANGE] < 256:
        if coder[LOW] < 256:
            put_bit(coder, out, 0)
        elif coder[LOW] >= 512:
            coder[LOW] -= 512
            put_bit(coder, out, 1)
        else:
            coder[LOW] -= 256
            coder[OUTSTANDING] += 1
        coder[RANGE] <<= 1
        coder[LOW] <<= 1


@inlined
def encode_bin(coder, out, states, context, value):
    """Code a bin with a context, whose state follows."""
    state = states[context]
    states[context] = NEXT_STATE[state, value]
    if coder[COUNTING]:
        coder[COST] += BIN_COST[state ^ value]
    else:
        _write_bin(coder, out, state, value)


@kernel
def _write_bin(coder, out, state, value):
    """Apart from counting, so that this stays small enough to be inlined."""
    lps = RANGE_LPS[state >> 1, (coder[RANGE] >> 6) & 3]
    coder[RANGE] -= lps
    if value != state & 1:
        coder[LOW] += coder[RANGE]
        coder[RANGE] = lps
    renormalise(coder, out)


@inlined
def encode_bypass(coder, out, value):
    """Code a bin whose values are equally likely."""
    if coder[COUNTING]:
        coder[COST] += BIT
    else:
        _write_bypass(coder, out, value)


@kernel
def _write_bypass(coder, out, value):
    coder[LOW] <<= 1
    if value:
        coder[LOW] += coder[RANGE]
    if coder[LOW] >= 1024:
        coder[LOW] -= 1024
        put_bit(coder, out, 1)
    elif coder[LOW] < 512:
        put_bit(coder, out, 0)
    else:
        coder[LOW] -= 512
        coder[OUTSTANDING] += 1


@kernel
def encode_terminate(coder, out, value):
    """Code whether the slice (or the arithmetic code) ends here; if so, write out what is left and a stop bit."""
    if coder[COUNTING]:
        return
    coder[RANGE] -= 2
    if not value:
        renormalise(coder, out)
        return
    coder[LOW] += coder[RANGE]
    coder[RANGE] = 2
    renormalise(coder, out)
    put_bit(coder, out, (coder[LOW] >> 9) & 1)
    put_bit(coder, out, (coder[LOW] >> 8) & 1)
    put_bit(coder, out, 1)
