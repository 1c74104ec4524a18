"""The text of a C file for an integer network: operations from kernels.c, sizes, weights, and the order."""

import math
import re
from importlib.resources import files

from mcomp.arrays import bad_value
from mcomp.integer.steps import Average, Largest, Product, Rectify, Reshape, Sum
from mcomp.quantize.grids import quantize

__all__ = ["array", "parts", "program"]

WIDTH = 108
DECODER = ("bits.c", "rans.c", "huffman.c", "masks.c", "adaptive_masks.c", "tensors.c", "layers.c")


def program(network, example, small=None):
    """The C file for an `IntegerNetwork` that takes images like `example`; `small` is a `SmallFile`."""
    tensors = network.run(quantize(example[:1], network.grid))
    shapes = {name: tuple(q.shape[1:]) for name, q in tensors.items()}
    places, room = _places(network, shapes)
    needed, calls, data = set(), [], []
    for i, step in enumerate(network.steps):
        kernels, call = _step(step, i, places, shapes)
        needed.update(kernels)
        calls += [f"    {call}  // {_comment(step.name)}"] if call else []
        if isinstance(step.run, Product):
            data.append(_product(step, i, shapes, small))
    body = [text for name, text in parts("kernels.c").items() if name in needed]
    loading = []
    if small is not None:
        *decoder, calling = [text for file in DECODER for text in parts(file).values()]
        body, loading = [*body, small.head(), *decoder], [small.layers(network), calling]
    tail = _run(calls, places[network.steps[-1].name], room)
    return "\n".join([_head(network, shapes, small), *body, *data, *loading, tail]).replace("\n\n\n", "\n\n")


def parts(name):
    """The parts of a C text beside this module, by what ``// part: name`` says above each."""
    whole = files("mcomp.deploy").joinpath(name).read_text("utf-8")
    found = re.split(r"^// part: (.*)\n", whole, flags=re.M)[1:]
    pairs = zip(found[::2], found[1::2], strict=True)
    return {what: f"// {what}\n{text}" if " " in what else text for what, text in pairs}


def array(kind, name, values):
    """A constant array of integers in lines."""
    lines, line = [], "   "
    for value in values:
        if len(line) + len(text := f" {value},") > WIDTH:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([f"static const {kind} {name}[] = {{", *lines, line, "};"])


def _comment(name):
    return re.sub(r"[^\w.]", "_", name)


def _grid(grid):
    return f"{{ {grid.zero_point}, {grid.qmin}, {grid.qmax} }}"


def _places(network, shapes):
    """Where each tensor lies in the buffer, as C text, and the buffer's size: a place is used again."""
    own, end, at = {"input": "input"}, {}, {}
    for i, step in enumerate(network.steps):  # a tensor that another one is, takes no place
        own[step.name] = own[step.inputs[0]] if _same(step) else step.name
        end |= {own[name]: i for name in (*step.inputs, step.name)}
    end[own[network.steps[-1].name]] = len(network.steps)
    for i, step in enumerate(network.steps):
        if own[step.name] != step.name:
            continue
        taken = sorted((at[n], at[n] + math.prod(shapes[n])) for n in at if end[n] >= i)
        begin, size = 0, math.prod(shapes[step.name])
        for low, high in taken:
            if begin + size <= low:
                break
            begin = max(begin, high)
        at[step.name] = begin
    room = max([at[name] + math.prod(shapes[name]) for name in at], default=1)
    return {n: "input" if o == "input" else f"buffer + {at[o]}" for n, o in own.items()}, room


def _same(step):
    """Whether a step changes no number: a reshaping, or a ReLU on a grid that begins at zero."""
    rectifies = isinstance(step.run, Rectify) and step.run.zero_point <= step.grid.qmin
    return isinstance(step.run, Reshape) or rectifies


