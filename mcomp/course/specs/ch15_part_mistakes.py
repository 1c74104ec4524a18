"""Chapter 15: wrong parts of what is shared, each with what happened."""

from itertools import pairwise

from mcomp.course.model import Mistake


def _sizes(widths, last, bias=True):
    full = [*map(int, widths), int(last)]
    return [a * b + b * bias for a, b in pairwise(full)]


def _counts(widths, classes, at, bias=True):
    """(the layers that exist once, the rest of all tasks, all of separate networks)."""
    nets = [_sizes(widths, last, bias) for last in classes]
    return sum(nets[0][:at]), sum(sum(n[at:]) for n in nets), sum(map(sum, nets))


def _part(widths, classes, at, bias=True):
    trunk, rest, separate = _counts(widths, classes, at, bias)
    return (trunk + rest) / separate


def _moved(widths, classes, at, by):
    return _part(widths, classes, min(max(at + by, 0), len(widths) - 1))


def _input_biases(widths, classes, at):
    nets = [[a * b + a for a, b in zip(widths, [*widths[1:], last], strict=True)] for last in classes]
    return (sum(nets[0][:at]) + sum(sum(n[at:]) for n in nets)) / sum(map(sum, nets))


def _upper_shared(widths, classes, at):
    trunk, rest, separate = _counts(widths, classes, at)
    hidden = sum(_sizes(widths, 1)[at:-1])
    return (len(classes) * trunk + rest - (len(classes) - 1) * hidden) / separate


def _last_layers(widths, classes, width=None):
    width = int(widths[-1] if width is None else width)
    return sum((width + 1) * int(last) for last in classes)


def _no_biases_in_heads(widths, classes, at):
    trunk, rest, separate = _counts(widths, classes, at)
    return (trunk + rest - int(sum(classes))) / (separate - int(sum(classes)))


def _tasks_in_a_row(widths, classes, at):
    """All widths and all classes as one network."""
    sizes = [a * b + b for a, b in pairwise([*map(int, widths), *map(int, classes)])]
    return sum(sizes[at:]) / sum(sizes)


def _one_more_once(widths, classes, at):
    """The layer with index `at` exists once as well, be it the last one."""
    return (
        sum(
            n
            for task, last in enumerate(classes)
            for i, n in enumerate(_sizes(widths, last))
            if i > at or task == 0
        )
        / _counts(widths, classes, at)[2]
    )


def _neurons(widths, classes, at):
    trunk, rest = int(sum(widths[: at + 1])), int(sum(widths[at + 1 :]))
    last, k = int(sum(classes)), len(classes)
    return (trunk + k * rest + last) / (k * (trunk + rest) + last)


def _no_private_layers(widths, classes, at):
    trunk, last = _counts(widths, classes, at)[0], _last_layers(widths, classes)
    return (trunk + last) / (len(classes) * trunk + last)


def _mean_of_tasks(widths, classes, at):
    nets = [_sizes(widths, last) for last in classes]
    return sum((sum(n[:at]) / len(nets) + sum(n[at:])) / sum(n) for n in nets) / len(nets)


def _alike(widths, classes, at, last):
    return _part(widths, [last] * len(classes), at)


def _one_bias_a_layer(widths, classes, at):
    nets = [[a * b + 1 for a, b in pairwise([*map(int, widths), int(last)])] for last in classes]
    return (sum(nets[0][:at]) + sum(sum(n[at:]) for n in nets)) / sum(map(sum, nets))


def _with_a_gap(widths, classes, at):
    """The tasks' layers start from the first hidden layer of their own: what leads there isn't counted."""
    own = [[*map(int, widths[at + 1 :]), int(last)] for last in classes]
    rest = sum(sum(a * b + b for a, b in pairwise(net)) for net in own)
    return (_counts(widths, classes, at)[0] + rest) / _counts(widths, classes, at)[2]


def _heads_k_times(widths, classes, at):
    trunk, rest, separate = _counts(widths, classes, at)
    return (trunk + rest) / (separate + (len(classes) - 1) * _last_layers(widths, classes))


