"""The transforms of H.264 8.5: forward, and dequantised inverse, of blocks in raster order.

All blocks are 1-D arrays of 16 or 64 integers. The inverse ones follow the standard to the bit.
"""

from __future__ import annotations

from cfm.codecs.avc.tables import SCALE4, SCALE8
from cfm.codecs.kernels import kernel


@kernel
def dequantise4(levels, qp, out):
    """Coefficients of the levels (both in raster order) of a 4x4 block."""
    scale, shift = SCALE4[qp % 6], qp // 6
    for k in range(16):
        out[k] = (levels[k] * scale[k]) << shift


@kernel
def inverse4(block, prediction, out):
    """Samples: prediction plus the inverse transform of coefficients; `block` is overwritten."""
    for i in range(0, 16, 4):
        a, b, c, d = block[i], block[i + 1], block[i + 2], block[i + 3]
        e0, e1, e2, e3 = a + c, a - c, (b >> 1) - d, b + (d >> 1)
        block[i], block[i + 1], block[i + 2], block[i + 3] = e0 + e3, e1 + e2, e1 - e2, e0 - e3
    for i in range(4):
        a, b, c, d = block[i], block[4 + i], block[8 + i], block[12 + i]
        e0, e1, e2, e3 = a + c, a - c, (b >> 1) - d, b + (d >> 1)
        out[i] = min(255, max(0, prediction[i] + ((e0 + e3 + 32) >> 6)))
        out[4 + i] = min(255, max(0, prediction[4 + i] + ((e1 + e2 + 32) >> 6)))
        out[8 + i] = min(255, max(0, prediction[8 + i] + ((e1 - e2 + 32) >> 6)))
        out[12 + i] = min(255, max(0, prediction[12 + i] + ((e0 - e3 + 32) >> 6)))


@kernel
def _forward8_line(block, out, start, step):
    x0, x1, x2, x3 = block[start], block[start + step], block[start + 2 * step], block[start + 3 * step]
    x4, x5 = block[start + 4 * step], block[start + 5 * step]
    x6, x7 = block[start + 6 * step], block[start + 7 * step]
    s0, s1, s2, s3 = x0 + x7, x1 + x6, x2 + x5, x3 + x4
    d0, d1, d2, d3 = x0 - x7, x1 - x6, x2 - x5, x3 - x4
    a0, a1, a2, a3 = s0 + s3, s1 + s2, s0 - s3, s1 - s2
    b0 = d1 + d2 + ((d0 >> 1) + d0)
    b1 = d0 - d3 - ((d2 >> 1) + d2)
    b2 = d0 + d3 - ((d1 >> 1) + d1)
    b3 = d1 - d2 + ((d3 >> 1) + d3)
    out[start], out[start + 4 * step] = a0 + a1, a0 - a1
    out[start + 2 * step], out[start + 6 * step] = a2 + (a3 >> 1), (a2 >> 1) - a3
    out[start + step], out[start + 7 * step] = b0 + (b3 >> 2), (b0 >> 2) - b3
    out[start + 3 * step], out[start + 5 * step] = b1 + (b2 >> 2), b2 - (b1 >> 2)


@kernel
def forward8(block, out):
    """8x8 forward transform of a residual; `out` may be `block`."""
    for i in range(8):
        _forward8_line(block, out, 8 * i, 1)
    for i in range(8):
        _forward8_line(out, out, i, 8)


@kernel
def dequantise8(levels, qp, out):
    """Coefficients of the levels (both in raster order) of an 8x8 block, with flat scaling matrices."""
    scale, shift = SCALE8[qp % 6], qp // 6
    for k in range(64):
        value = levels[k] * scale[k] * 16
        out[k] = value << (shift - 6) if shift >= 6 else (value + (1 << (5 - shift))) >> (6 - shift)


@kernel
def _inverse8_line(block, start, step):
    x0, x1, x2, x3 = block[start], block[start + step], block[start + 2 * step], block[start + 3 * step]
    x4, x5 = block[start + 4 * step], block[start + 5 * step]
    x6, x7 = block[start + 6 * step], block[start + 7 * step]
    a0, a2, a4, a6 = x0 + x4, x0 - x4, (x2 >> 1) - x6, x2 + (x6 >> 1)
    b0, b2, b4, b6 = a0 + a6, a2 + a4, a2 - a4, a0 - a6
    a1 = -x3 + x5 - x7 - (x7 >> 1)
    a3 = x1 + x7 - x3 - (x3 >> 1)
    a5 = -x1 + x7 + x5 + (x5 >> 1)
    a7 = x3 + x5 + x1 + (x1 >> 1)
    b1, b7 = a1 + (a7 >> 2), a7 - (a1 >> 2)
    b3, b5 = a3 + (a5 >> 2), (a3 >> 2) - a5
    block[start], block[start + 7 * step] = b0 + b7, b0 - b7
    block[start + step], block[start + 6 * step] = b2 + b5, b2 - b5
    block[start + 2 * step], block[start + 5 * step] = b4 + b3, b4 - b3
    block[start + 3 * step], block[start + 4 * step] = b6 + b1, b6 - b1


@kernel
def inverse8(block, prediction, out):
    """Samples: prediction plus the inverse transform of coefficients; `block` is overwritten."""
    for i in range(8):
        _inverse8_line(block, 8 * i, 1)
    for i in range(8):
        _inverse8_line(block, i, 8)
    for k in range(64):
        out[k] = min(255, max(0, prediction[k] + ((block[k] + 32) >> 6)))


@kernel
def hadamard4(block):
    """4x4 Hadamard transform, its own inverse but for a factor of 16, in place."""
    for i in range(0, 16, 4):
        a, b, c, d = block[i], block[i + 1], block[i + 2], block[i + 3]
        block[i], block[i + 1] = a + b + c + d, a + b - c - d
        block[i + 2], block[i + 3] = a - b - c + d, a - b + c - d
    for i in range(4):
        a, b, c, d = block[i], block[4 + i], block[8 + i], block[12 + i]
        block[i], block[4 + i] = a + b + c + d, a + b - c - d
        block[8 + i], block[12 + i] = a - b - c + d, a - b + c - d


@kernel
def dequantise_dc16(levels, qp, out):
    """DC coefficients of a 16x16 macroblock, (16,) in raster order of its blocks, from their levels in raster order."""
    for k in range(16):
        out[k] = levels[k]
    hadamard4(out)
    scale, shift = SCALE4[qp % 6, 0] * 16, qp // 6
    for k in range(16):
        out[k] = (out[k] * scale) << (shift - 6) if shift >= 6 else (out[k] * scale + (1 << (5 - shift))) >> (6 - shift)


@kernel
def hadamard2(block):
    """2x2 Hadamard transform, its own inverse but for a factor of 4, in place."""
    a, b, c, d = block[0], block[1], block[2], block[3]
    block[0], block[1], block[2], block[3] = a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d


@kernel
def dequantise_chroma_dc(levels, qp, out):
    """DC coefficients of a plane of chroma, (4,) in raster order of its blocks, from their levels."""
    for k in range(4):
        out[k] = levels[k]
    hadamard2(out)
    scale, shift = SCALE4[qp % 6, 0] * 16, qp // 6
    for k in range(4):
        out[k] = ((out[k] * scale) << shift) >> 5
