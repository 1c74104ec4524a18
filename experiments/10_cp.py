"""Do the terms of a CP decomposition grow and cancel in a trained convolution? Three seeds, to convergence.

    python experiments/10_cp.py      (about a minute on one core)

conv2 of LeNet-5 by alternating least squares from a random start, until a sweep gains less than a millionth
of the squared length, or for a thousand sweeps; "sweeps" tells which. The same after fifteen sweeps, where a
fit looks done; and the same for conv2 as it was before training, the null. Figures: the relative error, the
sum of the terms' squared lengths divided by that of the tensor, and the error once the factors are rounded to
8 bits, a scale a column.
"""

import torch
from common import by_seed, write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.codecs import Uniform
from mcomp.lowrank import cp_als, cp_tensor

SEEDS, RANKS, EARLY, MOST, GAIN = (0, 1, 2), (20, 60), 15, 1000, 1e-6
EIGHT = Uniform(8, axis=1)


def kernels(seed):
    """conv2 of the trained network, and of the one that it began as."""
    torch.manual_seed(seed)  # as mcomp.zoo.train does
    networks = {"before training": zoo.build("lenet5"), "trained": zoo.load("lenet5", seed)}
    return {name: model.conv2.weight.detach().double() for name, model in networks.items()}


def of_fit(kernel, rank, seed, sweeps):
    """Figures of one decomposition."""
    factors, errors = cp_als(kernel, rank, sweeps=sweeps, seed=seed, tolerance=GAIN)
    total, rest = torch.linalg.norm(kernel), kernel - cp_tensor([EIGHT.project(f) for f in factors])
    lengths = torch.linalg.norm(factors[-1], dim=0)  # of the terms: the other factors' columns have length 1
    return {
        "sweeps": len(errors),
        "error": errors[-1],
        "rounded": float(torch.linalg.norm(rest) / total),
        "length": float((lengths**2).sum() / total**2),
    }


def main():
    torch.set_num_threads(1)
    found = []
    with tqdm(total=2 * len(SEEDS) * len(RANKS), unit="fit") as bar:
        for seed in SEEDS:
            found.append({})
            for name, kernel in kernels(seed).items():
                for rank in RANKS:
                    for when, sweeps in (("early", EARLY), ("end", MOST)):
                        found[-1][f"{name}, rank {rank}, {when}"] = of_fit(kernel, rank, seed, sweeps)
                    bar.update()
    write(
        __file__,
        question="Do the terms of a CP decomposition grow and cancel in a trained convolution?",
        network="lenet5",
        methods=by_seed(found),
        seeds=SEEDS,
        ranks=RANKS,
        early=EARLY,
        most=MOST,
    )


if __name__ == "__main__":
    main()
