"""One web page that holds a network, and its decoder: draw, and see what compression did to the answers.

The page is a single file without a request to anywhere. Its JavaScript, page_*.js beside this module, opens
the small file that `mcomp.save` wrote, as the C decoder does, and computes in floats and in integers. With
the `original` network, four answer side by side: that one in floats, the same with its smallest weights set
to zero by a slider, the same in 8-bit integers, and the small file.
"""

import copy
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import torch

from mcomp.arrays import bad_value
from mcomp.codecs.attachment import bake
from mcomp.deploy.c_small import LARGEST, small_file
from mcomp.deploy.checks import check_calibration, check_example, check_path
from mcomp.deploy.html_fit import FEW, VALUES, estimate, rounded
from mcomp.deploy.html_page import as_text, explained, page, pictures_told
from mcomp.deploy.html_steps import grid_of, steps_of
from mcomp.files import write_atomic
from mcomp.integer.steps import Product
from mcomp.measure import float32_bytes
from mcomp.prune import sparsity
from mcomp.structure import fold_batchnorm
from mcomp.train import predict

__all__ = ["LIMIT", "NETWORKS", "export", "pictures", "run"]

LIMIT = 300_000  # bytes of a page that holds an original network too
NETWORKS = ("float", "pruned", "int8", "small")
MAX_SIDE = 64


def export(model, path, *, example, calibration=None, original=None, classes=None, labels=None):
    """Write one HTML file that shows a small network at work, beside the one it was made from.

    Parameters
    ----------
    model : torch.nn.Module
        The small network: its file, as `mcomp.save` writes it, is in the page. Layers in float32. Not
        changed.
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
    common = pictures_told(example, classes, labels) | {"sparsity": _sparsity(model, original)}
    if original is None:
        data = page(held, common, explained(held[0]))
    else:
        data = _beside(original, held[0], common, example, calibration)
    return write_atomic(path, data.encode())


def pictures(pair, n=3):
    """The first `n` images of each class of ``pair = (x, y)``, in turn, and their labels: for `export`.

    Examples
    --------
    >>> x = torch.arange(6.0).reshape(6, 1, 1, 1)
    >>> images, labels = pictures((x, torch.tensor([1, 0, 0, 1, 0, 1])), 2)
    >>> images.flatten().tolist(), labels.tolist()
    ([1.0, 0.0, 2.0, 3.0], [0, 1, 0, 1])
    """
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
        raise bad_value(
            "the shape of the images", tuple(x.shape), f"(n, 1, {told['size'][0]}, {told['size'][1]})"
        )
    held = [parts[f"network-{i}"] for i in range(len(told["networks"]))]
    asked = {
        "told": told,
        "files": held,
        "network": network,
        "images": as_text(x.detach().float().cpu().contiguous().numpy().tobytes()),
    }
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
        raise RuntimeError(
            "no Node.js on this machine (node not found): install it, or open the page in a browser"
        )
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
        "steps": steps, "digest": [*small.digest],
        "grid": grid_of(network.grid), "largestScale": float(LARGEST),
        "shapes": [sizes[:axes] for axes, *sizes in small.shapes.values()],
        "bytes": {"float": float32_bytes(bake(copy.deepcopy(model))), "int8": int8, "file": len(small.data)},
    }  # fmt: skip
    return {"data": small.data, "told": told, "outputs": logits[0]}


def _sparsity(model, original):
    """Where the slider begins: where the small network is, so that training is what differs."""
    weights = [w.detach() for w in bake(copy.deepcopy(model)).parameters() if w.ndim > 1]
    kept = torch.cat([w.reshape(-1) for w in weights]) if weights else torch.ones(1)
    return 0.5 if original is None else min(round(sparsity(kept), 2), 0.99)


def _beside(original, small, common, example, calibration):
    """The page with the original network, its weights rounded as little as the limit asks."""
    plain = fold_batchnorm(bake(copy.deepcopy(original)), x=example)
    said = predict(plain, calibration).argmax(1)
    room = LIMIT - len(page([small], common, "")) - 5_000  # for what is told about it
    for values in VALUES:
        few = rounded(plain, values)
        if estimate(few, values) > 0.75 * room:  # four letters for three bytes
            continue
        held = _held(few, example, calibration)
        held["told"]["bytes"]["float"] = float32_bytes(original)
        if held["outputs"] != small["outputs"]:
            raise bad_value(
                "the outputs of the original", held["outputs"], f"{small['outputs']}, as of the model"
            )
        same = int((predict(few, calibration).argmax(1) == said).sum())
        terms = explained(small, values, f"{same} of {len(said)}", FEW)
        if len(data := page([held, small], common, terms)) <= LIMIT:
            return data
    n = sum(w.numel() for w in plain.parameters())
    raise bad_value(
        "the numbers of the original network", n, f"what fits on a page of {LIMIT:,} bytes; leave it out"
    )
