"""Learn to predict the next byte, and measure how well: training on windows of text, bits per byte.

A network that gives each byte b the probability p(b) needs ``-log2 p(b)`` bits for it (Shannon 1948), which
arithmetic coding reaches: bits per byte is the size of the text, coded by the network, over its size.
"""

import math
import os
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F
from tqdm.auto import tqdm

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.data.text import END, stream
from mcomp.train import evaluating, one_cycle, parameter_groups

__all__ = ["CONTEXT", "Bits", "bits_per_byte", "bootstrap", "fit_text", "next_byte_loss", "windows"]

CONTEXT = 256


class Bits(NamedTuple):
    """What `bits_per_byte` found: the bits and the bytes of each file, in order."""

    names: tuple
    bits: tuple
    bytes: tuple

    @property
    def per_byte(self):
        """All bits over all bytes."""
        return sum(self.bits) / sum(self.bytes)


def next_byte_loss(logits, x):
    """Mean cross-entropy in nats of logits (batch, positions, 256) for the bytes (batch, positions + 1)."""
    return F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten().long())


def windows(text, n, *, context=CONTEXT, generator):
    """Windows of `context` bytes and the byte after each, drawn at random: uint8 (n, context + 1).

    Parameters
    ----------
    text : uint8 tensor (bytes,)
        As `mcomp.data.text.stream` makes of files.
    n, context : int
    generator : torch.Generator

    Raises
    ------
    ValueError
        If an argument is out of range, or the text is shorter than a window and a byte.

    Examples
    --------
    >>> windows(torch.arange(5, dtype=torch.uint8), 2, context=4, generator=torch.Generator())
    tensor([[0, 1, 2, 3, 4],
            [0, 1, 2, 3, 4]], dtype=torch.uint8)
    """
    n, context = check_int("n", n, 1), check_int("context", context, 1)
    if len(text) < context + 1:
        raise bad_value("bytes of text", len(text), f"at least a window and a byte, {context + 1}")
    starts = torch.randint(len(text) - context, (n, 1), generator=generator)
    return text[starts + torch.arange(context + 1)]


def fit_text(
    model, files, *, steps, lr=3e-3, batch_size=16, context=CONTEXT, weight_decay=0.1, seed=0, progress=True
):
    """Train `model` in place to predict the next byte of `files`; returns the loss of each step in nats.

    AdamW with a one-cycle schedule, gradients cut to norm 1, windows drawn at random from the stream of all
    files. Deterministic on a CPU for a seed and a thread count.

    Parameters
    ----------
    model : torch.nn.Module
        Bytes (batch, positions) in, logits (batch, positions, 256) out. Left in evaluation mode.
    files : dict of name to uint8 tensor (n,)
    steps, batch_size, context : int
        Each step reads `batch_size` windows of `context` bytes and the byte after each.
    lr : float, the peak of the schedule
    weight_decay : float, decoupled, on every parameter with more than one axis
    seed : int

    Raises
    ------
    ValueError
        If an argument is out of range, the text is shorter than a window, or the loss isn't finite.
    """
    text, steps = stream(files), check_int("steps", steps, 0)
    chance = torch.Generator().manual_seed(check_int("seed", seed, 0, 2**63 - 1))
    groups = parameter_groups(model, check_real("weight_decay", weight_decay, 0.0))
    optimizer = torch.optim.AdamW(groups, lr=check_real("lr", lr, 0), betas=(0.9, 0.95), fused=True)
    losses, silent = [], not progress or os.environ.get("TQDM_DISABLE") == "1"
    model.train()
    for step in tqdm(range(steps), disable=silent, unit="step", leave=False):
        window = windows(text, batch_size, context=context, generator=chance)
        losses.append(_step(model, optimizer, window, lr * one_cycle(step, steps, warm=0.1)))
    model.eval()
    return losses


