"""Chapter 17: wrong ways of rounding twice, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet

# p / 2**n to a whole number, p int64 and n from 0 on.
WAYS = {
    "up": lambda p, n: (p + 2**n // 2) >> n,
    "away": lambda p, n: np.sign(p) * ((abs(p) + 2**n // 2) >> n),
    "even": lambda p, n: _even(p, n),
    "floor": lambda p, n: p >> n,
    "cut": lambda p, n: np.sign(p) * (abs(p) >> n),
    "ceil": lambda p, n: -(-p >> n),
    "down": lambda p, n: -((-p + 2**n // 2) >> n),
    "towards": lambda p, n: np.sign(p) * -((-abs(p) + 2**n // 2) >> n),
}
TOLD = {
    "up": "ties upwards", "away": "ties away from zero", "even": "ties to the even neighbour",
    "floor": "always down, as a bare shift does", "cut": "always towards zero, as a cast does",
    "ceil": "always up", "down": "ties downwards", "towards": "ties towards zero",
}  # fmt: skip
FIRST, SECOND = "the first rounding takes ties upwards", "the second rounding takes ties away from zero"


def _even(p, n):
    half = 2**n // 2
    q = (p + half) >> n
    return q - ((half > 0) & (p % 2**n == half) & (q % 2 == 1))


def _twice(first, second, acc, m0, shift, *, parts=None, read=lambda acc: acc.astype(np.int64)):
    """Both roundings; `parts` are the bits that each takes away."""
    one, two = parts or (31, shift - 31)
    return WAYS[second](WAYS[first](read(acc) * m0, one), two)


def _both(first, second, **options):
    return quiet(lambda acc, m0, shift: _twice(first, second, acc, m0, shift, **options))


def _told(first, second):
    """What is wrong with these two."""
    wrong = [f"{FIRST}; yours: {TOLD[first]}"] if first != "up" else []
    return ". And ".join(wrong + ([f"{SECOND}; yours: {TOLD[second]}"] if second != "away" else []))


def _narrow(acc, m0, shift, bits=32):
    p = (acc.astype(np.int64) * m0 + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    return WAYS["away"](WAYS["up"](p, 31), shift - 31)


def _narrow_sum(acc, m0, shift):
    p = (acc.astype(np.int64) * m0 + 2**30 + 2**31) % 2**32 - 2**31
    return WAYS["away"](p >> 31, shift - 31)


def _float(first, second, dtype=np.float64):
    """As `_both`, the product in floats."""
    ways = {
        "up": lambda x: np.floor(x + 0.5), "even": np.rint, "floor": np.floor, "cut": np.trunc,
                "none": lambda x: x,
        "away": lambda x: np.sign(x) * np.floor(abs(x) + 0.5),
    }  # fmt: skip

    def answer(acc, m0, shift):
        upper = ways[first](acc.astype(dtype) * dtype(m0) / dtype(2**31))
        return ways[second](upper / dtype(2 ** (shift - 31))).astype(np.int64)

    return quiet(answer)


def _once(way, taken=lambda shift: shift):
    return quiet(lambda acc, m0, shift: WAYS[way](acc.astype(np.int64) * m0, taken(shift)))


def _split(one, two, first="up", second="away"):
    """Other bits taken away in the first and in the second division."""
    return quiet(lambda acc, m0, shift: _twice(first, second, acc, m0, shift, parts=(one(shift), two(shift))))


def _half_at_the_end(acc, m0, shift):
    """2**(n - 1) as a half even where n is 0: a float, which // takes as well."""
    upper = WAYS["up"](acc.astype(np.int64) * m0, 31)
    n = shift - 31
    return np.sign(upper) * ((abs(upper) + (1 << max(n - 1, 0))) >> n)


def _nudged(acc, m0, shift):
    """Adds half a step of the sign: right for a division that cuts, wrong before a shift."""
    upper = WAYS["up"](acc.astype(np.int64) * m0, 31)
    half = 2 ** (shift - 31) // 2
    return np.where(upper >= 0, upper + half, upper - half) >> (shift - 31)


def _nudged_first(acc, m0, shift):
    p = acc.astype(np.int64) * m0
    return WAYS["away"](np.where(p >= 0, p + 2**30, p - 2**30) >> 31, shift - 31)


def _nudged_both(acc, m0, shift):
    p, half = acc.astype(np.int64) * m0, 2 ** (shift - 31) // 2
    upper = np.where(p >= 0, p + 2**30, p - 2**30) >> 31
    return np.where(upper >= 0, upper + half, upper - half) >> (shift - 31)


