"""What is drawn is what was given; axes are labelled; text doesn't overlap; a figure has words beside it."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.image import imread

from mcomp import figures, plots

W = np.array([[0.5, -2.0, 0.0], [1.25, 0.1, -0.4]])
KEEP = np.abs(W) > 0.3
POINTS = {
    "float32": {"bytes": [1_069_205] * 3, "accuracy": [0.883, 0.885, 0.884], "milliseconds": [0.3, 0.3, 0.4]},
    "pruned": {
        "bytes": [170_000, 173_000, 176_000],
        "accuracy": [0.890, 0.892, 0.891],
        "milliseconds": [0.3] * 3,
    },
    "shared": {"bytes": [7_500, 7_600, 7_900], "accuracy": [0.884, 0.886, 0.888], "milliseconds": [0.2] * 3},
}
CURVES = {"grid": ([1, 2, 4], [0.6, 0.2, 0.01]), "codebook": ([1.0, 3.5], [0.4, 0.02])}


@pytest.fixture(autouse=True)
def _fresh_style():
    with plt.rc_context():
        plots.use_style()
        yield
    plt.close("all")


def test_show_array_writes_every_number(xp):
    ax = plots.show_array(xp.asarray(W), title="six weights")
    assert [float(text.get_text()) for text in ax.texts] == list(W.round(2).ravel())
    assert ax.get_title("left") == "six weights"
    drawn = ax.images[0].get_array()
    np.testing.assert_allclose(drawn, W / 2.0)  # the largest magnitude is full colour


def test_a_zero_has_no_minus():
    ax = plots.show_array(np.array([-0.0, -0.001, -0.2]))
    assert [text.get_text() for text in ax.texts] == ["0.00", "0.00", "-0.20"]


def test_show_array_takes_a_row_of_integers():
    ax = plots.show_array(np.array([3, -1, 0]))
    assert [text.get_text() for text in ax.texts] == ["3", "-1", "0"]
    assert ax.get_title("left") == "1 × 3 numbers"


def test_show_mask_strikes_out_exactly_what_goes(xp):
    ax = plots.show_mask(xp.asarray(W), xp.asarray(KEEP))
    struck = {(int(line.get_ydata()[0]), int(np.mean(line.get_xdata()))) for line in ax.lines}
    assert struck == set(zip(*map(list, np.nonzero(~KEEP)), strict=True))
    np.testing.assert_allclose(ax.images[0].get_array(), np.where(KEEP, W / 2.0, 0.0))


@pytest.mark.parametrize(
    "bad", [np.zeros((0, 2)), np.zeros((2, 2, 2)), np.zeros((1, 17)), np.array([np.nan])]
)
def test_show_array_refuses_what_cannot_be_read(bad):
    with pytest.raises(ValueError, match="allowed"):
        plots.show_array(bad)


def test_show_mask_refuses_another_shape():
    with pytest.raises(ValueError, match=r"mask\.shape is \(2, 2\)"):
        plots.show_mask(W, np.ones((2, 2), bool))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(bits=st.floats(0, 30), sigma2=st.floats(1e-6, 1e6))
def test_one_more_bit_quarters_the_bound(bits, sigma2):
    here, there = (plots.shannon_bound(b, sigma2=sigma2) for b in (bits, bits + 1))
    assert there == pytest.approx(here / 4)
    # The inverse, R = log2(sigma2 / D) / 2, in float64: 1e-12 covers two roundings of a logarithm.
    assert 0.5 * np.log2(sigma2 / here) == pytest.approx(bits, abs=1e-12 * max(1, bits))


def test_rate_distortion_draws_the_curves_over_the_bound():
    ax = plots.plot_rate_distortion(CURVES)
    bound, *lines = ax.lines
    np.testing.assert_allclose(bound.get_ydata(), 4.0 ** -bound.get_xdata())
    for line, (name, (bits, error)) in zip(lines, CURVES.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xdata(), bits)
        np.testing.assert_array_equal(line.get_ydata(), error)
    assert ax.get_yscale() == "log"
    assert "bits per weight" in ax.get_xlabel()
    assert "variance" in ax.get_ylabel()
    assert plots.plot_rate_distortion(CURVES, sigma2=2.0).lines[0].get_ydata()[0] == 2.0


@pytest.mark.parametrize("cost", ["bytes", "milliseconds"])
def test_pareto_draws_mean_and_range(cost):
    ax = plots.plot_pareto(POINTS, cost=cost)
    for container, (name, point) in zip(ax.containers, POINTS.items(), strict=True):
        line, _, (x_bar, y_bar) = container.lines
        assert container.get_label() == name
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (
            np.mean(point[cost]),
            np.mean(point["accuracy"]),
        )
        # errorbar draws mean - (mean - min): equal to min up to one rounding
        np.testing.assert_allclose(x_bar.get_segments()[0][:, 0], (min(point[cost]), max(point[cost])))
        accuracy = point["accuracy"]
        np.testing.assert_allclose(y_bar.get_segments()[0][:, 1], (min(accuracy), max(accuracy)))
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "test accuracy (%)"
    assert ("bytes" if cost == "bytes" else "milliseconds") in ax.get_xlabel()


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=12))
def test_the_front_is_what_no_other_beats(points):
    front = plots.front(points)
    beaten = {p for p in points for q in points if q != p and q[0] <= p[0] and q[1] >= p[1]}
    assert front == sorted(set(points) - beaten)


@pytest.mark.parametrize(
    "call",
    [
        lambda: plots.plot_pareto(POINTS, cost="joules"),
        lambda: plots.plot_pareto({}),
        lambda: plots.plot_rate_distortion({}),
        lambda: plots.shannon_bound(1, sigma2=-1.0),
        lambda: plots.rate_distortion_axes(bits=0),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match="allowed"):
        call()


DRAWINGS = [
    lambda: plots.show_array(W),
    lambda: plots.show_mask(W, KEEP),
    lambda: plots.plot_rate_distortion(CURVES),
    lambda: plots.plot_pareto(POINTS),
]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_texts_do_not_overlap(draw):
    figure = draw().figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    (ax,) = figure.axes
    texts = [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
    texts += [*(ax.get_legend().get_texts() if ax.get_legend() else [])]
    if ax.axison:
        texts += [*ax.get_xticklabels(), *ax.get_yticklabels()]
    boxes = [t.get_window_extent(renderer) for t in texts if t.get_text() and t.get_visible()]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_the_figures_pass_their_own_check_and_become_pictures_with_words(draw, monkeypatch):
    monkeypatch.setenv("MCOMP_CHECK_FIGURES", "1")
    figure = draw().figure
    data, metadata = figures.png(figure)
    assert imread(io.BytesIO(base64.b64decode(data))).std() > 0.05  # something is drawn
    assert len(metadata["alt"]) > 10
    assert figures.png(figure)[0] == data


def test_describe_replaces_the_alternative_text():
    figure = plots.plot_pareto(POINTS).figure
    assert "Shown: float32; pruned; shared" in figures.alt_text(figure)
    assert figures.alt_text(figures.describe(figure, "three points")) == "three points"


def labelled(**wanted):
    figure, ax = plt.subplots()
    ax.plot([1, 2])
    ax.set(**{"title": "t", "xlabel": "x", "ylabel": "y"} | wanted)
    return figure


def shared_axes():
    figure, (left, right) = plt.subplots(1, 2, sharey=True)
    left.plot([1, 2])
    right.plot([1, 2])
    left.set(title="t", xlabel="x", ylabel="y")
    right.set(xlabel="x")
    return figure


def with_colour_bar():
    figure = labelled()
    figure.colorbar(figure.axes[0].scatter([1], [2], c=[3]), label="count")
    return figure


def without_axes_lines():
    figure = labelled(xlabel="", ylabel="")
    figure.axes[0].axis("off")
    return figure


@pytest.mark.parametrize("figure", [labelled, shared_axes, with_colour_bar, without_axes_lines, plt.figure])
def test_check_figure_lets_labelled_figures_pass(figure):
    assert figures.check_figure(figure()) is None


@pytest.mark.parametrize("lack", ["title", "xlabel", "ylabel"])
def test_check_figure_refuses_a_figure_without(lack):
    with pytest.raises(ValueError, match=lack.replace("label", " label")):
        figures.check_figure(labelled(**{lack: ""}))


def test_the_palette_is_told_apart_in_grey_or_by_marker():
    assert len(set(figures.PALETTE)) == len(set(figures.MARKERS)) == 7
    assert [style["color"] for style in plt.rcParams["axes.prop_cycle"]] == list(figures.PALETTE)
