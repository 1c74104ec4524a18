"""Chapter 18: wrong roundings in groups, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _low(parts):
    return np.minimum(parts.min(-1, keepdims=True), 0)


def _high(parts):
    return np.maximum(parts.max(-1, keepdims=True), 0)


def _largest(parts):
    return abs(parts).max(-1, keepdims=True)


def _scale(low, high, most):
    return (high - low) / most


def _zero(low, scale, most):
    return np.round(-low / scale)


def _integers(parts, scale, zero, most):
    return np.clip(np.round(parts / scale) + zero, 0, most)


def _back(q, scale, zero, low):
    return scale * (q - zero)


def _grid(parts, bits, *, low=_low, high=_high, most=lambda bits: 2**bits - 1, scale=_scale, zero=_zero,
          q=_integers, back=_back):  # fmt: skip
    """The last axis of `parts` rounded to a grid of its own, with one thing done otherwise."""
    least, steps = low(parts), most(bits)
    size = scale(least, high(parts), steps)
    origin = zero(least, size, steps)
    return back(q(parts, size, origin, steps), size, origin, least)


def _groups(w, bits, group, **how):
    return _grid(w.reshape(len(w), -1, group), bits, **how).reshape(w.shape)


def _wrong(**how):
    return quiet(lambda w, bits, group: _groups(w, bits, group, **how))


def _whole(round_to):
    """Another rounding of w / scale."""
    return _wrong(q=lambda p, s, z, m: np.clip(round_to(p / s) + z, 0, m))


def _zeros(round_to):
    """Another rounding of the zero."""
    return _wrong(zero=lambda low, s, m: round_to(-low / s))


def _up(x):
    return np.floor(x + 0.5)


def _away(x):
    return np.sign(x) * np.floor(abs(x) + 0.5)


def _signed(w, bits, group):
    """The symmetric grid of chapter 06 in each group."""
    parts, most = w.reshape(len(w), -1, group), 2 ** (bits - 1) - 1
    scale = _largest(parts) / most
    return (scale * np.clip(np.round(parts / scale), -most, most)).reshape(w.shape)


def _columns(w, bits, group):
    return _grid(w.T.reshape(-1, group), bits).reshape(w.T.shape).T


def _strided(w, bits, group):
    """Groups of every (n / group)-th weight."""
    parts = np.swapaxes(w.reshape(len(w), group, -1), 1, 2)
    return np.swapaxes(_grid(parts, bits), 1, 2).reshape(w.shape)


def _across(w, bits, group):
    """One grid for each place in the group, from all groups of the row."""
    parts = np.swapaxes(w.reshape(len(w), -1, group), 1, 2)
    return np.swapaxes(_grid(parts, bits), 1, 2).reshape(w.shape)


def _all_rows(w, bits, group):
    """One grid for `group` columns of all rows."""
    parts = np.swapaxes(w.reshape(len(w), -1, group), 0, 1)
    rounded = _grid(parts.reshape(len(parts), -1), bits).reshape(parts.shape)
    return np.swapaxes(rounded, 0, 1).reshape(w.shape)


def _first_group(w, bits, group):
    """The grid of each row's first group for the whole row."""
    ends = _low(w[:, :group]), _high(w[:, :group])
    return _grid(w, bits, low=lambda parts: ends[0], high=lambda parts: ends[1])


