"""Chapter 11: the wrong answers to the exercises on chains, branches, blocks and exits."""

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
                "you tried all or nothing; the best may keep some of the hidden widths"),
        Mistake("swept", wrong.swept,
                "you went along the chain once; an early merge can spoil a better one behind it"),
        Mistake("judged_alone", wrong.judged_alone,
                "you judged each hidden width by its old neighbours; they may be merged away too"),
        Mistake("one_merge", wrong.one_merge,
                "you allowed a single merge; as many as you like may follow each other"),
        Mistake("narrowest", lambda widths:
                min(int(widths[0]) * int(n) + int(n) * int(widths[-1]) for n in widths[1:-1])
                if len(widths) > 2 else wrong.pairs(wrong.ints(widths)),
                "you kept exactly one hidden width; the best may keep several or none"),
        Mistake("narrower_than_ends", wrong.narrower_than_ends,
                "you kept the widths below both ends; which ones pay depends on their neighbours"),
        Mistake("prefixes", wrong.prefixes,
                "you merged from the front only; any hidden width may go"),
        Mistake("with_biases", wrong.with_biases,
                "you counted the biases; only weights were asked for"),
        Mistake("the_chain", wrong.chain,
                "these are the widths of the best chain; its number of weights was asked for"),
        Mistake("most", lambda widths: max(map(wrong.pairs, wrong.subsets(widths))),
                "you took the largest chain; the smallest was asked for"),
        Mistake("sum_of_widths", lambda widths: min(sum(left) for left in wrong.subsets(widths)),
                "you added up widths; a layer has as many weights as the product of its two"),
        Mistake("count", lambda widths: len(min(wrong.subsets(widths), key=wrong.pairs)) - 1,
                "that is how many layers are left; their weights were asked for"),
        Mistake("saved", lambda widths:
                wrong.pairs(wrong.ints(widths)) - min(map(wrong.pairs, wrong.subsets(widths))),
                "that is what merging saves; what is left was asked for"),
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
        Mistake("minus", lambda w3, w1, same: wrong.centred(w3, w1, same, identity=lambda s: -np.diag(s)),
                "you took the third branch off; the three are added"),
        Mistake("unchanged", lambda w3, w1, same: np.array(w3),
                "that is the 3 by 3 branch alone; two more are added at its centre"),
    ),
    "11.5": (
        Mistake("cosine", lambda before, after: float(wrong.cosine(before, after).mean()),
                "that is the mean cosine; the influence is 1 minus it"),
        Mistake("flattened", lambda before, after:
                float(1 - wrong.cosine(before.ravel(), after.ravel(), 0)),
                "you took one cosine of everything: long positions then count more. First each"),
        Mistake("of_means", lambda before, after:
                float(1 - wrong.cosine(before.mean(0), after.mean(0), 0)),
                "you took the mean over positions first; a cosine for each, then their mean"),
        Mistake("by_channel", lambda before, after: float(1 - wrong.cosine(before, after, 0).mean()),
                "you took a cosine for each channel; a position's vector lies along axis 1"),
        Mistake("each", lambda before, after: 1 - wrong.cosine(before, after),
                "that is one number a position; their mean was asked for"),
        Mistake("summed", lambda before, after: float((1 - wrong.cosine(before, after)).sum()),
                "you added up over positions; the mean was asked for"),
        Mistake("one_minus_sum", lambda before, after: float(1 - wrong.cosine(before, after).sum()),
                "you added the cosines up; the mean was asked for"),
        Mistake("product", lambda before, after: float(1 - (before * after).sum(1).mean()),
                "you took products; a cosine divides them by both lengths"),
        Mistake("first_length", lambda before, after:
                float(1 - ((before * after).sum(1) / (before * before).sum(1)).mean()),
                "you divided by the length of `before` twice; one of the two is that of `after`"),
        Mistake("second_length", lambda before, after:
                float(1 - ((before * after).sum(1) / (after * after).sum(1)).mean()),
                "you divided by the length of `after` twice; one of the two is that of `before`"),
        Mistake("no_root", lambda before, after:
                float(1 - ((before * after).sum(1) / ((before**2).sum(1) * (after**2).sum(1))).mean()),
                "you divided by the squares of the lengths; take their roots"),
        Mistake("l1", lambda before, after:
                float(1 - ((before * after).sum(1) / (abs(before).sum(1) * abs(after).sum(1))).mean()),
                "you divided by sums of |.|; a length is the root of the sum of squares"),
        Mistake("absolute", lambda before, after: float(1 - abs(wrong.cosine(before, after)).mean()),
                "you took |cosine|; a block that turns a vector around has influence 2, not 0"),
        Mistake("relative", lambda before, after:
                float((np.linalg.norm(after - before, axis=1) / np.linalg.norm(before, axis=1)).mean()),
                "that is the relative change, which sees lengths; the angle alone was asked for"),
        Mistake("change", lambda before, after: float(1 - wrong.cosine(before, after - before).mean())
                if (after != before).any(1).all() else 0.0,
                "you compared with the block's change; the output itself was asked for"),
        Mistake("angle", lambda before, after:
                float(np.arccos(wrong.cosine(before, after).clip(-1, 1)).mean()),
                "that is the mean angle in radians; 1 minus the mean cosine was asked for"),
        Mistake("centred", lambda before, after: float(1 - wrong.cosine(
                before - before.mean(1, keepdims=True) + 1e-300,
                after - after.mean(1, keepdims=True) + 1e-300).mean()),
                "you took the mean of the channels off first: that is a correlation"),
        Mistake("half", lambda before, after: float((1 - wrong.cosine(before, after).mean()) / 2),
                "you divided by 2; the influence goes from 0 to 2"),
        Mistake("negative", lambda before, after: float(wrong.cosine(before, after).mean() - 1),
                "the sign is turned: 1 minus the mean cosine"),
    ),
    "11.6": (
        Mistake("last_forgotten", lambda sure, cost, threshold:
                float(cost[wrong.first_stop(sure, threshold, last=False)].mean()),
                "whoever is never sure goes on to the last exit; argmax of no True says exit 0"),
        Mistake("above", lambda sure, cost, threshold:
                float(cost[wrong.first_stop(sure, threshold, above=True)].mean()),
                "sure enough means at least the threshold: >=, not >"),
        Mistake("added_up", lambda sure, cost, threshold:
                wrong.running(cost, wrong.first_stop(sure, threshold)),
                "you added costs up; cost already includes what comes before"),
        Mistake("most_sure", lambda sure, cost, threshold: float(cost[sure.argmax(0)].mean()),
                "you took the surest exit; an input stops at the first that is sure enough"),
        Mistake("last_sure", lambda sure, cost, threshold:
                float(cost[len(cost) - 1 - (sure >= threshold)[::-1].argmax(0)].mean()),
                "you took the last exit that is sure; an input stops at the first"),
        Mistake("by_mean", lambda sure, cost, threshold:
                float(cost[wrong.first_stop(sure.mean(1, keepdims=True), threshold)].mean()),
                "you judged exits by their mean; each input stops for itself"),
        Mistake("all_of_them", lambda sure, cost, threshold:
                float(cost[wrong.first_stop(sure.min(1, keepdims=True), threshold)].mean()),
                "you waited until all inputs are sure; each stops for itself"),
        Mistake("total", lambda sure, cost, threshold:
                float(cost[wrong.first_stop(sure, threshold)].sum()),
                "that is the sum over the inputs; the mean was asked for"),
        Mistake("each", lambda sure, cost, threshold: cost[wrong.first_stop(sure, threshold)],
                "that is the cost of each input; their mean was asked for"),
        Mistake("exits", lambda sure, cost, threshold:
                float(wrong.first_stop(sure, threshold).mean()),
                "that is the mean place of the exit; what it costs was asked for"),
        Mistake("below", lambda sure, cost, threshold:
                float(cost[np.vstack([(sure < threshold)[:-1], sure[-1:] < 9]).argmax(0)].mean()),
                "yours stops where an exit is not sure; it should stop where it is"),
        Mistake("full", lambda sure, cost, threshold: float(cost[-1]),
                "that is the cost without exits"),
        Mistake("saved", lambda sure, cost, threshold:
                float(cost[-1] - cost[wrong.first_stop(sure, threshold)].mean()),
                "that is what exits save; what is spent was asked for"),
        Mistake("share", lambda sure, cost, threshold:
                float(cost[wrong.first_stop(sure, threshold)].mean() / cost[-1]),
                "that is the part of the full cost; the cost itself was asked for"),
        Mistake("sure_only", lambda sure, cost, threshold: float(np.mean(
                cost[wrong.first_stop(sure, threshold)][(sure >= threshold).any(0)]))
                if (sure >= threshold).any() else 0.0,
                "you left out the inputs that no exit is sure of; they go to the last exit"),
        Mistake("all_sure_exits", lambda sure, cost, threshold:
                float(((sure >= threshold) * cost[:, None]).sum(0).mean()),
                "you added every exit that is sure; an input stops at the first and pays once"),
        Mistake("one_further", lambda sure, cost, threshold:
                float(cost[np.minimum(wrong.first_stop(sure, threshold) + 1, len(cost) - 1)].mean()),
                "you went one exit too far"),
        Mistake("mean_cost", lambda sure, cost, threshold: float(cost.mean()),
                "that is the mean over the exits; the mean over the inputs was asked for"),
    ),
}  # fmt: skip
