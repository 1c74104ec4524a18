"""A draft for speculation: which small network guesses what the large one would write?

    python experiments/19_drafts.py      (about 8 minutes on one core)

Targets are the three shipped TinyGPT. Two drafts of one layer, equal in shape, first weights, windows of
text, steps and rate, learn from the labels or from the target's chances at each byte (Hinton et al. 2015,
T = 1). The others are the target without the layers whose absence costs least on 8 windows of training text,
as they are or after a short training on its chances. The rate is that of the target's own training, not tuned
for any. Speculation then writes 128 bytes after each of 4 prompts of test files, for each gamma: "kept" is
the part of all judged guesses, "expected" the mean of the sum of min(p, q) at the same places. "pairs": 2
bytes after a prompt, 2,000 times, against the exact chances of all 65,536 pairs.
"""

import copy
import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, by_seed, file_size, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp
from mcomp import zoo
from mcomp.chance import own_seed, own_stream
from mcomp.course import results
from mcomp.data import load_text
from mcomp.data.text import stream
from mcomp.gpt import TinyGPT
from mcomp.language import CONTEXT, bits_per_byte, next_byte_loss
from mcomp.train import one_cycle, parameter_groups
from mcomp.transformers import (
    Lean,
    acceptance,
    chances,
    expected_tokens,
    keep_layers,
    speculate,
)  # fmt: skip

SEEDS, STRIDE, PART, BATCH = (0, 1, 2), 128, 4_096, 8
SMALL = {"dim": 128, "layers": 1, "heads": 4, "hidden": 112}
STEPS, SHORT, RATE = 300, 80, 3e-3
PROMPT, WRITTEN, GAMMAS, DRAWS = 32, 128, tuple(range(1, 9)), 2_000
LEARNT = ("labels", "chances")


def windows(text, chance):
    """A batch of CONTEXT + 1 bytes each."""
    starts = torch.randint(len(text) - CONTEXT, (BATCH, 1), generator=chance)
    return text[starts + torch.arange(CONTEXT + 1)]


def taught_loss(logits, answers):
    """KL(target || draft) but for a constant, in nats a byte."""
    return F.cross_entropy(logits.flatten(0, 1), answers.flatten(0, 1).softmax(-1))


def learn(models, text, *, steps, seed, teacher=None):
    """Train all `models` in place on the same windows, on the teacher's chances or else on the next bytes."""
    chance = own_stream("windows for drafts", seed)
    makers = [torch.optim.AdamW(parameter_groups(m.train(), 0.1), betas=(0.9, 0.95), fused=True)
              for m in models]  # fmt: skip
    for step in tqdm(range(steps), unit="step", leave=False):
        x = windows(text, chance)
        with torch.no_grad():
            answers = teacher(x[:, :-1]) if teacher else None
        for model, maker in zip(models, makers, strict=True):
            for group in maker.param_groups:
                group["lr"] = RATE * one_cycle(step, steps, warm=0.1)
            logits = model(x[:, :-1])
            loss = next_byte_loss(logits, x) if answers is None else taught_loss(logits, answers)
            maker.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            maker.step()
    for model in models:
        model.eval()
        for p in model.parameters():
            p.data.copy_(p.data.half())  # as it is handed round


def small(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own_seed("a draft", seed))
        return TinyGPT(**SMALL)


def cheapest(model, k, x):
    """The k layers without the others of which the loss on `x` is least."""

    def loss(kept):
        with torch.no_grad():
            return float(next_byte_loss(keep_layers(model, kept)(x[:, :-1]), x))

    return min(itertools.combinations(range(len(model.layers)), k), key=loss)


def drafts(seed):
    """Every draft of the target of one seed by name; kept, so that a run that was stopped goes on."""
    key = f"mcomp-19_drafts-{results.script_hash(Path(__file__))}-{seed}"
    folder = Path(tempfile.gettempdir(), key)
    if not folder.is_dir():
        found, part = trained(seed, stream(load_text().train)), Path(f"{folder}.part")
        part.mkdir(exist_ok=True)
        for name, model in found.items():
            mcomp.save(model, part / f"{name}.safetensors")
        part.rename(folder)
    return {path.stem: mcomp.load(path) for path in sorted(folder.iterdir())}


def trained(seed, files):
    target = zoo.load("tinygpt", seed)
    x = windows(files, own_stream("windows to drop by", seed))
    found = {f"{k} of its layers": keep_layers(target, cheapest(target, k, x)) for k in (2, 3)}
    found |= {f"{name}, taught": copy.deepcopy(model) for name, model in found.items()}
    found |= {name: small(seed) for name in LEARNT}
    learn([found["labels"]], files, steps=STEPS, seed=seed)
    learn([found["chances"]], files, steps=STEPS, seed=seed, teacher=target)
    learnt = [model for name, model in found.items() if name.endswith("taught")]
    learn(learnt, files, steps=SHORT, seed=seed, teacher=target)
    return found


def accepted(target, draft, text):
    """Sum of min(p, q) after each byte of `text`: bytes (n,) or a tensor (rows, n)."""
    x = torch.tensor([list(text)]) if isinstance(text, bytes) else text
    with torch.no_grad():
        return acceptance(*(m(x).double().softmax(-1) for m in (target, draft)))


