"""One web page that holds a network, and its decoder: draw, and see what compression did to the answers.

The page is a single file without a request to anywhere. Its JavaScript, page_*.js beside this module, opens
the small file that `mcomp.save` wrote, as the C decoder does, and computes in floats and in integers. With
the `original` network, four answer side by side: that one in floats, the same with its smallest weights set
to zero by a slider, the same in 8-bit integers, and the small file.
"""

import base64
import copy
import html
import json
import math
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch

from mcomp.arrays import bad_value
from mcomp.codecs.attachment import bake
from mcomp.coding.entropy import entropy
from mcomp.coding.streams import pack_symbols
from mcomp.deploy.c_small import LARGEST, small_file
from mcomp.deploy.checks import check_calibration, check_example, check_path
from mcomp.deploy.html_steps import grid_of, steps_of
from mcomp.files import write_atomic
from mcomp.integer.steps import Product
from mcomp.measure import float32_bytes
from mcomp.prune import sparsity
from mcomp.structure import fold_batchnorm
from mcomp.train import predict

__all__ = ["ENGINE", "LIMIT", "export", "pictures", "run"]

LIMIT = 300_000  # bytes of a page that holds an original network too
VALUES = (None, 255, 191, 127, 111, 95, 79, 63, 47, 31, 15)  # of a layer's weights; None: as they are
FEW = 4_096  # weights: a tensor with fewer is never rounded
NETWORKS = ("float", "pruned", "int8", "small")
ENGINE = ("bits", "symbols", "masks", "adaptive", "file", "network")  # page_NAME.js, in this order
MAX_SIDE = 64


def export(model, path, *, example, calibration=None, original=None, classes=None, labels=None):
    """Write one HTML file that shows a small network at work, beside the one it was made from.

    Parameters
    ----------
    model : torch.nn.Module
        The small network: its file, as `mcomp.save` writes it, is in the page. Layers in float32. Not changed.
    path : path
        Ends in .html; its folder exists.
    example : tensor (n, 1, height, width)
        Two or more images to pick in the page, see `pictures`; rounded to 256 evenly spaced numbers.
    calibration : tensor (n, 1, height, width)
        Training images for the ranges of the 8-bit network, 32 at least.
    original : torch.nn.Module, optional
        The network before it was compressed; by default `model` itself. If the page would have more than
        300,000 bytes, the weights of its large layers are rounded to fewer values, and the page says so.
    classes : list of str, optional
        The names of the outputs; by default their numbers.
    labels : integer tensor (n,), optional
        The right answers of `example`.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If a layer does what the page can't compute (by its name), the original doesn't fit however its
        weights are rounded, or an argument is no good. Nothing is written then.
    """
    path = check_path(path, (".html",))
    _check_images(example)
    if calibration is None:
        raise bad_value("calibration", None, "training images, for the ranges of the 8-bit network")
    check_calibration(calibration)
    held = [_held(model, example, calibration)]
    classes = _classes(classes, held[0]["outputs"])
    common = _pictures_told(example, classes, labels) | {"sparsity": _sparsity(model, original)}
    if original is None:
        data = _page(held, common, _explained(held[0], None, None))
    else:
        data = _beside(original, held[0], common, example, calibration)
    return write_atomic(path, data.encode())


def pictures(pair, n=3):
    """The first `n` images of each class of ``pair = (x, y)``, in turn, and their labels: for `export`."""
    x, y = pair
    places = [(y == label).nonzero()[:n, 0] for label in y.unique()]
    order = torch.stack([at[i] for i in range(n) for at in places if i < len(at)])
    return x[order], y[order]


def run(path, x, *, network="small"):
    """The logits (n, classes) of images `x` by the JavaScript of the page at `path`, in Node.js.

    Parameters
    ----------
    path : path
        Of a page that `export` wrote.
    x : tensor (n, 1, height, width)
        Images in float, as the network before export took them.
    network : str
        float, pruned (to the sparsity at which the page opens), int8 or small.

    Raises
    ------
    ValueError
        If `export` didn't write the page, an image has another size, or the file in it is damaged.
    RuntimeError
        If there is no Node.js on this machine.
    """
    if network not in NETWORKS:
        raise bad_value("network", network, ", ".join(NETWORKS))
    text = Path(path).read_text("utf-8")
    parts = dict(re.findall(r'<script [^>]*\bid="([\w-]+)">(.*?)</script>', text, re.S))
    engine = re.search(r'<script id="engine">(.*?)</script>', text, re.S)
    if engine is None or "told" not in parts:
        raise bad_value("the page", str(path), "one that mcomp.deploy.html.export wrote")
    told = json.loads(parts["told"])
    if x.ndim < 2 or x[0].numel() != math.prod(told["size"]):
        raise bad_value("the shape of the images", tuple(x.shape), f"(n, 1, {told['size'][0]}, {told['size'][1]})")
    held = [parts[f"network-{i}"] for i in range(len(told["networks"]))]
    asked = {"told": told, "files": held, "network": network, "images": _text(x.float())}
    return torch.tensor(json.loads(_node(engine[1] + DRIVER, json.dumps(asked)))).float()


