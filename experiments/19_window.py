"""Text longer than the cache: a window of the newest positions, with and without the first ones.

    python experiments/19_window.py      (about 3 minutes on one core)

The three shipped TinyGPT, trained on 256 positions, read the first 1,024 bytes of each test file that has as
many, byte by byte after the byte that starts a file. "bits_per_byte" is that of the bytes after the 256th,
where every window here is full; "above" is against the window of 256 without first positions, "interval" of
it a paired bootstrap over files (95 %). "everything" keeps all positions, more than in training. "weight" is
what attention gives to the first positions within 256, by layer: the mean over heads and over queries from
position 64 on, of the first 1 and the first 4, and of 4 later ones (16 to 19) to compare.
"""

from functools import partial

import numpy as np
import torch
from common import by_seed, write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.chance import own_seed
from mcomp.data import load_text
from mcomp.data.text import END
from mcomp.language import CONTEXT
from mcomp.transformers import Cache, run, window_cache
from mcomp.transformers.cache import Past

SEEDS, LONG, SIZES, SINKS = (0, 1, 2), 1_024, (64, 128, 256), (0, 4)
PLACES = {"first": slice(0, 1), "first four": slice(0, 4), "four later": slice(16, 20)}


class Watched(Past):
    """Keeps the mean weight that attention gives to each position, of queries from the 64th on."""

    def extend(self, q, k, v):
        q, k, v = super().extend(q, k, v)
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        later = torch.ones(scores.shape[2:], dtype=torch.bool).triu(1)
        self.weight = scores.masked_fill(later, -torch.inf).softmax(-1)[:, :, 64:].mean((0, 1, 2))
        return q, k, v


def weights(model, x):
    """By place, the weight in each layer."""
    cache = Cache(model, past=Watched)
    with torch.no_grad():
        run(model, x[:, :CONTEXT], cache=cache)
    return {name: [float(layer.weight[at].sum()) for layer in cache.layers] for name, at in PLACES.items()}


def bits_of(model, cache, x):
    """Bits of each byte after the first, (files, LONG), read one by one."""
    found = []
    with torch.no_grad():
        for at in range(LONG):
            logs = run(model, x[:, at : at + 1], cache=cache)[:, 0].double().log_softmax(-1)
            found.append(-logs.gather(1, x[:, at + 1 : at + 2].long())[:, 0] / np.log(2))
    return torch.stack(found, dim=1).numpy()


def caches(model):
    found = {"everything": partial(Cache, model)}
    for size in SIZES:
        for sinks in SINKS:
            name = f"{size} positions, the first {sinks}"
            found[name] = partial(window_cache, model, sinks=sinks, window=size - sinks)
    return found


def interval(difference):
    """Of the mean over files drawn anew."""
    n = len(difference)
    draws = np.random.default_rng(own_seed("files drawn anew", 0)).integers(n, size=(2_000, n))
    return np.quantile(difference.mean(1)[draws].mean(1), [0.025, 0.975]).tolist()


def figures(seed, x):
    model, found = zoo.load("tinygpt", seed), {}
    bits, sizes = {}, {}
    for name, make in tqdm(caches(model).items(), unit="cache", desc=f"seed {seed}"):
        cache = make()
        bits[name] = bits_of(model, cache, x)
        sizes[name] = cache.nbytes // len(x)
    least = bits[f"{CONTEXT} positions, the first 0"]
    for name, one in bits.items():  # until the window is full, it is the whole pass
        full = LONG if name == "everything" else int(name.split()[0])
        np.testing.assert_allclose(one[:, :full], bits["everything"][:, :full], atol=1e-3)
        late = one[:, CONTEXT:] - least[:, CONTEXT:]
        found[name] = {
            "bits_per_byte": float(one[:, CONTEXT:].mean()), "above": float(late.mean()),
            "interval": interval(late), "bytes": sizes[name],
            "by place": one.reshape(len(x), -1, CONTEXT // 2).mean((0, 2)).tolist(),
        }  # fmt: skip
    found["weight"] = weights(model, x)
    return found


def main():
    torch.set_num_threads(1)
    files = [data for data in load_text().test.values() if len(data) >= LONG]
    x = torch.stack([torch.cat([data.new_tensor([END]), data[:LONG]]) for data in files])
    found = [figures(seed, x) for seed in SEEDS]
    write(
        __file__, question="What does a window of positions cost in a text longer than it?",
        network="tinygpt", data="python-source", methods=by_seed(found), seeds=SEEDS, files=len(files),
        long=LONG, context=CONTEXT,
    )  # fmt: skip


if __name__ == "__main__":
    main()
