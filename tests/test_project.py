"""The house around the code agrees with itself: dependencies, README, links, no traces of a machine."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import portable
import pytest
import yaml
from notebooks import find
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".txt", ".cff", ".ipynb", ".json", ""}
SKIPPED = {
    ".git",
    ".venv",
    ".venv-engines",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    ".ipynb_checkpoints",
    "__pycache__",
}
CONDA_NAMES = {"torch": "pytorch-cpu"}
# Registries are named in parts, or this file would name them.
HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"))]
HOSTS += ["download." + "pytorch.org", "deb." + "debian.org", "anaconda" + ".org"]
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/|[A-Z]:\\\\Users")


def text_files():
    """Every text file of the project, caches and build products left out."""
    paths = [path for path in ROOT.rglob("*") if path.suffix in TEXT and path.is_file()]
    return [
        path
        for path in paths
        if not SKIPPED & set(path.relative_to(ROOT).parts[:-1])
        and not re.search(r"egg-info|/build/|/dist/", str(path))
    ]


def requirements(lines):
    """{canonical name: Requirement}; the same package may not be named twice with different bounds."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        assert str(found.setdefault(name, requirement).specifier) == str(requirement.specifier), name
    return found


def from_pyproject(*extras):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return requirements(line for part in lists for line in part)


def from_constraints():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return requirements(line for line in lines if line and not line.startswith("#"))


def readme():
    return (ROOT / "README.md").read_text("utf-8")


def test_constraints_pin_every_dependency_within_its_bounds():
    wanted, pins = from_pyproject("dev", "bench", "deploy-large", "llm"), from_constraints()
    assert set(pins) == set(wanted)
    for name, pin in pins.items():
        (pinned,) = pin.specifier
        assert pinned.operator == "=="
        assert wanted[name].specifier.contains(pinned.version), name
        assert "+" not in pinned.version, "a local version exists on one machine only"


def test_environment_yml_is_the_same_list_by_conda_names():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert listed["channels"][0] == "conda-forge"
    conda = [line for line in listed["dependencies"] if isinstance(line, str)]
    (by_pip,) = [line["pip"] for line in listed["dependencies"] if isinstance(line, dict)]
    assert "-e ." in by_pip
    found = requirements([*conda, *(line for line in by_pip if not line.startswith("-"))])
    python, _ = found.pop("python"), found.pop("pip")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert str(python.specifier) == project["requires-python"]
    wanted = {CONDA_NAMES.get(name, name): str(r.specifier) for name, r in from_pyproject("dev").items()}
    assert {name: str(r.specifier) for name, r in found.items()} == wanted


def test_ci_tries_the_oldest_versions_of_pyproject():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    jobs = yaml.safe_load(workflow)["jobs"]
    assert jobs.keys() == {"pinned", "processors", "without-torch", "engines", "llm", "range"}
    assert jobs["processors"]["strategy"]["matrix"]["as"] == list(portable.PROCESSORS)
    assert jobs["without-torch"]["strategy"]["matrix"]["python"] == list(portable.PYTHONS)
    for name in ("torch", "numpy"):
        (bound,) = from_pyproject()[name].specifier
        assert f'"{name}=={bound.version}.*"' in workflow


def chapter_rows():
    """The README's table of chapters: (number, title, link or '', minutes, status)."""
    rows = re.findall(r"^\| (\d\d[a-z]?) \| (.+?) \| (.*?) \| (.+?) \|$", readme(), flags=re.M)
    cells = [(n, re.fullmatch(r"\[(.+)\]\((.+)\)", title), title, *rest) for n, title, *rest in rows]
    return [
        (n, m[1] if m else title, m[2] if m else "", minutes, status)
        for n, m, title, minutes, status in cells
    ]


def test_readme_lists_the_chapters_that_exist():
    rows = chapter_rows()
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    ready = {link for _, _, link, _, status in rows if status == "ready"}
    assert ready == {f"chapters/{path.name}" for path in find(ROOT) if path.parent.name == "chapters"}
    assert all((status == "ready") == bool(link) for _, _, link, _, status in rows)
    assert {status for *_, status in rows} <= {"ready", "planned"}
    for number, title, link, minutes, status in rows:
        if status == "ready":
            book = json.loads((ROOT / link).read_text("utf-8"))
            top = "".join(book["cells"][0]["source"])
            assert top.startswith(f"# {number} {title}"), f"{link} has another title in the README"
            assert f"{minutes} minutes to read" in top, f"{link} has other minutes in the README"


