"""A draft for speculation: which small network guesses what the large one would write?

    python experiments/19_drafts.py      (about 20 minutes on one core)

Targets are the three shipped TinyGPT. Drafts of one layer, equal in shape, first weights, windows of text and
steps, learn from the labels, from the target's chances at each byte (Hinton et al. 2015, T = 1; Kim and Rush
2016, arXiv:1606.07947, call it word-level), or from text that the target wrote (their sequence-level; it is
128 kB, so they read it several times). The others are the target without the layers whose absence costs least
on 8 windows of training text, as they are or after a short training on its chances. Rates of each way are
chosen on validation, with seed 0 and fewer steps. Speculation then writes 128 bytes after each of 4 prompts
of test files, for each gamma: "kept" is the part of all judged guesses, "expected" the mean of the sum of
min(p, q) at the same places. "pairs": 2 bytes after a prompt, 2,000 times, against the exact chances of all
65,536 pairs.
"""

import copy
import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import RESULTS, by_seed, file_size, tune, write
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
    Cache,
    acceptance,
    chances,
    expected_tokens,
    keep_layers,
    run,
    speculate,
)  # fmt: skip

SEEDS, STRIDE, PART, BATCH = (0, 1, 2), 128, 4_096, 8
SMALL = {"dim": 128, "layers": 1, "heads": 4, "hidden": 112}
STEPS, SHORT, TRIAL = 500, 150, 100
RATES = (1.5e-3, 3e-3, 6e-3)
ROWS, PROMPT, WRITTEN, GAMMAS, DRAWS = 512, 32, 128, tuple(range(1, 9)), 2_000
LEARNT = ("labels", "chances", "text of the target")


def windows(text, chance):
    """A batch of CONTEXT + 1 bytes each, from the stream of all files or from rows of that length."""
    if text.ndim == 2:
        return text[torch.randint(len(text), (BATCH,), generator=chance)]
    starts = torch.randint(len(text) - CONTEXT, (BATCH, 1), generator=chance)
    return text[starts + torch.arange(CONTEXT + 1)]


def taught_loss(logits, answers):
    """KL(target || draft) but for a constant, in nats a byte."""
    return F.cross_entropy(logits.flatten(0, 1), answers.flatten(0, 1).softmax(-1))


def learn(models, text, *, steps, lr, seed, teacher=None):
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
                group["lr"] = lr * one_cycle(step, steps, warm=0.1)
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


