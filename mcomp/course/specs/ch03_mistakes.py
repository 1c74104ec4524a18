"""Chapter 03, weights: the wrong answers that people write, each with what happened; and the quiz.

Those about inputs and neurons are in `ch03_neurons`.
"""

import numpy as np

from mcomp.course.model import Mistake, Option, Question
from mcomp.course.specs import ch03_neurons, ch03_surgeon_mistakes


def _rise(w, g, hessian, gone, first=1.0, second=0.5):
    step = -w * gone
    return float(first * (g @ step) + second * (step @ hessian @ step))


def _diagonal(w, g, hessian, gone, first=1.0, second=0.5):
    return _rise(w, g, np.diag(np.diag(hessian)), gone, first, second)


def _each_rise(w, g, hessian, gone):
    step = -w * gone
    return g * step + step * (hessian @ step) / 2


def _elementwise(w, g, hessian, gone):
    step = -w * gone
    return float((g * step).sum() + (step * hessian * step).sum() / 2)


def _open_rows(w, g, hessian, gone):
    step = -w * gone
    return float(g @ step - step @ (hessian @ w) / 2)


MISTAKES = ch03_neurons.MISTAKES | ch03_surgeon_mistakes.MISTAKES | {
    "03.1": (
        Mistake("no_abs", lambda w, g: w * g,
                "your scores have signs: a large change downwards would go first; take the size of w·g"),
        Mistake("movement", lambda w, g: -w * g,
                "that is the signed change, which movement pruning adds up; this score is its size"),
        Mistake("half_abs", lambda w, g: abs(w) * g,
                "you took the size of w only; g has a sign as well"),
        Mistake("abs_g", lambda w, g: w * abs(g),
                "you took the size of g only; w has a sign as well"),
        Mistake("one_way", lambda w, g: np.maximum(-w * g, 0),
                "you left out the weights whose end would lower the loss; the size counts, both ways"),
        Mistake("gradient", lambda w, g: abs(g),
                "that is the slope; the weight moves by its whole length, so multiply by |w|"),
        Mistake("magnitude", lambda w, g: abs(w),
                "that is magnitude: the gradient isn't in it"),
        Mistake("square", lambda w, g: (w * g) ** 2,
                "you squared it: the order is right, but the size isn't, nor are sums over channels"),
        Mistake("w_square", lambda w, g: w**2 * abs(g),
                "the weight comes in once: it moves by w, and slope times distance is g·w"),
        Mistake("fisher", lambda w, g: w**2 * g**2 / 2,
                "that is Damage's score with the squared gradient for the curvature; order one is |g·w|"),
        Mistake("half", lambda w, g: abs(w * g) / 2,
                "half too small: the ½ of a Taylor expansion stands before the quadratic term"),
        Mistake("quotient", lambda w, g: abs(g) / np.where(w == 0, np.inf, abs(w)),
                "you divided by the weight; the rise is slope times distance, a product"),
        Mistake("moved", lambda w, g: abs(w - g),
                "that is a weight after a step of descent; asked is slope times the way to zero, g times w"),
        Mistake("shares", lambda w, g: abs(w * g) / max(abs(w * g).sum(), 1e-12),
                "you divided by the sum, as SNIP does at the end; here the sizes themselves are asked"),
        Mistake("sum", lambda w, g: float(abs(w * g).sum()),
                "that is one number for the whole array; every weight gets its own"),
        Mistake("total", lambda w, g: float(abs((w * g).sum())),
                "you added up before you took the size, to one number; every weight gets its own score"),
        Mistake("mean", lambda w, g: float(abs(w * g).mean()),
                "that is the mean over the array; every weight gets a score of its own"),
        Mistake("mean_rows", lambda w, g: abs(w * g).mean(axis=-1),
                "you averaged each row, a score for a neuron; here every weight gets its own"),
        Mistake("rows", lambda w, g: abs(w * g).sum(axis=-1),
                "you added up each row, a score for a neuron; here every weight gets its own"),
        Mistake("largest_is_one", lambda w, g: abs(w * g) / max(abs(w * g).max(), 1e-12),
                "you divided by the largest; the sizes themselves are asked"),
        Mistake("other_way", lambda w, g: np.maximum(w * g, 0),
                "you left out the weights whose end would raise the loss; the size counts, both ways"),
    ),
    "03.2": (
        Mistake("sign", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, first=-1.0),
                "the sign of the linear term is wrong: a weight that goes to zero moves by -w, not by +w"),
        Mistake("no_half", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, second=1.0),
                "the quadratic term of a Taylor expansion has a factor of one half"),
        Mistake("half_of_both", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, first=0.5),
                "you halved the linear term too; the factor ½ belongs to the quadratic one alone"),
        Mistake("diagonal", _diagonal,
                "you used the diagonal only: weights that go together interact, and those terms count"),
        Mistake("diagonal_no_half", lambda *a: _diagonal(*a, second=1.0),
                "the quadratic term lacks its ½, and all of H off its diagonal"),
        Mistake("damage", lambda *a: _diagonal(*a, first=0.0),
                "that is Optimal Brain Damage's sum: gradient and interactions are missing"),
        Mistake("pairs_once", lambda w, g, hessian, gone: _rise(w, g, np.triu(hessian), gone),
                "you counted each pair once; H_ij and H_ji both belong to step·H·step"),
        Mistake("open_rows", _open_rows,
                "you let the weights that stay take part: in step·H·step both steps are 0 for them"),
        Mistake("first_only", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, second=0.0),
                "that is the linear term alone; the curvature is missing"),
        Mistake("first_size", lambda *a: abs(_rise(*a, second=0.0)),
                "that is the size of the linear term; the rise has a sign, and the curvature is missing"),
        Mistake("first_up", lambda w, g, h, gone: _rise(w, g, h, gone, first=-1.0, second=0.0),
                "that is w·g: a weight that goes moves by -w, and the curvature is missing"),
        Mistake("falling", lambda *a: _rise(*a, second=-0.5),
                "the curvature counts with a plus: of -w on both sides the signs cancel"),
        Mistake("elementwise", _elementwise,
                "you multiplied elementwise: row i and column j each need their own step, step @ H @ step"),
        Mistake("all_of_h", lambda w, g, h, gone: float(-(g * w) @ gone + gone @ h @ gone / 2),
                "you added up H itself; each entry is multiplied by both weights that go"),
        Mistake("second_only", lambda w, g, hessian, gone: _rise(w, g, hessian, gone, first=0.0),
                "that is the quadratic term alone, as at a minimum; here the gradient counts too"),
        Mistake("sizes", lambda w, g, h, gone: float(abs(g * w) @ gone) + _rise(w, g, h, gone, first=0.0),
                "you added up the sizes of the linear terms; they have signs, and may cancel"),
        Mistake("size", lambda *a: abs(_rise(*a)),
                "you took the size at the end; a rise below zero says that the loss falls, keep the sign"),
        Mistake("fall", lambda *a: -_rise(*a),
                "upside down: asked is the rise, the new loss minus the old one"),
        Mistake("all", lambda w, g, hessian, gone: _rise(w, g, hessian, np.ones_like(gone)),
                "you removed every weight; only those marked in `gone` move"),
        Mistake("inverted", lambda w, g, hessian, gone: _rise(w, g, hessian, ~gone),
                "you removed the others: True in `gone` marks what goes"),
        Mistake("ones", lambda w, g, hessian, gone: _rise(np.ones_like(w), g, hessian, gone),
                "you moved each weight by -1; it ends at zero, so it moves by -w"),
        Mistake("each_first", lambda w, g, hessian, gone: -g * w * gone,
                "those are the linear terms, one a weight; add them up, and the curvature"),
        Mistake("each", _each_rise,
                "that is a share for each weight; the rise of the loss is one number, their sum"),
        Mistake("pairs_twice", lambda w, g, h, gone: _rise(w, g, 2 * h - np.diag(np.diag(h)), gone),
                "you counted pairs twice: the ½ stands before them too, and H has each pair as ij and as ji"),
        Mistake("sign_and_no_half", lambda *a: _rise(*a, first=-1.0, second=1.0),
                "two things: a weight that goes moves by -w, and the quadratic term has a factor of ½"),
    ),
}  # fmt: skip

