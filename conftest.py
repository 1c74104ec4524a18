"""Every test runs in the environment of `make notebooks`, which kernels inherit; no figure needs a screen."""

import sys
from pathlib import Path

import matplotlib
from nbval.kernel import RunningKernel

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
from notebooks import set_environment


def execute_as_jupyter_does(self, cell_input, allow_stdin=None):
    """nbval's, with the cell in the kernel's history: IPython looks there for a trailing semicolon."""
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = execute_as_jupyter_does
set_environment()
matplotlib.use("agg")
