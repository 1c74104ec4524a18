"""What every experiment shares: a result is written with its command, versions and the hash of its script."""

import json
import platform
import sys
from pathlib import Path

import numpy
import torch

import mcomp
from mcomp.course import results
from mcomp.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


def write(script, *, question, network, methods, seeds=(0, 1, 2), data="fashion-mnist", **more):
    """Write the figures of the experiment `script` (its ``__file__``) beside the others; returns the path.

    `methods` maps a name to lists with one entry a seed: "bytes" of the file, test "accuracy" in [0, 1], and
    what else was measured. `more` are further keys.
    """
    script = Path(script).resolve()
    result = {
        "question": question,
        "network": network,
        "data": data,
        "script": script.relative_to(ROOT).as_posix(),
        "script_sha256": results.script_hash(script),
        "command": " ".join(["python", *sys.argv]),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "numpy": numpy.__version__,
            "mcomp": mcomp.__version__,
        },
        "threads": torch.get_num_threads(),
        "seeds": list(seeds),
        "methods": methods,
        **more,
    }
    stem = script.stem if network == "lenet300" else f"{script.stem}_{network}"
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    return write_atomic(RESULTS / f"{stem}.json", text.encode())


def read(stem):
    """The result ``results/STEM.json``; ValueError if its script has changed since."""
    return results.read(stem, folder=ROOT)
