"""Put a thing on the screen: a notebook that somebody watches, one that nobody does, or a terminal."""

import html
import os
import sys

# Legible on light and dark. No var(--jp-...): JupyterLab drops it from the outputs of a notebook that wasn't
# run yet, and with it the stripe.
COLOURS = {"good": "#2e9e44", "bad": "#d9412f", "quiet": "#8a8a8a", "note": "#0e8a9e"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def static():
    """True where nobody is watching (MCOMP_STATIC=1): no widgets, no progress file."""
    return os.environ.get("MCOMP_STATIC", "") not in ("", "0")


def in_kernel():
    """True in a notebook's kernel, False in a terminal."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None) is not None


def live():
    """True where widgets make sense."""
    return in_kernel() and not static()


def show(text, rich=None, *, png=None, widget=None, handle=None):
    """Show `text`, and beside it HTML, a picture or a widget where the reader's program can draw them.

    `handle` is what an earlier call returned: that output is replaced.
    """
    if not in_kernel():
        if handle is None:
            print(text)
        return None
    from IPython.display import display

    bundle, metadata = {"text/plain": text}, {}
    if rich is not None:
        bundle["text/html"] = rich
    if png is not None:
        bundle["image/png"], metadata["image/png"] = png, {"alt": text}
    if widget is not None:
        bundle[WIDGET] = widget._repr_mimebundle_()[WIDGET]
    if handle is not None:
        handle.update(bundle, metadata=metadata, raw=True)
        return handle
    return display(bundle, metadata=metadata, raw=True, display_id=live())


def panel(kind, title, body=""):
    """A box in HTML, legible on light and dark: it takes the page's own text colour. `body` is HTML."""
    style = f"border-left:4px solid {COLOURS[kind]};padding:.4em .9em;margin:.3em 0"
    return f'<div style="{style};background:rgba(128,128,128,.08)"><b>{escape(title)}</b>{body}</div>'


def escape(text):
    """`text` for HTML; a dollar sign must not start a formula."""
    return html.escape(str(text)).replace("$", "&#36;")


def code(text):
    """Program text in HTML."""
    return f'<pre style="margin:.2em 0;padding:0;background:none">{escape(text)}</pre>'
