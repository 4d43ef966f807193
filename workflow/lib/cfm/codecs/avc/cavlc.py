"""Residual blocks in CAVLC (H.264 7.3.5.3.2 and 9.2), written or counted by the same coder as in CABAC."""

from __future__ import annotations

import numpy as np

from cfm.codecs.cabac import BIT, COST, COUNTING, POSITION
from cfm.codecs.kernels import kernel, numbers


def _ragged(text: str, width: int) -> np.ndarray:
    """Rows of different lengths, with a semicolon between them, as a table that is filled up with zeros."""
    rows = [numbers(row) for row in text.split(";")]
    return np.stack([np.pad(row, (0, width - len(row))) for row in rows])


# coeff_token (table 9-5): lengths and codes by class of nC (0-1, 2-3, 4-7, 8 and more, chroma DC) and by four times the
# number of levels plus the number of trailing ones.
TOKEN_LENGTH = _ragged(
    """1 0 0 0 6 2 0 0 8 6 3 0 9 8 7 5 10 9 8 6 11 10 9 7 13 11 10 8 13 13 11 9 13 13 13 10 14 14 13 11 14 14 14 13
    15 15 14 14 15 15 15 14 16 15 15 15 16 16 16 15 16 16 16 16 16 16 16 16; 2 0 0 0 6 2 0 0 6 5 3 0 7 6 6 4 8 6
    6 4 8 7 7 5 9 8 8 6 11 9 9 6 11 11 11 7 12 11 11 9 12 12 12 11 12 12 12 11 13 13 13 12 13 13 13 13 13 14 13
    13 14 14 14 13 14 14 14 14; 4 0 0 0 6 4 0 0 6 5 4 0 6 5 5 4 7 5 5 4 7 5 5 4 7 6 6 4 7 6 6 4 8 7 7 5 8 8 7 6
    9 8 8 7 9 9 8 8 9 9 9 8 10 9 9 9 10 10 10 10 10 10 10 10 10 10 10 10; 6 0 0 0 6 6 0 0 6 6 6 0 6 6 6 6 6 6 6
    6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6 6; 2 0 0 0 6
    1 0 0 6 6 3 0 6 7 7 6 6 8 8 7""",
    68,
)
TOKEN_CODE = _ragged(
    """1 0 0 0 5 1 0 0 7 4 1 0 7 6 5 3 7 6 5 3 7 6 5 4 15 6 5 4 11 14 5 4 8 10 13 4 15 14 9 4 11 10 13 12 15 14 9
    12 11 10 13 8 15 1 9 12 11 14 13 8 7 10 9 12 4 6 5 8; 3 0 0 0 11 2 0 0 7 7 3 0 7 10 9 5 7 6 5 4 4 6 5 6 7 6
    5 8 15 6 5 4 11 14 13 4 15 10 9 4 11 14 13 12 8 10 9 8 15 14 13 12 11 10 9 12 7 11 6 8 9 8 10 1 7 6 5 4; 15
    0 0 0 15 14 0 0 11 15 13 0 8 12 14 12 15 10 11 11 11 8 9 10 9 14 13 9 8 10 9 8 15 14 13 13 11 14 10 12 15 10
    13 12 11 14 9 12 8 10 13 8 13 7 9 12 9 12 11 10 5 8 7 6 1 4 3 2; 3 0 0 0 0 1 0 0 4 5 6 0 8 9 10 11 12 13 14
    15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50
    51 52 53 54 55 56 57 58 59 60 61 62 63; 1 0 0 0 7 1 0 0 4 6 1 0 3 3 2 5 2 3 2 0""",
    68,
)
# total_zeros (tables 9-7 to 9-9) by the number of levels, and that of chroma DC; run_before (table 9-10) by zeros left.
ZEROS_LENGTH = _ragged(
    """1 3 3 4 4 5 5 6 6 7 7 8 8 9 9 9; 3 3 3 3 3 4 4 4 4 5 5 6 6 6 6; 4 3 3 3 4 4 3 3 4 5 5 6 5 6; 5 3 4 4 3 3 3 4
    3 4 5 5 5; 4 4 4 3 3 3 3 3 4 5 4 5; 6 5 3 3 3 3 3 3 4 3 6; 6 5 3 3 3 2 3 4 3 6; 6 4 5 3 2 2 3 3 6; 6 6 4 2 2
    3 2 5; 5 5 3 2 2 2 4; 4 4 3 3 1 3; 4 4 2 1 3; 3 3 1 2; 2 2 1; 1 1""",
    16,
)
ZEROS_CODE = _ragged(
    """1 3 2 3 2 3 2 3 2 3 2 3 2 3 2 1; 7 6 5 4 3 5 4 3 2 3 2 3 2 1 0; 5 7 6 5 4 3 4 3 2 3 2 1 1 0; 3 7 5 4 6 5 4 3
    3 2 2 1 0; 5 4 3 7 6 5 4 3 2 1 1 0; 1 1 7 6 5 4 3 2 1 1 0; 1 1 5 4 3 3 2 1 1 0; 1 1 1 3 3 2 2 1 0; 1 0 1 3 2
    1 1 1; 1 0 1 3 2 1 1; 0 1 1 2 1 3; 0 1 1 1 1; 0 1 1 1; 0 1 1; 0 1""",
    16,
)
CHROMA_ZEROS_LENGTH = _ragged("1 2 3 3; 1 2 2; 1 1", 4)
CHROMA_ZEROS_CODE = _ragged("1 1 1 0; 1 1 0; 1 0", 4)
RUN_LENGTH = _ragged("1 1; 1 2 2; 2 2 2 2; 2 2 2 3 3; 2 2 3 3 3 3; 2 3 3 3 3 3 3; 3 3 3 3 3 3 3 4 5 6 7 8 9 10 11", 15)
RUN_CODE = _ragged("1 0; 1 1 0; 3 2 1 0; 3 2 1 1 0; 3 2 3 2 1 0; 3 0 1 3 2 5 4; 7 6 5 4 3 2 1 1 1 1 1 1 1 1 1", 15)
CHROMA_DC_CLASS = 4


