"""Chapter 15: wrong noises and weights at rest, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs.ch15_total_mistakes import right_factor


def _at_rest(s, weights):
    """An answer from a formula for s and one for the weights, which may use the s found."""
    return lambda losses, r: (s(losses, r), weights(losses, r, s(losses, r)))


def _s(losses, r):
    return np.log(np.where(r, losses, 2 * losses))


def _own(losses, r, s):
    return right_factor(r) * np.exp(-s)


def _weights(losses, r, s):
    return 1 / (2 * losses)


def _bare(losses, r, s):
    return np.exp(-s)


NOISES = {  # wrong s, and what is wrong with it
    "all_regression": (lambda L, r: np.log(L),
                       "s is log L for regression alone, for classification log(2 L)"),
    "all_classified": (lambda L, r: np.log(2 * L),
                       "s is log(2 L) for classification alone, for regression log L"),
    "swapped": (lambda L, r: np.log(np.where(r, 2 * L, L)),
                "the kinds are swapped: s is log L for regression, log(2 L) for classification"),
    "half_for_classes": (lambda L, r: np.log(np.where(r, L, L / 2)),
                         "for classification exp(-s) * L = 1 / 2, so s is log(2 L), not log(L / 2)"),
    "half_for_numbers": (lambda L, r: np.log(np.where(r, L / 2, L)),
                         "your charge is s: it is s / 2, which gives log L and log(2 L)"),
    "twice_log": (lambda L, r: np.where(r, 1, 2) * np.log(L),
                  "log(2 L) is log 2 + log L, not 2 log L"),
    "log_twice": (lambda L, r: np.where(r, np.log(L), np.log(2) * L),
                  "it is the logarithm of 2 L, not log 2 times L"),
    "precisions": (lambda L, r: np.where(r, 1 / L, 1 / (2 * L)),
                   "that is exp(-s); s is minus its logarithm"),
    "log_weights": (lambda L, r: -np.log(2 * L),
                    "that is the logarithm of the weights; s is log L, or log(2 L) for classification"),
    "doubled": (lambda L, r: 2 * np.log(np.where(r, L, 2 * L)),
                "s is the logarithm of sigma², once: exp(-s) = 1 / L gives s = log L"),
    "plus_two": (lambda L, r: np.log(L) + np.where(r, 0, 2),
                 "log(2 L) is log 2 + log L, not 2 + log L"),
    "exponentials": (lambda L, r: np.exp(-np.where(r, L, 2 * L)),
                     "the inverse of exp is log: exp(-s) = 1 / L gives s = log L"),
    "minus_all": (lambda L, r: -np.log(L),
                  "s has the wrong sign, and for classification it is log(2 L)"),
    "minus": (lambda L, r: -np.log(np.where(r, L, 2 * L)),
              "s has the wrong sign: exp(-s) = 1 / L gives s = log L"),
    "variances": (lambda L, r: np.where(r, L, 2 * L),
                  "that is exp(s), the variance; s is its logarithm"),
    "log_sigmas": (lambda L, r: np.log(np.where(r, L, 2 * L)) / 2,
                   "that is log sigma; s is log sigma², twice as much"),
    "log10": (lambda L, r: np.log10(np.where(r, L, 2 * L)),
              "that is a logarithm to base 10; exp(-s) wants the natural one"),
    "log2": (lambda L, r: np.log2(np.where(r, L, 2 * L)),
             "that is a logarithm to base 2; exp(-s) wants the natural one"),
}  # fmt: skip

REST = (
    *(Mistake(f"{name}_both", _at_rest(s, _own), f"{why}; the weights follow from your s")
      for name, (s, why) in NOISES.items()),
    *(Mistake(name, _at_rest(s, _weights), f"{why}; the weights are right")
      for name, (s, why) in NOISES.items()),
    *(Mistake(f"{name}_bare", _at_rest(s, _bare), f"{why}; and exp(-s) is halved for regression")
      for name, (s, why) in NOISES.items() if name != "all_classified"),
    Mistake("halved_log_sigmas", _at_rest(NOISES["log_sigmas"][0], lambda L, r, s: np.exp(-2 * s) / 2),
            "that is log sigma; s is log sigma², twice as much; and exp(-s) is halved for regression alone"),
    Mistake("bare", _at_rest(_s, _bare),
            "s is right; the weights are exp(-s) for regression too, where the loss is halved as well"),
    Mistake("always_halved", _at_rest(_s, lambda L, r, s: np.exp(-s) / 2),
            "s is right; exp(-s) is halved for regression alone"),
    Mistake("swapped_weights", _at_rest(_s, lambda L, r, s: np.where(r, 1.0, 0.5) * np.exp(-s)),
            "s is right; in the weights the kinds are swapped: regression is halved"),
    Mistake("one_over_for_classes", _at_rest(_s, lambda L, r, s: np.where(r, 1 / (2 * L), 1 / L)),
            "s is right; for classification exp(-s) = 1 / (2 L), and nothing else multiplies the loss"),
    Mistake("one_over", _at_rest(_s, lambda L, r, s: 1 / L),
            "s is right; the weights are 1 / (2 L) for both kinds, not 1 / L"),
    Mistake("twice", _at_rest(_s, lambda L, r, s: 2 * L),
            "s is right; the weights are 1 / (2 L): a large loss counts less"),
    Mistake("half_the_loss", _at_rest(_s, lambda L, r, s: L / 2),
            "s is right; L / 2 should be 1 / (2 L): a large loss counts less"),
    Mistake("variance_weights", _at_rest(_s, lambda L, r, s: np.exp(s)),
            "s is right; the weights are exp(-s), not exp(s), and half of that for regression"),
    Mistake("halved_variance_weights", _at_rest(_s, lambda L, r, s: right_factor(r) * np.exp(s)),
            "s is right; the weights have exp(-s), not exp(s)"),
    Mistake("bare_losses", _at_rest(_s, lambda L, r, s: np.exp(-s) * L),
            "s is right; you multiplied exp(-s) by the losses: what multiplies them was asked for"),
    Mistake("weighted_losses", _at_rest(_s, lambda L, r, s: right_factor(r) * np.exp(-s) * L),
            "s is right; you multiplied the weights by the losses: what is left is 1 / 2 for all"),
    Mistake("normalised", _at_rest(_s, lambda L, r, s: (1 / L) / (1 / L).sum()),
            "s is right; you scaled the weights to sum 1, which the method doesn't do"),
    Mistake("log_twice_and_quarter", _at_rest(lambda L, r: np.log(2 * L), lambda L, r, s: 1 / (4 * L)),
            "s is log L for regression; and exp(-s) is halved for regression alone"),
    Mistake("precisions_twice", lambda L, r: (np.where(r, 1 / L, 1 / (2 * L)),) * 2,
            "both are exp(-s); s is minus its logarithm, and the weights are half of it for regression"),
    Mistake("s_twice", lambda L, r: (_s(L, r), _s(L, r)),
            "s is right; the weights are 1 / (2 L)"),
    Mistake("losses", _at_rest(_s, lambda L, r, s: L),
            "s is right; you returned the losses, not what multiplies them"),
    Mistake("parts", _at_rest(_s, lambda L, r, s: (s + 1) / 2),
            "s is right; these are the tasks' parts of the total, not what multiplies the losses"),
    Mistake("summed_weights", _at_rest(_s, lambda L, r, s: float((1 / (2 * L)).sum())),
            "s is right; a weight for each task was asked for, not their sum"),
    Mistake("squared_losses", _at_rest(_s, lambda L, r, s: 1 / (2 * L**2)),
            "s is right; the weights are 1 / (2 L): the loss isn't squared again"),
    Mistake("columns", lambda L, r: np.stack([_s(L, r), 1 / (2 * L)], axis=1),
            "both are right, but as columns of one array; return two arrays"),
    Mistake("no_s", lambda L, r: 1 / (2 * L),
            "these are the weights; s was asked for as well, first"),
    Mistake("no_weights", lambda L, r: _s(L, r),
            "that is s; the weights were asked for as well, behind it"),
    Mistake("backwards", lambda L, r: (1 / (2 * L), _s(L, r)),
            "both are right, but s comes first"),
    Mistake("normalised_to_one", _at_rest(_s, lambda L, r, s: (1 / L) / (1 / L).mean()),
            "s is right; you scaled the weights to mean 1, which the method doesn't do"),
    Mistake("zeros", _at_rest(lambda L, r: 0 * L, _own),
            "s = 0 is where training starts, not where it rests"),
    Mistake("smallest_total", lambda L, r: (_s(L, r), float((np.log(np.where(r, L, 2 * L)) + 1).sum() / 2)),
            "s is right; the second should be what multiplies each loss, not the total"),
)  # fmt: skip
