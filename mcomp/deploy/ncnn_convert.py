"""Run as a process of its own by `mcomp.deploy.ncnn`: pnnx makes a .param and a .bin file of a .onnx file."""

import importlib.util
import os
import subprocess
import sys

if __name__ == "__main__":
    source, param, shape = sys.argv[1:]
    (place,) = importlib.util.find_spec("pnnx").submodule_search_locations  # importing it imports torch
    program = os.path.join(place, "pnnx.exe" if os.name == "nt" else "pnnx")
    stem = os.path.splitext(param)[0]
    ends = [f"ncnnparam={param}", f"ncnnbin={stem}.bin", f"ncnnpy={stem}.ncnn.py"]
    more = [f"pnnx{kind}={stem}.pnnx.{kind}" for kind in ("param", "bin", "py", "onnx")]
    status = subprocess.call([program, source, f"inputshape={shape}", "fp16=0", *ends, *more])
    raise SystemExit(128 - status if status < 0 else status or not os.path.exists(param))
