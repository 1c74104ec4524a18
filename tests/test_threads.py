"""The number of threads: physical cores, at most four, and never against what the environment says."""

import os
import subprocess
import sys

import pytest

from mcomp import threads


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system doesn't say which cores it lends"
)
def test_two_threads_of_a_core_are_one_core(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 8})
    for number, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):  # of the fifth nothing is known
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    assert threads.cores(tmp_path) == 3


def ask(code, **environment):
    """What a fresh Python prints; torch, which takes seconds to start, is asked for once only."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "MKL", "MCOMP"))}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=True).stdout


SHOW = "import os; from mcomp import threads; threads.cores = lambda: 99; threads.calm(); "
SHOW += "print(os.environ['OMP_WAIT_POLICY'], os.environ['OMP_NUM_THREADS'])"


def test_threads_sleep_and_are_at_most_four():
    assert ask(SHOW).split() == ["passive", "4"]
    assert ask(SHOW, OMP_NUM_THREADS="7", OMP_WAIT_POLICY="active").split() == ["active", "7"]


def test_the_command_line_and_the_course_see_to_it_before_torch():
    code = "import os, sys, mcomp.course; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    assert ask(code).split() == ["passive", "False"]
    code = (
        "import os, sys; from mcomp import cli; cli.app = lambda: print('torch' in sys.modules); cli.main(); "
    )
    assert ask(code + "print(os.environ['OMP_WAIT_POLICY'])").split() == ["False", "passive"]


def test_if_torch_was_there_first_it_takes_no_more():
    code = "import torch; torch.set_num_threads(6); import mcomp.course; print(torch.get_num_threads())"
    assert int(ask(code)) <= 4
