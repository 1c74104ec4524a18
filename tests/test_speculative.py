"""Guesses and their judge: the target's distribution exactly, by every case, and by many draws."""

import copy
import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_gpt import small

from mcomp.gpt import untied
from mcomp.transformers import (
    acceptance,
    chances,
    expected_tokens,
    generate,
    residual,
    speculate,
    speed_up,
    verify,
)
from mcomp.transformers import reader as module

quick = settings(derandomize=True, deadline=None, max_examples=30)


def near(model):
    """The same network but for some noise: many guesses are kept, and many aren't."""
    model = copy.deepcopy(model)
    torch.manual_seed(2)
    for p in model.parameters():
        p.add_(0.05 * torch.randn_like(p))
    return model


TARGET, DRAFT = small(0), small(1, layers=1, kv_heads=1)
NEAR = near(TARGET)


def constant(logits):
    """A network that expects the same whatever it has read: all bytes look alike to it."""
    model = untied(small(0, layers=1))
    with torch.no_grad():
        model.embed.weight.copy_(model.embed.weight[:1].expand(256, -1))
        h = model.norm(model.layers[0](model.embed(torch.tensor([[0]]))))[0, 0]
        full = torch.full((256,), -1e4, dtype=torch.float64)
        full[: len(logits)] = torch.tensor(logits, dtype=torch.float64)
        model.head.weight.copy_(full[:, None] * h / h.square().sum())
    return model


weights = st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any)


@quick
@given(p=weights, q=weights)
def test_acceptance_and_residual_are_those_of_loops(p, q):
    p, q = (np.array(x) / sum(x) for x in (p, q))
    kept = sum(q[x] * min(1, p[x] / q[x]) for x in range(4) if q[x] > 0)
    assert acceptance(p, q) == pytest.approx(kept)
    assert acceptance(p, q) == pytest.approx(1 - np.abs(p - q).sum() / 2)
    np.testing.assert_allclose(np.minimum(p, q) + (1 - kept) * residual(p, q), p, atol=1e-12)
    assert residual(p, q).sum() == pytest.approx(1)
    tensors = torch.tensor(p), torch.tensor(q)
    np.testing.assert_allclose(residual(*tensors).numpy(), residual(p, q), rtol=1e-12)


def test_equal_chances_leave_no_residual_and_no_nan():
    p = np.array([[0.3, 0.7], [0.5, 0.5]])
    np.testing.assert_array_equal(residual(p, np.array([[0.3, 0.7], [1.0, 0.0]])), [[0.3, 0.7], [0.0, 1.0]])


@quick
@given(alpha=st.floats(0, 0.999), gamma=st.integers(0, 9))
def test_expected_tokens_are_the_mean_over_all_ends(alpha, gamma):
    ends = [alpha**k * (1 - alpha) for k in range(gamma)] + [alpha**gamma]  # k kept, then one refused
    assert expected_tokens(alpha, gamma) == pytest.approx(sum((k + 1) * c for k, c in enumerate(ends)))
    assert expected_tokens(alpha, gamma) == pytest.approx((1 - alpha ** (gamma + 1)) / (1 - alpha))
    assert speed_up(alpha, gamma, cost=0) == expected_tokens(alpha, gamma)


def quarters(*counts):
    return torch.tensor(counts, dtype=torch.float64) / 4


# Chances that depend on the byte before; all are quarters, so a few uniform numbers stand for all.
P = {None: quarters(1, 1, 2), 0: quarters(0, 2, 2), 1: quarters(4, 0, 0), 2: quarters(1, 2, 1)}
Q = {None: quarters(2, 1, 1), 0: quarters(2, 2, 0), 1: quarters(4, 0, 0), 2: quarters(0, 1, 3)}


def test_every_case_of_two_guesses_adds_up_to_the_target():
    """All guesses times all outcomes of twelve equally likely uniform numbers: what comes first, and next.

    Where only one byte came, the next is the target's own choice, as in the next round.
    """
    steps = [(i + 0.5) / 12 for i in range(12)]  # accepting takes halves, thirds, quarters; drawing as well
    found = Counter()
    for guesses in itertools.product(range(3), repeat=2):
        chance = float(Q[None][guesses[0]] * Q[guesses[0]][guesses[1]])
        p, q = torch.stack([P[b] for b in (None, *guesses)]), [Q[None], Q[guesses[0]]]
        for uniform in itertools.product(steps, repeat=3) if chance else ():
            kept, byte = verify(guesses, p, q=q, uniform=uniform)
            text = (*guesses[:kept], byte)
            for following in range(3) if kept == 0 else (text[1],):
                own = float(P[byte][following]) if kept == 0 else 1.0
                found[text[0], following] += chance / 12**3 * own
    for a, b in itertools.product(range(3), repeat=2):
        assert found[a, b] == pytest.approx(float(P[None][a] * P[a][b]), abs=1e-12)


