"""kd_loss against torch's kl_div, forward and backward. Run: python benchmarks/distill.py"""

import statistics
import time

import torch
from torch.nn import functional as F

from mcomp.distill import kd_loss

T, CALLS, ROUNDS = 3.0, 200, 15


def peer(student, teacher):
    p = F.softmax(teacher / T, dim=-1)
    return F.kl_div(F.log_softmax(student / T, dim=-1), p, reduction="batchmean") * T**2


def ours(student, teacher):
    return kd_loss(student, teacher, T=T)


def microseconds(loss, student, teacher):
    start = time.perf_counter()
    for _ in range(CALLS):
        student.grad = None
        loss(student, teacher).backward()
    return (time.perf_counter() - start) / CALLS * 1e6


def main():
    generator = torch.Generator().manual_seed(0)
    for batch, classes in ((256, 10), (256, 1000)):
        teacher = torch.randn(batch, classes, generator=generator)
        student = torch.randn(batch, classes, generator=generator).requires_grad_()
        times = [[microseconds(f, student, teacher) for f in (peer, ours)] for _ in range(ROUNDS)]  # in turn
        a, b = (statistics.median(t) for t in zip(*times, strict=True))
        ratio = statistics.median(y / x for x, y in times)
        print(f"{batch} x {classes}: kl_div {a:.1f} us, kd_loss {b:.1f} us, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