def test_the_plan_for_teachers_gives_every_exercise_of_a_chapter_once():
    """00 and 01 are a first lesson of their own and 02 has a plan by the minute; the others have a row."""
    rows = re.findall(r"^\| (\w+) \| [^|]+ \|(.+)\|$", (ROOT / "TEACHING.md").read_text("utf-8"), flags=re.M)
    planned = {number: cells for number, cells in rows if number[0].isdigit()}
    chapters = {path.name.split("_")[0]: path for path in (ROOT / "chapters").glob("[0-9]*.ipynb")}
    assert set(planned) == set(chapters) - {"00", "01", "02"}
    for number, cells in planned.items():
        found = []
        for first, last in re.findall(rf"{number}\.(\d)(?: to {number}\.(\d))?", cells):
            found += range(int(first), int(last or first) + 1)
        wanted = re.findall(rf'@exercise\(\\"{number}\.(\d)\\"\)', chapters[number].read_text("utf-8"))
        assert sorted(found) == sorted(map(int, wanted)), number


def test_readme_names_only_targets_that_the_makefile_has():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", readme(), flags=re.M))
    assert {"lab", "test"} <= named <= targets
    assert set(re.findall(r'"make ([a-z]+) ', makefile)) <= targets


def test_readme_names_only_commands_that_mcomp_has():
    named = set(re.findall(r"^mcomp ([a-z]+)", readme(), flags=re.M))
    command = [sys.executable, "-c", "from mcomp.cli import main; main()", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {"compress", "inspect"} <= named
    assert {name for name in named if not re.search(rf"\b{name}\b", told)} == set()


@pytest.mark.parametrize("number", range(readme().count("```python")))
def test_readme_python_runs_as_it_stands(number, tmp_path):
    block = re.findall(r"```python\n(.*?)```", readme(), flags=re.S)[number]
    done = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"```python\n(?:(?!```).)*```\n\n```text\n(.*?)```", readme(), flags=re.S)
    if number == 0:
        (accuracy, nbytes), (told, size) = (
            re.findall(r"[\d.]+", t.replace(",", "")) for t in (done.stdout, shown[0])
        )
        assert float(accuracy) == pytest.approx(float(told), abs=0.01)  # another processor, other rounding
        assert int(nbytes) == pytest.approx(int(size), rel=0.05)


def test_readme_is_one_page():
    prose = re.sub(r"^\|.*\|$", "", readme(), flags=re.M)  # the table of chapters grows with them
    assert len(re.findall(r"\w+", prose)) < 900
    assert "badge" not in readme().lower()


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_links_inside_the_repository_resolve(path):
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.S)
    anchors = {
        re.sub(r"[^\w -]", "", t).strip().lower().replace(" ", "-")
        for t in re.findall(r"^#+ (.+)$", text, re.M)
    }
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    for target in targets:
        file, _, anchor = target.partition("#")
        if not re.match(r"https?:|mailto:", target):
            assert (path.parent / file).exists(), target
            assert file or anchor in anchors, target
    for file in re.findall(r"`((?:mcomp|scripts|tests|experiments|benchmarks)/[\w/.]+\.\w+)`", text):
        assert (ROOT / file).exists() or "NN_" in file, file


def test_no_file_names_a_machine_or_a_registry():
    files = text_files()
    assert len(files) > 30
    found = []
    for path in files:
        text = path.read_text("utf-8")
        found += [(path.name, match.group()) for match in MACHINE_PATH.finditer(text)]
        found += [(path.name, host) for host in HOSTS if host in text]
    assert found == []


def test_licence_and_citation():
    text = (ROOT / "LICENSE").read_text("utf-8")
    for part in ("MIT License", "creativecommons.org/licenses/by/4.0", "Zalando SE", "PSF License"):
        assert part in text
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert str(citation["version"]) == project["version"]


