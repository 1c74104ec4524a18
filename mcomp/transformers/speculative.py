"""A small network guesses some bytes, the large one judges them all in one pass: its text, in fewer passes.

Leviathan et al. 2023, arXiv:2211.17192: the guess x ~ q is kept with the probability min(1, p(x) / q(x)),
else another byte is drawn from max(0, p - q), normalized. Both ways together give p(x) (its appendix A.1), so
the text is distributed as if the large network had written it alone. Derived in chapter 19.
"""

from typing import NamedTuple

import torch

from mcomp.arrays import array_namespace, bad_value, check_int, check_real
from mcomp.chance import own_stream
from mcomp.transformers.generate import chances, checked_prompt, draw
from mcomp.transformers.reader import reading

__all__ = ["Speculated", "acceptance", "expected_tokens", "residual", "speculate", "speed_up", "verify"]


class Speculated(NamedTuple):
    """What `speculate` wrote, and how many bytes each pass of the target gave, the last one whole."""

    text: bytes
    gains: tuple

    @property
    def per_pass(self):
        """Bytes a pass of the target, to compare with `expected_tokens`."""
        return sum(self.gains) / len(self.gains)


def acceptance(p, q):
    """The chance that a guess is kept: Σ min(p, q), which is 1 less the total variation (corollary 3.6).

    Parameters
    ----------
    p, q : floating arrays (..., bytes), of the target and of the draft

    Examples
    --------
    >>> import numpy as np
    >>> acceptance(np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5]))
    np.float64(0.75)
    """
    xp = array_namespace(p, q)
    return xp.sum(xp.minimum(p, q), axis=-1)


def residual(p, q):
    """What to draw from where a guess was refused: max(0, p - q), normalized; `p` where they are equal.

    Then every guess is kept, and 0 / 0 isn't needed; but rounding may say otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> residual(np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.25, 0.5]))
    array([1., 0., 0.])
    """
    xp = array_namespace(p, q)
    rest = xp.maximum(p - q, xp.zeros_like(p))
    total = xp.sum(rest, axis=-1, keepdims=True)
    return xp.where(total > 0, rest / xp.where(total > 0, total, xp.ones_like(total)), p)


def expected_tokens(alpha, gamma):
    """Bytes a pass of the target, if each guess is kept with the chance `alpha`.

    1 + alpha + ... + alpha^gamma = (1 - alpha^(gamma + 1)) / (1 - alpha), eq. 1; gamma + 1 for alpha = 1.

    Examples
    --------
    >>> expected_tokens(0.5, 2), expected_tokens(1, 4), expected_tokens(0, 4)
    (1.75, 5.0, 1.0)
    """
    alpha, gamma = check_real("alpha", alpha, 0, 1), check_int("gamma", gamma, 0)
    return float(sum(alpha**i for i in range(gamma + 1)))


def speed_up(alpha, gamma, *, cost):
    """How many times faster, if a pass of the draft takes `cost` of the target's time (theorem 3.8).

    It is taken for granted that the target reads gamma + 1 bytes in the time of one: true where the time is
    that of reading the weights.

    Examples
    --------
    >>> speed_up(0.5, 2, cost=0.25), speed_up(0.5, 2, cost=0)
    (1.1666666666666667, 1.75)
    """
    return expected_tokens(alpha, gamma) / (gamma * check_real("cost", cost, 0) + 1)


def verify(guesses, p, *, q, uniform):
    """How many guesses are kept, and the byte after them.

    Parameters
    ----------
    guesses : sequence of gamma ints
    p : floating array (gamma + 1, bytes)
        The target's chances at each guess, and after the last.
    q : sequence of gamma floating arrays (bytes,)
        The chances from which the guesses were drawn.
    uniform : sequence of gamma + 1 floats in [0, 1)
        A number for each guess, and one for the byte after them.

    Returns
    -------
    kept, byte : int

    Examples
    --------
    >>> p = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    >>> q = torch.tensor([[0.0, 1.0]])
    >>> verify([1], p, q=q, uniform=[0.4, 0.9]), verify([1], p, q=q, uniform=[0.6, 0.9])
    ((1, 0), (0, 0))
    """
    if len(p) != len(guesses) + 1 or not len(q) == len(uniform) - 1 == len(guesses):
        found = len(guesses), len(p), len(q), len(uniform)
        raise bad_value("the lengths of guesses, p, q, uniform", found, "(g, g + 1, g, g + 1)")
    for i, guess in enumerate(guesses):
        if uniform[i] * float(q[i][guess]) >= float(p[i][guess]):
            return i, draw(residual(p[i], q[i]), uniform[-1])
    return len(guesses), draw(p[-1], uniform[-1])


def speculate(target, draft, *, prompt, n, gamma=4, temperature=1.0, seed=0, top_k=None):
    """The `n` bytes that `target` writes after `prompt`, with guesses of `draft`, `gamma` at a time.

    They have the distribution of `generate`'s; at temperature 0 they are the same bytes, but where two bytes
    are equally likely up to what is rounded: several positions at once are added up in another order. After
    each pass both caches are rolled back to what was kept.

    Parameters
    ----------
    target, draft : TinyGPT, or `Lean` of one
    prompt : bytes, at least one
    n : int
    gamma : int of at least 1
    temperature, seed, top_k : as for `generate`; for both networks

    Returns
    -------
    found : Speculated

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> model = TinyGPT(dim=8, layers=1, heads=2, hidden=12).double()
    >>> found = speculate(model, model, prompt=b"import ", n=10, gamma=4)
    >>> len(found.text), found.gains  # it agrees with itself: four guesses and a byte
    (10, (5, 5))
    """
    text, n, gamma = list(checked_prompt(prompt)), check_int("n", n, 0), check_int("gamma", gamma, 1)
    options, chance = {"temperature": temperature, "top_k": top_k}, own_stream("speculation", seed)
    gains, wanted = [], len(text) + n
    with reading(target) as judge, reading(draft) as guesser:
        while len(text) < wanted:
            uniform = torch.rand(2 * gamma + 1, generator=chance, dtype=torch.float64).tolist()
            guesses, q = _guess(guesser, text, uniform[:gamma], options)
            p = chances(judge.read((text + guesses)[judge.length :])[-gamma - 1 :], **options)
            kept, byte = verify(guesses, p, q=q, uniform=uniform[gamma:])
            text += [*guesses[:kept], byte]
            gains.append(kept + 1)
            for reader in (
                judge,
                guesser,
            ):  # neither has read the last byte, the draft one guess less
                reader.keep(min(reader.length, len(text) - 1))
    return Speculated(bytes(text[wanted - n : wanted]), tuple(gains))


def _guess(draft, text, uniform, options):
    """As many bytes of the draft as there are numbers, and the chances from which each was drawn."""
    guesses, q = [], []
    for u in uniform:
        q.append(chances(draft.read((text + guesses)[draft.length :])[-1], **options))
        guesses.append(draw(q[-1], u))
    return guesses, q
