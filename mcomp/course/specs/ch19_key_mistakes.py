"""Chapter 19: wrong ways to quantize keys, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _grid(part, bits, axis, *, levels=None, low=None, high=None, down=False):
    """`part` on a grid from its lowest to its highest along `axis`."""
    low = part.min(axis, keepdims=True) if low is None else low
    high = part.max(axis, keepdims=True) if high is None else high
    most = 2**bits - 1 if levels is None else levels
    scale = np.where(high > low, high - low, 1) / most
    to = np.floor if down else np.round
    return low + scale * to((part - low) / scale)


def _runs(change, *, tail=None):
    """Each run of tokens changed by ``change(run (group, channels), bits)``, what waits by `tail`."""

    def answer(x, bits, group):
        out = x.astype(np.float64).copy()
        due = len(x) // group * group
        for start in range(0, due, group):
            out[start : start + group] = change(x[start : start + group], bits)
        if tail is not None and due < len(x):
            out[due:] = tail(x[due:], bits)
        return out

    return quiet(answer)


def _channel(part, bits):
    return _grid(part, bits, 0)


def _whole_channel(x, bits, group):
    due = len(x) // group * group
    return np.concatenate([_channel(x[:due], bits), x[due:]]) if due else x.astype(np.float64)


def _symmetric(part, bits):
    most = max(2 ** (bits - 1) - 1, 1)
    scale = abs(part).max(0, keepdims=True) / most
    scale = np.where(scale > 0, scale, 1)
    return scale * np.clip(np.round(part / scale), -most, most)


def _with_zero(part, bits):
    return _grid(part, bits, 0, low=np.minimum(part.min(0, keepdims=True), 0),
                 high=np.maximum(part.max(0, keepdims=True), 0))  # fmt: skip


def _integers(part, bits):
    low, high = part.min(0, keepdims=True), part.max(0, keepdims=True)
    return np.round((part - low) / np.where(high > low, high - low, 1) * (2**bits - 1))


def _no_low(part, bits):
    low, high = part.min(0, keepdims=True), part.max(0, keepdims=True)
    scale = np.where(high > low, high - low, 1) / (2**bits - 1)
    return scale * np.round((part - low) / scale)


def _divided_by_zero(part, bits):
    low, high = part.min(0, keepdims=True), part.max(0, keepdims=True)
    scale = (high - low) / (2**bits - 1)
    return low + scale * np.round((part - low) / scale)


def _cut(x, bits, group):
    return _runs(_channel)(x, bits, group)[: len(x) // group * group]


def _from_behind(x, bits, group):
    return _runs(_channel)(x[::-1], bits, group)[::-1]


def _tokens_in_groups(x, bits, group):
    """Groups of channels within a token, as values have them."""
    out = x.astype(np.float64).copy()
    for start in range(0, x.shape[1] // group * group, group):
        out[:, start : start + group] = _grid(x[:, start : start + group], bits, 1)
    return out


KEYS = (
    Mistake(
        "by_token",
        _runs(lambda part, bits: _grid(part, bits, 1)),
        "each token got a grid over its channels; a channel gets one, over the tokens of the run",
    ),
    Mistake(
        "one_grid",
        _runs(lambda part, bits: _grid(part, bits, None)),
        "all channels of a run share a grid; each channel has its own",
    ),
    Mistake(
        "whole_channel",
        quiet(_whole_channel),
        "a channel has one grid for all its runs; each run has its own",
    ),
    Mistake(
        "groups_of_channels",
        quiet(_tokens_in_groups),
        "you made groups of channels within a token, as values have them; keys go along the tokens",
    ),
    Mistake(
        "tail_too",
        _runs(_channel, tail=_channel),
        "the tokens at the end don't fill a run, and were quantized as a short one; they wait as they are",
    ),
    Mistake(
        "tail_zero",
        _runs(_channel, tail=lambda part, bits: part * 0),
        "the tokens at the end, which don't fill a run, became 0; they stay as they are",
    ),
    Mistake("tail_cut", quiet(_cut), "the tokens at the end, which don't fill a run, are missing"),
    Mistake(
        "from_behind",
        quiet(_from_behind),
        "the runs were counted from the last token; they begin at the first, and the last ones wait",
    ),
    Mistake(
        "levels",
        _runs(lambda part, bits: _grid(part, bits, 0, levels=2**bits)),
        "the step is the range over 2 ** bits: that makes one level too many; 2 ** bits levels have one step "
        "less between them",
    ),
    Mistake(
        "two_too_few",
        _runs(lambda part, bits: _grid(part, bits, 0, levels=max(2**bits - 2, 1))),
        "the step is the range over 2 ** bits - 2; between 2 ** bits levels there are 2 ** bits - 1 steps",
    ),
    Mistake(
        "down",
        _runs(lambda part, bits: _grid(part, bits, 0, down=True)),
        "you cut down to the level below; the nearest is asked for",
    ),
    Mistake(
        "symmetric",
        _runs(_symmetric),
        "the grid is symmetric around 0; here it goes from the lowest of the run to its highest",
    ),
    Mistake(
        "zero_inside",
        _runs(_with_zero),
        "the range was widened to hold 0, as for weights; here it goes from the lowest to the highest",
    ),
    Mistake("integers", _runs(_integers), "these are the integers q; low + scale * q is asked for"),
    Mistake("low_forgotten", _runs(_no_low), "the lowest of the run wasn't added again after the rounding"),
    Mistake(
        "equal_channel",
        _runs(_divided_by_zero),
        "where all of a run are equal the step is 0, and 0 / 0 came out; they stay as they are",
    ),
)
