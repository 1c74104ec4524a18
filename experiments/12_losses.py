"""Temperature, part and loss: what does a student gain by each, from the same teacher?

    python experiments/12_losses.py      (less than a minute on one core)

A student so small that everything can be tried on five seeds: LeNet-300-100 with 16 and 10 hidden neurons,
ten epochs on 12,000 images. Its learning rate is chosen by labels. Then, from the ResNet of the zoo, the
validation accuracy for each temperature, and at the best of them for each part alpha; then other losses, each
with the setting that validation images prefer on another seed. The test images are looked at once.
"""

import torch
from common import write
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, train, zoo

SEEDS, TUNING_SEED, EPOCHS, SUBSET = (0, 1, 2, 3, 4), 100, 10, 12_000
STUDENT = {"hidden": (16, 10)}
RATES, TEMPERATURES, ALPHAS = (0.003, 0.01, 0.03), (0.5, 1.0, 2.0, 4.0, 8.0, 16.0), (0.25, 0.5, 0.75)
EPSILONS, BETAS = (0.05, 0.1), (1.0, 8.0)


def swapped(student, teacher, T):
    """T**2 * KL(student || teacher): the divergence the wrong way round, the gradient still the student's."""
    p, q = F.log_softmax(teacher / T, 1), F.log_softmax(student / T, 1)
    return T**2 * F.kl_div(p, q, log_target=True, reduction="batchmean")


def losses(T):
    """By name: a list of trials, each a label and options of `distill.fit`."""
    return {
        "logit matching": [("", {"loss": lambda s, t, y: distill.logit_matching_loss(s, t)})],
        "decoupled": [
            (f"beta {beta:g}", {"loss": lambda s, t, y, b=beta: distill.decoupled_kd_loss(
                s, t, labels=y, T=T, beta=b)}) for beta in BETAS
        ],
        "KL(student ‖ teacher)": [(f"T = {T:g}", {"loss": lambda s, t, y: swapped(s, t, T)})],
        "label smoothing": [
            (f"epsilon {e:g}", {"loss": lambda s, t, y, e=e: F.cross_entropy(s, y, label_smoothing=e)})
            for e in EPSILONS
        ],
    }  # fmt: skip


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=SUBSET)
    logits = train.predict(zoo.load("resnet", 0), data.train[0])

    def learn(seed, *, lr, **more):
        """A student of `seed`: alpha = 0 are the labels."""
        torch.manual_seed(seed)
        model = zoo.build("lenet300", **STUDENT)
        distill.fit(model, logits, data, seed=seed, epochs=EPOCHS, lr=lr, progress=False, **more)
        bar.update()
        return model

    def validated(seeds, **more):
        return [train.evaluate(learn(seed, **more), data.validation) for seed in seeds]

    def tested(**more):
        return {"accuracy": [train.evaluate(learn(seed, **more), data.test) for seed in SEEDS]}

    with tqdm(unit="run") as bar:
        rates = [validated([TUNING_SEED], lr=lr, alpha=0.0)[0] for lr in RATES]
        lr = RATES[rates.index(max(rates))]
        heat = [validated(SEEDS, lr=lr, T=T) for T in TEMPERATURES]
        best = max(range(len(heat)), key=lambda i: sum(heat[i]))
        T = TEMPERATURES[best]
        part = [validated(SEEDS, lr=lr, T=T, alpha=alpha) for alpha in ALPHAS]
        labels = validated(SEEDS, lr=lr, alpha=0.0)
        methods = {"labels": tested(lr=lr, alpha=0.0), "kd_loss": tested(lr=lr, T=T)}
        settings = {"labels": f"lr {lr:g}", "kd_loss": f"T = {T:g}"}
        for name, trials in losses(T).items():
            right = [validated([TUNING_SEED], lr=lr, **more)[0] for _, more in trials]
            settings[name], more = trials[right.index(max(right))]
            methods[name] = tested(lr=lr, **more)
    write(
        __file__,
        question="What does a student gain by temperature, part and loss?",
        network="student",
        methods=methods,
        seeds=SEEDS,
        settings=settings,
        chosen={"lr": lr, "T": T},
        temperatures={"T": list(TEMPERATURES), "validation": heat},
        alphas={"T": T, "alpha": [0.0, *ALPHAS, 1.0], "validation": [labels, *part, heat[best]]},
    )


if __name__ == "__main__":
    main()