QUIZ = (
    Question("A network has been trained until its gradient is nearly zero. What does |w·g| then rank by?", (
        Option("by how much the loss rises when a weight goes",
               "at a minimum that is the quadratic term; the linear one has vanished"),
        Option("mostly by chance: which images the gradient was measured on",
               "the mean vanishes, so what is left is the noise of the sample", right=True),
        Option("by magnitude, because g is the same for all weights",
               "g is small for all of them, but not the same"),
    )),
    Question("Two inputs of a layer are always equal. One of their two weights goes, the others may move. "
             "The loss", (
        Option("rises by h·w²/2, as Optimal Brain Damage says",
               "that holds if nothing else moves; the twin weight can take over"),
        Option("does not rise: the other weight takes over",
               "their sum is all that counts, and Optimal Brain Surgeon's update keeps it", right=True),
        Option("falls, because a useless weight is gone",
               "the network computes the same function as before"),
    )),
    Question("You prune to 98 % and then train for some epochs. What do you settle first?", (
        Option("how many weights each layer keeps; the largest of each will do",
               "with Damage's counts, or Erdős–Rényi's, magnitude's ranking is not beaten in this chapter",
               right=True),
        Option("the inverse Hessian, because Optimal Brain Surgeon is exact",
               "it is exact for one weight of a quadratic, and training undoes what its update gained"),
        Option("nothing: random weights do, because training repairs everything",
               "in the same layers random ends over a point below the largest"),
    )),
)  # fmt: skip