GROUPS = (
    Mistake("not_widened", _wrong(low=lambda p: p.min(-1, keepdims=True),
                                  high=lambda p: p.max(-1, keepdims=True)),
            "your range goes from the smallest to the largest; it must hold 0, too, or 0.0 isn't on it"),
    Mistake("zero_cut", _wrong(low=lambda p: p.min(-1, keepdims=True),
                               high=lambda p: p.max(-1, keepdims=True),
                               zero=lambda low, s, m: np.clip(np.round(-low / s), 0, m)),
            "you cut the zero to the integers there are; widen the range to hold 0 instead"),
    Mistake("low_only", _wrong(high=lambda p: p.max(-1, keepdims=True)),
            "where all of a group is negative your range ends below 0: widen it on both sides"),
    Mistake("high_only", _wrong(low=lambda p: p.min(-1, keepdims=True)),
            "where all of a group is positive your range begins above 0: widen it on both sides"),
    Mistake("even_sides", _wrong(low=lambda p: -_largest(p), high=_largest),
            "your range is as long below 0 as above; it goes from the lowest to the highest weight"),
    Mistake("signed", quiet(_signed),
            "that is the symmetric grid, without a zero; here integers span the lowest to the highest"),
    Mistake("sizes", _wrong(low=lambda p: 0 * _largest(p), high=_largest),
            "your range is 0 to the largest |w|: negative weights were cut to 0"),
    Mistake("each_row", quiet(lambda w, bits, group: _grid(w, bits)),
            "you made one grid for a whole row; each run of `group` weights has its own"),
    Mistake("one_grid", quiet(lambda w, bits, group: _grid(w.reshape(-1), bits).reshape(w.shape)),
            "you made one grid for all of w; each run of `group` weights has its own"),
    Mistake("each_weight", quiet(lambda w, bits, group: _grid(w[..., None], bits)[..., 0]),
            "every weight got a grid of its own, so nothing was rounded: reduce over the group"),
    Mistake("columns", quiet(_columns),
            "your groups run down the columns; a group is a run of neighbours in a row"),
    Mistake("strided", quiet(_strided),
            "reshape(out, group, -1) groups weights far apart: reshape(out, -1, group) keeps neighbours"),
    Mistake("across", quiet(_across),
            "you took lowest and highest over the groups; take them within each group, the last axis"),
    Mistake("as_many", quiet(lambda w, bits, group: _groups(w, bits, w.shape[1] // group)),
            "you cut each row into `group` groups; a group holds `group` weights"),
    Mistake("all_rows", quiet(_all_rows),
            "you took lowest and highest over all rows: each row has groups of its own"),
    Mistake("first_group", quiet(_first_group),
            "the whole row is on its first group's grid: compute the grid anew for each group"),
    Mistake("points", _wrong(scale=lambda low, high, most: (high - low) / (most + 1)),
            "2**bits integers have 2**bits - 1 steps between them: divide the range by that"),
    Mistake("one_more", _wrong(most=lambda bits: 2**bits),
            "you have one integer too many: 0, 1, ... 2**bits - 1"),
    Mistake("half_the_integers", _wrong(most=lambda bits: 2 ** (bits - 1) - 1),
            "2**(bits - 1) - 1 is one side of a symmetric grid; here 0 to 2**bits - 1 span the range"),
    Mistake("real_zero", _zeros(lambda x: x),
            "your zero is not a whole number: round it, or 0.0 and what is rounded beside it shift"),
    Mistake("zero_down", _zeros(np.floor),
            "you rounded the zero down (int cuts, too); round it to the nearest"),
    Mistake("zero_up", _zeros(np.ceil),
            "you rounded the zero up; round it to the nearest"),
    Mistake("zero_sign", _wrong(zero=lambda low, s, m: np.round(low / s)),
            "the zero's sign is wrong: integer 0 stands for low, so it is -low / scale"),
    Mistake("no_zero", _wrong(zero=lambda low, s, m: 0 * low),
            "all negative weights were cut to 0: the zero is missing, or added behind the cut"),
    Mistake("middle", _wrong(zero=lambda low, s, m: 0 * low + (m + 1) // 2),
            "you put the zero in the middle of the integers (or let them be negative); it is -low / scale"),
    Mistake("not_cut", _wrong(q=lambda p, s, z, m: np.round(p / s) + z),
            "you didn't cut q to the integers there are: the largest weight may fall one above"),
    Mistake("down", _whole(np.floor), "you rounded w / scale down; to the nearest"),
    Mistake("up", _whole(np.ceil), "you rounded w / scale up; to the nearest"),
    Mistake("towards_0", _whole(np.trunc), "you cut the decimals of w / scale off; round to the nearest"),
    Mistake("half_up", _whole(_up), "you round halves of w / scale up; they go to the even integer"),
    Mistake("half_away", _whole(_away), "you round halves of w / scale away from 0; to the even integer"),
    Mistake("all_down", _wrong(zero=lambda low, s, m: np.floor(-low / s),
                               q=lambda p, s, z, m: np.clip(np.floor(p / s) + z, 0, m)),
            "you rounded q and zero down (// or int); both to the nearest"),
    Mistake("from_low", _wrong(q=lambda p, s, z, m: np.round((p - _low(p)) / s),
                               back=lambda q, s, z, low: low + s * q),
            "your grid starts at low itself, and 0.0 isn't on it: round the zero"),
    Mistake("from_lowest", _wrong(low=lambda p: p.min(-1, keepdims=True),
                                  high=lambda p: p.max(-1, keepdims=True),
                                  q=lambda p, s, z, m: np.round((p - p.min(-1, keepdims=True)) / s),
                                  back=lambda q, s, z, low: low + s * q),
            "your grid runs from the smallest to the largest: no 0 in its range, and 0.0 isn't on it"),
    Mistake("rounded_late", _wrong(q=lambda p, s, z, m: np.clip(np.round((p - _low(p)) / s), 0, m)),
            "you rounded (w - low) / scale in one; q is w / scale, rounded, plus the rounded zero"),
    Mistake("zero_kept", _wrong(back=lambda q, s, z, low: s * q),
            "the zero wasn't subtracted on the way back: scale * (q - zero)"),
    Mistake("zero_scaled_late", _wrong(back=lambda q, s, z, low: s * q - z),
            "brackets: scale * (q - zero), not scale * q - zero"),
    Mistake("low_added", _wrong(back=lambda q, s, z, low: s * q + low),
            "you added low on the way back; the grid starts at -scale * zero, with the rounded zero"),
    Mistake("no_scale", _wrong(back=lambda q, s, z, low: q - z),
            "you left the result in steps: multiply by scale"),
    Mistake("integers", _wrong(back=lambda q, s, z, low: q),
            "these are the integers q; the weights that they stand for were asked for"),
    Mistake("upside_down", _wrong(scale=lambda low, high, most: most / (high - low)),
            "the scale is upside down: the range over the number of steps"),
    Mistake("apart", quiet(lambda w, bits, group: _grid(w.reshape(len(w), -1, group), bits)),
            "you returned the groups as they were cut; give them w's shape"),
    Mistake("error", quiet(lambda w, bits, group: w - _groups(w, bits, group)),
            "that is the error of rounding; the rounded weights were asked for"),
)  # fmt: skip
