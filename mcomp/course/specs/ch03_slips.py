"""Chapter 03: slips that blind trials found, two at once and at the edges, beside `ch03_mistakes`."""

from mcomp.course.model import Mistake
from mcomp.course.specs.ch03_mistakes import _rise
from mcomp.course.specs.ch03_neurons import _rms, _rows


def _rows_emptied(w, b, mean, gone):
    """Rows by a mask of the columns, which another than a square layer refuses."""
    new = w.copy()
    new[gone] = 0
    return new, b + w @ (mean * gone)


SLIPS = {
    "03.1": (
        Mistake("matrix_product", lambda w, g: abs(w @ g),
                "w @ g is a matrix product, which adds up; a score is w times g entry by entry: w * g"),
    ),
    "03.2": (
        Mistake("what_stays", lambda w, g, h, gone: _rise(-w, g, h, ~gone),
                "you put in the weights that stay; the step is -w where gone and 0 elsewhere"),
    ),
    "03.5": (
        Mistake("tail_slice_alone", lambda w, x, k: _rows(abs(w) * _rms(x), k or w.shape[1]),
                "for k = 0 the slice [-k:] is the whole row, so everything stays"),
    ),
    "03.7": (
        Mistake("rows_emptied", _rows_emptied,
                "new[gone] are rows, the next layer's outputs; a neuron that goes is a column: new[:, gone]"),
    ),
}  # fmt: skip
