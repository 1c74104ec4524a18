"""Execute the notebooks of chapters/ and solutions/ in place: `make notebooks`, with ALL=1 all of them.

A notebook is executed when its code cells, the library or an experiment's result changed since it was last
executed; two hashes in its metadata tell. What is written depends on nothing else: no times, no versions, no
random ids, no widget state (readers without a kernel see plain pictures). A second run changes only the
outputs of cells tagged `nbval-ignore-output`, which are always fresh.
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from sections import pace
from tqdm import tqdm

from mcomp.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("chapters", "solutions")
WIDGET = "application/vnd.jupyter.widget-view+json"


def threads(environment, cores):
    """How many threads a kernel computes with: what MCOMP_THREADS says, else two.

    Sums, and so trained weights, depend on it; scripts/portable.py tries others. Where pytest's workers share
    the cores none has more than its part: two threads of which only one finds a core wait for each other at
    every step of a small product or solve.
    """
    workers = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return environment.get("MCOMP_THREADS", "2" if workers == 1 or cores // workers > 1 else "1")


THREADS = threads(os.environ, os.cpu_count() or 2)
# The environment of a kernel whose outputs are kept or compared (conftest.py sets it for nbval).
ENVIRONMENT = {
    "MCOMP_STATIC": "1",  # no widgets, no progress file: mcomp/course
    "MCOMP_CHECK_FIGURES": "1",  # a figure without axis labels is an error: mcomp/figures.py
    "OMP_NUM_THREADS": THREADS,
    "MKL_NUM_THREADS": THREADS,
    "OMP_WAIT_POLICY": "passive",  # two processes on two cores: threads that spin cost a factor of 3 to 10
    "PYTHONHASHSEED": "0",
    "TQDM_DISABLE": "1",  # bars print times
}
FORBIDDEN = ("MCOMP_PROGRESS", "MPLBACKEND")  # the reader's own marks; a backend that shows no pictures


def set_environment():
    """Set this process's environment, which its kernels inherit."""
    os.environ.update(ENVIRONMENT)
    for name in FORBIDDEN:
        os.environ.pop(name, None)


def find(root=ROOT):
    """Every notebook of the course, chapters first."""
    return [path for folder in FOLDERS for path in sorted((root / folder).glob("*.ipynb"))]


def code_cells(book):
    """The cells that a kernel executes."""
    return [cell for cell in book.cells if cell.cell_type == "code" and cell.source.strip()]


def cells_hash(book):
    """Of what a notebook's kernel is given."""
    return _hash(cell.source.encode() for cell in code_cells(book))


def library_hash(root=ROOT):
    """Of what a notebook's outputs depend on outside of it: the library and the experiments' results."""
    files = [
        *root.glob("mcomp/**/*.py"),
        *root.glob("mcomp/**/*.yaml"),
        *root.glob("experiments/results/*.json"),
    ]
    return _hash(
        part
        for file in sorted(files)
        for part in (file.relative_to(root).as_posix().encode(), file.read_bytes())
    )


def _hash(parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def made_from(book, root=ROOT):
    """The two hashes that a notebook's metadata holds after it was executed."""
    return {"cells": cells_hash(book), "library": library_hash(root)}


def execute(path, after_cell=lambda **_: None):
    """The notebook at `path`, executed in its own folder; RuntimeError names the cell that failed.

    A chapter's sections are told what they took, see scripts/sections.py.
    """
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        cell.pop("outputs", None) if cell.cell_type != "code" else cell.update(
            outputs=[], execution_count=None
        )
    spent = {}

    def note(cell, cell_index, **_):
        spent[id(cell)] = _cpu_seconds(client) - spent.get(id(cell), 0.0)

    def done(cell, cell_index, **_):
        note(cell, cell_index)
        after_cell()

    client = NotebookClient(
        book,
        kernel_name="python3",
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_execute=note,
        on_cell_executed=done,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise RuntimeError(f"{path.name}: {error}") from None
    for number, cell in enumerate(code_cells(book), 1):  # a formatter that raises doesn't stop the kernel
        for output in cell.outputs:
            if output.output_type == "error":
                raise RuntimeError(f"{path.name}, code cell {number}: {output.ename}: {output.evalue}")
    if path.parent.name == "chapters":
        pace(book, spent)
    return book


def _cpu_seconds(client):
    """CPU seconds that a client's kernel has taken so far, processes that it started included."""
    kernel = psutil.Process(client.km.provisioner.pid)
    processes = [kernel, *kernel.children(recursive=True)]
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def normalise(book, root=ROOT):
    """Drop from `book` (in place) what differs from run to run or machine to machine; returns it."""
    seen = {}
    for cell in book.cells:
        name = _hash([cell.cell_type.encode(), cell.source.encode()])[:8]
        seen[name] = seen.get(name, 0) + 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
        tags = sorted(set(cell.metadata.get("tags", [])))
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # its model id is random
    book.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "mcomp": made_from(book, root),
        }
    )
    book.nbformat, book.nbformat_minor = 4, 5
    return book


def write(path, book):
    """Replace the file at `path` in one step; True if that changed it."""
    nbformat.validate(book)
    text = nbformat.writes(book).rstrip("\n") + "\n"  # sorted keys, one space of indentation
    if path.exists() and path.read_bytes() == text.encode("utf-8"):
        return False
    write_atomic(path, text.encode("utf-8"))
    return True


def stale(path, root=ROOT):
    """True if the notebook must be executed again."""
    book = nbformat.read(path, as_version=4)
    executed = all(cell.execution_count for cell in code_cells(book))
    return not executed or book.metadata.get("mcomp") != made_from(book, root)


def main(arguments=None, root=ROOT):
    """The command line; the exit status is the number of notebooks that failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="only these")
    parser.add_argument("--all", action="store_true", help="also those that haven't changed")
    options = parser.parse_args(arguments)
    chosen = [path.resolve() for path in options.notebooks] or find(root)
    todo = [path for path in chosen if options.all or options.notebooks or stale(path, root)]
    for path in set(chosen) - set(todo):  # the text may have changed
        write(path, normalise(nbformat.read(path, as_version=4), root))
    cells = sum(len(code_cells(nbformat.read(path, as_version=4))) for path in todo)
    set_environment()
    failures = []
    with tqdm(total=cells, unit="cell", disable=not cells, file=sys.stdout) as bar:
        for path in todo:
            bar.set_description(path.stem)
            try:
                write(path, normalise(execute(path, lambda **_: bar.update()), root))
            except RuntimeError as error:
                failures.append(str(error))
    print(
        f"{len(todo) - len(failures)} executed, {len(chosen) - len(todo)} unchanged, {len(failures)} failed"
    )
    print(*failures, sep="\n\n", end="\n" if failures else "")
    return len(failures)


if __name__ == "__main__":
    sys.exit(main())
