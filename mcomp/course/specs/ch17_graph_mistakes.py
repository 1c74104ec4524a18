"""Chapter 17: wrong rules for what stays in floats, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet

PAIR = ("Q", "DQ")

# What is asked of the names around a node; each is True where the answer lets it be an integer kernel.
SOURCES = {
    "any_source": (lambda found: "DQ" in found, "one DQ among what comes in isn't enough: all of it"),
    "empty_source": (lambda found: set(found) <= {"DQ"},
                     "a node into which nothing comes has no integers to read: it is a float (all() of "
                     "nothing is True)"),
    "no_source": (lambda found: True, "you don't ask where it comes from: all of it from a DQ"),
    "q_source": (lambda found: set(found) == {"Q"}, "what comes in should come from a DQ, not from a Q"),
    "either_source": (lambda found: bool(found) and set(found) <= {"Q", "DQ"},
                      "a Q before an operation isn't enough: integers, not yet numbers; it has to be a DQ"),
    "some_source": (bool, "you only ask whether something comes in; all of it has to come from a DQ"),
    "first_source": (lambda found: found[:1] == ["DQ"],
            "you asked the first edge into a node alone; ask all of them"),
    "last_source": (lambda found: found[-1:] == ["DQ"],
            "you asked the last edge into a node alone; ask all of them"),
    "two_sources": (lambda found: set(found[:2]) == {"DQ"},
            "you asked the first two edges into a node; it may have more"),
    "one_source": (lambda found: found == ["DQ"],
            "an operation may have several inputs, each from a DQ, as Add"),
    "not_q_source": (lambda found: bool(found) and "Q" not in found,
                     "you only ask that no Q comes in; an operation in floats isn't a DQ either"),
}  # fmt: skip
TARGETS = {
    "any_target": (lambda found: "Q" in found,
            "one Q among what follows isn't enough: all of the results go to Qs"),
    "empty_target": (lambda found: set(found) <= {"Q"},
                     "the last node's result goes nowhere, so not to a Q: it is a float (all() of nothing "
                     "is True)"),
    "no_target": (lambda found: True, "you don't ask where the result goes: all of it to a Q"),
    "dq_target": (lambda found: set(found) == {"DQ"}, "the result should go to a Q, not to a DQ"),
    "either_target": (lambda found: bool(found) and set(found) <= {"Q", "DQ"},
                      "a DQ behind an operation doesn't count: the result has to go to a Q ('Q' is a part "
                      "of 'DQ'?)"),
    "some_target": (bool, "you only ask whether the result goes somewhere; all of it has to go to Qs"),
    "first_target": (lambda found: found[:1] == ["Q"],
            "you asked the first edge out of a node alone; ask all of them"),
    "last_target": (lambda found: found[-1:] == ["Q"],
            "you asked the last edge out of a node alone; ask all of them"),
    "one_target": (lambda found: found == ["Q"],
            "a result may go to several Qs; it is all the same an integer"),
}  # fmt: skip


def _only(kind):
    return lambda found: set(found) == {kind}


FROM_DQ, TO_Q = _only("DQ"), _only("Q")


def neighbours(operators, edges, back=False):
    """The names, and for each node those of what comes in and of what its result goes to, in the edges' "
    "order."""
    names, pairs = operators.split(), [(int(a), int(b)) for a, b in edges]
    pairs = [pair[::-1] for pair in pairs] if back else pairs
    into = [[names[a] for a, b in pairs if b == i] for i in range(len(names))]
    return names, into, [[names[b] for a, b in pairs if a == i] for i in range(len(names))]


def _asked(source=FROM_DQ, target=TO_Q, *, spared=PAIR, join=all, back=False, end=np.array):
    """An answer that asks these of both sides; the nodes `spared` are never floats."""

    def answer(operators, edges):
        names, into, out = neighbours(operators, edges, back)
        fused = [join((source(a), target(b))) for a, b in zip(into, out, strict=True)]
        return end([name not in spared and not one for name, one in zip(names, fused, strict=True)])

    return quiet(answer)


def _in_a_row(before, behind, around=False):
    """Asks the neighbours in the text, not those in the graph."""

    def answer(operators, edges):
        names = operators.split()
        padded = ["", *names, ""] if not around else [names[-1], *names, names[0]]
        return np.array([
            name not in PAIR and not (before(padded[i]) and behind(padded[i + 2])) for i,
            name in enumerate(names)
        ])  # fmt: skip

    return answer


def _by_kind(operators, edges):
    """A dictionary from names to verdicts: nodes of one kind share the last one's."""
    names, floats = operators.split(), _asked()(operators, edges)
    last = dict(zip(names, floats, strict=True))
    return np.array([last[name] for name in names])


