"""Bits per byte against a loop over every byte; training; intervals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp import zoo
from mcomp.gpt import TinyGPT
from mcomp.language import Bits, bits_per_byte, bootstrap, fit_text, next_byte_loss, windows

quick = settings(derandomize=True, deadline=None, max_examples=20)


def tiny(seed=0):
    torch.manual_seed(seed)
    model = TinyGPT(dim=8, layers=1, heads=2, hidden=12).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def text(n, seed=0):
    return torch.randint(1, 256, (n,), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def by_bytes(model, data, context, stride):
    """For each byte by itself: where its window starts, what it reads, how many bits it needs."""
    whole, n, total = [0, *data.tolist()], len(data), 0.0
    for t in range(n):
        windows = math.ceil(max(t + 1 - context, 0) / stride)  # how often the window moved on
        start = min(windows * stride, max(n - context, 0))
        with torch.no_grad():
            logits = model(torch.tensor([whole[start : t + 1]]))[0, -1]
        total -= float(logits.log_softmax(-1)[whole[t + 1]]) / math.log(2)
    return total


@quick
@given(n=st.integers(1, 30), context=st.integers(1, 12), data=st.data(), batch=st.sampled_from([1, 3, 100]))
def test_bits_are_those_of_each_byte(n, context, data, batch):
    stride = data.draw(st.integers(1, context))
    model, files = tiny(), {"a": text(n), "b": text(n + 3, seed=1)}
    found = bits_per_byte(model, files, context=context, stride=stride, batch_size=batch)
    wanted = [by_bytes(model, x, context, stride) for x in files.values()]
    np.testing.assert_allclose(found.bits, wanted, rtol=1e-9)
    assert found.bytes == (n, n + 3)
    assert found.per_byte == pytest.approx(sum(wanted) / (2 * n + 3))


def test_longer_contexts_cost_more_windows_and_change_nothing_else():
    model, files = tiny().train(), {"a": text(40)}
    found = [bits_per_byte(model, files, context=8, stride=s).bits[0] for s in (8, 4, 1)]
    assert len({round(x, 6) for x in found}) == 3  # not comparable: other contexts
    assert bits_per_byte(model, files, context=8).bits[0] == found[1]
    assert model.training


@quick
@given(n=st.integers(1, 9), context=st.integers(1, 12), more=st.integers(1, 30), seed=st.integers(0, 99))
def test_windows_are_runs_of_the_text_and_begin_anywhere(n, context, more, seed):
    whole = torch.arange(context + more, dtype=torch.uint8)  # a byte says where it stood
    found = windows(whole, n, context=context, generator=torch.Generator().manual_seed(seed))
    starts = [int(row[0]) for row in found]
    assert found.shape == (n, context + 1)
    assert all(row.tolist() == list(range(s, s + context + 1)) for row, s in zip(found, starts, strict=True))
    if seed == 0:
        some = windows(whole, 50 * more, context=context, generator=torch.Generator().manual_seed(seed))
        assert {*some[:, 0].tolist()} == {*range(more)}  # each place, the first and the last too


def test_training_learns_what_is_there_to_learn():
    torch.manual_seed(0)
    model = TinyGPT(dim=16, layers=1, heads=2, hidden=16)
    files = {"a": torch.tensor([1, 2, 3, 4] * 60, dtype=torch.uint8)}
    before = bits_per_byte(model, files, context=16).per_byte
    losses = fit_text(model, files, steps=100, lr=2e-2, batch_size=4, context=16, progress=False)
    assert len(losses) == 100
    assert before > 7
    assert bits_per_byte(model, files, context=16).per_byte < 1  # 2 if only the four bytes are known
    assert not model.training


def test_training_is_deterministic_and_the_seed_counts():
    def trained(seed):
        torch.manual_seed(1)
        model = TinyGPT(dim=8, layers=1, heads=1, hidden=8)
        fit_text(model, {"a": text(200)}, steps=3, batch_size=2, context=9, seed=seed, progress=False)
        return model.state_dict()

    a, b, c = trained(0), trained(0), trained(1)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["embed.weight"], c["embed.weight"])


def test_the_zoo_trains_it_on_one_thread_and_gives_the_others_back(monkeypatch):
    seen, before = [], torch.get_num_threads()
    monkeypatch.setattr(
        "mcomp.language.fit_text",
        lambda model, files, **options: seen.append((torch.get_num_threads(), options)),
    )
    model = zoo.train("tinygpt", type("Text", (), {"train": {}}), seed=3, progress=False)
    assert seen == [(1, {"seed": 3, "progress": False, **zoo.RECIPES["tinygpt"]})]
    assert torch.get_num_threads() == before
    assert zoo.architecture(model)[0] == "tinygpt"


def test_the_loss_is_the_mean_over_all_bytes():
    logits = torch.zeros(2, 3, 256, dtype=torch.float64)
    logits[..., 7] = 50.0
    window = torch.full((2, 4), 7, dtype=torch.uint8)
    assert float(next_byte_loss(logits, window)) < 1e-12
    window[0, 3] = 8
    assert float(next_byte_loss(logits, window)) == pytest.approx(50 / 6)


def test_an_interval_is_that_of_files_drawn_again():
    rng = np.random.default_rng(0)
    sizes = rng.integers(100, 9_000, 15)
    bits = Bits(tuple(map(str, range(15))), tuple(sizes * rng.normal(1.5, 0.2, 15)), tuple(sizes.tolist()))
    means = []
    for seed in range(4_000):
        drawn = np.random.default_rng(seed + 10).choice(15, 15)
        means.append(sum(bits.bits[i] for i in drawn) / sum(bits.bytes[i] for i in drawn))
    # both ends carry the noise of some thousand draws
    np.testing.assert_allclose(bootstrap(bits), np.quantile(means, [0.025, 0.975]), atol=0.01)
    low, high = bootstrap(bits, level=0.5)
    assert bootstrap(bits)[0] < low < bits.per_byte < high


def test_a_difference_is_known_far_better_than_its_parts():
    sizes = (1_000, 3_000, 500, 8_000, 2_000)
    hard = (1.0, 2.0, 3.0, 1.5, 2.5)
    first = Bits(tuple("abcde"), tuple(h * n for h, n in zip(hard, sizes, strict=True)), sizes)
    second = first._replace(bits=tuple(b + 0.01 * n for b, n in zip(first.bits, sizes, strict=True)))
    low, high = bootstrap(second, first)
    assert (low, high) == pytest.approx((0.01, 0.01))
    assert np.diff(bootstrap(first))[0] > 0.1


BITS = Bits(("a",), (8.0,), (4,))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bits_per_byte(tiny(), {}), "files is {}; allowed: files with bytes"),
        (lambda: bits_per_byte(tiny(), {"a": text(0)}), "files is {'a': 0}"),
        (lambda: bits_per_byte(tiny(), {"a": text(3)}, context=4, stride=5), "stride is 5"),
        (lambda: bits_per_byte(tiny(), {"a": text(3)}, context=0), "context is 0"),
        (
            lambda: fit_text(tiny(), {"a": text(3)}, steps=1, context=8),
            "bytes of text is 5; allowed: at least",
        ),
        (lambda: fit_text(tiny(), {"a": text(30)}, steps=-1), "steps is -1"),
        (lambda: fit_text(tiny(), {"a": text(30)}, steps=1, context=8, lr=-1.0), "lr is -1.0"),
        (
            lambda: fit_text(tiny(), {"a": text(30)}, steps=9, context=8, lr=1e308, progress=False),
            "the loss is",
        ),
        (lambda: bootstrap(BITS, Bits(("b",), (8.0,), (4,))), "other.names is"),
        (lambda: bootstrap(BITS, draws=0), "draws is 0"),
        (lambda: bootstrap(BITS, level=1.5), "level is 1.5"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
