"""Chapter 11: the wrong answers to the exercises on what passes a block, and on exits."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs import ch11_wrong as wrong

MISTAKES = {
    "11.5": (
        Mistake("cosine", lambda before, after: float(wrong.cosine(before, after).mean()),
                "that is the mean cosine; the influence is 1 minus it"),
        Mistake("flattened", lambda before, after:
                float(1 - wrong.cosine(before.ravel(), after.ravel(), 0)),
                "you took one cosine of everything: long positions count more; take the mean of each one's"),
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
        Mistake("degrees", lambda before, after:
                float(np.degrees(np.arccos(wrong.cosine(before, after).clip(-1, 1))).mean()),
                "that is the mean angle in degrees; 1 minus the mean cosine was asked for"),
        Mistake("mean_absolute", lambda before, after: float(abs(wrong.cosine(before, after)).mean()),
                "that is the mean |cosine|; 1 minus the mean cosine, signs and all, was asked for"),
        Mistake("squared_cosine", lambda before, after: float(1 - (wrong.cosine(before, after) ** 2).mean()),
                "you squared the cosines; their mean was asked for as they are"),
        Mistake("centred", lambda before, after: float(1 - wrong.cosine(
                before - before.mean(1, keepdims=True) + 1e-300,
                after - after.mean(1, keepdims=True) + 1e-300).mean()),
                "you took the mean of the channels off first: that is a correlation"),
        Mistake("half", lambda before, after: float((1 - wrong.cosine(before, after).mean()) / 2),
                "you divided by 2; the influence goes from 0 to 2"),
        Mistake("negative", lambda before, after: float(wrong.cosine(before, after).mean() - 1),
                "the sign is turned: 1 minus the mean cosine"),
        Mistake("of_sums", lambda before, after: float(1 - (before * after).sum(1).mean()
                / (np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)).mean()),
                "you divided one mean by another; a cosine for each position first, then the mean"),
        Mistake("sum_of_lengths", lambda before, after: float(1 - ((before * after).sum(1)
                / (np.linalg.norm(before, axis=1) + np.linalg.norm(after, axis=1))).mean()),
                "you divided by the sum of the lengths; it is their product"),
        Mistake("whole_lengths", lambda before, after: float(1 - ((before * after).sum(1)
                / (np.linalg.norm(before) * np.linalg.norm(after))).mean()),
                "you took one length of everything; each position has its own, axis=1"),
        Mistake("mean_product", lambda before, after: float(1 - ((before * after).mean(1)
                / (np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1))).mean()),
                "you took the mean of the products; a cosine has their sum"),
        Mistake("all_pairs", lambda before, after: float(1 - (before @ after.T / (np.linalg.norm(
                before, axis=1)[:, None] * np.linalg.norm(after, axis=1))).mean()),
                "you compared every position with every other; each has its own partner"),
        Mistake("median", lambda before, after: float(1 - np.median(wrong.cosine(before, after))),
                "you took the median; the mean was asked for"),
        Mistake("squared_change", lambda before, after:
                float(((after - before) ** 2).sum() / (before**2).sum()),
                "that is a relative squared change; 1 minus the mean cosine was asked for"),
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
        Mistake("all_sure_and_last", lambda sure, cost, threshold: float(
                (np.vstack([(sure >= threshold)[:-1], sure[-1:] < 9]) * cost[:, None]).sum(0).mean()),
                "you added every sure exit and the last one; an input stops at the first, and pays once"),
        Mistake("at_most", lambda sure, cost, threshold:
                float(cost[np.vstack([(sure <= threshold)[:-1], sure[-1:] < 9]).argmax(0)].mean()),
                "yours stops where an exit is at most so sure; at least was asked for, >="),
        Mistake("one_further", lambda sure, cost, threshold:
                float(cost[np.minimum(wrong.first_stop(sure, threshold) + 1, len(cost) - 1)].mean()),
                "you went one exit too far"),
        Mistake("mean_cost", lambda sure, cost, threshold: float(cost.mean()),
                "that is the mean over the exits; the mean over the inputs was asked for"),
        Mistake("never_sure_free", lambda sure, cost, threshold: float(np.where(
                (sure >= threshold).any(0), cost[wrong.first_stop(sure, threshold)], 0.0).mean()),
                "an input that is never sure costs nothing in yours; it goes to the last exit and pays that"),
        Mistake("counted_unsure", lambda sure, cost, threshold:
                float(cost[np.minimum((sure < threshold).sum(0), len(cost) - 1)].mean()),
                "you counted the exits that aren't sure; those behind the first sure one don't matter"),
        Mistake("first_or_last", lambda sure, cost, threshold:
                float(np.where(sure[0] >= threshold, cost[0], cost[-1]).mean()),
                "you looked at the first exit alone; an input may stop at any"),
        Mistake("steps", lambda sure, cost, threshold:
                float(np.diff(cost, prepend=0.0)[wrong.first_stop(sure, threshold)].mean()),
                "you took the differences of the costs; what comes before an exit is paid as well"),
        Mistake("median", lambda sure, cost, threshold:
                float(np.median(cost[wrong.first_stop(sure, threshold)])),
                "you took the median; the mean was asked for"),
    ),
}  # fmt: skip
