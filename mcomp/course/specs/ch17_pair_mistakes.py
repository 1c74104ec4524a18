"""Chapter 17: wrong sums of pairs that saturate, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet

LOW, HIGH = -32768, 32767


def _products(x, weight):
    return x.astype(np.int64) * weight


def _wrap(x, bits):
    return (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def _neighbours(p):
    return p[:, 0::2] + p[:, 1::2]


def _halves(p):
    return p[:, : p.shape[1] // 2] + p[:, p.shape[1] // 2 :]


def _clip(pairs):
    return pairs.clip(LOW, HIGH)


def _sum(pairs):
    return pairs.sum(1)


def _total(*, products=_products, pairs=_neighbours, clip=_clip, end=_sum):
    """Products, pairs, the clip, and what becomes of it."""
    return quiet(lambda x, weight: end(clip(pairs(products(x, weight)))))


def _running(x, weight, *, clip_pairs=True, step=2):
    p, total = _products(x, weight), np.zeros(len(weight), np.int64)
    for i in range(0, p.shape[1], step):
        pair = p[:, i : i + step].sum(1)
        total = (total + (pair.clip(LOW, HIGH) if clip_pairs else pair)).clip(LOW, HIGH)
    return total


def _as_int8(x, weight):
    return _wrap(x.astype(np.int64), 8) * weight


PRODUCTS = {
    "int8_inputs": (_as_int8, "x became int8, and 200 became -56: x is uint8, make it wide at once"),
    "uint8_weights": (lambda x, w: x.astype(np.int64) * (w.astype(np.int64) % 256),
                      "weight became uint8, and -4 became 252: make it wide at once"),
    "int8_products": (lambda x, w: _wrap(_products(x, w), 8),
            "the products wrapped round in eight bits: widen first"),
    "uint8_products": (lambda x, w: _products(x, w) % 256,
            "the products wrapped round in eight unsigned bits: widen first"),
    "shifted": (lambda x, w: _products(x, w) - 128 * w.astype(np.int64),
                "you subtracted 128 from x; the instruction takes uint8 as it is"),
    "products_clipped": (lambda x, w: _products(x, w).clip(-128, 127),
            "you clipped each product to int8; pairs, at 16 bits"),
    "inputs_clipped": (lambda x, w: x.astype(np.int64).clip(0, 127) * w,
            "you clipped x to 127; it goes up to 255"),
    "sevens": (lambda x, w: x.astype(np.int64) * w.clip(-64, 63),
               "you clipped the weights to 7 bits; that avoids what was asked for"),
    "sevens_halved": (lambda x, w: x.astype(np.int64) * (w >> 1),
                      "you halved the weights, as engines do to avoid this; here they come as they are"),
    "squares": (lambda x, w: x.astype(np.int64) * abs(w.astype(np.int64)),
            "the signs of the weights are gone"),
}  # fmt: skip
PAIRS = {
    "halves": (_halves, "you paired the first half with the second; neighbours are added: 0 and 1, 2 and 3"),
    "reversed": (lambda p: p[:, : p.shape[1] // 2] + p[:, ::-1][:, : p.shape[1] // 2],
                 "you paired the first with the last; neighbours are added: 0 and 1, 2 and 3"),
    "overlapping": (lambda p: p[:, :-1] + p[:, 1:], "your pairs overlap: 0 and 1, then 2 and 3, not 1 and 2"),
    "single": (lambda p: p,
            "you clipped each product, and all of them fit; it is the sum of two that doesn't"),
    "fours": (lambda p: np.stack([p[:, i : i + 4].sum(1) for i in range(0, p.shape[1], 4)], 1),
              "you added four before the clip; pairs"),
    "all": (lambda p: p.sum(1, keepdims=True), "you clipped the whole sum; only pairs are added in 16 bits"),
    "even": (lambda p: p[:, 0::2], "the odd inputs are missing: pairs of 0 and 1, of 2 and 3"),
    "odd": (lambda p: p[:, 1::2], "the even inputs are missing: pairs of 0 and 1, of 2 and 3"),
    "difference": (lambda p: p[:, 0::2] - p[:, 1::2], "you subtracted in each pair; add"),
    "first_pair": (lambda p: _neighbours(p)[:, :1], "that is the first pair alone; add up all pairs"),
    "last_pair": (lambda p: _neighbours(p)[:, -1:], "that is the last pair alone; add up all pairs"),
    "larger": (lambda p: np.maximum(p[:, 0::2], p[:, 1::2]), "you took the larger of each pair; their sum"),
    "rows": (lambda p: np.concatenate([p, 0 * p[: len(p) % 2]]).reshape(-1, 2, p.shape[1]).sum(1).repeat(2,
            0)[: len(p)],
             "you paired output channels; inputs are paired"),
}  # fmt: skip
CLIPS = {
    "nothing": (lambda s: s,
            "nothing saturates in your answer, the sum is exact: a product fits into 16 bits, two together "
            "may not"),
    "wrapped": (lambda s: _wrap(s, 16), "your pairs wrap round in 16 bits; this instruction saturates: clip"),
    "wrapped_unsigned": (lambda s: s % 2**16,
            "your pairs wrap round in 16 unsigned bits; they saturate, signed"),
    "unsigned": (lambda s: s.clip(0, 65535), "16 signed bits hold -32768 to 32767, not 0 to 65535"),
    "symmetric": (lambda s: s.clip(-HIGH, HIGH), "the lower end is -32768, not -32767"),
    "too_high": (lambda s: s.clip(LOW, -LOW), "the upper end is 32767, not 32768"),
    "two_high": (lambda s: s.clip(LOW - 1, -LOW),
            "16 bits hold -32768 to 32767; you are off by one at both ends"),
    "above": (lambda s: s.clip(None, HIGH), "the lower end, -32768, isn't clipped"),
    "below": (lambda s: s.clip(LOW, None), "the upper end, 32767, isn't clipped"),
    "bytes": (lambda s: s.clip(-128, 127), "you clipped to eight bits; a pair's sum has 16"),
    "rectified": (lambda s: s.clip(0, HIGH), "you clipped at 0, as a ReLU does; the lower end is -32768"),
    "half": (lambda s: s.clip(-(2**14), 2**14 - 1), "16 bits hold -32768 to 32767: 2**15, not 2**14"),
    "dropped": (lambda s: np.where((s > HIGH) | (s < LOW), 0, s),
            "a pair that doesn't fit was dropped; it becomes the end"),
    "upper_end_for_all": (lambda s: np.where((s > HIGH) | (s < LOW), HIGH, s),
                          "a pair below -32768 becomes -32768, not 32767"),
    "thousands": (lambda s: s.clip(-32000, 32000), "the ends are -32768 and 32767, exactly"),
    "weights_seven": (lambda s: s.clip(-32640, 32640),
            "32640 is the most with 7-bit weights; the ends are -32768 and 32767"),
}  # fmt: skip
ENDS = {
    "wrapped_at_the_end": (lambda s: _wrap(_sum(s), 16),
            "the pairs are added in 32 bits; your total wraps round in 16"),
    "clipped_at_the_end": (lambda s: _clip(_sum(s)),
            "the total is clipped as well; pairs are added in 32 bits"),
    "everything": (lambda s: s.sum(), "that is one number for all outputs; add up over the inputs of each"),
    "by_column": (lambda s: s.sum(0), "you added up over the outputs; over the pairs, axis 1"),
    "pairs": (lambda s: s, "these are the pairs; add them up for each output"),
    "mean": (lambda s: s.mean(1), "that is the mean over the pairs; their sum"),
    "largest": (lambda s: s.max(1), "that is the largest pair; add up all pairs"),
}  # fmt: skip

PAIR_SUMS = (
    *(Mistake(name, _total(products=f), why) for name, (f, why) in PRODUCTS.items()),
    *(Mistake(name, _total(pairs=f), why) for name, (f, why) in PAIRS.items() if name != "single"),
    *(Mistake(name, _total(clip=f), why) for name, (f, why) in CLIPS.items()),
    *(Mistake(name, _total(end=f), why) for name, (f, why) in ENDS.items()),
    *(Mistake(f"{a}_{b}", _total(pairs=PAIRS[a][0], clip=CLIPS[b][0]), f"{PAIRS[a][1]}. And {CLIPS[b][1]}")
      for a in ("halves", "overlapping", "all") for b in ("wrapped", "symmetric", "unsigned", "too_high")),
    Mistake("running", _running, "you clip the running total, too; pairs are added in 32 bits"),
    Mistake("running_only", lambda x, w: _running(x, w, clip_pairs=False),
            "you clip the running total in place of each pair"),
    Mistake("running_single", lambda x, w: _running(x, w, step=1),
            "you clip a running total, product by product; each pair, and then 32 bits"),
    Mistake("lost", quiet(lambda x, w: _sum(_neighbours(_products(x, w))) - _total()(x, w)),
            "that is what saturation takes away; what is left was asked for"),
    Mistake("which", quiet(lambda x, w: (abs(_neighbours(_products(x, w)) + 0.5) > HIGH + 1).any(1)),
            "those are the outputs with a pair that saturates; the sums were asked for"),
    Mistake("which_pairs", quiet(lambda x, w: abs(_neighbours(_products(x, w)) + 0.5) > HIGH + 1),
            "those are the pairs that saturate; the sums were asked for"),
    Mistake("how_many", quiet(lambda x, w: (abs(_neighbours(_products(x, w)) + 0.5) > HIGH + 1).sum(1)),
            "that is how many pairs saturate; the sums were asked for"),
)  # fmt: skip