def _step(step, i, places, shapes):
    """The parts of kernels.c that a step needs, and its call."""
    run, grid, y = step.run, _grid(step.grid), places[step.name]
    x, n = [places[name] for name in step.inputs], math.prod(shapes[step.name])
    before = shapes[step.inputs[0]]
    if _same(step):
        return (), ""
    if isinstance(run, Product):
        kind = "linear" if run.options is None else "conv2d"
        return ("base", "factor", "product", kind), f"{kind}({x[0]}, {y}, &p{i});"
    if isinstance(run, Sum):
        zeros = f"{run.sources[0].zero_point}, {run.sources[1].zero_point}"
        factors = f"{run.whole[0]}, {run.whole[1]}, {int(run.shift)}"
        return ("base", "add"), f"add({x[0]}, {x[1]}, {y}, {n}, {zeros}, {factors}, (grid){grid});"
    if isinstance(run, Average):
        factor = f"{int(run.factor.whole.m0)}, {int(run.factor.whole.shift)}"
        sizes = f"{before[0]}, {before[1] * before[2]}, {run.source.zero_point}"
        return ("base", "factor", "average"), f"average({x[0]}, {y}, {sizes}, {factor}, (grid){grid});"
    if isinstance(run, Rectify):
        return ("rectify",), f"rectify({x[0]}, {y}, {n}, {run.zero_point});"
    if isinstance(run, Largest):
        sizes = ", ".join(map(str, (*before, *run.kernel, run.stride, run.padding)))
        return ("largest",), f"largest({x[0]}, {y}, {sizes});"
    raise bad_value("a step of the integer network", f"{step.name}: {type(run).__name__}", "one known here")


def _product(step, i, shapes, small):
    """The weights of a layer, or room for them, and what `linear` and `conv2d` must know."""
    run, before = step.run, shapes[step.inputs[0]]
    out, weights = len(run.weight), run.weight.numel()
    if small is None:
        whole = run.factor.whole
        arrays = [("int8_t", "w", run.weight), ("int32_t", "b", run.bias)]
        arrays += [("int32_t", "m", whole.m0), ("uint8_t", "s", whole.shift)]
        text = [array(kind, f"{n}{i}", v.reshape(-1).tolist()) for kind, n, v in arrays]
    else:
        text = [f"static int8_t w{i}[{weights}];\nstatic int32_t b{i}[{out}], m{i}[{out}];"]
        text += [f"static uint8_t s{i}[{out}];"]
    options = run.options or {"stride": 1, "padding": 0, "groups": 1}
    height, width = before[1:] if run.options else (1, 1)
    kernel = run.weight.shape[2:] if run.options else (1, 1)
    sizes = [before[0], height, width, out, *kernel, options["stride"], options["padding"], options["groups"]]
    sizes = ", ".join(map(str, [*sizes, run.source.zero_point]))
    struct = f"static const product p{i} = {{ w{i}, b{i}, m{i}, s{i}, {sizes}, {_grid(step.grid)} }};"
    return "\n".join([f"// {_comment(step.name)}", *text, struct, ""])


def _head(network, shapes, small):
    last = network.steps[-1]
    ends = {"INPUT": (network.grid, "input"), "OUTPUT": (last.grid, last.name)}
    defined = [f"#define NETWORK_{end}S {math.prod(shapes[name])}" for end, (_, name) in ends.items()]
    for end, (grid, _) in ends.items():
        values = {"SCALE": float(grid.scale).hex(), "ZERO": grid.zero_point}
        values |= {"LOW": grid.qmin, "HIGH": grid.qmax}
        defined += [f"#define NETWORK_{end}_{name} {value}" for name, value in values.items()]
    load = "// int network_load(void): decode the weights, once before; 0, or below 0 if it failed"
    return "\n".join([
        "// A network in 8-bit integers, C99, without heap; float only where weights are decoded.",
        *[load] * (small is not None),
        "// void network_run(const int8_t *input, int8_t *output): one image, on the grids told below:",
        "// number = SCALE * (integer - ZERO), integers from LOW to HIGH; the largest output is the class",
        *["#include <float.h>"] * (small is not None), "#include <stdint.h>", "#include <string.h>", "",
        *defined, "",
    ])  # fmt: skip


def _run(calls, result, room):
    return "\n".join([
        "", f"static int8_t buffer[{room}];  // all tensors between input and output", "",
        "void network_run(const int8_t *input, int8_t *output)", "{", *calls,
        f"    memcpy(output, {result}, NETWORK_OUTPUTS);", "}", "",
    ])  # fmt: skip
