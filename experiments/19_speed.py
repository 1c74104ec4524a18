"""Bytes a second of one network that writes, one text at a time, on one thread: what makes it faster?

    python experiments/19_speed.py      (two minutes, on a quiet machine; after 19_drafts.py)

After a prompt of 32 bytes of a test file, 128 bytes are written in float32 by TinyGPT with a whole pass for
each byte, with the cache, and by the same network in numpy (`mcomp.transformers.Lean`): the same function,
fewer calls. Then the numpy network with products of 8 and 4 bits (torch's own kernels, inputs in bfloat16),
with three and two of its layers, taught (19_drafts.py), and speculation with the two layers as draft, which
are torch's or ("lean draft") numpy's. Rounds take the three seeds in turn and begin with the next arm.
Quartiles over rounds of milliseconds a byte, and of the time of "cache" and of "lean" over it in the same
round. "bits_per_byte" by seed, on 16 windows of 256 bytes of test text: speculation doesn't change it.
"passes": microseconds of one pass of the numpy network over so many new bytes, after 128.
"""

import importlib
from time import perf_counter

import arms
import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.chance import own_stream
from mcomp.data import load_text
from mcomp.data.text import stream
from mcomp.language import CONTEXT
from mcomp.quantize.grids import quantize
from mcomp.quantize.groups import group_grid
from mcomp.transformers import Lean, chances, draw, generate, speculate

SEEDS, ROUNDS, WRITTEN, PROMPT, GROUP, WIDTHS = (0, 1, 2), 12, 128, 32, 64, (1, 2, 3, 5, 9)
drafts = importlib.import_module("19_drafts")


def bfloat16(x):
    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).bfloat16()


def eight_bits(w):
    """Symmetric rows; torch multiplies bfloat16 by int8."""
    scale = np.maximum(abs(w).max(1), 1e-12) / 127
    q, scale = (
        torch.from_numpy(np.round(w / scale[:, None]).astype(np.int8)),
        torch.from_numpy(scale).bfloat16(),
    )
    return lambda x: torch._weight_int8pack_mm(bfloat16(x), q, scale).float().numpy()


def four_bits(w):
    """Groups of 64 inputs, symmetric; torch multiplies bfloat16 by packed integers."""
    grid = group_grid(w, 4, group=GROUP, shrink=(1,))
    zero = np.broadcast_to(np.asarray(grid.zero_point, dtype=np.float32), np.shape(grid.scale))
    q = torch.from_numpy((np.asarray(quantize(w, grid)) - grid.qmin).astype(np.int32))
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q, 1)
    scale = np.asarray(grid.scale, dtype=np.float32)
    low = scale * (grid.qmin + 8 - zero)  # what torch adds: to it, 8 of 0 to 15 is the zero
    side = [part.reshape(len(w), -1).T for part in (scale, low)]  # each (groups, out)
    side = torch.from_numpy(np.stack(side, axis=-1)).bfloat16().contiguous()  # strides aren't read
    product = torch.ops.aten._weight_int4pack_mm_for_cpu
    return lambda x: product(bfloat16(x), packed, GROUP, side).float().numpy()


def whole_passes(model, prompt, *, n, seed):
    """As `generate`, but each byte reads all before it again."""
    uniform = torch.rand(n, generator=own_stream("generated text", seed), dtype=torch.float64).tolist()
    text = list(prompt)
    with torch.no_grad():
        for u in uniform:
            text.append(draw(chances(model(torch.tensor([text]))[0, -1].numpy()), u))
    return bytes(text[len(prompt) :])


def networks(seed):
    """Lean networks by name, and the two of torch."""
    model, found = zoo.load("tinygpt", seed), drafts.drafts(seed)
    lean = {
        "lean": Lean(model), "lean, 8 bits": Lean(model, product=eight_bits),
        "lean, 4 bits": Lean(model, product=four_bits),
        "lean, 3 layers": Lean(found["3 of its layers, taught"]),
        "lean, 2 layers": Lean(found["2 of its layers, taught"]),
    }  # fmt: skip
    return lean, model, found["2 of its layers, taught"]


