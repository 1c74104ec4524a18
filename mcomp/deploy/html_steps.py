"""The steps of an integer network as page_network.js reads them: in floats too, for the order is the same."""

from mcomp.arrays import bad_value
from mcomp.integer.steps import Average, Largest, Product, Rectify, Reshape, Sum
from mcomp.quantize.grids import quantize

__all__ = ["grid_of", "steps_of"]


def steps_of(network, example, names):
    """The steps as dicts of what JSON holds, and the shape of what the last one gives for an image.

    `names` are those of the tensors of the file, in order.
    """
    tensors = network.run(quantize(example[:1], network.grid))
    shapes = {name: [*q.shape[1:]] for name, q in tensors.items()}
    places = {name: i for i, name in enumerate(names)}
    return [_step(step, shapes, places) for step in network.steps], shapes[network.steps[-1].name]


def _step(step, shapes, places):
    told = {"name": step.name, "inputs": [*step.inputs], "shape": shapes[step.name]}
    told |= {"before": shapes[step.inputs[0]], "grid": grid_of(step.grid)}
    run = step.run
    if isinstance(run, Product):
        return told | _product(step, places)
    if isinstance(run, Sum):
        told |= {"op": "add", "zeros": [grid.zero_point for grid in run.sources]}
        return told | {"times": [*map(int, run.whole)], "shift": int(run.shift)}
    if isinstance(run, Average):
        whole = run.factor.whole
        return told | {
            "op": "average",
            "source": grid_of(run.source),
            "m0": int(whole.m0),
            "shift": int(whole.shift),
        }
    if isinstance(run, Rectify):
        return told | {"op": "rectify", "zero": run.zero_point}
    if isinstance(run, Largest):
        pool = {"kernel": [*run.kernel], "stride": run.stride, "padding": run.padding}
        return told | {"op": "largest", "pool": pool}
    if isinstance(run, Reshape):
        return told | {"op": "same"}
    raise bad_value("a step of the integer network", f"{step.name}: {type(run).__name__}", "one known here")


def _product(step, places):
    """A layer, and which tensors of the file are its weight and bias; -1 if it has none."""
    run = step.run
    told = {"op": "linear" if run.options is None else "conv2d", "source": grid_of(run.source)}
    told |= {part: places.get(f"{step.name}.{part}", -1) for part in ("weight", "bias")}
    if run.options is None:
        return told
    return told | {"conv": {"kernel": [*run.weight.shape[2:]], **run.options}}


def grid_of(grid):
    """A grid: what a step is worth, which integer means zero, the least and the largest."""
    return {"scale": float(grid.scale), "zero": grid.zero_point, "low": grid.qmin, "high": grid.qmax}
