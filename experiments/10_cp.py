"""Do the terms of a CP decomposition grow and cancel in a trained convolution? Three seeds, to convergence.

    python experiments/10_cp.py      (about two minutes on one core)

conv2 of LeNet-5 by alternating least squares from a random start, until a sweep gains less than a millionth
of the squared length, or for 400 sweeps. After 15 sweeps and at the end: the relative error, the sum of the
terms' squared lengths divided by that of the tensor, and the error once the factors are rounded to 8 bits, a
scale a column.
"""

import torch
from common import write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.codecs import Uniform
from mcomp.lowrank import cp_als, cp_tensor

SEEDS, RANKS, EARLY, MOST, GAIN = (0, 1, 2), (20, 60, 120, 200), 15, 400, 1e-6
EIGHT = Uniform(8, axis=1)


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
    found = {f"{when}, rank {r}": [] for when in ("early", "end") for r in RANKS}
    with tqdm(total=len(SEEDS) * len(RANKS), unit="tensor") as bar:
        for seed in SEEDS:
            kernel = zoo.load("lenet5", seed).conv2.weight.detach().double()
            for rank in RANKS:
                for when, sweeps in (("early", EARLY), ("end", MOST)):
                    found[f"{when}, rank {rank}"].append(of_fit(kernel, rank, seed, sweeps))
                bar.update()
    write(
        __file__,
        question="Do the terms of a CP decomposition grow and cancel in a trained convolution?",
        network="lenet5",
        methods={name: {key: [one[key] for one in each] for key in each[0]} for name, each in found.items()},
        seeds=SEEDS,
        ranks=RANKS,
    )


if __name__ == "__main__":
    main()
