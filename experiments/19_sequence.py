"""Distillation by sequence: a draft learns from text that its target wrote, not from the target's chances.

    python experiments/19_sequence.py      (about 12 minutes on one core)

Kim and Rush 2016 (arXiv:1606.07947) let the teacher write, and the student learns that text as labels. They
take the likeliest text, by beam search; here it is drawn from the target's chances. The draft is that of
19_drafts.py, one layer, and reads 3,200 windows of 128 bytes once, 16 a step. Two texts: windows of training
files, or 32 bytes of each and 96 that the target wrote on. Two answers to each byte: the next one, or the
target's chances of it. So there are four arms, equal in first weights, steps and windows begun; the rate of
each is what validation prefers on the first target, by the part of guesses kept. That part is the mean of
the sum of min(p, q) over the bytes that the target writes after 32 of a file ("kept"), where speculation
asks a draft, and over windows of the files themselves ("kept on files").
"""

import importlib

import torch
from common import by_seed, file_size, tune, write
from torch.nn import functional as F
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.chance import own_stream
from mcomp.data import load_text
from mcomp.data.text import stream
from mcomp.language import bits_per_byte, windows
from mcomp.train import one_cycle, parameter_groups
from mcomp.transformers import Cache, chances, run

drafts = importlib.import_module("19_drafts")
SEEDS, TUNING, GRID, STEPS, BATCH = (0, 1, 2), 0, (3e-3, 1e-2, 3e-2), 200, 16
WIDTH, PROMPT, ASKED, PART, STRIDE, AT_ONCE = 128, 32, 64, 4_096, 64, 400
ARMS = {  # text, answers
    "labels": ("files", "bytes"), "chances": ("files", "chances"),
    "written": ("written", "bytes"), "written, chances": ("written", "chances"),
}  # fmt: skip


def written(target, prompts, seed):
    """Texts of WIDTH + 1 bytes, (rows, WIDTH + 1): `prompts` (rows, PROMPT), and what `target` writes on."""
    chance, texts = own_stream("text of a teacher", seed), []
    with torch.no_grad():
        for new in tqdm(prompts.long().split(AT_ONCE), unit="text", unit_scale=AT_ONCE, leave=False):
            cache, text = Cache(target), new
            for _ in range(WIDTH + 1 - PROMPT):
                new = chances(run(target, new, cache=cache)[:, -1]).multinomial(1, generator=chance)
                text = torch.cat([text, new], dim=1)
            texts.append(text)
    return torch.cat(texts)


def pair(target, files, n, name, seed):
    """Windows of `files` and the same begun there and written on by `target`: long (n, WIDTH + 1) each."""
    real = windows(stream(files), n, context=WIDTH, generator=own_stream(name, seed)).long()
    return {"files": real, "written": written(target, real[:, :PROMPT], seed)}


def answers(target, texts):
    """By text and kind, what follows each of its bytes: the next byte (n, WIDTH), or chances (…, 256)."""
    found = {(name, "bytes"): x[:, 1:] for name, x in texts.items()}
    with torch.no_grad():
        for name, x in texts.items():
            parts = [target(part[:, :-1]).softmax(-1) for part in x.split(BATCH)]
            found[name, "chances"] = torch.cat(parts)
    return found


def learn(seed, x, wanted, lr):
    """A draft that has read the windows `x` once, and learned what is `wanted` at each byte."""
    model = drafts.small(seed).train()
    maker = torch.optim.AdamW(parameter_groups(model, 0.1), betas=(0.9, 0.95), fused=True)
    for step, (some, answer) in enumerate(zip(x.split(BATCH), wanted.split(BATCH), strict=True)):
        for group in maker.param_groups:
            group["lr"] = lr * one_cycle(step, STEPS, warm=0.1)
        loss = F.cross_entropy(model(some[:, :-1]).flatten(0, 1), answer.flatten(0, 1))
        maker.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        maker.step()
    for p in model.eval().parameters():
        p.data.copy_(p.data.half())  # as it is handed round
    return model


class Lesson:
    """A target, the windows that its drafts read, and what they are asked."""

    def __init__(self, seed, text):
        self.seed, self.target = seed, zoo.load("tinygpt", seed)
        self.texts = pair(self.target, text.train, STEPS * BATCH, "windows to learn", seed)
        self.answers = answers(self.target, self.texts)
        self.validation = pair(self.target, text.validation, ASKED, "windows to tune", seed)
        self.test = pair(self.target, text.test, ASKED, "windows to test", seed)

    def draft(self, arm, lr):
        return learn(self.seed, self.texts[ARMS[arm][0]], self.answers[ARMS[arm]], lr)

    def kept(self, draft, asked):
        """The part of guesses kept at the places behind the first PROMPT bytes, (written, files)."""
        part = {n: drafts.accepted(self.target, draft, x[:, :-1])[:, PROMPT - 1 :] for n, x in asked.items()}
        return float(part["written"].mean()), float(part["files"].mean())


def figures(lesson, chosen, text):
    test, found = {name: data[:PART] for name, data in text.test.items()}, {}
    for arm in ARMS:
        draft = lesson.draft(arm, chosen[arm])
        kept, on_files = lesson.kept(draft, lesson.test)
        bits = bits_per_byte(draft, test, context=WIDTH, stride=STRIDE).per_byte
        found[arm] = {"kept": kept, "kept on files": on_files, "bits_per_byte": bits,
                      "bytes": file_size(draft)}  # fmt: skip
    bits = bits_per_byte(lesson.target, test, context=WIDTH, stride=STRIDE).per_byte
    found["target"] = {"bits_per_byte": bits, "bytes": file_size(lesson.target)}
    return found


def main():
    torch.set_num_threads(1)
    text, found = load_text(), []
    lesson = first = Lesson(TUNING, text)

    def score(arm, lr):
        return first.kept(first.draft(arm, lr), first.validation)[0]

    with tqdm(unit="rate") as bar:
        tuned = tune(list(ARMS), GRID, score, bar=bar)
    for seed in tqdm(SEEDS, unit="target"):
        lesson = lesson if lesson.seed == seed else Lesson(seed, text)
        found.append(figures(lesson, tuned["chosen"], text))
    write(
        __file__, question="Does a draft learn more from the target's text or from its chances?",
        network="tinygpt", data="python-source", methods=by_seed(found), seeds=SEEDS, tuned=tuned,
        steps=STEPS, batch=BATCH, width=WIDTH, prompt=PROMPT, small=drafts.SMALL, stride=STRIDE, part=PART,
    )  # fmt: skip


if __name__ == "__main__":
    main()