def _step(model, optimizer, window, lr):
    """One step at the rate `lr`; returns the loss before it."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    loss = next_byte_loss(model(window[:, :-1]), window)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if not math.isfinite(loss := float(loss.detach())):
        raise bad_value("the loss", loss, f"a finite number; lower the learning rate, it is {lr:.2g}")
    return loss


def bits_per_byte(model, files, *, context=CONTEXT, stride=None, batch_size=32):
    """How many bits the network needs for each file, byte by byte from the bytes before it in the file.

    Windows of `context` bytes move on by `stride`; each byte is counted once, in the first window that holds
    it, so it has at least ``context - stride`` bytes before it, or all that the file has. A shorter stride
    gives longer contexts, costs more, and isn't comparable: say both.

    Parameters
    ----------
    model : torch.nn.Module, as for `fit_text`; evaluated
    files : dict of name to uint8 tensor (n,)
    context : int
    stride : int from 1 to `context`; default half of it
    batch_size : int
        Windows at once.

    Returns
    -------
    bits : Bits

    Raises
    ------
    ValueError
        If there is no file, a file is empty, or an argument is out of range.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> model = TinyGPT(dim=4, layers=1, heads=1, hidden=4)
    >>> _ = torch.nn.init.zeros_(model.embed.weight)  # and of the head: every byte is as likely as any other
    >>> bits_per_byte(model, {"a": torch.arange(9, dtype=torch.uint8)}).bits
    (72.0,)
    """
    context = check_int("context", context, 1)
    stride = check_int("stride", max(1, context // 2) if stride is None else stride, 1, context)
    if not files or any(len(data) == 0 for data in files.values()):
        raise bad_value("files", {name: len(data) for name, data in files.items()}, "files with bytes")
    with evaluating(model):
        found = [_bits_of(model, data, context, stride, check_int("batch_size", batch_size, 1))
                 for data in files.values()]  # fmt: skip
    return Bits(tuple(files), tuple(found), tuple(map(len, files.values())))


def _bits_of(model, data, context, stride, batch_size):
    """Bits of one file: each window counts the bytes that none before it has counted."""
    text = torch.cat([data.new_tensor([END]), data])  # text[t + 1] is predicted at t
    n, total = len(data), 0.0
    starts = list(range(0, max(n - context, 0) + stride, stride))
    starts = [min(start, max(n - context, 0)) for start in starts]
    width, counted = min(context, n), 0
    for first in range(0, len(starts), batch_size):
        some = torch.tensor(starts[first : first + batch_size])[:, None] + torch.arange(width)
        logs = model(text[some]).double().log_softmax(-1)
        right = logs.gather(-1, text[some + 1].long()[..., None])[..., 0]  # (windows, width)
        for row, start in zip(right, some[:, 0].tolist(), strict=True):
            total -= float(row[counted - start :].sum())
            counted = start + width
    return total / math.log(2)


def bootstrap(bits, other=None, *, draws=2_000, level=0.95, seed=0):
    """An interval for bits per byte, from files drawn anew with replacement (Efron 1979).

    With `other`, the bits of another network on the same files: an interval for the difference, `bits` less
    `other`, which is far narrower, since both find the same files hard.

    Returns
    -------
    low, high : float

    Raises
    ------
    ValueError
        If the files differ, or an argument is out of range.

    Examples
    --------
    >>> bootstrap(Bits(("a", "b"), (8.0, 16.0), (8, 8)))
    (1.0, 2.0)
    """
    if other is not None and (bits.names, bits.bytes) != (other.names, other.bytes):
        raise bad_value("other.names", other.names, f"{bits.names}, each with as many bytes")
    difference = np.array(bits.bits) - (0 if other is None else np.array(other.bits))
    n = check_int("draws", draws, 1), len(bits.names)
    drawn = np.random.default_rng(check_int("seed", seed, 0)).integers(n[1], size=n)
    values = difference[drawn].sum(1) / np.array(bits.bytes)[drawn].sum(1)
    tail = (1 - check_real("level", level, 0, 1)) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
