"""Write text: byte after byte, each drawn from what the network expects after all before it.

The chances are the softmax of the logits over a temperature: 1 is what training fitted, 0 the likeliest byte
always. `top_k` leaves out all but the k likeliest (Fan et al. 2018, arXiv:1805.04833).
"""

import ast
import warnings

import numpy as np
import torch

from mcomp.arrays import array_namespace, bad_value, check_int, check_real
from mcomp.chance import own_stream
from mcomp.transformers.reader import reading

__all__ = ["chances", "draw", "generate", "parses"]


def chances(logits, *, temperature=1.0, top_k=None):
    """The probability of each byte, (..., 256) in float64.

    Parameters
    ----------
    logits : floating array (..., 256)
    temperature : float of at least 0
        The logits are divided by it; 0 gives the largest the chance 1.
    top_k : int, optional
        All but so many of the largest get the chance 0. Of equal ones, as at temperature 0, the lower stays.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> logits = torch.tensor([0.0, 1.0, 1.0]).log()
    >>> for options in ({}, {"temperature": 0}, {"top_k": 1}):
    ...     print(chances(logits, **options).tolist())
    [0.0, 0.5, 0.5]
    [0.0, 1.0, 0.0]
    [0.0, 1.0, 0.0]
    """
    xp, n = array_namespace(logits), logits.shape[-1]
    temperature = check_real("temperature", temperature, 0)
    k = n if top_k is None else check_int("top_k", top_k, 1, n)
    logits, k = xp.astype(logits, xp.float64), k if temperature else 1
    if k < n:
        rank = xp.argsort(xp.argsort(-logits, axis=-1, stable=True), axis=-1)
        logits = xp.where(rank < k, logits, -xp.inf)
    with np.errstate(over="ignore"):  # a low temperature makes infinities, of which exp is 0
        e = xp.exp((logits - xp.max(logits, axis=-1, keepdims=True)) / (temperature or 1.0))
    return e / xp.sum(e, axis=-1, keepdims=True)


def draw(p, uniform):
    """The byte at which the sum of the chances `p` (256,) first exceeds `uniform`, a number in [0, 1).

    Examples
    --------
    >>> [draw(torch.tensor([0.25, 0.0, 0.75]), u) for u in (0.0, 0.2, 0.25, 0.9)]
    [0, 0, 2, 2]
    """
    p = p.numpy(force=True) if isinstance(p, torch.Tensor) else np.asarray(p)
    first = int(p.cumsum().searchsorted(uniform, side="right"))
    return first if first < len(p) else int(p.nonzero()[0][-1])  # what is rounded may leave the sum below 1


def generate(model, prompt, *, n, temperature=1.0, seed=0, top_k=None, cache=None):
    """The `n` bytes that `model` writes after `prompt`.

    In training each file came after the byte `mcomp.data.text.END`: a prompt that starts with it starts a
    file. Beyond the length of text that the network was trained on, it writes worse.

    Parameters
    ----------
    model : TinyGPT, or `Lean` of one, which is faster
    prompt : bytes, at least one
    n : int
    temperature, top_k : see `chances`
    seed : int
        The same bytes for the same seed, on the same machine.
    cache : Cache, optional
        An empty one, to be filled: default a plain one. `Lean` has its own.

    Returns
    -------
    text : bytes (n,), without the prompt

    Raises
    ------
    ValueError
        If an argument is out of range, the prompt is empty, or the cache isn't.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> len(generate(TinyGPT(dim=8, layers=1, heads=2, hidden=12), b"import ", n=5))
    5
    """
    prompt, n = checked_prompt(prompt), check_int("n", n, 0)
    uniform = torch.rand(n, generator=own_stream("generated text", seed), dtype=torch.float64).tolist()
    new, written = list(prompt), []
    with reading(model, cache) as reader:
        for u in uniform:
            new = [draw(chances(reader.read(new)[-1], temperature=temperature, top_k=top_k), u)]
            written += new
    return bytes(written)


def checked_prompt(prompt):
    """`prompt`, if it is bytes and not empty."""
    if not isinstance(prompt, bytes) or not prompt:
        raise bad_value("prompt", prompt, "bytes, at least one")
    return prompt


def parses(lines):
    """The part of the lines that are Python by themselves: blank ones don't count, neither way.

    A line is stripped of white space at both ends, so its indentation isn't judged. It is accepted if
    `ast.parse` takes it as it is, or, for one that opens a block (``if x:``), with a body of ``pass`` below
    it. So a comment is accepted, and ``return x``; but ``else:``, a decorator, prose in a docstring and a
    statement's second line aren't, in real code either: compare with the part of that.

    Parameters
    ----------
    lines : iterable of bytes or str
        Bytes are read as UTF-8; what isn't UTF-8, or has a byte 0, isn't accepted.

    Returns
    -------
    part : float in [0, 1]

    Raises
    ------
    ValueError
        If all lines are blank.

    Examples
    --------
    >>> parses(["    if x:", "        return y  # why", "", "x = = 1", "else:"])
    0.5
    """
    if isinstance(lines, (bytes, str)):
        raise bad_value("lines", lines, "lines of it: text.splitlines()")
    judged = [_is_python(line) for line in lines if line.strip()]
    if not judged:
        raise bad_value("lines that aren't blank", 0, "at least 1")
    return sum(judged) / len(judged)


def _is_python(line):
    """Whether a line, or the line and a body, is a program."""
    try:
        line = (line.decode() if isinstance(line, bytes) else line).strip()
    except UnicodeDecodeError:
        return False
    return _parsed(line) or _parsed(f"{line}\n pass")


def _parsed(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of "\d" and the like
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two: nested too deeply
            return False
    return True
