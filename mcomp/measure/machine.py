"""The roofline of this machine: how fast it can compute, and how fast it can fetch what it computes with.

Williams, Waterman and Patterson 2009, doi:10.1145/1498765.1498785: a kernel with I operations a byte runs at
most at min(peak, I * bandwidth). Derived in chapters/01_what_does_a_network_cost.ipynb.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.measure.timing import torch_threads

__all__ = ["Roofline", "roofline"]

_SIDE = 256  # of the square matrices: 2 * 256^3 FLOP a product on 0.8 MB, which stays in the cache
_CHANNELS, _KERNEL, _IMAGE = 128, 3, 28  # of the convolution: 2 * (128 * 3 * 26)^2 FLOP


@dataclass(frozen=True)
class Roofline:
    """The two ceilings of a machine.

    Attributes
    ----------
    flops : float
        Most floating-point operations a second, seen in a product of float32 matrices or a convolution.
    bandwidth : float
        Most bytes a second to and from memory, seen in a copy (bytes read plus bytes written).
    threads : int
    """

    flops: float
    bandwidth: float
    threads: int = 1

    @property
    def ridge(self):
        """FLOP per byte where the two ceilings meet: memory is the limit below it, arithmetic above."""
        return self.flops / self.bandwidth

    def attainable(self, intensity):
        """FLOP a second that a kernel of this arithmetic intensity (FLOP per byte) can reach.

        Parameters
        ----------
        intensity : number or numpy array, none negative

        Returns
        -------
        flops : numpy float or array of the same shape

        Raises
        ------
        ValueError
            If an intensity is negative or NaN.

        Examples
        --------
        >>> Roofline(flops=100e9, bandwidth=10e9).attainable(np.array([1, 10, 100])) / 1e9
        array([ 10., 100., 100.])
        """
        intensity = np.asarray(intensity, dtype=float)
        if not (intensity >= 0).all():
            raise bad_value("intensity", intensity.tolist(), "numbers of at least 0")
        return np.minimum(self.flops, self.bandwidth * intensity)

    def limit(self, intensity):
        """What holds a kernel of this intensity back: ``"memory"`` or ``"compute"``.

        True of data that come from memory; what fits in the cache may run faster than the roof says.

        Examples
        --------
        >>> Roofline(flops=100e9, bandwidth=10e9).limit(0.5)
        'memory'
        """
        return "memory" if self.attainable(intensity) < self.flops else "compute"

    def __str__(self):
        flops, bandwidth = self.flops / 1e9, self.bandwidth / 1e9
        return f"{flops:.3g} GFLOP/s, {bandwidth:.3g} GB/s, ridge {self.ridge:.3g} FLOP/byte"


def roofline(*, seconds=1.0, threads=1, nbytes=2**27):
    """Measure this machine: the fastest of many matrix products and convolutions, and of many copies.

    The fastest and not the median, because a ceiling is wanted. Both kinds of arithmetic, because torch has
    them from two libraries, and either may use wider instructions than the other. Bytes are counted as in
    McCalpin's STREAM (https://www.cs.virginia.edu/stream): a copy reads and writes each byte once.

    Parameters
    ----------
    seconds : float
        Time to measure, half for each ceiling; at least three runs of each kernel are made.
    threads : int
        Threads of torch, restored afterwards.
    nbytes : int
        Size of the array that is copied: several times the largest cache for the memory's ceiling; about
        2**18 for the ceiling of the cache.

    Returns
    -------
    roofline : Roofline

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> roofline(seconds=0.0, nbytes=2**20).threads
    1
    """
    check_int("threads", threads, 1)
    half = check_real("seconds", seconds, 0.0) / 2
    source = torch.ones(check_int("nbytes", nbytes, 4) // 4)
    target = torch.zeros_like(source)
    with torch_threads(threads), torch.no_grad():
        flops = max(flop / _fastest(kernel, half / 2) for flop, kernel in _kernels())
        copy = _fastest(lambda: target.copy_(source), half)
    return Roofline(flops, 2 * 4 * source.numel() / copy, threads)


def _kernels():
    """What is asked for the most arithmetic: (FLOP, call)."""
    a, b, c = (torch.ones(_SIDE, _SIDE) for _ in range(3))
    yield 2 * _SIDE**3, lambda: torch.mm(a, b, out=c)
    w, x = torch.ones(_CHANNELS, _CHANNELS, _KERNEL, _KERNEL), torch.ones(1, _CHANNELS, _IMAGE, _IMAGE)
    yield 2 * (_CHANNELS * _KERNEL * (_IMAGE - _KERNEL + 1)) ** 2, lambda: F.conv2d(x, w)


def _fastest(call, seconds):
    """Seconds of the fastest of several calls after one to warm up."""
    call()
    end, runs, fastest = time.perf_counter() + seconds, 0, float("inf")
    while runs < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
        runs += 1
    return fastest