def test_importing_mcomp_imports_nothing_heavy():
    """Stricter than "at most 15 % of torch's import": neither torch nor anything else of size is imported."""
    heavy = ("torch", "numpy", "matplotlib", "scipy", "IPython", "ipywidgets", "typer", "rich", "safetensors")
    program = f"import sys, mcomp; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_asking_mcomp_for_a_name_imports_its_module_then():
    import mcomp

    for name in dir(mcomp):
        assert getattr(mcomp, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        mcomp.nonsense  # noqa: B018


RESULTS = sorted((ROOT / "experiments" / "results").glob("*.json"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_is_of_its_script_as_it_stands(path):
    result = json.loads(path.read_text("utf-8"))
    script = (ROOT / result["script"]).read_bytes().replace(b"\r\n", b"\n")
    assert hashlib.sha256(script).hexdigest() == result["script_sha256"], f"run {result['command']} again"
    for name, method in result.get("methods", {}).items():
        lists = {key: value for key, value in method.items() if isinstance(value, list)}
        sizes = len(lists.pop("bytes", [0]))  # of the first seeds alone, where writing the file takes long
        assert 1 <= sizes <= len(result["seeds"]), name
        assert {len(value) for value in lists.values()} <= {len(result["seeds"])}, name
        assert all(0.0 <= accuracy <= 1.0 for accuracy in method.get("accuracy", ())), name


@pytest.fixture
def course(tmp_path):
    """A course with one result: two methods, and a curve that goes up and down."""
    folder = tmp_path / "experiments" / "results"
    folder.mkdir(parents=True)
    script = tmp_path / "experiments" / "00_a.py"
    script.write_text("pass\n")
    result = {
        "script": "experiments/00_a.py",
        "script_sha256": hashlib.sha256(script.read_bytes()).hexdigest(),
        "methods": {
            "whole": {"bytes": [1000, 1000, 1000], "accuracy": [0.90, 0.91, 0.90]},
            "small": {"bytes": [9, 10, 11], "accuracy": [0.86, 0.90, 0.87]},
        },
        "rate_distortion": {
            "grid": {"bits": [2, 1], "mse": [0.1, 0.4]},
            "formats": {"bits": [1, 2, 3], "mse": [0.4, 0.1, 0.2]},
        },
    }
    (folder / "00_a.json").write_text(json.dumps(result))
    return tmp_path


def test_the_readme_s_front_shows_its_methods_with_true_ranges(course):
    import readme_figure

    methods = readme_figure.pick("methods", {"Small": ("00_a", "small")}, course)
    (whole,) = readme_figure.pick("methods", {"all": ("00_a", "whole")}, course).values()
    ax = readme_figure.draw_pareto(methods, whole).axes[0]
    assert [text.get_text() for text in ax.texts] == ["Small", "float32"]
    assert (ax.get_title(loc="left") or ax.get_title()).endswith("100 times smaller")
    (bar,) = ax.containers[0].lines[2]
    assert [y for _, y in bar.get_segments()[0]] == pytest.approx([0.86, 0.90])  # not mean ± half the range


def test_the_readme_s_curves_do_not_zigzag(course):
    import readme_figure

    declared = {"Grid": ("00_a", "grid"), "Formats": ("00_a", "formats")}
    curves = readme_figure.pick("rate_distortion", declared, course)
    _, grid, formats = readme_figure.draw_rate_distortion(curves).axes[0].lines
    assert [line.get_label() for line in (grid, formats)] == ["Grid", "Formats"]
    assert (grid.get_linestyle(), formats.get_linestyle()) == ("-", "None")
    assert list(grid.get_xdata()) == [1, 2]


def test_a_method_that_the_readme_misses_is_named(course):
    import readme_figure

    with pytest.raises(ValueError, match=r"of 'Big' in 00_a\.json is 'big'; allowed: whole, small"):
        readme_figure.pick("methods", {"Big": ("00_a", "big")}, course)
    with pytest.raises(ValueError, match=r"'01_b'; allowed: .*00_a"):
        readme_figure.pick("methods", {"Big": ("01_b", "big")}, course)
    (course / "experiments" / "00_a.py").write_text("other\n")
    with pytest.raises(ValueError, match="has changed since"):
        readme_figure.pick("methods", {"Small": ("00_a", "small")}, course)


def test_the_readme_s_pictures_name_six_things_each():
    import readme_figure

    assert len(readme_figure.METHODS) == len(readme_figure.CURVES) == 6
    assert set(readme_figure.ABOVE) <= {*readme_figure.METHODS, "float32"}
