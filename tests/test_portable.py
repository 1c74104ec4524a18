"""`make portable`: every kernel with every number of threads, and what fails is counted."""

import platform
import sys

import portable
import pytest

KERNELS = """
import sys, torch
from numpy._core._multiarray_umath import __cpu_features__
from mcomp.deploy.openvino import saturates
seen = (torch.backends.cpu.get_cpu_capability(), __cpu_features__.get("X86_V4", False), saturates())
sys.exit(seen != (sys.argv[1], False, True) and str(seen))
"""
SHOW = "import os, sys; names = ('ATEN_CPU_CAPABILITY', 'OPENBLAS_CORETYPE', 'MCOMP_THREADS'); "
SHOW += "sys.exit([os.environ[name] for name in names] != {wanted!r})"


def test_a_processor_is_what_the_environment_says():
    assert list(portable.PROCESSORS) == ["sse4-1", "sse4-4", "avx2-1", "avx2-4"]
    command = [sys.executable, "-c", SHOW.format(wanted=["default", "Nehalem", "1"])]
    assert portable.as_processor("sse4-1", command) == 0
    assert portable.as_processor("avx2-1", command) == 1


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="switches of x86")
@pytest.mark.parametrize(("name", "kernels"), [("sse4-1", "DEFAULT"), ("avx2-4", "AVX2")])
def test_the_libraries_do_compute_as_that_processor_would(name, kernels):
    assert portable.as_processor(name, [sys.executable, "-c", KERNELS, kernels]) == 0


def test_what_fails_is_named_and_counted(monkeypatch, capsys):
    monkeypatch.setattr(portable, "as_processor", lambda name, command: int(name.endswith("4")))
    monkeypatch.setattr(portable, "find_python", lambda version: None)
    assert portable.main(["--", "pytest"]) == 2
    told = capsys.readouterr().out
    assert "sse4-1: green\nsse4-4: failed\n" in told
    assert "Python 3.13 was not found" in told


def test_an_unknown_name_lists_the_known_ones(capsys):
    assert portable.main(["avx512", "--", "pytest"]) == 2
    assert "avx512: unknown; allowed: sse4-1" in capsys.readouterr().out


@pytest.mark.parametrize("version", ["1.0", "99.9"])
def test_a_python_that_is_not_there_is_none(version):
    assert portable.find_python(version) is None