DRIVER = """
const asked = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const size = asked.told.size[0] * asked.told.size[1];
const numbers = new Float32Array(bytesOf(asked.images).buffer);
const page = openPage(asked.told, asked.files.map(bytesOf));
const said = [];
for (let i = 0; i < numbers.length; i += size)
  said.push([...page.run[asked.network](numbers.subarray(i, i + size))]);
console.log(JSON.stringify(said));
"""


def _node(script, sent):
    """What a script says in Node.js; it is given by its own file descriptor, for it may be long."""
    node = shutil.which("node")
    if node is None:
        raise RuntimeError("no Node.js on this machine (node not found): install it, or open the page in a browser")
    command = [node, "--input-type=commonjs", "-e", script]
    done = subprocess.run(command, input=sent, capture_output=True, text=True, check=False, encoding="utf-8")
    if done.returncode:
        told = re.search(r"CorruptFile: (.*)", done.stderr)
        if told:
            raise bad_value("the page", told[1], "one as mcomp.deploy.html.export wrote it")
        raise RuntimeError(f"node failed:\n{done.stderr[-2000:]}")
    return done.stdout


def _check_images(x):
    check_example(x)
    if x.ndim != 4 or x.shape[1] != 1 or not all(1 <= side <= MAX_SIDE for side in x.shape[2:]):
        allowed = f"(n, 1, height, width) with sides up to {MAX_SIDE}: the page draws in one shade"
        raise bad_value("the shape of the images", tuple(x.shape), allowed)
    if not bool(torch.isfinite(x).all()):
        raise bad_value("the images", "a NaN or an infinity", "finite numbers")


def _classes(classes, n):
    classes = [str(i) for i in range(n)] if classes is None else [str(name) for name in classes]
    if len(classes) != n:
        raise bad_value("the number of classes", len(classes), f"{n}, an output of the network each")
    return classes


def _held(model, example, calibration):
    """A network as the page holds it: bytes of its file, and all that is told about it."""
    network, small = small_file(model, calibration, example)
    steps, logits = steps_of(network, example, [*small.shapes])
    if len(logits) != 1:
        raise bad_value("the shape of what the network gives for one image", logits, "(classes,)")
    products = [step.run for step in network.steps if isinstance(step.run, Product)]
    int8 = sum(run.weight.numel() + 9 * len(run.weight) for run in products)
    told = {
        "steps": steps, "digest": [*small.digest], "grid": grid_of(network.grid), "largestScale": float(LARGEST),
        "shapes": [sizes[:axes] for axes, *sizes in small.shapes.values()],
        "bytes": {"float": float32_bytes(model), "int8": int8, "file": len(small.data)},
    }  # fmt: skip
    return {"data": small.data, "told": told, "outputs": logits[0]}


def _pictures_told(x, classes, labels):
    """The images as 256 levels, and what those levels mean; exact if the images are of such numbers."""
    low, high = float(x.min()), float(x.max())
    levels = np.linspace(low, high if high > low else low + 1, 256).astype(np.float32)
    pixels = torch.round((x.double() - low) / (float(levels[-1]) - low) * 255).clamp(0, 255).long().numpy()
    levels[pixels.reshape(-1)] = x.float().numpy().reshape(-1)  # to the last bit where a picture has it
    if labels is not None and (len(labels) != len(x) or not all(0 <= v < len(classes) for v in labels.tolist())):
        raise bad_value("labels", labels.tolist(), f"{len(x)} of them, each below {len(classes)}")
    told = {"classes": classes, "size": [*x.shape[2:]], "images": len(x)}
    told |= {} if labels is None else {"labels": labels.tolist()}
    return told | {"parts": {"levels": levels.tobytes(), "images": pack_symbols(pixels.reshape(-1), 256)}}


def _sparsity(model, original):
    """Where the slider begins: where the small network is, so that training is what differs."""
    weights = [w.detach() for w in bake(copy.deepcopy(model)).parameters() if w.ndim > 1]
    kept = torch.cat([w.reshape(-1) for w in weights]) if weights else torch.ones(1)
    return 0.5 if original is None else min(round(sparsity(kept), 2), 0.99)