def judged(found, prompt, gamma):
    """The places, counted from the start of the prompt, at which a guess was judged, whole passes only."""
    at = prompt
    for gain in found.gains[:-1]:
        yield from range(at, at + min(gain, gamma))
        at += gain


def speculation(target, draft, prompts, gamma):
    """Bytes a pass, the part of guesses kept and what was expected of them, and the formula."""
    expected, gains, lean = [], [], (Lean(target), Lean(draft))
    for seed, prompt in enumerate(prompts):
        found = speculate(*lean, prompt=prompt, n=WRITTEN, gamma=gamma, seed=seed)
        at = [place - 1 for place in judged(found, len(prompt), gamma)]
        expected += accepted(target, draft, prompt + found.text)[0, at].tolist()
        gains += found.gains[:-1]
    kept, alpha = sum(gain - 1 for gain in gains) / len(expected), np.array(expected)
    error = np.sqrt((alpha * (1 - alpha)).sum()) / len(alpha)  # of what is kept, given the places
    assert abs(kept - alpha.mean()) < 4.5 * error, (kept, alpha.mean(), error)
    return {"kept": kept, "expected": float(alpha.mean()), "error": float(error),
            "per_pass": float(np.mean(gains)), "formula": expected_tokens(kept, gamma)}  # fmt: skip


def pair_chances(model, prompt, change=lambda p, q: p, other=None):
    """The chance of each two bytes after `prompt`, (65536,), each byte's changed by that of `other`."""
    x = torch.tensor([list(prompt)])
    after = torch.cat([x.expand(256, -1), torch.arange(256)[:, None]], dim=1)
    with torch.no_grad():
        p, q = ([chances(m(z)[:, -1]) for z in (x, after)] for m in (model, other or model))
    first, second = (change(a, b) for a, b in zip(p, q, strict=True))
    return (first.T * second).flatten().numpy()


def wrong(p, q):
    """What is written if a refused guess is replaced by a byte from p, not from the residual."""
    return torch.minimum(p, q) + (1 - acceptance(p, q)[..., None]) * p


def variation(p, q):
    return float(np.abs(p - q).sum() / 2)


def pairs(target, draft, prompt):
    """Total variation of DRAWS sampled pairs to the exact chances, and what sampling alone would give."""
    exact, chance = pair_chances(target, prompt), np.random.default_rng(own_seed("pairs", 0))
    lean = Lean(target, positions=64), Lean(draft, positions=64)
    texts = [speculate(*lean, prompt=prompt, n=2, gamma=2, seed=i).text for i in range(DRAWS)]
    codes = np.array([256 * text[0] + text[1] for text in texts])
    found = variation(np.bincount(codes, minlength=65_536) / DRAWS, exact)

    def sampled(p):
        drawn = chance.multinomial(DRAWS, p / p.sum(), size=200) / DRAWS
        return np.quantile([variation(row, exact) for row in drawn], [0.005, 0.5, 0.995]).tolist()

    return {"variation": found, "of sampling": sampled(exact),
            "of a mistake": sampled(pair_chances(target, prompt, wrong, draft))}  # fmt: skip


def figures(seed, text):
    target, found = zoo.load("tinygpt", seed), {}
    test = {name: data[:PART] for name, data in text.test.items()}
    chance = own_stream("prompts", seed)
    x = stream(text.test)[torch.randint(300_000, (16, 1), generator=chance) + torch.arange(CONTEXT)]
    prompts = [bytes(row[:PROMPT].tolist()) for row in x[:4]]
    for name, draft in tqdm(drafts(seed).items(), unit="draft", desc=f"seed {seed}"):
        found[name] = {
            "bits_per_byte": bits_per_byte(draft, test, stride=STRIDE).per_byte, "bytes": file_size(draft),
            "alpha on test text": float(accepted(target, draft, x).mean()),
            "weights": sum(p.numel() for p in draft.parameters()), "layers": draft.config["layers"],
        }  # fmt: skip
        if name in LEARNT or name.endswith("taught"):
            gamma = {str(g): speculation(target, draft, prompts, g) for g in GAMMAS}
            found[name] |= {key: [one[key] for one in gamma.values()] for key in gamma["1"]}
        if name == "chances":
            found[name]["pairs"] = pairs(target, draft, prompts[0])
            assert found[name]["pairs"]["variation"] < found[name]["pairs"]["of sampling"][2]
    found["target"] = {"bits_per_byte": bits_per_byte(target, test, stride=STRIDE).per_byte,
                       "bytes": file_size(target)}  # fmt: skip
    return found


def main():
    torch.set_num_threads(1)
    text = load_text()
    found = [figures(seed, text) for seed in SEEDS]
    mcomp.save(drafts(0)["chances"], RESULTS / "19_draft-0.safetensors")
    write(
        __file__, question="Which small network guesses what the large one would write?", network="tinygpt",
        data="python-source", methods=by_seed(found), seeds=SEEDS, rate=RATE, steps=STEPS, short=SHORT,
        small=SMALL, gammas=GAMMAS, draws=DRAWS, written=WRITTEN,
    )  # fmt: skip


if __name__ == "__main__":
    main()
