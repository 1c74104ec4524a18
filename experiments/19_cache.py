"""Keys and values in few bits: by channel or by token, and how many positions stay in float?

    python experiments/19_cache.py      (about 7 minutes on one core)

The three shipped TinyGPT read 32 windows of 256 bytes of test text, drawn once a seed, byte by byte through a
cache, so that every byte sees what was stored of those before it. Groups of 32, 2 to 8 bits, scales counted;
nothing is tuned. "above" is bits per byte more than with a plain cache, "interval" of it a paired bootstrap
over windows (95 %), "late" the same over the second half of each window. By channel 0 to 31 of the newest
positions wait in float for their group, by token none does: "16 in float" gives 16 to what is by token, so
that all axes have as many (by channel for both, that is "0 in float"). "before" are keys that are stored
before they are turned by their positions. "rounding" is what quantizing alone does to the keys and
values of all windows: the error's mean square over the variance. "outliers": the largest mean |key| of a
channel over the median channel's, by layer.
"""

import itertools
from functools import partial

import numpy as np
import torch
from common import by_seed, write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.chance import own_seed, own_stream
from mcomp.data import load_text
from mcomp.data.text import stream
from mcomp.gpt import rotary
from mcomp.language import CONTEXT
from mcomp.transformers import Cache, quantized_bytes, quantized_cache, run
from mcomp.transformers.cache import Past
from mcomp.transformers.kv import QuantizedRows

SEEDS, WINDOWS, GROUP, LENGTHS = (0, 1, 2), 32, 32, (64, 128, 256, 512, 1_024)
AXES = [(keys, values) for keys in ("channel", "token") for values in ("channel", "token")]


class Unturned(Past):
    """Keys stored as they were before they are turned."""

    def extend(self, q, k, v):
        start = self.length
        return rotary(q, start=start), rotary(self.keys.extend(k)), self.values.extend(v)


def caches(model):
    """Name -> a function that makes the cache."""
    found = {"plain": lambda: Cache(model)}
    some = [(bits, 0, axes) for bits in (2, 4) for axes in AXES] + [(8, 0, ("channel", "token"))]
    some += [(bits, residual, axes) for bits, residual in ((2, 32), (2, 128), (4, 32)) for axes in AXES[1::2]]
    for bits, residual, (keys, values) in some:
        options = {"bits": bits, "keys": keys, "values": values, "group": GROUP, "residual": residual}
        name = f"{bits} bits, keys by {keys}, values by {values}, {residual} in float"
        found[name] = partial(quantized_cache, model, **options)
    for bits, (keys, values) in itertools.product((2, 4), AXES[1:]):
        name = f"{bits} bits, keys by {keys}, values by {values}, 16 in float"
        found[name] = partial(Cache, model, past=partial(Past, waiting(bits, keys), waiting(bits, values)))
    for by in ("channel", "token"):
        rows = [partial(QuantizedRows, bits=2, by=axis, group=GROUP, residual=0) for axis in (by, "token")]
        name = f"2 bits, keys before by {by}, values by token, 0 in float"
        found[name] = partial(Cache, model, past=partial(Unturned, *rows))
    return found


def waiting(bits, by):
    """By channel as it comes, by token with as many positions in float as wait there for their group."""
    residual = GROUP // 2 if by == "token" else 0
    return partial(QuantizedRows, bits=bits, by=by, group=GROUP, residual=residual)


def bits_of(model, cache, x):
    """Bits that each byte takes, (windows, CONTEXT), read one by one."""
    found = []
    with torch.no_grad():
        for at in range(CONTEXT):
            logs = run(model, x[:, at : at + 1], cache=cache)[:, 0].double().log_softmax(-1)
            found.append(-logs.gather(1, x[:, at + 1 : at + 2].long())[:, 0] / np.log(2))
    return torch.stack(found, dim=1).numpy()


def interval(difference):
    """Of the mean over windows drawn anew."""
    draws = np.random.default_rng(own_seed("windows drawn anew", 0)).integers(WINDOWS, size=(2_000, WINDOWS))
    return np.quantile(difference.mean(1)[draws].mean(1), [0.025, 0.975]).tolist()


def rounding(model, x):
    """Relative squared error of keys, turned and not, and values at 2 bits, and how large channels are."""
    cache = Cache(model, past=Unturned)
    with torch.no_grad():
        run(model, x[:, :CONTEXT], cache=cache)
    keys, values = ([getattr(layer, part).recent for layer in cache.layers] for part in ("keys", "values"))
    turned, found = [rotary(k) for k in keys], {}
    for name, tensors in (("keys before", keys), ("keys", turned), ("values", values)):
        for by in ("channel", "token"):
            rows = [QuantizedRows(bits=2, by=by, group=GROUP, residual=0) for _ in tensors]
            for row, t in zip(rows, tensors, strict=True):
                row.extend(t)
            pairs = zip(rows, tensors, strict=True)
            errors = [float((row.whole() - t).square().mean() / t.var()) for row, t in pairs]
            found[f"{name} by {by}"] = float(np.mean(errors))
        means = [t.abs().mean((0, 2)).flatten() for t in tensors]
        found[f"{name}, outliers"] = [float(m.max() / m.median()) for m in means]
    return found


def figures(seed):
    model, chance = zoo.load("tinygpt", seed), own_stream("windows for the cache", seed)
    text = stream(load_text().test)
    x = text[torch.randint(len(text) - CONTEXT, (WINDOWS, 1), generator=chance) + torch.arange(CONTEXT + 1)]
    found, plain = {}, None
    for name, make in tqdm(caches(model).items(), unit="cache", desc=f"seed {seed}"):
        cache = make()
        bits = bits_of(model, cache, x)
        plain = bits if plain is None else plain
        found[name] = {
            "bits_per_byte": float(bits.mean()), "above": float((bits - plain).mean()),
            "late": float((bits - plain)[:, CONTEXT // 2 :].mean()), "interval": interval(bits - plain),
            "bytes": cache.nbytes // WINDOWS,
        }  # fmt: skip
    with torch.no_grad():  # the plain cache is the whole pass
        whole = model(x[:, :CONTEXT]).double().log_softmax(-1).gather(2, x[:, 1:, None].long())[..., 0]
    np.testing.assert_allclose(plain, -whole.numpy() / np.log(2), atol=1e-3)
    found["rounding"] = rounding(model, x)
    return found


def main():
    torch.set_num_threads(1)
    model = zoo.load("tinygpt")
    sizes = {
        str(bits): [quantized_bytes(model, n, bits=bits, residual=0) for n in LENGTHS] for bits in (2, 4, 8)
    }
    found = [figures(seed) for seed in SEEDS]
    write(
        __file__, question="What do keys and values in few bits cost?", network="tinygpt",
        data="python-source", methods=by_seed(found), seeds=SEEDS, windows=WINDOWS, group=GROUP,
        context=CONTEXT, lengths=LENGTHS, sizes=sizes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
