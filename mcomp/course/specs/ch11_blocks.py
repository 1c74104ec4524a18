"""Chapter 11: the wrong answers to the exercises on chains and on branches."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs import ch11_wrong as wrong

MISTAKES = {
    "11.2": (
        Mistake("nothing_merged", lambda widths: wrong.pairs(wrong.ints(widths)),
                "that is the chain as it is; a wide hidden layer can be merged away"),
        Mistake("all_merged", lambda widths: int(widths[0]) * int(widths[-1]),
                "you merged everything into one layer; a narrow hidden width is worth keeping"),
        Mistake("better_of_both", lambda widths:
                min(int(widths[0]) * int(widths[-1]), wrong.pairs(wrong.ints(widths))),
                "you tried all or nothing; the best may keep one of the hidden widths"),
        Mistake("swept", wrong.swept,
                "you went along the chain once; an early merge can spoil a better one behind it"),
        Mistake("judged_alone", wrong.judged_alone,
                "you judged each hidden width by its old neighbours; they may be merged away too"),
        Mistake("one_merge", wrong.one_merge,
                "you allowed a single merge; as many as you like may follow each other"),
        Mistake("narrowest", lambda widths:
                min(int(widths[0]) * int(n) + int(n) * int(widths[-1]) for n in widths[1:-1])
                if len(widths) > 2 else wrong.pairs(wrong.ints(widths)),
                "you kept exactly one hidden width; to keep none may be smaller"),
        Mistake("narrower_than_ends", wrong.narrower_than_ends,
                "you kept the widths below both ends; beside a narrower one a width may still go"),
        Mistake("prefixes", wrong.prefixes,
                "you merged from the front only; any hidden width may go"),
        Mistake("with_biases", wrong.with_biases,
                "you counted the biases; only weights were asked for"),
        Mistake("the_chain", wrong.chain,
                "these are the widths of the best chain; its number of weights was asked for"),
        Mistake("most", lambda widths: max(map(wrong.pairs, wrong.subsets(widths))),
                "you took the largest chain; the smallest was asked for"),
        Mistake("sorted", lambda widths: wrong.pairs(sorted(wrong.ints(widths))),
                "you sorted the widths; their order is the network's, and only hidden ones may go"),
        Mistake("sum_of_all", lambda widths: sum(wrong.ints(widths)[:-1]),
                "you added widths up; count each layer's weights, the product of its two widths"),
        Mistake("sum_of_widths", lambda widths: min(sum(left) for left in wrong.subsets(widths)),
                "you added up widths; a layer has as many weights as the product of its two"),
        Mistake("count", lambda widths: len(min(wrong.subsets(widths), key=wrong.pairs)) - 1,
                "that is how many layers are left; their weights were asked for"),
        Mistake("saved", lambda widths:
                wrong.pairs(wrong.ints(widths)) - min(map(wrong.pairs, wrong.subsets(widths))),
                "that is what merging saves; what is left was asked for"),
        Mistake("local_minima", lambda widths: wrong.kept_where(widths, lambda a, b, c: b < min(a, c)),
                "you kept the widths below both neighbours; the narrowest may have a neighbour as narrow"),
        Mistake("below_one_side", lambda widths: wrong.kept_where(widths, lambda a, b, c: b < max(a, c)),
                "you kept every width below one of its neighbours; that is too many"),
        Mistake("half_of_ends", wrong.half_of_ends,
                "you kept the widths below half of both ends; of several of them the wider may go"),
        Mistake("in_pairs", wrong.in_pairs,
                "you merged two layers at most into one; a merged layer may be merged again"),
        Mistake("multiplications", wrong.matrix_chain,
                "that is the cost of multiplying the matrices out; the size of what is left was asked for"),
    ),
    "11.4": (
        Mistake("no_identity", lambda w3, w1, same: wrong.centred(w3, w1, same),
                "the third branch is missing: at the centre channel i of the input goes to channel i"),
        Mistake("identity_to_all", lambda w3, w1, same:
                wrong.centred(w3, w1, same, identity=lambda s: s[:, None]),
                "you added the factor for every input; channel i goes to channel i alone, np.diag(same)"),
        Mistake("identity_to_columns", lambda w3, w1, same:
                wrong.centred(w3, w1, same, identity=lambda s: s),
                "you added same[j] for every output; channel i goes to channel i alone, np.diag(same)"),
        Mistake("plain_identity", lambda w3, w1, same:
                wrong.centred(w3, w1, same, identity=lambda s: np.eye(len(s))),
                "you added 1 where the factor same[i] belongs"),
        Mistake("no_point", lambda w3, w1, same:
                wrong.centred(w3, 0 * w1, same, identity=np.diag),
                "the 1 by 1 branch is missing"),
        Mistake("corner", lambda w3, w1, same: wrong.centred(w3, w1, same, identity=np.diag, at=0),
                "you added at the corner; the entry that looks at the pixel itself is the centre, [1, 1]"),
        Mistake("last_corner", lambda w3, w1, same: wrong.centred(w3, w1, same, identity=np.diag, at=2),
                "you added at the last corner; the centre of 3 by 3 is [1, 1]"),
        Mistake("everywhere", wrong.everywhere,
                "you added to all nine entries; the other branches look at one pixel, the centre"),
        Mistake("point_everywhere", lambda w3, w1, same:
                wrong.centred(w3 + w1, 0 * w1, same, identity=np.diag),
                "you broadcast the 1 by 1 kernel to all nine entries; it belongs to the centre"),
        Mistake("kernel_diagonal", wrong.diagonal,
                "you added along the diagonal of each 3 by 3 kernel; the diagonal runs over channels"),
        Mistake("mean", lambda w3, w1, same:
                wrong.centred(w3, w1, same, identity=np.diag) / 3,
                "you took the mean of the branches; they are added"),
        Mistake("transposed", lambda w3, w1, same:
                wrong.centred(w3, w1.swapaxes(0, 1), same, identity=np.diag),
                "you swapped the axes of the 1 by 1 kernel; both are (out, in)"),
        Mistake("replaced", lambda w3, w1, same:
                wrong.centred(w3 * (np.arange(9) != 4).reshape(3, 3), w1, same, identity=np.diag),
                "you put the others in place of the centre; they are added to it"),
        Mistake("scaled_three", lambda w3, w1, same: np.array(w3) * same[:, None, None, None]
                + wrong.centred(0 * w3, w1, same),
                "you scaled the 3 by 3 kernel; the factor belongs to the third branch, the input itself"),
        Mistake("scaled_point", lambda w3, w1, same:
                wrong.centred(w3, w1 * same[:, None, None, None], same),
                "you scaled the 1 by 1 kernel; the third branch is one of its own, added"),
        Mistake("eye_of_the_kernel", lambda w3, w1, same: wrong.centred(w3, w1, same) + np.eye(3),
                "np.eye(3) runs over a kernel's pixels; the third branch is np.diag(same), over channels"),
        Mistake("scaled_all", lambda w3, w1, same: wrong.centred(w3, w1, same) * same[:, None, None, None],
                "you multiplied both kernels by `same`; the third branch is added to them"),
        Mistake("scaled_centre", wrong.scaled_centre,
                "you multiplied the centre by `same`; the third branch is added there"),
        Mistake("minus", lambda w3, w1, same: wrong.centred(w3, w1, same, identity=lambda s: -np.diag(s)),
                "you took the third branch off; the three are added"),
        Mistake("unchanged", lambda w3, w1, same: np.array(w3),
                "that is the 3 by 3 branch alone; two more are added at its centre"),
        Mistake("identity_at_nine", lambda w3, w1, same: wrong.centred(w3, w1, same)
                + np.diag(same)[:, :, None, None],
                "you added the factor to all nine entries; the input itself is the centre alone"),
        Mistake("three_transposed", lambda w3, w1, same:
                wrong.centred(w3.swapaxes(0, 1), w1, same, identity=np.diag),
                "you swapped the channel axes of the 3 by 3 kernel; all are (out, in)"),
    ),
}  # fmt: skip
