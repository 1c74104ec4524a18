"""Chapter 17: the graph between Q and DQ."""

import numpy as np

from mcomp.course.model import case


def stays_float(operators, edges):
    """Which nodes run in floats: a boolean array (nodes,), True where an engine finds no integer kernel.

    operators is a text with a name for each node, such as "Q DQ Conv Q"; edges an array (edges, 2) of whole
    numbers: the result of node edges[i, 0] goes to node edges[i, 1]. Q and DQ themselves are never True. Any
    other node runs in integers if something comes in, all of it from a DQ, and something goes out, all to Q.
    """
    names = operators.split()
    floats = np.zeros(len(names), bool)
    for node, name in enumerate(names):
        sources = [names[int(a)] for a, b in edges if int(b) == node]
        targets = [names[int(b)] for a, b in edges if int(a) == node]
        integers = set(sources) == {"DQ"} and set(targets) == {"Q"}
        floats[node] = name not in ("Q", "DQ") and not integers
    return floats


def graph_cases(rng):
    yield case("Q DQ Conv Q", np.array([[0, 1], [1, 2], [2, 3]]))
    yield case("Q DQ Conv", np.array([[0, 1], [1, 2]]))
    yield case("Conv Q DQ", np.array([[0, 1], [1, 2]]))
    yield case("Conv", np.zeros((0, 2), np.int64))
    yield case("Q Conv Q", np.array([[0, 1], [1, 2]]))
    yield case("Q Conv DQ", np.array([[0, 1], [1, 2]]))
    yield case("Q DQ Conv DQ", np.array([[0, 1], [1, 2], [2, 3]]))
    yield case("Q DQ Conv MaxPool Q", np.array([[0, 1], [1, 2], [2, 3], [3, 4]]))
    yield case("Q DQ Conv Q DQ MaxPool Q", np.array([[i, i + 1] for i in range(6)]))
    yield case("DQ Add Q DQ", np.array([[0, 1], [3, 1], [1, 2]]))
    yield case("DQ Add Q Conv", np.array([[0, 1], [3, 1], [1, 2]]))
    yield case("DQ Conv Q Add", np.array([[0, 1], [1, 2], [1, 3]]))
    yield case("DQ Conv Q Add", np.array([[0, 1], [1, 3], [1, 2]]))
    yield case("DQ Conv Q Q", np.array([[0, 1], [1, 2], [1, 3]]))
    yield case("Q DQ Conv Q DQ Add Q", np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [1, 5], [5, 6]]))
    yield case("Q DQ Conv Q DQ Add Q", np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [2, 5], [5, 6]]))
    yield case("Gemm Q DQ Conv DQ Q", np.array([[3, 5], [5, 4], [2, 3], [1, 2], [4, 0]]))
    yield case("DQ DQ Relu Concat Q", np.array([[0, 3], [1, 3], [2, 3], [3, 4]]))
    for _ in range(9):
        yield network(rng)


def network(rng):
    """Three to five operations, one behind the other and past each other; most edges have a Q and a DQ."""
    names, edges, results = ["Q", "DQ"], [(0, 1)], [1]
    for _ in range(rng.integers(3, 6)):
        kind = ("Conv", "Add", "MaxPool", "Gemm")[rng.integers(4)]
        two = kind == "Add" and len(results) > 1
        sources = sorted({results[-1], results[rng.integers(len(results))]} if two else {results[-1]})
        node = len(names)
        names.append(kind)
        edges += [(source, node) for source in sources]
        results.append(node)
        if rng.random() < 0.8:
            names += ["Q", "DQ"]
            edges += [(node, node + 1), (node + 1, node + 2)]
            results[-1] = node + 2
    return case(" ".join(names), np.array(edges)[rng.permutation(len(edges))])