def written_by(model, text, seed):
    """Rows of CONTEXT + 1 bytes that `model` wrote after PROMPT bytes of training text each."""
    chance, rows = own_stream("text of the target", seed), []
    for _ in tqdm(range(ROWS // 64), unit="batch", leave=False):
        starts = torch.randint(len(text) - PROMPT, (64, 1), generator=chance)
        row, cache = text[starts + torch.arange(PROMPT)].long(), Cache(model)
        new = row
        while row.shape[1] <= CONTEXT:
            with torch.no_grad():
                p = run(model, new, cache=cache)[:, -1].softmax(-1)
            new = torch.multinomial(p, 1, generator=chance)
            row = torch.cat([row, new], dim=1)
        rows.append(row.to(torch.uint8))
    return torch.cat(rows)


def rates(text, validation):
    """Of each way to learn, the rate that validation prefers after few steps, on the target of seed 0."""
    target, files = zoo.load("tinygpt", 0), stream(text.train)
    begun = {"labels": small(0), "chances": small(0), "layers": keep_layers(target, (0, 5))}

    def score(arm, lr):
        model, teacher = copy.deepcopy(begun[arm]), None if arm == "labels" else target
        learn([model], files, steps=TRIAL, lr=lr, seed=100, teacher=teacher)
        return -bits_per_byte(model, validation, stride=STRIDE).per_byte

    return tune(list(begun), RATES, score)


def drafts(seed, tuned, text):
    """Every draft of the target of one seed by name; kept, so that a run that was stopped goes on."""
    key = f"mcomp-19_drafts-{results.script_hash(Path(__file__))}-{seed}"
    folder = Path(tempfile.gettempdir(), key)
    if not folder.is_dir():
        found, part = trained(seed, tuned, stream(text.train)), Path(f"{folder}.part")
        part.mkdir(exist_ok=True)
        for name, model in found.items():
            mcomp.save(model, part / f"{name}.safetensors")
        part.rename(folder)
    return {path.stem: mcomp.load(path) for path in sorted(folder.iterdir())}


def trained(seed, tuned, files):
    target, rate = zoo.load("tinygpt", seed), tuned["chosen"]
    x = windows(files, own_stream("windows to drop by", seed))
    cut = {k: keep_layers(target, cheapest(target, k, x)) for k in (1, 2, 3)}
    found = {f"{k} of its layers": model for k, model in cut.items()}
    found |= {f"{name}, taught": copy.deepcopy(model) for name, model in found.items()}
    found |= {name: small(seed) for name in LEARNT}
    learn([found["labels"]], files, steps=STEPS, lr=rate["labels"], seed=seed)
    learn([found["chances"]], files, steps=STEPS, lr=rate["chances"], seed=seed, teacher=target)
    text = written_by(target, files, seed)
    learn([found["text of the target"]], text, steps=STEPS, lr=rate["labels"], seed=seed)
    learnt = [model for name, model in found.items() if name.endswith("taught")]
    learn(learnt, files, steps=SHORT, lr=rate["layers"], seed=seed, teacher=target)
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
    kept, expected, gains = 0, [], []
    for seed, prompt in enumerate(prompts):
        found = speculate(target, draft, prompt=prompt, n=WRITTEN, gamma=gamma, seed=seed)
        at = [place - 1 for place in judged(found, len(prompt), gamma)]
        expected += accepted(target, draft, prompt + found.text)[0, at].tolist()
        gains += found.gains[:-1]
    kept, alpha = sum(gain - 1 for gain in gains) / len(expected), np.array(expected)
    error = np.sqrt((alpha * (1 - alpha)).sum()) / len(alpha)  # of what is kept, given the places
    assert abs(kept - alpha.mean()) < 4.5 * error, (kept, alpha.mean(), error)
    return {"kept": kept, "expected": alpha.mean(), "error": error, "per_pass": float(np.mean(gains)),
            "formula": expected_tokens(kept, gamma)}  # fmt: skip


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
    texts = [speculate(target, draft, prompt=prompt, n=2, gamma=2, seed=i).text for i in range(DRAWS)]
    codes = np.array([256 * text[0] + text[1] for text in texts])
    found = variation(np.bincount(codes, minlength=65_536) / DRAWS, exact)

    def sampled(p):
        drawn = chance.multinomial(DRAWS, p / p.sum(), size=200) / DRAWS
        return np.quantile([variation(row, exact) for row in drawn], [0.005, 0.5, 0.995]).tolist()

    return {"variation": found, "of sampling": sampled(exact),
            "of a mistake": sampled(pair_chances(target, prompt, wrong, draft))}  # fmt: skip


def figures(seed, tuned, text):
    target, found = zoo.load("tinygpt", seed), {}
    test = {name: data[:PART] for name, data in text.test.items()}
    chance = own_stream("prompts", seed)
    x = stream(text.test)[torch.randint(300_000, (16, 1), generator=chance) + torch.arange(CONTEXT)]
    prompts = [bytes(row[:PROMPT].tolist()) for row in x[:4]]
    for name, draft in tqdm(drafts(seed, tuned, text).items(), unit="draft", desc=f"seed {seed}"):
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
    tuned = rates(text, {name: data[:PART] for name, data in text.validation.items()})
    found = [figures(seed, tuned, text) for seed in SEEDS]
    mcomp.save(drafts(0, tuned, text)["chances"], RESULTS / "19_draft-0.safetensors")
    write(
        __file__, question="Which small network guesses what the large one would write?", network="tinygpt",
        data="python-source", methods=by_seed(found), seeds=SEEDS, tuned=tuned, steps=STEPS, short=SHORT,
        small=SMALL, gammas=GAMMAS, draws=DRAWS, written=WRITTEN,
    )  # fmt: skip


if __name__ == "__main__":
    main()
