"""Run the tests and the notebooks as other processors would: `make portable`, `make portable ONLY=avx2-4`.

Processors add in different orders, so the last bits of a product, a factor or a trained weight differ; those
without VNNI add pairs of int8 products in 16 bits, where oneDNN's sums saturate. Five libraries choose their
kernels by the processor and can be told otherwise; the number of threads is one more reason. ONNX Runtime
can't be told. What needs no torch also runs on the oldest and on a new Python, where this machine has them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_VECTORS = {
    "ATEN_CPU_CAPABILITY": "default",  # torch
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",  # torch's matrix products
    "ONEDNN_MAX_CPU_ISA": "SSE41",  # torch's convolutions, and all of OpenVINO
    "OPENBLAS_CORETYPE": "Nehalem",  # numpy's matrix products
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",  # numpy's own: exp, log, sorting
}
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
PROCESSORS = {
    f"{name}-{threads}": {**kernels, "MCOMP_THREADS": threads}
    for name, kernels in (("sse4", NO_VECTORS), ("avx2", AVX2))
    for threads in "14"
}
PYTHONS = ("3.10", "3.13")
# What the tests without torch need besides pytest; tests/conftest.py leaves the others out.
NEEDED = (
    "array-api-compat", "array-api-strict", "constriction", "hypothesis", "ipykernel", "ipywidgets",
    "matplotlib", "ml-dtypes", "nbclient", "nbgrader", "nbval", "numpy", "pytest", "pyyaml", "rich",
    "safetensors", "scikit-learn", "scipy", "tensorly", "tqdm", "typer",
)  # fmt: skip


def as_processor(name, command):
    """The exit status of `command` with the kernels and threads of that name."""
    return subprocess.run(command, cwd=ROOT, env=os.environ | PROCESSORS[name], check=False).returncode


def find_python(version):
    """The path of that Python on this machine, or None; a shim that leads nowhere doesn't count."""
    places = [shutil.which(f"python{version}")]
    places += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for place in filter(None, places):
        asked = subprocess.run([place, "-c", "import venv"], capture_output=True, check=False)
        if asked.returncode == 0:
            return str(place)
    return None


def without_torch(version):
    """The exit status of the tests that need no torch, on that Python, in an environment of its own."""
    python, folder = find_python(version), ROOT / f".venv-{version}"
    if python is None:
        print(f"Python {version} was not found: its tests did not run")
        return 0
    inside = str(folder / "bin" / "python")
    steps = [
        [python, "-m", "venv", str(folder)],
        [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDED],
        [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    runs = (subprocess.run(step, cwd=ROOT, env=environment, check=False).returncode for step in steps)
    return next((status for status in runs if status), 0)


def main(arguments):
    """Names before `--` (default: all), the command behind it; the exit status is the number that failed."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    names, command = arguments[:at] or [*PROCESSORS, *PYTHONS], arguments[at + 1 :]
    if wrong := sorted({*names} - {*PROCESSORS, *PYTHONS}):
        print(f"{', '.join(wrong)}: unknown; allowed: {', '.join([*PROCESSORS, *PYTHONS])}")
        return 2
    ended = {n: as_processor(n, command) if n in PROCESSORS else without_torch(n) for n in names}
    for name, status in ended.items():
        print(f"{name}: {'failed' if status else 'green'}")
    return sum(map(bool, ended.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
