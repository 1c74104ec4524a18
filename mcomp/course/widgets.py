"""Predict first, and sliders over a figure; without widgets both fall back on text and a picture."""

import io
import os

from mcomp.arrays import bad_value, check_real
from mcomp.course import store
from mcomp.course.show import escape, live, panel, show

_guesses = {}  # id -> number, for this kernel
_units = {}


def predict(key, question, *, unit=""):
    """Ask the reader for a number before the cell that answers; never waits.

    Parameters
    ----------
    key : str
        Names the prediction, for instance "02.a": ``reveal(key, truth, ax=ax)`` draws it beside the truth.
    question : str
    unit : str
        Of the number, for instance "%".
    """
    _units[key] = unit
    title = f"Predict: {question}"
    how = f'guess("{key}", number) records yours{f" in {unit}" if unit else ""}'
    widget = _prediction_box(key, title, unit) if live() else None
    show(f"{title}\n  {how}", panel("note", title), widget=widget)


def _prediction_box(key, title, unit):
    import ipywidgets

    mine = guess(key)
    text = "" if mine is None else f"{mine:g}"
    box = ipywidgets.Text(value=text, placeholder="a number", layout={"width": "8em"})
    button = ipywidgets.Button(description="record", tooltip="record my guess")
    answer = ipywidgets.HTML()

    def clicked(_):
        try:
            number = float(box.value.strip().removesuffix(unit).replace(",", "."))
            note = _record(key, number)
            answer.value = escape(f"recorded: {number:g} {unit}. {note}".replace(" .", ".").strip())
        except ValueError:
            answer.value = "that is not a number"

    button.on_click(clicked)
    row = ipywidgets.HBox([box, ipywidgets.HTML(escape(unit)), button, answer])
    return ipywidgets.VBox([ipywidgets.HTML(panel("note", title)), row])


def _record(key, number):
    """Keep a guess; returns a note or ""."""
    _guesses[key] = check_real("number", number)
    return store.mark("predictions", key, _guesses[key])


def guess(key, number=None):
    """The reader's guess, or None; with a number, record it.

    Raises
    ------
    ValueError
        If `number` is not a finite number.
    """
    note = ""
    if number is not None:
        note = _record(key, number)
    elif key not in _guesses:
        marks, note = store.read()
        kept = {k: v for k, v in marks["predictions"].items() if isinstance(v, (int, float))}
        _guesses.update({**kept, **_guesses})
    if note:
        show(note)
    return _guesses.get(key)


def reveal(key, truth, *, ax, at=None):
    """Draw the truth, and the reader's guess if there is one.

    Parameters
    ----------
    key : str
        As in `predict`.
    truth : float
        In the unit that `predict` named.
    ax : Axes
    at : float, optional
        Draws stars at this x, the guess hollow; without it, horizontal lines, the guess dashed. No series
        of the course's style has a star, or the colour of the truth.
    """
    unit = f" {_units[key]}" if _units.get(key) else ""
    mine = guess(key)
    values = [("measured", truth, {"color": "#222222", "linestyle": "-"})]
    if mine is not None:
        values.append(("your guess", mine, {"color": "C1", "linestyle": "--"}))
    for name, value, style in values:
        label = f"{name}: {value:.4g}{unit}"
        if at is None:
            ax.axhline(value, label=label, **style)
        else:
            face = "none" if name == "your guess" else style["color"]
            look = {"color": style["color"], "markerfacecolor": face, "markersize": 19, "zorder": 1.9}
            ax.plot(at, value, "*", label=label, **look)  # behind the series, whose mark may be there, too
    ax.legend()


def explore(draw, *, alt, start=None, size=(9, 3), dpi=80, **sliders):
    """Sliders over a figure.

    Parameters
    ----------
    draw : function
        ``draw(fig)`` draws what stays into a matplotlib Figure and returns ``update(**values)``, which
        changes what moves. Only `update` runs when a slider moves, on the same Figure.
    alt : str
        What the picture shows, for those who can't see it.
    start : dict
        The first value of some sliders; the others start at their lowest.
    size : (float, float)
        Of the figure, in inches.
    **sliders
        ``(low, high)`` or ``(low, high, step)``; a list gives a menu, a bool a tick box.
    """
    values = {name: _start(limits) for name, limits in sliders.items()}
    unknown = set(start or {}) - set(sliders)
    if unknown:
        raise bad_value("start", sorted(unknown), f"some of {', '.join(sliders)}")
    values.update(start or {})
    picture = _painter(draw, size, dpi)
    png = picture(values)
    widget = _sliders(picture, values, sliders, png, alt) if live() else None
    show(alt, png=png, widget=widget)


def _start(limits):
    return limits if isinstance(limits, bool) else limits[0]


def _painter(draw, size, dpi):
    """A function from slider values to PNG bytes; it keeps one Figure and never touches pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=size, dpi=dpi, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(fig)
    update = draw(fig)

    def picture(values):
        update(**values)
        if os.environ.get("MCOMP_CHECK_FIGURES") == "1":  # so are the course's own notebooks executed
            from mcomp.figures import check_figure

            check_figure(fig)
        canvas.draw()
        fig.set_layout_engine("none")  # placed once: the axes stand still, and a redraw is faster
        return _png(canvas)

    return picture


def _png(canvas):
    """The canvas as PNG bytes, compressed for speed; no date inside: equal pictures give equal bytes."""
    from PIL import Image

    file = io.BytesIO()
    Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB").save(
        file, "png", compress_level=1
    )
    return file.getvalue()


def _sliders(picture, values, sliders, png, alt):
    import ipywidgets

    image = ipywidgets.Image(value=png, format="png", layout={"max_width": "100%"})
    # ipywidgets' Image has no alternative text: say it beside, for screen readers only
    unseen = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
    words = ipywidgets.HTML(f'<span style="{unseen}">{escape(alt)}</span>')
    controls = {name: _control(name, limits, values[name]) for name, limits in sliders.items()}

    def moved(_):
        image.value = picture({name: control.value for name, control in controls.items()})

    for control in controls.values():
        control.observe(moved, "value")
    return ipywidgets.VBox([*controls.values(), image, words])


def _control(name, limits, value):
    """The widget for one argument. ipywidgets sends the next value only after the last was drawn."""
    import ipywidgets

    if isinstance(limits, bool):
        return ipywidgets.Checkbox(value=value, description=name)
    if isinstance(limits, list):
        return ipywidgets.Dropdown(options=limits, value=value, description=name)
    low, high, *step = limits
    whole = all(isinstance(x, int) for x in limits)
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    step = step[0] if step else 1 if whole else (high - low) / 99
    form = {} if whole else {"readout_format": ".3g"}
    return kind(value=value, min=low, max=high, step=step, description=name, layout={"width": "60%"}, **form)