def _added(acc, m0, shift, one, two):
    """What is added before each shift."""
    upper = (acc.astype(np.int64) * m0 + one) >> 31
    return np.sign(upper) * ((abs(upper) + two) >> (shift - 31))


def _clipped(acc, m0, shift):
    return _twice("up", "away", acc, m0, shift).clip(-128, 127)


PAIRS = [(one, two) for one in WAYS for two in WAYS if (one, two) != ("up", "away")]

ROUNDINGS = (
    *(Mistake(f"{one}_{two}", _both(one, two), _told(one, two)) for one, two in PAIRS),
    *(Mistake(f"once_{way}", _once(way),
            f"you rounded once, {TOLD[way]}: these kernels round after 31 bits, and again")
      for way in ("up", "away", "even", "down", "towards")),
    *(Mistake(f"float_{one}_{two}", _float(one, two),
              f"float64 holds 53 bits of acc * m0, which has up to 62: near a tie it rounds wrongly; use "
              f"int64{more}")
      for one, two, more in (("up", "away", ""), ("even", "even", ". And np.round takes ties to even"),
                             ("up", "even", ". And the second rounding takes ties away from zero"),
                             ("none", "even", ". And that rounds once"), ("none", "away",
                             ". And that rounds once, not twice"),
                             ("away", "away", ". And the first rounding takes ties upwards"),
                             ("up", "up",
                             ". And the second rounding takes ties away from zero, not upwards"))),
    Mistake("float32", _float("up", "away", np.float32), "float32 holds 24 bits of acc * m0; use int64"),
    Mistake("narrow", _narrow, "acc * m0 wrapped round in 32 bits: go to int64 before the product"),
    Mistake("narrow_sum", _narrow_sum,
            "acc * m0 + 2**30 wrapped round in 32 bits: go to int64 before the product"),
    Mistake("nudged", _nudged, "a negative number less half a step is right for a division that cuts, "
            "as in C; >> and // round down: divide the size, and put the sign back"),
    Mistake("nudged_first", _nudged_first,
            "in the first rounding you add or subtract half by the sign, and then round "
            "down: add 2**30 to all"),
    Mistake("nudged_both", _nudged_both,
            "you add or subtract half by the sign, and then round down, twice: >> is no "
            "division that cuts"),
    Mistake("no_second", _split(lambda s: 31, lambda s: 0),
            "the second division, by 2**(shift - 31), is missing"),
    Mistake("second_whole", _split(lambda s: 31, lambda s: s),
            "you divided by 2**shift the second time; 31 bits are gone "
            "already"),
    Mistake("thirty_two", _split(lambda s: 32, lambda s: s - 31),
            "the first division is by 2**31, not 2**32"),
    Mistake("thirty_two_in_all", _split(lambda s: 32, lambda s: max(s - 32, 0)),
            "you took 32 bits off first; 2**31 is the first division, the rest the second"),
    Mistake("thirty", _split(lambda s: 30, lambda s: s - 30), "you took 30 bits off first; it is 31"),
    Mistake("one_too_few", _split(lambda s: 30, lambda s: s - 31),
            "the first division is by 2**31, not 2**30"),
    Mistake("one_more", _split(lambda s: 31, lambda s: s - 30), "the second division is by 2**(shift - 31)"),
    Mistake("one_less", _split(lambda s: 31, lambda s: max(s - 32, 0)),
            "the second division is by 2**(shift - 31), not "
            "2**(shift - 32)"),
    Mistake("first_whole", quiet(lambda acc, m0, shift: _added(acc, m0, shift, 2**31,
            2 ** (shift - 31) // 2)),
            "you added a whole 2**31 before the first shift; half of it"),
    Mistake("second_added_whole", quiet(lambda acc, m0, shift: _added(acc, m0, shift, 2**30,
            2 ** (shift - 31))),
            "you added a whole 2**(shift - 31) before the second shift; half of it"),
    Mistake("both_whole", quiet(lambda acc, m0, shift: _added(acc, m0, shift, 2**31, 2 ** (shift - 31))),
            "you added what you divide by before both shifts; half of it"),
    Mistake("no_m0", quiet(lambda acc, m0, shift: WAYS["away"](acc.astype(np.int64), shift - 31)),
            "m0 is missing: first acc * m0 / 2**31"),
    Mistake("half_at_the_end", _half_at_the_end,
            "at shift 31 nothing is left to divide, and nothing to add before it"),
    Mistake("clipped", _clipped, "nothing is clipped here"),
    Mistake("sizes", quiet(lambda *a: abs(_twice("up", "away", *a))),
            "the sign is missing: put it back after the shift"),
)  # fmt: skip
