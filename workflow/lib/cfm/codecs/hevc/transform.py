"""The transforms and the quantiser of H.265 8.6: forward, and dequantised inverse.

Blocks are 1-D arrays in raster order. The inverse follows the standard to the bit; the forward transform is the
orthonormal one in single precision, which no decoder has to know. Kernels are made for one side each, see
`cfm.codecs.hevc.prediction`.
"""

from __future__ import annotations

import numpy as np

from cfm.codecs.hevc.tables import LEVEL_SCALE, SINE4, cosine, orthonormal
from cfm.codecs.kernels import general, inlined, kernel


def _make_forward(side, sine=False):
    rows = orthonormal(side, sine).astype(np.float32)
    columns = np.ascontiguousarray(rows.T)

    @kernel
    def forward(residual, half, out):
        for u in range(side):
            for x in range(side):
                half[u * side + x] = 0
            for y in range(side):
                factor = rows[u, y]
                for x in range(side):
                    half[u * side + x] += factor * residual[y * side + x]
        for u in range(side):
            for v in range(side):
                out[u * side + v] = 0
            for x in range(side):
                factor = half[u * side + x]
                for v in range(side):
                    out[u * side + v] += factor * columns[x, v]

    return forward


def _make_forward_folded(side):
    """The same, with half of the products: cosines of even frequencies are even about the middle, others odd."""
    rows, middle = orthonormal(side, False).astype(np.float32), side // 2
    even, odd = (np.ascontiguousarray(rows[parity::2, :middle].T) for parity in (0, 1))

    @kernel
    def forward(residual, half, out):
        for y in range(middle):
            for x in range(side):
                near, far = residual[y * side + x], residual[(side - 1 - y) * side + x]
                out[y * side + x] = near + far
                out[(middle + y) * side + x] = near - far
        for u in range(side):
            for x in range(side):
                half[u * side + x] = 0
            first = (u & 1) * middle
            for y in range(middle):
                factor = rows[u, y]
                for x in range(side):
                    half[u * side + x] += factor * out[(first + y) * side + x]
        for u in range(side):
            # The even frequencies of a row, then the odd ones, before both are put in order.
            for v in range(side):
                out[u * side + v] = 0
            for x in range(middle):
                near, far = half[u * side + x], half[u * side + side - 1 - x]
                total, difference = near + far, near - far
                for v in range(middle):
                    out[u * side + v] += total * even[x, v]
                for v in range(middle):
                    out[u * side + middle + v] += difference * odd[x, v]
            for v in range(side):
                half[u * side + v] = out[u * side + v]
            for v in range(middle):
                out[u * side + 2 * v] = half[u * side + v]
                out[u * side + 2 * v + 1] = half[u * side + middle + v]

    return forward


def _make_inverse(side, sine=False):
    matrix = np.ascontiguousarray(SINE4 if sine else cosine(side))

    @kernel
    def inverse(block, rows, columns, half, out):
        for y in range(side):
            for x in range(side):
                half[y * side + x] = 64
            for u in range(rows):
                factor = matrix[u, y]
                for x in range(side):
                    half[y * side + x] += np.int32(factor * block[u * side + x])
            for x in range(side):
                half[y * side + x] = min(32767, max(-32768, half[y * side + x] >> 7))
        for y in range(side):
            for x in range(side):
                out[y * side + x] = 2048
            for v in range(columns):
                factor = half[y * side + v]
                for x in range(side):
                    out[y * side + x] += np.int32(factor * matrix[v, x])
            for x in range(side):
                out[y * side + x] >>= 12

    return inverse


_FORWARD_SINE, _INVERSE_SINE = _make_forward(4, True), _make_inverse(4, True)
_FORWARD4, _INVERSE4 = _make_forward(4), _make_inverse(4)
_FORWARD8, _INVERSE8 = _make_forward(8), _make_inverse(8)
_FORWARD16, _INVERSE16 = _make_forward_folded(16), _make_inverse(16)
_FORWARD32, _INVERSE32 = _make_forward_folded(32), _make_inverse(32)


@general
def forward(residual, side, sine, half, out):
    """Orthonormal transform of a block, all float32 (side * side,); `half` is overwritten."""
    if side == 4:
        if sine:
            _FORWARD_SINE(residual, half, out)
        else:
            _FORWARD4(residual, half, out)
    elif side == 8:
        _FORWARD8(residual, half, out)
    elif side == 16:
        _FORWARD16(residual, half, out)
    else:
        _FORWARD32(residual, half, out)


@inlined
def step_of(qp):
    """Step of the quantiser, in orthonormal coefficients."""
    return LEVEL_SCALE[qp % 6] / 64 * 2.0 ** (qp // 6)


@general
def dequantise(levels, first, side, log2, qp, out):
    """Coefficients (side * side,) int32 of levels from entry `first`; returns how many rows and columns have some."""
    scale, shift = LEVEL_SCALE[qp % 6] << (qp // 6 + 4), log2 + 3
    half = 1 << (shift - 1)
    rows = columns = 0
    for y in range(side):
        for x in range(side):
            level = levels[first + y * side + x]
            if level:
                out[y * side + x] = min(32767, max(-32768, (level * scale + half) >> shift))
                rows, columns = y + 1, max(columns, x + 1)
            else:
                out[y * side + x] = 0
    return rows, columns


@general
def inverse(block, side, sine, rows, columns, half, out):
    """Residual of coefficients, all int32 (side * side,), of which only some rows and columns are not all 0."""
    if side == 4:
        if sine:
            _INVERSE_SINE(block, rows, columns, half, out)
        else:
            _INVERSE4(block, rows, columns, half, out)
    elif side == 8:
        _INVERSE8(block, rows, columns, half, out)
    elif side == 16:
        _INVERSE16(block, rows, columns, half, out)
    else:
        _INVERSE32(block, rows, columns, half, out)


@general
def inverse_skip(block, out):
    """Residual of a 4x4 block whose transform is skipped (8.6.4.2 with 8 bits)."""
    for k in range(16):
        out[k] = (block[k] * 128 + 2048) >> 12
