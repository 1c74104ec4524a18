"""What a network costs by running it: latency in milliseconds, peak memory of its activations in bytes."""

import gc
import time
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm.auto import tqdm

from mcomp import calling
from mcomp.arrays import check_int, check_real
from mcomp.train import evaluating

__all__ = ["Latency", "latency", "peak_memory", "torch_threads"]

_FEWEST_RUNS = 10


@dataclass(frozen=True)
class Latency:
    """Wall-clock time of a forward pass: median and quartiles, in milliseconds for the whole batch."""

    median_ms: float
    lower_ms: float
    upper_ms: float
    batch: int
    runs: int
    threads: int

    @property
    def per_second(self):
        """Inputs a second, at the median."""
        return 1000 * self.batch / self.median_ms

    def __str__(self):
        return f"{self.median_ms:.3g} ms ({self.lower_ms:.3g} to {self.upper_ms:.3g})"


@contextmanager
def torch_threads(count):
    """torch computes with `count` threads inside, with as many as before afterwards, also after an error.

    Examples
    --------
    >>> with torch_threads(1):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    torch.set_num_threads(check_int("threads", count, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def latency(model, x, *, runs=100, warmup=10, seconds=1.0, threads=1, progress=True):
    """Time the forward pass of `x`: some runs to warm up, then many, one by one.

    What is timed is the model as it stands: a parametrised weight is computed again in every pass, so `bake`
    first what shall be fast. The garbage collector rests meanwhile.

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode without gradients; its modes are restored.
    x : tensor (batch, ...), or several inputs as in `mcomp.calling`
        Not changed.
    runs : int
        Timed runs at most.
    warmup : int
        Runs before, not timed.
    seconds : float
        No further run after this time, once there are 10.
    threads : int
        Threads of torch, restored afterwards.
    progress : bool
        Show a bar if it takes over two seconds.

    Returns
    -------
    latency : Latency

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> latency(torch.nn.Linear(784, 300), torch.zeros(256, 784), runs=3).runs
    3
    """
    batch = calling.count(x)
    check_int("runs", runs, 1)
    check_int("warmup", warmup, 0)
    check_real("seconds", seconds, 0.0)
    with evaluating(model), torch_threads(threads), _no_garbage_collection():
        times = _times(partial(calling.invoke, model, calling.copied(x)), runs, warmup, seconds, progress)
    lower, median, upper = 1000 * np.quantile(times, [0.25, 0.5, 0.75])
    return Latency(float(median), float(lower), float(upper), batch, len(times), threads)


def _times(call, runs, warmup, seconds, progress):
    """Seconds of each call, at most `runs` of them."""
    for _ in range(warmup):
        call()
    times, end = [], time.perf_counter() + seconds
    for _ in tqdm(range(runs), desc="latency", unit="run", delay=2, leave=False, disable=not progress):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        if len(times) >= _FEWEST_RUNS and time.perf_counter() >= end:
            break
    return times


@contextmanager
def _no_garbage_collection():
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def peak_memory(fn):
    """The most bytes of tensors that `fn()` had made and still held, at any one time.

    Counted exactly, storage by storage, as torch hands them out: views and in-place results cost nothing,
    tensors that were there before (weights, input) don't count, and a layer's input and output count together
    while both live. Not seen: scratch space inside a kernel, numpy arrays, Python itself. So it is the memory
    of the activations, the same number on every machine.

    Parameters
    ----------
    fn : callable without arguments

    Returns
    -------
    nbytes : int

    Examples
    --------
    >>> x = torch.zeros(1000)
    >>> peak_memory(lambda: (x + 1).relu_().mul(2))
    8000
    """
    with _StorageCount() as count:
        fn()
    return count.peak


class _StorageCount(TorchDispatchMode):
    """Sees every operation below autograd, and each storage from its making to its end."""

    def __init__(self):
        super().__init__()
        self.known, self.live, self.peak = {}, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for storage in _storages((args, kwargs)):
            self._note(storage, 0)
        output = func(*args, **(kwargs or {}))
        for storage in _storages(output):
            self._note(storage, storage.nbytes())
        self.peak = max(self.peak, self.live)
        return output

    def _note(self, storage, nbytes):
        key = id(storage)  # torch keeps one Python object for a storage as long as that lives
        if key not in self.known:
            self.known[key] = weakref.ref(storage, lambda _: self._forget(key, nbytes))
            self.live += nbytes

    def _forget(self, key, nbytes):
        del self.known[key]
        self.live -= nbytes


def _storages(tree):
    return [t.untyped_storage() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)]