def _from(widths, classes, at, combine):
    return combine(*_counts(widths, classes, at), len(classes))


SHARED = (
    Mistake("no_biases", lambda w, c, at: _part(w, c, at, bias=False),
            "the biases are missing: a layer from n to m has n * m weights and m biases"),
    Mistake("input_biases", _input_biases,
            "you gave each layer a bias for each of its inputs; it has one for each output"),
    Mistake("no_biases_in_heads", _no_biases_in_heads,
            "the last layers' biases are missing"),
    Mistake("saved", lambda w, c, at: 1 - _part(w, c, at),
            "that is the part that is saved; the part that is left was asked for"),
    Mistake("inverse", lambda w, c, at: 1 / _part(w, c, at),
            "upside down: divide the shared network by the separate ones"),
    Mistake("percent", lambda w, c, at: 100 * _part(w, c, at),
            "that is in percent; a part of 1 was asked for"),
    Mistake("one_more", lambda w, c, at: _moved(w, c, at, 1),
            "one layer too many is shared: `at` layers, those with index below `at`"),
    Mistake("one_less", lambda w, c, at: _moved(w, c, at, -1),
            "one layer too few is shared: `at` layers, so layer at - 1 is among them"),
    Mistake("all_hidden", lambda w, c, at: _moved(w, c, len(w), 0),
            "every hidden layer exists once in yours; those from `at` on exist once for each task"),
    Mistake("nothing_shared", lambda w, c, at: 1.0,
            "1 is right where nothing is shared; count the first `at` layers once, not once for each task"),
    Mistake("upper_shared", _upper_shared,
            "you shared the layers from `at` on; the first `at` are shared"),
    Mistake("of_one_network", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: (t + r) * k / s),
            "divide by the parameters of all tasks' networks, not of one (or their mean)"),
    Mistake("of_the_first_network", lambda w, c, at:
            sum(_counts(w, c, at)[:2]) / sum(_sizes(w, c[0])),
            "divide by the parameters of all tasks' networks, not of the first one alone"),
    Mistake("heads_missing", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: t / s),
            "you counted the shared layers alone; what each task has for itself belongs to the network, too"),
    Mistake("one_head", lambda w, c, at: sum(_sizes(w, c[0])) / _counts(w, c, at)[2],
            "one task's upper layers were counted; each task has its own"),
    Mistake("last_layers_only", lambda w, c, at:
            (_counts(w, c, at)[0] + _last_layers(w, c)) / _counts(w, c, at)[2],
            "between layer `at` and the last one nothing was counted; each task has those layers, too"),
    Mistake("branch_to_classes", lambda w, c, at:
            (_counts(w, c, at)[0] + _last_layers(w, c, w[at])) / _counts(w, c, at)[2],
            "your last layers hang on the branch itself; each task has the hidden layers between, too"),
    Mistake("hidden_only", lambda w, c, at:
            (_from(w, c, at, lambda t, r, s, k: t + r) - _last_layers(w, c))
            / max(_counts(w, c, at)[2] - _last_layers(w, c), 1),
            "the tasks' last layers are missing, above and below the line"),
    Mistake("saved_layers", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: (s - t) / s),
            "the shared layers were taken away once; of k copies k - 1 go"),
    Mistake("all_copies_gone", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: r / s),
            "the shared layers are missing: they still exist once"),
    Mistake("one_k_th", lambda w, c, at: 1 / len(c),
            "the trunk exists once for k tasks, but what lies above `at` exists k times"),
    Mistake("layers_counted", lambda w, c, at: (at + len(c) * (len(w) - at)) / (len(c) * len(w)),
            "you counted layers; count their parameters"),
    Mistake("one_bias_a_layer", _one_bias_a_layer,
            "a layer from n to m has m biases, one for each output, not one"),
    Mistake("with_a_gap", _with_a_gap,
            "a layer is lost: each task's own first layer leads from widths[at] to widths[at + 1]"),
    Mistake("of_itself", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: t / (t + r)),
            "that is how much of the shared network is shared; divide all of it by the separate networks"),
    Mistake("of_hidden_layers", lambda w, c, at:
            sum(_counts(w, c, at)[:2]) / max(_counts(w, c, at)[2] - _last_layers(w, c), 1),
            "the separate networks have last layers, too"),
    Mistake("of_first_classes", lambda w, c, at:
            sum(_counts(w, c, at)[:2]) / (len(c) * sum(_sizes(w, c[0]))),
            "in the separate networks each task has its own number of classes, not that of the first"),
    Mistake("heads_k_times", _heads_k_times,
            "below the line the last layers were counted once a task and then once a task again"),
    Mistake("last_layers_missing", lambda w, c, at:
            (_from(w, c, at, lambda t, r, s, k: t + r) - _last_layers(w, c)) / _counts(w, c, at)[2],
            "the tasks' last layers are missing in the shared network"),
    Mistake("copies", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: k * t / s),
            "those are all copies of what can be shared; one copy stays, and what each task has for itself"),
    Mistake("above_at_once", lambda w, c, at:
            (len(c) * _counts(w, c, at)[0] + sum(_sizes(w, c[0])[at:])) / _counts(w, c, at)[2],
            "the wrong end is shared: layers below `at` exist once, from there on once a task"),
    Mistake("layer_at_once", _one_more_once,
            "layer `at` was counted once; the layers with index below `at` are shared"),
    Mistake("of_one_trunk", lambda w, c, at:
            sum(_counts(w, c, at)[:2]) / max(sum(_sizes(w, 1)[:-1]) + _last_layers(w, c), 1),
            "in the separate networks every task has all hidden layers of its own"),
    Mistake("tasks_in_a_row", _tasks_in_a_row,
            "you set the tasks' last layers one upon the other; each starts from widths[-1]"),
    Mistake("saved_without_biases", lambda w, c, at: 1 - _part(w, c, at, bias=False),
            "the biases are missing, and that is the part that is saved, not the part that is left"),
    Mistake("neurons", _neurons,
            "you counted neurons; count the numbers in the layers' weights and biases"),
    Mistake("no_private_layers", _no_private_layers,
            "the hidden layers from `at` on are missing, above and below the line"),
    Mistake("mean_of_tasks", _mean_of_tasks,
            "that is a mean of the tasks' ratios; divide the sums"),
    Mistake("first_classes", lambda w, c, at: _alike(w, c, at, c[0]),
            "every task got the classes of the first; each has its own number"),
    Mistake("most_classes", lambda w, c, at: _alike(w, c, at, max(c)),
            "every task got the largest number of classes; each has its own"),
    Mistake("whole_division", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: (t + r) // s),
            "// cuts the ratio down to a whole number"),
    Mistake("saved_of_shared", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: (s - t - r) / (t + r)),
            "that is what is saved, over the shared network; all of it over the separate ones was asked for"),
    Mistake("saved_count", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: s - t - r),
            "that is how many parameters are saved; the part that is left was asked for"),
    Mistake("separate_count", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: s),
            "that is how many parameters separate networks have; divide the shared one's by it"),
    Mistake("all_heads_each", lambda w, c, at: _from(w, c, at, lambda t, r, s, k:
            (t + r + (k - 1) * _last_layers(w, c)) / (s + (k - 1) * _last_layers(w, c))),
            "every task got the last layers of all tasks; each has its own alone"),
    Mistake("first_head_for_all", lambda w, c, at: _from(w, c, at, lambda t, r, s, k:
            (t + r - _last_layers(w, c) + k * _last_layers(w, c[:1])) / s),
            "every task got the last layer of the first; each has its own number of classes"),
    Mistake("count", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: t + r),
            "that is how many parameters are left; divide by those of separate networks"),
    Mistake("both", lambda w, c, at: _from(w, c, at, lambda t, r, s, k: (t + r, s)),
            "both counts are right; their ratio was asked for"),
    Mistake("rounded", lambda w, c, at: round(_part(w, c, at), 2),
            "you rounded; return the ratio as it is"),
)  # fmt: skip
