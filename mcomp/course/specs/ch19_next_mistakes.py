"""Chapter 19: wrong steps with a cache, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _soft(s):
    a = np.exp(s - s.max())
    return a / a.sum()


def _step(scores, *, seen=slice(None), weigh=_soft, front=False):
    """The step with other scores (q, keys), weights, or places that are seen."""

    def answer(q, k, v, keys, values):
        behind = (k[None], keys) if front else (keys, k[None])
        beside = (v[None], values) if front else (values, v[None])
        keys, values = np.concatenate(behind), np.concatenate(beside)
        s = scores(q, keys)
        if len(s[seen]) == 0:
            return np.zeros(values.shape[1]), keys, values
        return weigh(s[seen]) @ values[seen], keys, values

    return quiet(answer)


def _right(q, keys):
    return keys @ q / np.sqrt(len(q))


def _old_cache(q, k, v, keys, values):
    all_keys, all_values = np.concatenate([keys, k[None]]), np.concatenate([values, v[None]])
    return _soft(_right(q, all_keys)) @ all_values, keys, values


def _values_as_keys(q, k, v, keys, values):
    y, keys, values = _step(_right)(q, k, v, keys, values)
    return y, values, keys


def _by_new_key(q, k, v, keys, values):
    return _step(lambda q, keys: keys @ keys[-1] / np.sqrt(len(q)))(q, k, v, keys, values)


def _hard(s):
    return np.eye(len(s))[s.argmax()]


def _keys_mixed(q, k, v, keys, values):
    keys, values = np.concatenate([keys, k[None]]), np.concatenate([values, v[None]])
    if keys.shape[1] != values.shape[1]:
        return np.zeros(values.shape[1]), keys, values
    return _soft(_right(q, keys)) @ keys, keys, values


NEXT = (
    Mistake(
        "itself_unseen",
        _step(_right, seen=slice(None, -1)),
        "y looks at the positions before alone; the new position sees itself, too",
    ),
    Mistake(
        "itself_only",
        _step(_right, seen=slice(-1, None)),
        "y is the new value alone; the softmax goes over all keys, the stored ones too",
    ),
    Mistake(
        "no_root",
        _step(lambda q, keys: keys @ q),
        "the scores weren't divided by the root of d, the length of q",
    ),
    Mistake(
        "by_d", _step(lambda q, keys: keys @ q / len(q)), "the scores were divided by d; it is the root of d"
    ),
    Mistake(
        "times_root",
        _step(lambda q, keys: keys @ q * np.sqrt(len(q))),
        "the scores were multiplied by the root of d; they are divided by it",
    ),
    Mistake(
        "root_of_positions",
        _step(lambda q, keys: keys @ q / np.sqrt(len(keys))),
        "you divided by the root of the number of positions; it is that of d, the length of q",
    ),
    Mistake(
        "no_softmax",
        _step(_right, weigh=lambda s: s),
        "the scores themselves were taken for weights; they go through a softmax first",
    ),
    Mistake(
        "linear_share",
        _step(_right, weigh=lambda s: s / s.sum()),
        "the scores were divided by their sum; the softmax takes e to the score first",
    ),
    Mistake(
        "not_normalized",
        _step(_right, weigh=np.exp),
        "the weights are e to the score, but they don't add up to 1",
    ),
    Mistake(
        "overflow",
        _step(_right, weigh=lambda s: np.exp(s) / np.exp(s).sum()),
        "e to a score of a thousand is infinite; subtract the largest score before, nothing else changes",
    ),
    Mistake(
        "mean",
        _step(_right, weigh=lambda s: np.full(len(s), 1 / len(s))),
        "y is the plain mean of the values; the scores didn't count",
    ),
    Mistake(
        "hard",
        _step(_right, weigh=_hard),
        "y is the value of the best key alone; the softmax gives each a share",
    ),
    Mistake(
        "negative",
        _step(lambda q, keys: -_right(q, keys)),
        "the sign of the scores is turned: the least similar key gets most",
    ),
    Mistake(
        "new_first",
        _step(_right, front=True),
        "the new key and value were put in front of the others; they belong behind",
    ),
    Mistake(
        "cache_as_it_was", _old_cache, "y is right, but keys and values came back without the new position"
    ),
    Mistake("swapped", _values_as_keys, "y is right, but keys and values came back in each other's place"),
    Mistake("key_asks", _by_new_key, "you compared the new key with all keys; the query asks"),
    Mistake(
        "keys_summed", quiet(_keys_mixed), "you added up the keys; what is weighted and added are the values"
    ),
)
