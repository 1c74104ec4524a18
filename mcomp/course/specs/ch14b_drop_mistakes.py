"""Chapter 14b: wrong drops and scales that people write, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _kept(u, p):
    return np.where(u < p, 0.0, 1.0)


def _observed(base, tuned, u, p):
    """Divided by the share that really stayed."""
    kept = _kept(u, p)
    return base + (tuned - base) * kept / max(kept.mean(), 1e-9)


def _sum_kept(base, tuned, u, p):
    change = (tuned - base) * _kept(u, p)
    factor = (tuned - base).sum() / change.sum() if change.sum() else 1.0
    return base + change * factor


def _by_size(base, tuned, p):
    change = tuned - base
    return base + change * (abs(change) >= np.quantile(abs(change), p)) / (1 - p)


DARE = (
    Mistake("not_scaled", lambda b, t, u, p: b + (t - b) * _kept(u, p),
            "what stays isn't scaled: on average the change becomes smaller by 1 - drop"),
    Mistake("multiplied", lambda b, t, u, p: b + (t - b) * _kept(u, p) * (1 - p),
            "you multiplied by 1 - drop; fewer are left, so each must grow: divide"),
    Mistake("by_drop", quiet(lambda b, t, u, p: b + (t - b) * _kept(u, p) / p),
            "you divided by drop; what is left is the part 1 - drop, so divide by that"),
    Mistake("times_drop", lambda b, t, u, p: b + (t - b) * _kept(u, p) * p,
            "you multiplied by drop; divide by the part that is left, 1 - drop"),
    Mistake("root", lambda b, t, u, p: b + (t - b) * _kept(u, p) / (1 - p) ** 0.5,
            "you divided by the root, which keeps the mean square; for the mean, divide by 1 - drop itself"),
    Mistake("observed", _observed,
            "you divided by the share that happened to stay; over all draws that share is 1 - drop"),
    Mistake("plus_drop", lambda b, t, u, p: b + (t - b) * _kept(u, p) * (1 + p),
            "you scaled by 1 + drop; with one in four left the factor is 4, which is 1 / (1 - drop)"),
    Mistake("quantile", lambda b, t, u, p: b + (t - b) * (u >= np.quantile(u, p)) / (1 - p),
            "you dropped a fixed share of the smallest u; each entry is dropped on its own, where u < drop"),
    Mistake("small_changes", lambda b, t, u, p: _by_size(b, t, p),
            "you dropped the smallest changes, as TIES trims; DARE drops by u, whatever the size"),
    Mistake("sum_kept", quiet(_sum_kept),
            "you scaled so that this draw's changes add up to what they were; the factor is 1 / (1 - drop) "
            "whatever was drawn"),
    Mistake("kept_dropped", lambda b, t, u, p: b + (t - b) * (u < p) / (1 - p),
            "you kept the entries that are dropped: u < drop means gone"),
    Mistake("kept_up_to_drop", lambda b, t, u, p: b + (t - b) * (u <= p) / (1 - p),
            "you kept the entries that are dropped, and where u equals drop: u < drop means gone, only that"),
    Mistake("kept_dropped_by_drop", quiet(lambda b, t, u, p: b + (t - b) * (u < p) / p),
            "you kept the entries with u < drop and divided by drop: these are dropped, the others stay"),
    Mistake("kept_dropped_plain", lambda b, t, u, p: b + (t - b) * (u < p),
            "you kept the entries with u < drop, which are dropped; and what stays must be scaled"),
    Mistake("other_side", lambda b, t, u, p: b + (t - b) * (u < 1 - p) / (1 - p),
            "you kept where u < 1 - drop: as many on average, but other entries; u < drop is dropped"),
    Mistake("all_multiplied", lambda b, t, u, p: (b + (t - b) * _kept(u, p)) * (1 - p),
            "you scaled all weights by 1 - drop; only the changes that stay are scaled, and they must grow"),
    Mistake("at_drop", lambda b, t, u, p: b + (t - b) * (u > p) / (1 - p),
            "where u equals drop the change stays: dropped is u < drop alone"),
    Mistake("at_drop_plain", lambda b, t, u, p: b + (t - b) * (u > p),
            "what stays isn't scaled, and where u equals drop the change stays, too"),
    Mistake("weights", lambda b, t, u, p: t * _kept(u, p) / (1 - p),
            "you dropped and scaled the tuned weights; DARE does that to the change, tuned - base"),
    Mistake("weights_plain", lambda b, t, u, p: t * _kept(u, p),
            "you dropped tuned weights, which become 0; drop changes, tuned - base, and scale the others"),
    Mistake("base_and_weights", lambda b, t, u, p: b + t * _kept(u, p) / (1 - p),
            "you added the tuned weights to base; add the change, tuned - base"),
    Mistake("dropped_to_zero", lambda b, t, u, p: (b + (t - b) / (1 - p)) * _kept(u, p),
            "a weight whose change is dropped became 0; it is what it was in base"),
    Mistake("change", lambda b, t, u, p: (t - b) * _kept(u, p) / (1 - p),
            "that is the change alone; add base"),
    Mistake("tuned_scaled", lambda b, t, u, p: np.where(u < p, b, t / (1 - p)),
            "you scaled the tuned weights; only their change is scaled"),
    Mistake("all_scaled", lambda b, t, u, p: (b + (t - b) * _kept(u, p)) / (1 - p),
            "you scaled base along with the change; only the change is scaled"),
    Mistake("on_tuned", lambda b, t, u, p: t + (t - b) * _kept(u, p) / (1 - p),
            "you added the change to tuned, which has it already; add it to base"),
    Mistake("change_alone", lambda b, t, u, p: np.where(u < p, b, (t - b) / (1 - p)),
            "where a change stays you returned it alone; add base there, too"),
    Mistake("turned", lambda b, t, u, p: b + (b - t) * _kept(u, p) / (1 - p),
            "the change is tuned - base; yours has the other sign"),
    Mistake("all_changes_scaled", lambda b, t, u, p: b + (t - b) / (1 - p),
            "nothing was dropped, all changes were scaled"),
    Mistake("times_u", lambda b, t, u, p: b + (t - b) * u,
            "you multiplied by u; u only decides who is dropped"),
    Mistake("added_weights", lambda b, t, u, p: b + t,
            "you added base and tuned"),
    Mistake("interpolated", lambda b, t, u, p: b + (t - b) * (1 - p),
            "you scaled every change by 1 - drop, its mean without scaling; u says which are dropped"),
    Mistake("tuned_back", lambda b, t, u, p: np.where(u < p, t, b + (t - b) / (1 - p)),
            "where a change is dropped the weight is that of base, not that of tuned"),
    Mistake("from_tuned", lambda b, t, u, p: t - (t - b) * _kept(u, p) / (1 - p),
            "you took the change away from tuned; add what is left of it to base"),
)  # fmt: skip