@kernel
def put_bits(coder, out, value, count):
    """Write, or count, an unsigned number of so many bits."""
    if coder[COUNTING]:
        coder[COST] += count * BIT
        return
    position = coder[POSITION]
    for shift in range(count - 1, -1, -1):
        if (value >> shift) & 1:
            out[position >> 3] |= np.uint8(128 >> (position & 7))
        position += 1
    coder[POSITION] = position


@kernel
def put_ue(coder, out, value):
    """Write, or count, an unsigned Exp-Golomb code."""
    length = 0
    while (value + 1) >> (length + 1):
        length += 1
    put_bits(coder, out, value + 1, 2 * length + 1)


@kernel
def put_se(coder, out, value):
    """Write, or count, a signed Exp-Golomb code."""
    put_ue(coder, out, 2 * value - 1 if value > 0 else -2 * value)


@kernel
def token_class(counts, row, column):
    """Class of coeff_token of the 4x4 block at a row and a column, by the numbers of levels beside and above it."""
    beside, above = counts[row + 1, column], counts[row, column + 1]
    both = beside >= 0 and above >= 0
    expected = (beside + above + 1) >> 1 if both else max(beside, above, 0)
    if expected < 2:
        return 0
    if expected < 4:
        return 1
    return 2 if expected < 8 else 3


@kernel
def code_block(coder, out, levels, first, stride, count, token):
    """Code the `count` levels at first, first + stride, ...; returns how many are not 0."""
    total = trailing = 0
    last = -1
    for k in range(count):
        level = levels[first + k * stride]
        if level != 0:
            total += 1
            trailing = min(trailing + 1, 3) if abs(level) == 1 else 0
            last = k
    put_bits(coder, out, TOKEN_CODE[token, 4 * total + trailing], TOKEN_LENGTH[token, 4 * total + trailing])
    if total == 0:
        return 0
    _code_magnitudes(coder, out, levels, first, stride, last, total, trailing)
    zeros = last + 1 - total
    if total < count:
        if token == CHROMA_DC_CLASS:
            put_bits(coder, out, CHROMA_ZEROS_CODE[total - 1, zeros], CHROMA_ZEROS_LENGTH[total - 1, zeros])
        else:
            put_bits(coder, out, ZEROS_CODE[total - 1, zeros], ZEROS_LENGTH[total - 1, zeros])
    run, seen = 0, False
    for k in range(last, -1, -1):
        if levels[first + k * stride] == 0:
            run += 1
            continue
        if seen and zeros > 0:
            row = min(zeros, 7) - 1
            put_bits(coder, out, RUN_CODE[row, run], RUN_LENGTH[row, run])
            zeros -= run
        run, seen = 0, True
    return total


@kernel
def _code_magnitudes(coder, out, levels, first, stride, last, total, trailing):
    """Signs of the trailing ones, then the other levels, from the highest frequency down."""
    suffix = 1 if total > 10 and trailing < 3 else 0
    passed = 0
    for k in range(last, -1, -1):
        level = levels[first + k * stride]
        if level == 0:
            continue
        passed += 1
        if passed <= trailing:
            put_bits(coder, out, 1 if level < 0 else 0, 1)
            continue
        code = 2 * level - 2 if level > 0 else -2 * level - 1
        if passed == trailing + 1 and trailing < 3:
            code -= 2
        _code_level(coder, out, code, suffix)
        if suffix == 0:
            suffix = 1
        if abs(level) > 3 << (suffix - 1) and suffix < 6:
            suffix += 1


@kernel
def _code_level(coder, out, code, suffix):
    """level_prefix and level_suffix (9.2.2.1)."""
    if suffix == 0 and code < 14:
        put_bits(coder, out, 1, code + 1)
    elif suffix == 0 and code < 30:
        put_bits(coder, out, 1, 15)
        put_bits(coder, out, code - 14, 4)
    elif suffix > 0 and code < 15 << suffix:
        put_bits(coder, out, 1, (code >> suffix) + 1)
        put_bits(coder, out, code & ((1 << suffix) - 1), suffix)
    else:
        rest = code - (15 << suffix) - (15 if suffix == 0 else 0)
        prefix, below = 15, 0
        while rest >= below + (1 << (prefix - 3)):
            prefix += 1
            below = (1 << (prefix - 3)) - 4096
        put_bits(coder, out, 1, prefix + 1)
        put_bits(coder, out, rest - below, prefix - 3)
