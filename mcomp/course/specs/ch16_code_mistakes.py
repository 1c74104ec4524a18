"""Chapter 16: wrong code words, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _words(order=None, *, step=None, most=1.0, start=-1, none=lambda lengths: []):
    """Canonical words with another order, another way on, or another limit of Kraft's sum."""
    order = order or (lambda lengths, s: (lengths[s], s))
    step = step or (lambda code, longer: (code + 1) << max(longer, 0) >> max(-longer, 0))

    def answer(lengths):
        lengths = [int(n) for n in lengths]
        if sum(2.0**-n for n in lengths) > most:
            return none(lengths)
        words, code, last = [0] * len(lengths), start, 0
        for s in sorted(range(len(lengths)), key=lambda s: order(lengths, s)):
            code = step(code, lengths[s] - last)
            words[s], last = code, lengths[s]
        return words

    return quiet(answer)


def _in_order(lengths):
    lengths = [int(n) for n in lengths]
    return [] if sum(2.0**-n for n in lengths) > 1 else sorted(_words()(lengths))


def _from_above(lengths):
    words = _words()(lengths)
    return [2 ** int(n) - 1 - w for n, w in zip(lengths, words, strict=False)] if words else []


def _fractions(lengths):
    words, longest = _words()(lengths), int(max(lengths))
    return [w << (longest - int(n)) for n, w in zip(lengths, words, strict=False)]


def _by_number(lengths):
    return _words()(lengths) and list(range(len(lengths)))


def _complete_only(lengths):
    return _words()(lengths) if sum(2.0 ** -int(n) for n in lengths) == 1 else []


def _reversed_bits(lengths):
    pairs = zip(lengths, _words()(lengths), strict=False)
    return [int(format(w, f"0{int(n)}b")[::-1], 2) for n, w in pairs]


CODES = (
    Mistake(
        "in_order",
        _in_order,
        "the words are right, but stand in the order of their lengths; word s is that of symbol s",
    ),
    Mistake(
        "by_symbol",
        _words(lambda lengths, s: s),
        "you gave words in the order of the symbols; shorter words come first",
    ),
    Mistake(
        "longest_first",
        _words(lambda lengths, s: (-lengths[s], s)),
        "the longest words came first; the shortest do",
    ),
    Mistake(
        "higher_first",
        _words(lambda lengths, s: (lengths[s], -s)),
        "of equal lengths the higher symbol came first; the lower does",
    ),
    Mistake(
        "no_zeros",
        _words(step=lambda code, longer: code + 1),
        "a longer word is the next number with zeros behind it; yours isn't shifted",
    ),
    Mistake(
        "shift_first",
        _words(step=lambda code, longer: (code << longer) + 1 if code >= 0 else 0),
        "you put the zeros behind before adding 1: the word before is then the beginning of this one",
    ),
    Mistake(
        "one_zero",
        _words(step=lambda code, longer: (code + 1) << (longer > 0)),
        "a word that is longer by two or more got one zero; it gets as many as it is longer",
    ),
    Mistake("from_one", _words(start=0), "the first word is all zeros; yours begins at 1"),
    Mistake("from_above", _from_above, "you counted down from all ones; the first word is all zeros"),
    Mistake(
        "not_refused",
        _words(most=np.inf),
        "2 ** -length adds up to more than 1 somewhere: no such code exists, and the list is empty",
    ),
    Mistake(
        "refused_at_one",
        _words(most=1 - 1e-9),
        "a sum of exactly 1 is allowed: such a code uses all there is",
    ),
    Mistake("complete_only", _complete_only, "a sum below 1 is allowed, too: some beginnings are never used"),
    Mistake(
        "zeros_for_none",
        _words(none=lambda lengths: [0] * len(lengths)),
        "where there is no code the list is empty",
    ),
    Mistake(
        "left_aligned",
        _fractions,
        "each word was filled up with zeros to the longest; its number has lengths[s] digits",
    ),
    Mistake(
        "numbered",
        _by_number,
        "you numbered the symbols; a word's number depends on its length and on the words before",
    ),
    Mistake(
        "reversed_bits", _reversed_bits, "the digits of each word are turned: the first digit is the highest"
    ),
)
