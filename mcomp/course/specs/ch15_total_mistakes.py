"""Chapter 15: wrong totals with uncertainties, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet

FACTORS = {  # what multiplies exp(-s) * loss, and what is wrong with it
    "halved": (lambda r: 0.5, "a classification loss counts whole, not half"),
    "whole": (lambda r: 1.0, "a regression loss counts half"),
    "swapped": (lambda r: np.where(r, 1.0, 0.5), "the kinds are swapped: a regression loss counts half"),
}
CHARGES = {  # what is added, and what is wrong with it
    "charged_s": (lambda s, r: s, "the charge is s / 2, not s"),
    "not_charged": (lambda s, r: 0 * s, "the charge s / 2 is missing"),
    "charge_by_kind": (lambda s, r: np.where(r, s / 2, s), "the charge is s / 2 for both kinds"),
    "charge_for_classes": (lambda s, r: np.where(r, 0, s / 2), "regression pays the charge s / 2, too"),
    "charge_for_regression": (
        lambda s, r: np.where(r, s / 2, 0),
        "classification pays the charge s / 2, too",
    ),
    "charge_halved": (lambda s, r: np.where(r, s / 4, s / 2), "the charge was halved with the loss"),
}


def right_factor(r):
    return np.where(r, 0.5, 1.0)


def _right_charge(s, r):
    return s / 2


def _terms(losses, s, r, factor=right_factor, charge=_right_charge, weight=lambda s: np.exp(-s)):
    return factor(r) * weight(s) * losses + charge(s, r)


def _total(**parts):
    return quiet(lambda losses, s, r: _terms(losses, s, r, **parts).sum())


def _ends(change):
    """The terms, and then something else than their sum."""
    return lambda losses, s, r: change(_terms(losses, s, r))


TOTAL = (
    *(Mistake(name, _total(factor=f), why) for name, (f, why) in FACTORS.items()),
    *(Mistake(name, _total(charge=c), why) for name, (c, why) in CHARGES.items()),
    *(Mistake(f"{one}_{two}", _total(factor=f, charge=c), f"{why}, and {also}")
      for one, (f, why) in FACTORS.items() for two, (c, also) in [*CHARGES.items()][:3]),
    Mistake("sign", _total(weight=np.exp),
            "exp(s) should be exp(-s): a noisy task counts less"),
    Mistake("sigma", _total(weight=lambda s: np.exp(-2 * s)),
            "s is the logarithm of the variance already: exp(-s), not exp(-2 s)"),
    Mistake("log_sigma", _total(weight=lambda s: np.exp(-2 * s), charge=lambda s, r: s),
            "that is right if s were log sigma; it is log sigma², so exp(-s) and s / 2"),
    Mistake("sigma_half", _total(weight=lambda s: np.exp(-s / 2)),
            "you divided by sigma; the loss is divided by sigma²: exp(-s)"),
    Mistake("as_variance", _total(weight=lambda s: 1 / s, charge=lambda s, r: np.log(s) / 2),
            "you took s for the variance; it is its logarithm, and may be negative"),
    Mistake("as_sigma", _total(weight=lambda s: 1 / s**2, charge=lambda s, r: np.log(s)),
            "you took s for sigma; it is the logarithm of sigma², and may be negative"),
    Mistake("divided_by_s", _total(weight=lambda s: 1 / s),
            "you divided by s; the variance is exp(s)"),
    Mistake("log_of_s", _total(charge=lambda s, r: np.log(s) / 2),
            "s is a logarithm already: the charge is s / 2"),
    Mistake("exp_charge", _total(charge=lambda s, r: np.exp(s) / 2),
            "the charge is half the logarithm of the variance, s / 2, not half the variance"),
    Mistake("negative_charge", _total(charge=lambda s, r: -s / 2),
            "the charge has the wrong sign: being uncertain costs + s / 2"),
    Mistake("multiplied", _total(weight=lambda s: 1 - s),
            "1 - s is exp(-s) only near 0"),
    Mistake("linear", _total(weight=lambda s: -s),
            "the exponential is missing: the weight is exp(-s)"),
    Mistake("plain_sum", _total(factor=lambda r: 1, charge=lambda s, r: 0, weight=lambda s: 1),
            "that is the plain sum of the losses; s isn't used"),
    Mistake("unweighted", _total(weight=lambda s: 1),
            "the losses aren't weighted: exp(-s) is missing"),
    Mistake("softplus", _total(charge=lambda s, r: np.log(1 + np.exp(s))),
            "log(1 + variance) keeps the charge positive, but is another method: s / 2 may be negative"),
    Mistake("softplus_half", _total(charge=lambda s, r: np.log(1 + np.exp(s)) / 2),
            "log(1 + variance) / 2 keeps the charge positive, but is another method: s / 2 may be negative"),
    Mistake("absolute", _total(charge=lambda s, r: abs(s) / 2),
            "|s| / 2 keeps the charge positive, but is another method: s / 2 may be negative"),
    Mistake("absolute_s", _total(charge=lambda s, r: abs(s) / 2, weight=lambda s: np.exp(-abs(s))),
            "|s| forbids weights above 1: s may be negative"),
    Mistake("clipped_charge", _total(charge=lambda s, r: np.maximum(s, 0) / 2),
            "you clipped s at 0; the charge may be negative"),
    Mistake("clipped", _ends(lambda terms: max(terms.sum(), 0.0)),
            "you clipped the total at 0; it may be negative"),
    Mistake("clipped_terms", _ends(lambda terms: np.maximum(terms, 0).sum()),
            "you clipped each task's part at 0; it may be negative"),
    Mistake("absolute_total", _ends(lambda terms: abs(terms.sum())),
            "you took the absolute value of the total; it may be negative"),
    Mistake("mean", _ends(np.mean),
            "that is the mean over the tasks; their sum was asked for"),
    Mistake("terms", _ends(lambda terms: terms),
            "these are the tasks' parts; add them up"),
    Mistake("squared_losses", lambda losses, s, r: _terms(np.where(r, losses**2, losses), s, r).sum(),
            "a loss comes in as it is, squared errors and all: don't square it again"),
    Mistake("all_squared", lambda losses, s, r: _terms(losses**2, s, r).sum(),
            "the losses come in as they are: don't square them"),
    Mistake("first_task", _ends(lambda terms: terms[0]),
            "that is the first task's part alone: add all of them"),
    Mistake("last_task", _ends(lambda terms: terms[-1]),
            "that is the last task's part alone: add all of them"),
    Mistake("mean_charge", lambda losses, s, r: (right_factor(r) * np.exp(-s) * losses).sum() + s.mean() / 2,
            "the charges are added up, not averaged"),
    Mistake("clipped_s", quiet(lambda losses, s, r: _terms(losses, np.maximum(s, 0), r).sum()),
            "you clipped s at 0; it may be negative"),
    Mistake("sums_multiplied", lambda losses, s, r: (right_factor(r) * np.exp(-s)).sum() * losses.sum() + (
            s.sum() / 2), "each loss is multiplied by its own weight, and then they are added up"),
    Mistake("log_of_s_minus", _total(charge=lambda s, r: -np.log(s) / 2),
            "s is a logarithm already: the charge is + s / 2"),
    Mistake("normalised", lambda losses, s, r: (
            right_factor(r) * np.exp(-s) / (right_factor(r) * np.exp(-s)).sum() * losses + s / 2).sum(),
            "you scaled the weights to sum 1, which the method doesn't do"),
    Mistake("tens", _total(weight=lambda s: 10.0**-s),
            "the base is e, not 10: exp(-s)"),
    Mistake("charges_not_summed", lambda losses, s, r: (right_factor(r) * np.exp(-s) * losses).sum() + s / 2,
            "add up the charges as well"),
    Mistake("all_halved", _ends(lambda terms: terms.sum() / 2),
            "the whole total is halved"),
    Mistake("charge_weighted", lambda losses, s, r:
            (right_factor(r) * np.exp(-s) * (losses + s / 2)).sum(),
            "the charge stands inside the bracket: only the loss is multiplied by the weight"),
    Mistake("loss_in_exp", lambda losses, s, r:
            (right_factor(r) * np.exp(-s * losses) + s / 2).sum(),
            "the loss stands inside the exponential: exp(-s) multiplies it"),
)  # fmt: skip
