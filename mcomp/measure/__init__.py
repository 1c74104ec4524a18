"""Everything that a network costs, in one report: parameters, MACs, bytes, memory, latency, accuracy.

The single measurements can be had from here too: they live in sizes (parameters, files), costs (MACs, bytes
moved), timing (latency, memory) and roofline (this machine). Chapter 01 derives them.
"""

from dataclasses import dataclass, field
from functools import partial
from html import escape
from io import StringIO
from itertools import compress

import torch
from rich.box import SIMPLE
from rich.console import Console, Group
from rich.table import Table
from tqdm.auto import tqdm

from mcomp import calling
from mcomp.arrays import bad_value, check_int
from mcomp.layers import untouched
from mcomp.measure.costs import LayerCost, arithmetic_intensity, layer_costs, macs_by_layer, unread
from mcomp.measure.difference import largest_difference
from mcomp.measure.machine import Roofline, roofline
from mcomp.measure.sizes import count_parameters, file_bytes, float32_bytes, named_weights
from mcomp.measure.timing import Latency, latency, peak_memory, torch_threads
from mcomp.train import evaluate, evaluating

__all__ = [
    "Latency", "LayerCost", "Report", "Roofline", "arithmetic_intensity", "count_parameters", "file_bytes",
    "float32_bytes", "largest_difference", "latency", "layer_costs", "macs_by_layer", "named_weights",
    "peak_memory", "report", "roofline", "torch_threads", "unread",
]  # fmt: skip

_LAYERS = "layer by layer, one input"
_LOOK = {"box": SIMPLE, "pad_edge": False, "collapse_padding": True}
_STYLE = 'style="text-align:right;padding:0.15em 0.8em"'


@dataclass(frozen=True)
class Report:
    """What a network costs. Shows as tables in a terminal (rich), in a notebook and in `print`.

    Attributes
    ----------
    name : str
    parameters, nonzero : int
        Entries of all parameters, and how many aren't zero.
    macs : int
        Multiply-accumulates for one input.
    activation_bytes : int
        Peak memory of the tensors made while one input passes, see `peak_memory`.
    layers : tuple of LayerCost
        For one input.
    latencies : tuple of Latency
    accuracy : float or None
        Fraction in [0, 1].
    file_bytes : int or None
    machine : Roofline or None
    unread : tuple of str
        Parameters that no operation read: they are in no row of `layers`.
    left_out : dict of str to str
        Parameters of two or more axes that are no weight matrices, and why: pruning, quantization and
        factorization by `mcomp.matrices` don't reach them.
    """

    name: str
    parameters: int
    nonzero: int
    macs: int
    activation_bytes: int
    layers: tuple
    latencies: tuple
    accuracy: float | None = None
    file_bytes: int | None = None
    machine: Roofline | None = None
    unread: tuple = ()
    left_out: dict = field(default_factory=dict)

    @property
    def times_smaller(self):
        """4 bytes a parameter over the bytes of the file; None without a file."""
        return None if self.file_bytes is None else 4 * self.parameters / self.file_bytes

    def rows(self):
        """The report as pairs of text: what, and how much."""
        rows = [("parameters", f"{self.parameters:,}")]
        if self.nonzero != self.parameters:
            rows.append(("of them not zero", f"{self.nonzero:,} ({self.nonzero / self.parameters:.2%})"))
        if self.file_bytes is not None:
            rows.append(("file", f"{self.file_bytes:,} bytes"))
            rows.append(("smaller than 4 bytes a parameter", f"{self.times_smaller:.1f} times"))
        if self.accuracy is not None:
            rows.append(("accuracy", f"{self.accuracy:.2%}"))
        rows.append(("MACs for one input", f"{self.macs:,}"))
        if self.unread:
            rows.append(("not read by any operation", ", ".join(self.unread)))
        rows += [(f"no weight matrix: {name}", reason) for name, reason in self.left_out.items()]
        rows.append(("activations of one input, peak", f"{self.activation_bytes:,} bytes"))
        rows += [(f"latency, batch {t.batch}, threads {t.threads}", str(t)) for t in self.latencies]
        rows += [(f"this machine, threads {m.threads}", str(m)) for m in [self.machine] if m]
        return rows

    def layer_rows(self):
        """The table of the layers as text: the header, then a row for each."""
        rows = [("layer", "kind", "params", "not zero", "MACs", "bytes moved", "FLOP per byte", "limit")]
        for c in self.layers:
            limit = self.machine.limit(c.intensity) if self.machine and c.macs else "–"
            counts = (f"{n:,}" for n in (c.parameters, c.nonzero, c.macs, c.nbytes))
            rows.append((c.name, c.kind, *counts, f"{c.intensity:.2f}", limit))
        # a column that says nothing is left out
        keep = [True] * 3 + [self.nonzero != self.parameters] + [True] * 3 + [self.machine is not None]
        return [tuple(compress(row, keep)) for row in rows]

    def __rich__(self):
        summary = Table("", self.name, **_LOOK)
        summary.columns[1].justify = "right"
        for row in self.rows():
            summary.add_row(*row)
        header, *rows = self.layer_rows()
        layers = Table(title=_LAYERS, title_justify="left", **_LOOK)
        for title in header:
            text = title in ("layer", "kind")  # these may wrap, a number may not
            justify, overflow = ("left", "fold") if text else ("right", "ellipsis")
            layers.add_column(title.replace(" ", "\n"), justify=justify, overflow=overflow, no_wrap=not text)
        for row in rows:
            layers.add_row(*row)
        return Group(summary, layers)

    def __str__(self):
        text = StringIO()
        Console(file=text, width=110, color_system=None).print(self)
        return text.getvalue().rstrip()

    def _repr_html_(self):
        return _html(self.name, [("", ""), *self.rows()]) + _html(_LAYERS, self.layer_rows())


