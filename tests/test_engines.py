"""`make engines`: an environment with every engine, then tests, then the experiment; failures are told."""

import subprocess
from pathlib import Path

import engines
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """No environment yet."""
    monkeypatch.setattr(engines, "FOLDER", tmp_path)
    return tmp_path


def test_it_installs_asks_tests_and_measures(bare):
    made = engines.commands([])
    assert [command[1:3] for command in made[:2]] == [["-m", "venv"], ["-m", "pip"]]
    assert made[1][-2:] == ["-e", ".[dev,deploy-large]"]
    assert made[3][-1] == engines.ASK
    assert "tests/test_deploy_large.py" in made[4]
    assert made[5][1:] == [*engines.MEASURE]
    assert all((ROOT / name).is_file() for name in (*engines.TESTS, engines.MEASURE[0]))
    assert len(engines.commands(["--tests"])) == 5


def test_what_is_installed_is_not_installed_again(bare):
    (bare / ".installed").touch()
    assert engines.install() == []


def test_the_first_command_that_fails_is_the_last(bare, monkeypatch):
    ran = []

    def run(command, **options):
        ran.append(command)
        return subprocess.CompletedProcess(command, 3 * (engines.ASK in command))

    monkeypatch.setattr(subprocess, "run", run)
    assert engines.main([]) == 3  # neither engine is there, and their tests would not be collected
    assert len(ran) == 4
    assert engines.main(["--all"]) == 2


def test_the_workflow_runs_it():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    assert "make engines" in [step.get("run") for step in jobs["engines"]["steps"]]