def writers(seed):
    """Each arm: a function of prompt and seed that writes."""
    lean, model, draft = networks(seed)
    found = {"whole passes": lambda prompt, seed: whole_passes(model, prompt, n=WRITTEN, seed=seed)}

    def plainly(network):
        return lambda prompt, seed: generate(network, prompt, n=WRITTEN, seed=seed)

    def guessing(target, small, gamma):
        options = {"n": WRITTEN, "gamma": gamma}
        return lambda prompt, seed: speculate(target, small, prompt=prompt, seed=seed, **options).text

    found["cache"] = plainly(model)
    found |= {name: plainly(network) for name, network in lean.items()}
    shallow = lean["lean, 2 layers"]
    for gamma in (2, 4):
        found[f"cache, speculation {gamma}"] = guessing(model, draft, gamma)
        found[f"cache, lean draft {gamma}"] = guessing(model, shallow, gamma)
        found[f"lean, speculation {gamma}"] = guessing(lean["lean"], shallow, gamma)
        found[f"lean, 4 bits, speculation {gamma}"] = guessing(
            lean["lean, 4 bits"], lean["lean, 2 layers"], gamma
        )
    return found


def timed(found, prompts):
    """Seconds of a text, by arm a list over rounds; the first round of each seed is thrown away."""
    names, taken = list(found[0]), {}
    for start in tqdm(range(-len(SEEDS), ROUNDS), unit="round"):
        seed, at = start % len(SEEDS), start % len(names)
        for name in names[at:] + names[:at]:
            begun = perf_counter()
            text = found[seed][name](prompts[start % len(prompts)], max(start, 0))
            taken.setdefault(name, []).append(perf_counter() - begun)
            assert len(text) == WRITTEN
    return {name: np.array(seconds[len(SEEDS) :]) for name, seconds in taken.items()}


def bits(lean, x):
    """Bits per byte of windows (n, CONTEXT + 1)."""
    found = []
    for row in x:
        p = chances(lean.fresh().read(row[:-1].tolist()))
        found.append(-np.log2(p[np.arange(CONTEXT), row[1:].numpy()]).mean())
    return float(np.mean(found))


def passes(lean):
    """Microseconds of a pass over so many new bytes, the least of 20 medians of 9."""
    lean, found = lean.fresh(), {}
    lean.read(list(range(128)))
    for width in WIDTHS:
        times = []
        for _ in range(20 * 9):
            begun = perf_counter()
            lean.read(list(range(width)))
            times.append(1e6 * (perf_counter() - begun))
            lean.keep(128)
        found[str(width)] = float(np.median(np.reshape(times, (20, 9)), axis=1).min())
    return found


def quartiles(values):
    return np.quantile(values, [0.25, 0.5, 0.75]).tolist()


def main():
    torch.set_num_threads(1)
    text, chance = stream(load_text().test), own_stream("texts to time", 0)
    x = text[torch.randint(len(text) - CONTEXT, (16, 1), generator=chance) + torch.arange(CONTEXT + 1)]
    prompts = [bytes(row[:PROMPT].tolist()) for row in x[:4]]
    with torch.inference_mode():
        leans = [networks(seed)[0] for seed in SEEDS]
        found = {name: {"bits_per_byte": [bits(lean[name], x) for lean in leans]} for name in leans[0]}
        measured = {name: passes(leans[0][name]) for name in leans[0]}
        taken = timed([writers(seed) for seed in SEEDS], prompts)
    speed = {
        name: {
            "ms": quartiles(1000 * seconds / WRITTEN),
            "times, cache": quartiles(taken["cache"] / seconds),
            "times, lean": quartiles(taken["lean"] / seconds),
        }
        for name, seconds in taken.items()
    }  # fmt: skip
    write(
        __file__, question="What makes a network that writes faster?", network="tinygpt",
        data="python-source", methods=found, seeds=SEEDS, speed=speed, passes=measured, rounds=ROUNDS,
        written=WRITTEN, machine=arms.machine(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
