"""The text of the web page: its parts, the pictures in it, and what it says of each network."""

import base64
import html
import json
import re
from importlib.resources import files

import numpy as np
import torch

from mcomp.arrays import bad_value
from mcomp.coding.streams import pack_symbols

__all__ = ["ENGINE", "as_text", "explained", "page", "pictures_told"]

ENGINE = ("bits", "symbols", "masks", "adaptive", "file", "network")  # page_NAME.js, in this order


def pictures_told(x, classes, labels):
    """The images as 256 levels, and what those levels mean; exact if the images are of such numbers."""
    low, high = float(x.min()), float(x.max())
    levels = np.linspace(low, high if high > low else low + 1, 256).astype(np.float32)
    pixels = torch.round((x.double() - low) / (float(levels[-1]) - low) * 255).clamp(0, 255).long().numpy()
    levels[pixels.reshape(-1)] = x.float().numpy().reshape(-1)  # to the last bit where a picture has it
    if labels is not None and (
        len(labels) != len(x) or not all(0 <= v < len(classes) for v in labels.tolist())
    ):
        raise bad_value("labels", labels.tolist(), f"{len(x)} of them, each below {len(classes)}")
    told = {"classes": classes, "size": [*x.shape[2:]], "images": len(x)}
    told |= {} if labels is None else {"labels": labels.tolist()}
    return told | {"parts": {"levels": levels.tobytes(), "images": pack_symbols(pixels.reshape(-1), 256)}}


def explained(small, values=None, same=None, few=0):
    """What each column is, as the entries of a list in HTML."""
    file = f"{small['told']['bytes']['file']:,}"
    whole = "The network that the file holds, in floats: no original was put in this page."
    if same is not None:
        whole = "The network before it was compressed, in floats."
    if values is not None:
        whole += (
            f" To fit into this page, the weights of each of its layers with {few:,} or more are rounded "
            f"to {values} evenly spaced values; of the pictures that its 8-bit ranges were seen on, {same} "
            "get the same answer as before that. The bytes are those of the float32 file, not rounded."
        )
    terms = {
        "float": whole,
        "pruned": "The float network with the smallest weights of each layer set to zero, and not "
        "trained after it. Bytes: one bit for each place, and four bytes for each number that stays.",
        "int8": "The float network with weights and all that flows between layers in 8-bit integers, "
        "and sums in 32 bits. Bytes: one for each weight, nine for the bias and multiplier of each output.",
    }
    rows = [f"<dt>{name}</dt>\n<dd>{html.escape(text)}</dd>" for name, text in terms.items()]
    rows += [
        f"<dt>entropy-coded</dt>\n<dd>The file of {file} bytes that <code>mcomp.save</code> wrote, decoded "
        'by this page in <span id="decoded">…</span> ms when it was opened, its checksum tested, and then '
        "computed in floats.</dd>"
    ]
    return "\n".join(rows)


def page(held, common, terms):
    """The text of the page."""
    told = {key: value for key, value in common.items() if key != "parts"}
    told["networks"] = [network["told"] for network in held]
    parts = common["parts"] | {f"network-{i}": network["data"] for i, network in enumerate(held)}
    data = [f'<script type="text/plain" id="{name}">{as_text(part)}</script>' for name, part in parts.items()]
    filled = {
        "title": f"A network of {len(held[-1]['data']):,} bytes", "style": _resource("page.css"),
        "explained": terms, "told": json.dumps(told, separators=(",", ":")).replace("<", "\\u003c"),
        "data": "\n".join(data), "view": _resource("page_view.js"),
        "engine": "\n".join(_resource(f"page_{name}.js") for name in ENGINE),
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _resource("page.html"))


def _resource(name):
    return files("mcomp.deploy").joinpath(name).read_text("utf-8")


def as_text(data):
    return base64.b64encode(data).decode()
