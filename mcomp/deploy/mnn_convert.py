"""Run as a process of its own by `mcomp.deploy.mnn`: an .onnx file in, an .mnn file out.

MNN's own command, `mnnconvert`, installs a logger by itself when it starts; the function behind it doesn't.
"""

import os
import sys

import _tools

if __name__ == "__main__":
    source, target, *options = sys.argv[1:]
    ends = ["--modelFile", source, "--MNNModel", target, "--bizCode", "mcomp"]
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *ends, *options])
    raise SystemExit(not os.path.exists(target))