def _html(caption, table):
    header, *rows = [[escape(text) for text in row] for row in table]
    head = "".join(f"<th {_STYLE}>{text}</th>" for text in header)
    body = "".join(f"<tr>{''.join(f'<td {_STYLE}>{text}</td>' for text in row)}</tr>" for row in rows)
    parts = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f"<table><caption>{escape(caption)}</caption>{parts}</table>"


def report(
    model, data=None, *, path=None, x=None, output=None, name=None, batches=(1, 256), machine=None,
    progress=True,
):  # fmt: skip
    """Measure all that a network costs.

    Parameters
    ----------
    model : torch.nn.Module
        Left as it was.
    data : pair (x, y) of tensors, or an object with such a pair as `.test`; optional
        For the accuracy.
    path : path-like, optional
        The file that holds the network, for its size.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`; optional
        What to run. Default: the inputs of `data`. Repeated where a batch needs more.
    output : optional
        What picks the logits from what the model returns, see `mcomp.calling.pick`.
    name : str, optional
        Heads the table. Default: the class of the model.
    batches : sequence of int
        Sizes to time, on one thread.
    machine : Roofline, or True to measure one; optional
        Adds what limits each layer.
    progress : bool
        Show a bar if it takes over two seconds.

    Returns
    -------
    report : Report

    Raises
    ------
    ValueError
        If neither `data` nor `x` is given, or an argument is out of range.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 2))
    >>> report(model, x=torch.zeros(1, 4), batches=()).rows()[:2]
    [('parameters', '10'), ('MACs for one input', '8')]
    """
    pair = getattr(data, "test", data)
    if x is None and pair is None:
        raise bad_value("x", x, "a tensor, if there is no data")
    x = pair[0] if x is None else x
    one = calling.take(x, slice(0, 1))
    with tqdm(total=4 + len(batches), desc="report", delay=2, leave=False, disable=not progress) as steps:
        found = {"accuracy": None if pair is None else evaluate(model, pair, output=output)}
        steps.update()
        found["layers"], found["unread"] = tuple(layer_costs(model, one)), tuple(unread(model, one))
        steps.update()
        with evaluating(model):
            found["activation_bytes"] = peak_memory(partial(calling.invoke, model, calling.copied(one)))
        steps.update()
        found["machine"] = roofline() if machine is True else machine
        steps.update()
        found["latencies"] = tuple(_timed(model, x, batch, steps) for batch in batches)
    return Report(
        name=name or type(model).__name__,
        parameters=count_parameters(model),
        nonzero=count_parameters(model, nonzero=True),
        macs=sum(cost.macs for cost in found["layers"]),
        file_bytes=None if path is None else file_bytes(path),
        left_out=untouched(model),
        **found,
    )


def _timed(model, x, batch, steps):
    rows = torch.arange(check_int("batch", batch, 1)) % calling.count(x)
    result = latency(model, calling.take(x, rows), progress=False)
    steps.update()
    return result
