"""One C99 file for a microcontroller: no library, no heap, bit for bit the answers of the integer network.

The operations lie beside this module as C text, kernels.c; only those that a network needs are written. With
``entropy_coded=True`` the weights are those of mcomp's own small file, whose bytes are in the program as they
are. A decoder (the other C files here) makes 8-bit weights of them once, in static memory; floats occur there
only.
"""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import torch

from mcomp.arrays import bad_value
from mcomp.deploy.c_small import small_file
from mcomp.deploy.c_text import program
from mcomp.deploy.checks import check_path, integers_of
from mcomp.files import write_atomic
from mcomp.quantize.grids import Grid, dequantize, quantize

__all__ = ["compiled", "export", "footprint", "loaded", "run"]

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror")
FAST = "-O2"  # how `run` compiles


def export(model, path, *, example, calibration=None, entropy_coded=False):
    """Write a network as one C file with the functions that its first comment tells.

    Parameters
    ----------
    model : torch.nn.Module or mcomp.integer.network.IntegerNetwork
        Not changed.
    path : path
        Ends in .c; its folder exists.
    example : tensor (n, ...)
        Images that the network takes: the file holds the sizes of all tensors.
    calibration : tensor (n, ...), optional
        Training images for the ranges of activations, 32 at least; not needed for an IntegerNetwork.
    entropy_coded : bool
        Embed the file that `mcomp.save` writes, and its decoder, instead of the weights. The layers must be
        in float32, and `model` a torch.nn.Module.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If the integer network can't do what a layer does (by its name), or an argument is no good. Nothing is
        written then.
    """
    path = check_path(path, (".c",))
    if entropy_coded:
        network, small = small_file(model, calibration, example)
    else:
        network, small = integers_of(model, calibration), None
    return write_atomic(path, program(network, example, small).encode())


def compiled(source, target, *options):
    """Compile the C file `source` to `target` without a warning; returns `target`.

    Raises
    ------
    RuntimeError
        If there is no C compiler (gcc, or what $CC names), or it refuses the file: with what it said.
    """
    wanted = [os.environ["CC"]] if os.environ.get("CC") else ["gcc", "cc"]
    compiler = next(filter(shutil.which, wanted), None)
    if compiler is None:
        sought = f"no C compiler on this machine ({' and '.join(wanted)} not found)"
        raise RuntimeError(f"{sought}: install gcc, or name one in the variable CC")
    command = [compiler, *STRICT, *options, "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return target


def run(path, x):
    """The logits (n, classes) of images `x` by the C file at `path`, compiled here by gcc or what $CC names.

    Parameters
    ----------
    path : path
        Of a file that `export` wrote.
    x : tensor (n, ...)
        Images in float, as the network before export took them.

    Returns
    -------
    logits : float32 tensor (n, classes)
        Steps of the output's grid.

    Raises
    ------
    ValueError
        If `export` didn't write the file, or an image has another size.
    RuntimeError
        If there is no C compiler, or the weights in the file can't be decoded.
    """
    return loaded(path)(x)


def loaded(path, *, threads=1):
    """The file as a function, compiled once: images (n, ...) -> logits (n, classes), tensors.

    Errors as of `run`. The program has one thread, whatever `threads` says.
    """
    said = _said(Path(path).read_text("utf-8"))
    if not {"INPUTS", "OUTPUTS"} <= said.keys():
        raise bad_value("the C file", str(path), "one that mcomp.deploy.c.export wrote")
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(str(compiled(path, Path(folder, "network.so"), FAST, "-shared", "-fPIC")))
    if (trouble := library.network_load() if "FILE_BYTES" in said else 0) != 0:
        raise RuntimeError(f"network_load of {path} says {trouble}; allowed: 0")
    return partial(_logits, library.network_run, said)


def _logits(call, said, x):
    size, classes = int(said["INPUTS"]), int(said["OUTPUTS"])
    if x.ndim == 0 or x.numel() != len(x) * size:
        raise bad_value("the shape of the images", tuple(x.shape), f"(n, ...) with {size} numbers each")
    q = quantize(x, _grid(said, "INPUT")).reshape(len(x), size).contiguous()
    out = torch.zeros((len(x), classes), dtype=torch.int8)
    for i in range(len(x)):
        call(*(ctypes.c_void_p(v[i].data_ptr()) for v in (q, out)))
    return dequantize(out, _grid(said, "OUTPUT"))


def footprint(path):
    """(flash, RAM): bytes of code with constants, and of static variables, compiled by gcc -Os, by ``size``.

    The stack isn't counted, nor is what the caller needs.
    """
    with tempfile.TemporaryDirectory() as folder:
        thing = compiled(path, Path(folder, "network.o"), "-Os", "-fno-pic", "-c")
        table = subprocess.run(["size", str(thing)], capture_output=True, text=True, check=True).stdout
    text, data, zeros = map(int, table.splitlines()[1].split()[:3])
    return text + data, data + zeros


def _said(text):
    """What the lines ``#define NETWORK_NAME value`` of a C file say."""
    return dict(re.findall(r"^#define NETWORK_(\w+) (\S+)$", text, re.M))


def _grid(said, which):
    scale, zero = float.fromhex(said[f"{which}_SCALE"]), int(said[f"{which}_ZERO"])
    return Grid(scale, zero, int(said[f"{which}_LOW"]), int(said[f"{which}_HIGH"]))
