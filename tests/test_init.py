"""Everything is found when it is asked for (that `import mcomp` is cheap, tests/test_project.py holds)."""

import pkgutil

import pytest

import mcomp


def test_every_submodule_is_known():
    found = {module.name for module in pkgutil.iter_modules(mcomp.__path__)}
    assert found == mcomp._SUBMODULES
    assert found | set(mcomp.__all__) <= set(dir(mcomp))


def test_names_come_from_their_modules():
    assert mcomp.save is mcomp.file.container.save
    assert mcomp.load is mcomp.file.container.load
    assert mcomp.compress is mcomp.pipeline.compress
    assert issubclass(mcomp.CorruptFileError, ValueError)
    assert all(getattr(mcomp, name) for name in mcomp.__all__)


def test_unknown_names():
    with pytest.raises(AttributeError, match="module 'mcomp' has no attribute 'prone'"):
        mcomp.prone  # noqa: B018