def _conversions(operators, edges):
    """Also the Q and DQ that an operation in floats leaves to be computed."""
    floats = _asked()(operators, edges)
    more = floats.copy()
    for a, b in edges:
        more[a] |= floats[b]
        more[b] |= floats[a]
    return more


LONG = [
    (a, b)
    for a in ("any_source", "empty_source", "no_source", "either_source", "one_source")
    for b in ("any_target", "empty_target", "either_target", "one_target")
]
LONG += [
    (a, "no_target")
    for a in ("any_source", "empty_source", "either_source", "one_source", "first_source", "last_source")
]
LONG += [("no_source", b) for b in ("first_target", "last_target")]
LONG += [("first_source", "first_target"), ("last_source", "last_target"), ("some_source",
"some_target")]  # fmt: skip
GRAPHS = (
    *(Mistake(name, _asked(source=f), why) for name, (f, why) in SOURCES.items()),
    *(Mistake(name, _asked(target=f), why) for name, (f, why) in TARGETS.items()),
    *(Mistake(f"{a}_{b}", _asked(SOURCES[a][0], TARGETS[b][0]),
            f"{SOURCES[a][1]}. And {TARGETS[b][1]}") for a, b in LONG),
    Mistake("all_kinds", _asked(spared=()), "Q and DQ themselves are never True: leave them out"),
    Mistake("only_q_spared", _asked(spared=("Q",)), "DQ is a conversion as well: never True"),
    Mistake("only_dq_spared", _asked(spared=("DQ",)), "Q is a conversion as well: never True"),
    Mistake("integers", _asked(end=np.logical_not),
            "True and False are exchanged: True is what stays a float"),
    Mistake("fused", quiet(lambda operators, edges: np.array([
        n not in PAIR and not one for n, one in zip(operators.split(), _asked()(operators, edges),
        strict=True)])),
            "these are the operations that run in integers; those in floats were asked for"),
    Mistake("one_side", _asked(join=any), "both sides count: from DQs and to Qs; yours lets one of them do"),
    Mistake("one_edge", _asked(SOURCES["any_source"][0], TARGETS["any_target"][0], join=any),
            "one DQ before or one Q behind isn't enough: all that comes in, and all that goes out"),
    Mistake("one_side_empty", _asked(SOURCES["empty_source"][0], TARGETS["empty_target"][0], join=any),
            "both sides count, and nothing at all on one of them isn't enough"),
    Mistake("touched", _asked(lambda found: bool({"Q", "DQ"} & set(found)), lambda found: bool({"Q",
            "DQ"} & set(found)), join=any),
            "a Q or a DQ somewhere beside it isn't enough: all from DQs, and all to Qs"),
    Mistake("backwards", _asked(back=True),
            "what comes in has to be a DQ, and what follows a Q: you exchanged them, "
            "or read the edges backwards"),
    Mistake("no_graph", _asked(lambda found: False),
            "every operation is True in your answer: none is found between its pairs"),
    Mistake("conversions_around", _asked(lambda found: set(found) <= {"Q",
            "DQ"}, lambda found: set(found) <= {"Q", "DQ"}),
            "a Q before an operation, a DQ behind it, or nothing at all doesn't do: a DQ before, a Q behind"),
    Mistake("in_a_row", _in_a_row(lambda a: a == "DQ", lambda b: b == "Q"),
            "you looked at the neighbours in the text; the edges say what goes where"),
    Mistake("in_a_row_around", _in_a_row(lambda a: a == "DQ", lambda b: b == "Q", around=True),
            "you looked at the neighbours in the text, the last one before the first; the edges say what "
            "goes where"),
    Mistake("in_a_row_before", _in_a_row(lambda a: a == "DQ", lambda b: True),
            "you looked at the name before a node in the text; the edges say what comes in, and what "
            "follows"),
    Mistake("in_a_row_behind", _in_a_row(lambda a: True, lambda b: b == "Q"),
            "you looked at the name behind a node in the text; the edges say what comes in, and what "
            "follows"),
    Mistake("by_kind", _by_kind,
            "nodes of one kind share a verdict in your answer: keep it by place, not by name"),
    Mistake("conversions", _conversions,
            "a Q or DQ beside an operation in floats is real work, but not asked for here"),
    Mistake("somewhere", quiet(lambda operators, edges: _asked(end=np.array)(operators, edges).any()),
            "one bool for each node was asked for"),
    Mistake("places", quiet(lambda operators, edges: np.flatnonzero(_asked()(operators, edges))),
            "these are the places of the nodes; a boolean for each node was asked for"),
    Mistake("numbers", _asked(end=lambda x: np.array(x).astype(int)),
            "0 and 1 are numbers; a boolean array was asked for"),
)  # fmt: skip
