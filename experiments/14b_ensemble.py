"""Five ResNets as teachers of one: what a student of the same bytes keeps of the ensemble's gain.

    python experiments/14b_ensemble.py      (about 25 minutes on two cores; with a 1 behind it, on one)

Three groups of five members, each trained on the labels of 1,500 images. Four arms for a network like a
member: "labels" (it is a member); the ensemble's answers on the same 1,500 images; on 9,000 images, of which
7,500 have no label; and, on those, the answers of one member, which tells what the images alone are worth.
Every network starts from scratch and sees 45,000 images in its training. A student has the start of a member
of its group, the first or the second, so that arms are compared pair by pair. The learning rate of every arm
is tuned on one grid by the validation accuracy of one more student of the first group. T = 1.
Two processes train side by side, each on one thread, or one, if the command says so.
"""

import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import taught
import torch
from common import tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, merge, save, train

LABELLED, SEEN, PASSES, GROUPS, MEMBERS, STUDENTS = 1_500, 9_000, 45_000, 3, 5, 2
RATES, OPTIONS = (0.0025, 0.005, 0.01), {"weight_decay": 0.01, "batch_size": 32}
LABELS, SAME, MORE, ONE = (
    "labels",
    "five, on the labelled images",
    "five, on six times as many",
    "one, on six times as many",
)
STAGES = ((LABELS,), (MORE,), (ONE,), (SAME,))  # the result is written after each

WORK = None  # what the processes call


class Study:
    def __init__(self, few, many, bar, processes):
        self.processes = processes
        self.few, self.many, self.bar, self.made, self.answers, self.said = few, many, bar, {}, {}, {}
        self.rates = {}

    def trained(self, arm, group, seed, lr):
        """A network of the arm; `group` says who teaches it."""
        self.ahead([(arm, group, seed, lr)])
        return self.made[arm, group, seed, lr]

    def ahead(self, jobs):
        """Train what of (arm, group, seed, rate) there isn't yet, some at a time."""
        global WORK
        jobs = [job for job in jobs if job not in self.made]
        for arm, group, *_ in jobs:
            if arm != LABELS:
                self.logits(group, one=arm == ONE)  # here, so that the processes find the answers
        WORK = self.learnt
        if not jobs:
            return
        with ProcessPoolExecutor(self.processes, mp_context=multiprocessing.get_context("fork")) as pool:
            for job, state in zip(jobs, pool.map(at_work, jobs), strict=True):
                model = self.made[job] = taught.network("resnet", 0)
                model.load_state_dict({name: torch.tensor(x) for name, x in state.items()})
                model.eval()
                self.bar.update()

    def learnt(self, arm, group, seed, lr):
        """The state of a network that was trained."""
        data = self.few if arm in (LABELS, SAME) else self.many
        loss = taught.labels
        if arm != LABELS:
            loss = distill.teaching(self.logits(group, one=arm == ONE)[: len(data.train[1])], data)
        epochs = PASSES // len(data.train[1])
        model = taught.network("resnet", seed)
        taught.learn(model, data, seed, epochs=epochs, lr=lr, loss=loss, **OPTIONS)
        return {name: x.numpy() for name, x in model.state_dict().items()}

    def members(self, group):
        lr = self.rates[LABELS]
        self.ahead([(LABELS, None, 10 * group + i, lr) for i in range(MEMBERS)])
        return [self.trained(LABELS, None, 10 * group + i, lr) for i in range(MEMBERS)]

    def logits(self, group, *, one):
        """What the last member, or all five, answer to the images with and without labels."""
        if (group, one) not in self.answers:
            members = self.members(group)
            teacher = members[-1] if one else merge.Ensemble(members)
            self.answers[group, one] = train.predict(teacher, self.many.train[0])
        return self.answers[group, one]

    def tested(self, model):
        """Its logits for the test images, computed once."""
        if model not in self.said:
            self.said[model] = train.predict(model, self.few.test[0])
        return self.said[model]

    def score(self, arm, lr):
        return train.evaluate(self.trained(arm, teachers(arm, 0), 100, lr), self.few.validation)


def at_work(job):
    return WORK(*job)


def size(model):
    with tempfile.TemporaryDirectory() as folder:
        return save(model, Path(folder, "model.safetensors"))


def together(few, many):
    """`many` with the images of `few` first; its labels are looked at by nobody."""
    known = {row.numpy().tobytes() for row in few.train[0]}
    new = torch.tensor([row.numpy().tobytes() not in known for row in many.train[0]])
    x, y = many.train[0][new], many.train[1][new]
    pair = torch.cat([few.train[0], x])[:SEEN], torch.cat([few.train[1], torch.zeros_like(y)])[:SEEN]
    return type(few)("unlabelled", pair, few.validation, few.test, few.classes, few.mean, few.std)


def main(few, many, processes=2):
    torch.set_num_threads(1)
    pairs = [(group, 10 * group + i) for group in range(GROUPS) for i in range(STUDENTS)]
    tuned, found, groups = {}, {}, []
    with tqdm(unit="network", mininterval=20) as bar:
        study = Study(few, together(few, many), bar, processes)
        for arms in STAGES:
            study.ahead([(arm, teachers(arm, 0), 100, lr) for lr in RATES for arm in arms])
            tuned[", ".join(arms)] = tune(arms, RATES, study.score)
            study.rates |= tuned[", ".join(arms)]["chosen"]
            groups = groups or [described(study.members(group), study) for group in range(GROUPS)]
            jobs = {
                arm: [(arm, teachers(arm, g), seed, study.rates[arm]) for g, seed in pairs] for arm in arms
            }
            study.ahead([job for each in jobs.values() for job in each])
            for arm in arms:
                made = [study.trained(*job) for job in jobs[arm]]
                found[arm] = {
                    "accuracy": [right(study.tested(model), few.test) for model in made],
                    "bytes": [size(model) for model in made],
                }
            write(
                __file__, question="What does one network keep of the gain of five?", network="resnet",
                methods=found, seeds=[seed for _, seed in pairs], groups=groups, tuned=tuned,
                images={"labelled": LABELLED, "seen": SEEN, "passes": PASSES},
            )  # fmt: skip


def teachers(arm, group):
    """Whose answers an arm learns: nobody's, those of a group."""
    return None if arm == LABELS else group


def right(logits, pair):
    return float((logits.argmax(1) == pair[1]).float().mean())


def described(members, study):
    pair, logits = study.few.test, torch.stack([study.tested(m) for m in members])
    return {
        "members": [right(one, pair) for one in logits],
        "ensemble": right(logits.softmax(-1).mean(0), pair),
        "bytes": sum(size(m) for m in members),
    }


if __name__ == "__main__":
    main(
        mcomp.data.load("fashion-mnist", subset=LABELLED),
        mcomp.data.load("fashion-mnist", subset=SEEN + LABELLED),
        *map(int, sys.argv[1:]),
    )
