"""Operations that change every number of a transformer and nothing of what it says."""

import torch

from mcomp.codecs import Uniform
from mcomp.ptq import awq, fold_gains, rotate, smooth
from mcomp.ptq.scaling import read_by
from mcomp.strangers.right import check, operation, same


def _unchanged(s, found, names):
    """The same function, by other weights in all of `names`."""
    same(s.logits(found), s.out, "the function")
    for name in names:
        before, after = (m.get_submodule(name).weight for m in (s.network, found))
        check(not torch.equal(before, after), f"{name} is as it was")


@operation("smooth", "the same function, each norm that was scaled and its readers by other weights")
def smoothed(s):
    found = smooth(s.model(), s.x, alpha=0.7, **s.call)
    _unchanged(s, found, _scaled(s, found))


@operation("AWQ", "the same function, each norm that was scaled and its readers by other weights")
def aware(s):
    found = awq(s.model(), s.x, codec=Uniform(3, axis=0), alphas=[0.5], **s.call)
    _unchanged(s, found, _scaled(s, found))


def _scaled(s, found):
    """The norms whose gain changed, of which there is one at least, and their readers."""
    pairs = read_by(s.model(), s.x)
    norms = [n for n in pairs if not torch.equal(*(m.get_submodule(n).weight for m in (s.network, found)))]
    check(bool(norms), "no norm was scaled")
    return [*norms, *(name for norm in norms for name in pairs[norm])]


@operation(
    "rotate", "the same function, the stream turned: all gains 1, all readers and tables by other weights"
)
def rotated(s):
    for found in (fold_gains(s.model(), s.x, **s.call), rotate(s.model(), s.x, **s.call)):
        readers = [name for names in read_by(s.model(), s.x).values() for name in names]
        _unchanged(s, found, readers)
        gains = [found.get_submodule(norm).weight for norm in read_by(s.model(), s.x)]
        check(all(bool((gain == 1).all()) for gain in gains), "a gain is left")
