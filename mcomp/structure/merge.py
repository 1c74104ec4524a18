"""Two layers in a row, with nothing between them, as one: W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)."""

from torch import nn

from mcomp.arrays import bad_value
from mcomp.made import remember, spec
from mcomp.plain import check_plain, copied, graph_of, put_in
from mcomp.structure.affine import after, of_layer, to_layer
from mcomp.trace import LINEAR, between, called, calls, layer, sole_user

__all__ = ["merge", "mergeable"]


def merge(model, first, second, *, larger=False):
    """A copy of `model` in which the layer `second` is part of the layer `first`; an Identity stays behind.

    Exact up to float rounding (the product is made in float64), and the inverse of a factorization: two
    thin layers become a wide one, which may be larger.

    Parameters
    ----------
    model : torch.nn.Module
        Traced by torch.fx. Not changed.
    first, second : str
        Names of two Linear layers, or of two convolutions of which one is 1 x 1, the one right behind the
        other. Groups of 1, unless one only scales channels.
    larger : bool
        Allow more weights than the two have together.

    Returns
    -------
    merged : torch.nn.Module

    Raises
    ------
    ValueError
        With the layer's name, if something lies between them or also reads the first one's output, one is
        called more than once, shared, frozen alone, has hooks or is made by a parametrization; if there is
        no single such layer (`mcomp.structure.affine.after`); or if it would be larger.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(8, 2), nn.Linear(2, 8))
    >>> merge(model, "0", "1", larger=True)
    Sequential(
      (0): Linear(in_features=8, out_features=8, bias=True)
      (1): Identity()
    )
    """
    graph = graph_of(model)
    one, two = (_plain(model, graph, name) for name in (first, second))
    _check_neighbours(model, graph, first, second)
    if type(one) is not type(two):
        raise bad_value("the layers", f"{first} and {second}, {_kinds(one, two)}", "two of one kind")
    if one.weight.requires_grad != two.weight.requires_grad or one.weight.dtype != two.weight.dtype:
        raise bad_value("the layers", f"{first} and {second}", "both frozen or none, and of one dtype")
    try:
        made = to_layer(after(of_layer(two), of_layer(one)), one)
    except ValueError as error:
        raise ValueError(f"{first} and {second}: {error}") from None
    before, now = (sum(p.numel() for p in m.parameters()) for m in (nn.ModuleList([one, two]), made))
    if now > before and not larger:
        allowed = "two layers that are smaller as one (larger=True allows it)"
        raise bad_value("the merged layer", f"{first}, {now:,} numbers for {before:,}", allowed)
    model = copied(model)
    for name, module in ((first, made), (second, nn.Identity())):
        put_in(model, name, module)
    return remember(model, "put", {first: [["", *spec(made)]], second: []})


def mergeable(model, *, larger=False):
    """The pairs (first, second) that `merge` takes, each with its numbers before and after.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(8, 9), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 8))
    >>> mergeable(model)
    {('0', '1'): (161, 72)}
    """
    found, graph = {}, graph_of(model)
    for node in graph.nodes:
        behind = between(model, node, _passes) if isinstance(layer(model, node), LINEAR) else None
        if behind is None or not isinstance(layer(model, behind), LINEAR):
            continue
        try:
            merged = merge(model, node.target, behind.target, larger=larger)
        except ValueError:
            continue
        pair = node.target, behind.target
        sizes = [_numbers(model, *pair), _numbers(merged, *pair)]
        found[pair] = tuple(sizes)
    return found


def _numbers(model, *names):
    return sum(p.numel() for name in names for p in model.get_submodule(name).parameters())


def _plain(model, graph, name):
    modules = dict(model.named_modules())
    if not isinstance(modules.get(name), LINEAR):
        known = [n for n, m in modules.items() if isinstance(m, LINEAR)]
        raise bad_value("the name of a layer", name, f"one of {', '.join(known)}")
    check_plain(model, name, LINEAR)
    if (n := calls(graph, name)) != 1:
        raise bad_value("the layer", f"{name}, which is called {n} times", "one that is called once")
    reads = [n for n in graph.nodes if n.op == "get_attr" and n.target.startswith(f"{name}.")]
    if reads:
        raise bad_value("the layer", f"{name}, whose {reads[0].target} is read elsewhere", "one that isn't")
    return modules[name]


def _check_neighbours(model, graph, first, second):
    node = next(n for n in graph.nodes if n.op == "call_module" and n.target == first)
    if sole_user(node) is None:
        users = ", ".join(str(user) for user in node.users) or "nobody"
        raise bad_value("the layer", f"{first}, whose output goes to {users}", "one that feeds one other")
    behind = between(model, node, _passes)
    if behind is None or behind.op != "call_module" or behind.target != second:
        found = "an output that forks" if behind is None else called(behind)
        raise bad_value("what follows the layer", f"{found} (behind {first})", f"the layer {second}")


def _passes(node, module):
    return type(module) is nn.Identity


def _kinds(*layers):
    return " and ".join(type(m).__name__ for m in layers)
