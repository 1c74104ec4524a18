"""One job of a search: a candidate, trained for some epochs, as a file and its validation accuracy.

It runs in another process, maybe on another machine: what goes in and out can be pickled, and nothing is
written to a disk that only one of them has.
"""

import tempfile
import time
from functools import lru_cache
from pathlib import Path

from mcomp.file import load, save
from mcomp.measure.timing import torch_threads
from mcomp.search.stages import carry_out
from mcomp.train import evaluate

__all__ = ["data_for", "file_of", "job"]


@lru_cache(maxsize=1)
def data_for(name, images):
    """The data set of that name with so many training images (None: all); read once in a process."""
    import mcomp.data
    from mcomp import factories

    return factories.data_of(name) if ":" in name else mcomp.data.load(name, subset=images)


def file_of(model):
    """The bytes of the file that `mcomp.save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.safetensors")
        save(model, path, progress=False)
        return path.read_bytes()


def opened(data, model):
    """The network in the bytes `data` of a file; `model` is what it was made of, if the file can't tell."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.safetensors")
        path.write_bytes(data)
        return load(path, model=model, progress=False)


def job(model, candidate, *, data, images, epochs, seed=0):
    """Train `candidate` and judge what its file holds, on the validation images.

    Returns
    -------
    found : dict
        "bytes" of the file, "accuracy" on the validation images of the network that the file gives back,
        "seconds" of CPU, and the "file" itself.

    Raises
    ------
    ValueError
        If a method doesn't fit the network, or training diverges.
    """
    begin = time.process_time()
    with torch_threads(1):
        split = data_for(data, images)
        small = carry_out(model, candidate, split, epochs=epochs, seed=seed)
        written = file_of(small)
        accuracy = evaluate(opened(written, small), split.validation)
    seconds = time.process_time() - begin
    return {"bytes": len(written), "accuracy": accuracy, "seconds": seconds, "file": written}
