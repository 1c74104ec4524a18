"""A network as nothing but a choice: minimal random coding against shared values, in ideal bits.

    python experiments/16_random_code.py      (about ten minutes on one core)

A network of 1,210 numbers, 49-20-10, on images of 7 x 7 (means of 4 x 4 pixels), labels only. "random code":
MIRACLE (Havasi et al. 2019, arXiv:1810.00440), a Gaussian for each number, a price for each block's KL that
rises while the block is above BITS - 2 bits and falls while it is below, then block after block is sent as
one of 2^BITS candidates and the rest is trained on. Blocks of 24, 12 and 6 numbers: half a bit, one and two
bits a number. Its prior, one deviation for each layer, is learned and billed 32 bits each, and 32 for the
seed. "shared" is the same network trained for half of the steps, then with k shared values in each matrix and
4 in the biases for the other half; its bits are the entropy of the symbols, which no code of single symbols
beats, and 32 for each shared value. "float" is trained as long, in 32 bits a number.

All arms have as many steps (5,616; blocks of 24 have 5,632) and images, and are tuned on one grid of peak
rates by the mean accuracy of seeds 0 and 1 on the validation images; the test images are looked at once.
Three seeds; CPU seconds.
"""

import math
import time

import numpy as np
import torch
from common import by_seed, tune, write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp.codecs import Codebook, attach
from mcomp.coding.entropy import entropy
from mcomp.coding.random_code import decode_block, encode_block
from mcomp.train import one_cycle

SEEDS, TUNED, GRID = (0, 1, 2), (0, 1), (0.001, 0.003, 0.01)
STEPS, AFTER, BATCH, BITS, STEER = 4_000, 16, 256, 12, 1.01
SHAPES = ((20, 49), (20,), (10, 20), (10,))
SIZES = [math.prod(shape) for shape in SHAPES]
ALL = STEPS + AFTER * math.ceil(sum(SIZES) / 12)  # steps of every arm: those while it is sent are part of it
BLOCKS = {"random code, 24 a block": 24, "random code, 12 a block": 12, "random code, 6 a block": 6}
SHARED = {f"shared, {k} values": k for k in (2, 3, 5)}


def small(images):
    """7 x 7 means of images (n, 1, 28, 28), flat: (n, 49)."""
    return F.avg_pool2d(images, 4).flatten(1)


def logits(x, vector):
    w, b, v, c = (part.view(shape) for part, shape in zip(vector.split(SIZES), SHAPES, strict=True))
    return F.linear(F.linear(x, w, b).relu(), v, c)


def accuracy(predict, part):
    with torch.no_grad():
        return float((predict(part[0]).argmax(1) == part[1]).float().mean())


def begin(seed):
    """Start values, one vector, as torch's layers have them."""
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(49, 20), torch.nn.ReLU(), torch.nn.Linear(20, 10))
    return net, torch.cat([p.detach().flatten() for p in net.parameters()])


def train(params, loss, data, *, steps, lr, seed, rate=one_cycle):
    """Adam on `params` in place; ``loss(logits of a batch given by x, y)``."""
    optimizer = torch.optim.Adam(params, lr=lr)
    chance = torch.Generator().manual_seed(seed)
    for step in range(steps):
        some = torch.randint(len(data[1]), (BATCH,), generator=chance)
        optimizer.param_groups[0]["lr"] = lr * rate(step, steps)
        optimizer.zero_grad()
        loss(data[0][some], data[1][some]).backward()
        optimizer.step()


def plain(lr, seed, data):
    net, _ = begin(seed)
    train(
        list(net.parameters()),
        lambda x, y: F.cross_entropy(net(x), y),
        data,
        steps=ALL,
        lr=lr,
        seed=seed,
    )
    return net, 32 * sum(SIZES)


