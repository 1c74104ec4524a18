"""What `make engines` runs: an environment with every engine, their tests, and the experiment of chapter 17.

    python scripts/engines.py [--tests]     (--tests: not the experiment)

LiteRT and ExecuTorch bring two gigabytes along, so they get an environment of their own, .venv-engines.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-engines"
INSIDE = str(FOLDER / ("Scripts" if os.name == "nt" else "bin") / "python")
TESTS = tuple(f"tests/test_deploy{name}.py" for name in ("", "_phones", "_large", "_c"))
MEASURE = ("experiments/17_engines.py",)
# the file is collected only where both are installed: without them there would be nothing to fail
ASK = "import ai_edge_litert.interpreter, litert_torch, executorch.runtime"


def install():
    """The commands that make the environment; none where nothing has changed since."""
    stamp = FOLDER / ".installed"
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    if stamp.is_file() and all(stamp.stat().st_mtime > source.stat().st_mtime for source in sources):
        return []
    pip = [INSIDE, "-m", "pip", "install", "--disable-pip-version-check", "-c", "constraints.txt"]
    return [
        [sys.executable, "-m", "venv", str(FOLDER)],
        [*pip, "-e", ".[dev,deploy-large]"],
        [INSIDE, "-c", f"import pathlib; pathlib.Path({str(stamp)!r}).touch()"],
    ]


def commands(arguments):
    """All that is run, in order."""
    tests = [INSIDE, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    experiment = [] if "--tests" in arguments else [[INSIDE, *MEASURE]]
    return [*install(), [INSIDE, "-c", ASK], tests, *experiment]


def main(arguments):
    """The exit status of the first command that fails, or 0."""
    if wrong := sorted({*arguments} - {"--tests"}):
        print(f"{', '.join(wrong)}: unknown; allowed: --tests")
        return 2
    runs = (subprocess.run(command, cwd=ROOT, check=False).returncode for command in commands(arguments))
    return next((status for status in runs if status), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