def pairs(model, prompt, **options):
    """The chance of each first two bytes of the model's text."""
    first = chances(model(torch.tensor([list(prompt)]))[0, -1], **options)
    table = torch.zeros(256, 256, dtype=torch.float64)
    for a in first.nonzero()[:, 0].tolist():
        table[a] = first[a] * chances(model(torch.tensor([[*prompt, a]]))[0, -1], **options)
    return table


def test_the_first_two_bytes_have_the_targets_chances():
    options, prompt, n = {"temperature": 2.0, "top_k": 3}, b"x = ", 300
    wanted = pairs(TARGET, prompt, **options)
    found = torch.zeros_like(wanted)
    for seed in range(n):
        a, b = speculate(TARGET, NEAR, prompt=prompt, n=2, gamma=2, seed=seed, **options).text
        found[a, b] += 1 / n
    apart = float((found - wanted).abs().sum() / 2)
    # a pair's mean |error| is at most its deviation, sqrt(c(1 - c) / n): half their sum, and twice that
    assert apart < float((wanted * (1 - wanted) / n).sqrt().sum())
    other = pairs(NEAR, prompt, **options)
    assert 0.5 < float(acceptance(wanted.sum(1), other.sum(1))) < 0.9
    assert float((other - wanted).abs().sum() / 2) > 4 * apart


@pytest.mark.parametrize("gamma", [1, 2, 5])
@pytest.mark.parametrize("draft", [DRAFT, NEAR, TARGET], ids=["another", "a near one", "itself"])
def test_greedy_is_greedy(gamma, draft):
    wanted = generate(TARGET, b"def ", n=25, temperature=0)
    found = speculate(TARGET, draft, prompt=b"def ", n=25, gamma=gamma, temperature=0)
    assert found.text == wanted
    if draft is TARGET:
        assert set(found.gains) == {gamma + 1}


def test_caches_are_rolled_back_and_agree_with_whole_passes(monkeypatch):
    """Each run of either network is checked against the whole pass over all that its cache should hold."""
    seen = []

    def checked(model, x, *, cache):
        start = cache.length
        found = real(model, x, cache=cache)
        seen.append((model, start, x[0].tolist(), found[0]))
        return found

    real = module.run
    monkeypatch.setattr(module, "run", checked)
    found = speculate(TARGET, NEAR, prompt=b"ab", n=30, gamma=3, temperature=2.0, top_k=9)
    assert set(found.gains) == {1, 2, 3, 4}
    text = {TARGET: [], NEAR: []}
    for model, start, new, logits in seen:
        text[model] = text[model][:start] + new
        whole = model(torch.tensor([text[model]]))[0, -len(new) :]
        torch.testing.assert_close(logits, whole, rtol=1e-11, atol=1e-11)
    passes = [new for model, _, new, _ in seen if model is TARGET]
    assert [len(new) for new in passes] == [2 + 3, *[1 + 3] * (len(found.gains) - 1)]  # no byte is read twice
    settled = [start for model, start, _, _ in seen if model is TARGET][-1]  # the last guesses may be refused
    assert bytes(text[TARGET][2:settled]) == found.text[: settled - 2]


@pytest.mark.parametrize("gamma", [1, 4])
def test_bytes_a_pass_are_those_of_the_formula(gamma):
    a, b = np.log([0.5, 0.3, 0.2]), np.log([0.2, 0.3, 0.5])
    target, draft = constant(a), constant(b)
    alpha = acceptance(np.exp(a), np.exp(b))
    found = speculate(target, draft, prompt=b"\0", n=500, gamma=gamma)
    deviation = np.std(found.gains) / len(found.gains) ** 0.5
    assert abs(found.per_pass - expected_tokens(alpha, gamma)) < 4 * deviation
    counts = np.bincount(list(found.text), minlength=3) / 500
    np.testing.assert_allclose(counts, np.exp(a), atol=4 * (0.25 / 500) ** 0.5)


def test_seeds_and_lengths():
    a, b = (speculate(TARGET, DRAFT, prompt=b"x", n=9, seed=s) for s in (0, 1))
    assert a.text != b.text
    assert speculate(TARGET, DRAFT, prompt=b"x", n=9) == a
    assert speculate(TARGET, DRAFT, prompt=b"x", n=3).text == a.text[:3]
    assert speculate(TARGET, DRAFT, prompt=b"x", n=0) == (b"", ())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: expected_tokens(1.1, 3), "alpha is 1.1"),
        (lambda: expected_tokens(0.5, -1), "gamma is -1"),
        (lambda: speed_up(0.5, 1, cost=-1), "cost is -1"),
        (lambda: speculate(TARGET, DRAFT, prompt=b"", n=1), "prompt is b''"),
        (lambda: speculate(TARGET, DRAFT, prompt=b"x", n=1, gamma=0), "gamma is 0"),
        (lambda: speculate(TARGET, DRAFT, prompt=b"x", n=-1), "n is -1"),
        (lambda: verify([0], P[0][None], q=[Q[0]], uniform=[0.5, 0.5]), r"q, uniform is \(1, 1, 1, 2\)"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