def _beside(original, small, common, example, calibration):
    """The page with the original network, its weights rounded as little as the limit asks."""
    plain = fold_batchnorm(bake(copy.deepcopy(original)), x=example)
    said, told = predict(plain, calibration).argmax(1), None
    room = LIMIT - len(_page([small, small], common, "")) + 4 * len(small["data"]) // 3
    for values in VALUES:
        rounded = _rounded(plain, values)
        if _estimate(rounded, values) > 0.75 * room:
            continue
        held = _held(rounded, example, calibration)
        held["told"]["bytes"]["float"] = float32_bytes(original)
        if held["outputs"] != small["outputs"]:
            raise bad_value("the outputs of the original", held["outputs"], f"{small['outputs']}, as of the model")
        same = int((predict(rounded, calibration).argmax(1) == said).sum())
        told = _explained(small, values, f"{same} of {len(said)}")
        if len(data := _page([held, small], common, told)) <= LIMIT:
            return data
    n = sum(w.numel() for w in plain.parameters())
    raise bad_value("the numbers of the original network", n, f"what fits on a page of {LIMIT:,} bytes; leave it out")


def _rounded(plain, values):
    """A copy in which each large tensor has so many evenly spaced values, symmetric around zero."""
    plain = copy.deepcopy(plain)
    with torch.no_grad():
        for w in plain.parameters():
            if values is not None and w.numel() >= FEW and (most := float(w.abs().max())) > 0:
                step = most / (values // 2)
                w.copy_((w / step).round() * step)
    return plain


def _estimate(plain, values):
    """About the bytes of the file, without writing it."""
    total = 0.0
    for w in plain.parameters():
        w = w.detach().reshape(-1)
        if values is None or len(w) < FEW:
            total += 3.4 * len(w)  # of trained float32 numbers a code saves a seventh
        else:
            total += len(w) * entropy(w.unique(return_counts=True)[1].numpy()) / 8
    return total


def _explained(small, values, same):
    """What each column is, as the entries of a list in HTML."""
    file = f"{small['told']['bytes']['file']:,}"
    whole = "The network that the file holds, in floats: no original was put in this page."
    if same is not None:
        whole = "The network before it was compressed, in floats."
    if values is not None:
        whole += (
            f" To fit into this page, the weights of each of its layers with {FEW:,} or more are rounded to {values} "
            f"evenly spaced values; of the pictures that its 8-bit ranges were seen on, {same} get the same answer "
            "as before that. The bytes are those of the float32 file, not rounded."
        )
    terms = {
        "float": whole,
        "pruned": "The float network with the smallest weights of each layer set to zero, and not trained after "
        "it. Bytes: one bit for each place, and four bytes for each number that stays.",
        "int8": "The float network with weights and all that flows between layers in 8-bit integers, and sums in "
        "32 bits. Bytes: one for each weight, nine for the bias and the multiplier of each output.",
    }
    rows = [f"<dt>{name}</dt>\n<dd>{html.escape(text)}</dd>" for name, text in terms.items()]
    rows += [
        f"<dt>entropy-coded</dt>\n<dd>The file of {file} bytes that <code>mcomp.save</code> wrote, decoded by this "
        'page in <span id="decoded">…</span> ms when it was opened, its checksum tested, and then computed in floats.</dd>'
    ]
    return "\n".join(rows)


def _page(held, common, explained):
    """The text of the page."""
    told = {key: value for key, value in common.items() if key != "parts"}
    told["networks"] = [network["told"] for network in held]
    parts = common["parts"] | {f"network-{i}": network["data"] for i, network in enumerate(held)}
    data = [f'<script type="text/plain" id="{name}">{_base64(part)}</script>' for name, part in parts.items()]
    filled = {
        "title": f"A network of {len(held[-1]['data']):,} bytes", "style": _resource("page.css"),
        "explained": explained, "told": json.dumps(told, separators=(",", ":")).replace("<", "\\u003c"),
        "data": "\n".join(data), "view": _resource("page_view.js"),
        "engine": "\n".join(_resource(f"page_{name}.js") for name in ENGINE),
    }  # fmt: skip
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _resource("page.html"))


def _resource(name):
    return files("mcomp.deploy").joinpath(name).read_text("utf-8")


def _base64(data):
    return base64.b64encode(data).decode()


def _text(x):
    return _base64(x.detach().cpu().contiguous().numpy().tobytes())