def shared(k, lr, seed, data):
    """A network with k values in each matrix and 4 in each bias, and its ideal bits."""
    net, _ = begin(seed)
    step = {"steps": ALL // 2, "lr": lr}
    loss = lambda x, y: F.cross_entropy(net(x), y)  # noqa: E731
    train(list(net.parameters()), loss, data, seed=seed, **step)
    attach(net, {"*.weight": Codebook(k), "*.bias": Codebook(4)}, refresh="step")
    train([p for p in net.parameters() if p.requires_grad], loss, data, seed=seed + 100, **step)
    net.eval()
    bits = 0.0
    for layer in (net[0], net[2]):
        for w in (layer.weight, layer.bias):
            values, counts = np.unique(w.detach().numpy(), return_counts=True)
            bits += counts.sum() * entropy(counts) + 32 * len(values)
    return net, bits


class Posterior:
    """A Gaussian for each number, its price by block, and what has been sent."""

    def __init__(self, start, size, seed):
        n, chance = len(start), torch.Generator().manual_seed(seed)
        self.mean = start.clone().requires_grad_()
        self.log_std = torch.full((n,), -4.0).requires_grad_()
        self.log_prior = torch.full((4,), -1.5).requires_grad_()
        self.layer = torch.repeat_interleave(torch.arange(4), torch.tensor(SIZES))
        self.blocks = torch.randperm(n, generator=chance).split(size)
        self.owner = torch.empty(n, dtype=torch.long)
        for i, block in enumerate(self.blocks):
            self.owner[block] = i
        self.price = torch.full((len(self.blocks),), 1e-6)
        self.sent, self.value = torch.zeros(n, dtype=torch.bool), torch.zeros(n)

    def kl(self):
        """KL of each block in bits."""
        prior, std = self.log_prior[self.layer], self.log_std
        each = prior - std + (torch.exp(2 * std) + self.mean**2) / (2 * torch.exp(2 * prior)) - 0.5
        return torch.zeros(len(self.blocks)).index_add(0, self.owner, each) / math.log(2)

    def loss(self, x, y):
        draw = self.mean + torch.exp(self.log_std) * torch.randn(len(self.mean))
        kl = self.kl()
        with torch.no_grad():
            self.price *= torch.where(kl > BITS - 2, STEER, 1 / STEER)
            self.price.clamp_(1e-9, 1.0)
        open_ = ~self.sent[torch.stack([block[0] for block in self.blocks])]
        return (
            F.cross_entropy(logits(x, torch.where(self.sent, self.value, draw)), y)
            + (self.price * kl * open_).sum()
        )


def coded(size, lr, seed, data):
    """The decoded vector and the bits of its message."""
    torch.manual_seed(seed)
    q = Posterior(begin(seed)[1], size, seed)
    train([q.mean, q.log_std, q.log_prior], q.loss, data, steps=STEPS, lr=lr, seed=seed)
    prior = torch.exp(q.log_prior.detach())[q.layer].double().numpy()
    q.log_prior.requires_grad_(False)
    indices = []
    for i, block in enumerate(q.blocks):
        at, shared_by_both = block.numpy(), {"bits": BITS, "prior_std": 1.0, "seed": seed, "block": i}
        mean, std = q.mean.detach().double().numpy()[at], torch.exp(q.log_std).detach().double().numpy()[at]
        indices.append(encode_block(mean / prior[at], std / prior[at], **shared_by_both))
        found = decode_block(indices[-1], len(at), **shared_by_both) * prior[at]
        q.value[block], q.sent[block] = torch.tensor(found, dtype=torch.float32), True
        steady = {"steps": AFTER * size // 12, "lr": 0.2 * lr, "seed": seed + 1000 + i}
        train([q.mean, q.log_std], q.loss, data, rate=lambda step, steps: 1.0, **steady)
    assert all(0 <= index < 2**BITS for index in indices)
    return q.value, len(indices) * BITS + 32 * 4 + 32


def run(arm, lr, seed, data):
    """(a function of images to logits, bits) of one arm."""
    if arm in BLOCKS:
        vector, bits = coded(BLOCKS[arm], lr, seed, data)
        return (lambda x: logits(x, vector)), bits
    return plain(lr, seed, data) if arm == "float" else shared(SHARED[arm], lr, seed, data)


def main():
    torch.set_num_threads(1)
    images = mcomp.data.load("fashion-mnist")
    data, validation, test = ((small(x), y) for x, y in (images.train, images.validation, images.test))
    made, arms = {}, ["float", *SHARED, *BLOCKS]

    def once(arm, lr, seed):
        if (arm, lr, seed) not in made:
            begun = time.process_time()
            made[arm, lr, seed] = *run(arm, lr, seed, data), time.process_time() - begun
        return made[arm, lr, seed]

    with tqdm(unit="rate") as bar:
        tuned = tune(
            arms,
            GRID,
            lambda arm, lr: np.mean([accuracy(once(arm, lr, s)[0], validation) for s in TUNED]),
            bar=bar,
        )
    found = []
    for seed in tqdm(SEEDS, unit="seed"):
        rows = {arm: once(arm, tuned["chosen"][arm], seed) for arm in arms}
        found.append(
            {
                arm: {"accuracy": accuracy(net, test), "bits": float(bits), "cpu_seconds": seconds}
                for arm, (net, bits, seconds) in rows.items()
            }
        )
    question = "In how few bits can a choice among random networks replace the numbers of a network?"
    write(__file__, question=question, network=["49-20-10"], methods=by_seed(found), seeds=SEEDS, tuned=tuned)


if __name__ == "__main__":
    main()
