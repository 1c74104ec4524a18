"""The command line: `mcomp compress`, `inspect`, `evaluate`, `grade` and more; `mcomp --help` lists them."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from mcomp.arrays import bad_value
from mcomp.threads import calm

app = typer.Typer(
    help="Model Compression from Scratch: make a trained network small, and see where every byte went.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
zoo_app = typer.Typer(help="The reference networks.", no_args_is_help=True)
app.add_typer(zoo_app, name="zoo")
console = Console()

Network = Annotated[
    str | None, typer.Argument(help="A network of the zoo (lenet300, lenet5, resnet) or a file.")
]
Model = Annotated[
    str | None, typer.Option("--model", help="package.module:function that makes a network of your own.")
]
Seed = Annotated[int, typer.Option(help="Which of the three trained copies (0, 1, 2).")]
DataName = Annotated[str, typer.Option(help="The data set, or package.module:function that makes one.")]


def main():
    """Run the command line; a bad value ends in one line, not in a traceback."""
    calm()
    try:
        app()
    except (ValueError, OSError) as error:  # a file, a download, an argument
        print(f"mcomp: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command()
def compress(
    network: Network = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a YAML file.")] = "deep-compression",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("small.safetensors"),
    seed: Seed = 0,
    data: DataName = "fashion-mnist",
    model: Model = None,
):
    """Prune, share values, code: a network in, a small file out, and what it lost."""
    from mcomp.pipeline import compress, estimate, recipe_for

    original, out, images = _network(network, seed, model), _writable(out), _data(data)
    steps, notes = recipe_for(recipe, original, images)
    for note in notes:
        console.print(note, highlight=False, markup=False)
    console.print(f"about {estimate(original, steps, images):.0f} s on this machine", highlight=False)
    result = compress(original, steps, images)
    result.save(out)
    console.print(result.table(images, out))


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A file that mcomp wrote.")],
    model: Model = None,
):
    """Where every byte of a file went: by tensor, by stream, beside the entropy of what it holds."""
    from mcomp.file import NeedsModelError, byte_rows

    try:
        rows, missing = byte_rows(file, **_opening(file, model)), ""
    except NeedsModelError as error:
        if model is not None:
            raise
        rows, missing = _unopened(file), f"{error}; here --model package.module:function"
    table = Table("tensor", "stream", title=str(file.name))
    for name in ("numbers", "bytes", "entropy, bytes"):
        table.add_column(name, justify="right")
    for tensor, stream, count, nbytes, bits in rows:
        known = ("", "") if count is None else (f"{count:,}", f"{bits / 8:,.1f}")
        table.add_row(tensor, stream, known[0], f"{nbytes:,}", known[1])
    table.add_row("all", "", "", f"{sum(row[3] for row in rows):,}", "", style="bold")
    console.print(table)
    if missing:
        console.print(f"Names and numbers aren't known: {missing}", highlight=False, markup=False)


@app.command()
def export(
    network: Network = None,
    to: Annotated[str, typer.Option(help="onnxruntime, openvino, tensorrt or c.")] = "onnxruntime",
    out: Annotated[Path, typer.Option(help="The file to write: .onnx, .xml or .c.")] = Path("net.onnx"),
    int8: Annotated[bool, typer.Option("--int8", help="In integers; TensorRT and C always are.")] = False,
    images: Annotated[int, typer.Option(help="Training images to calibrate on.")] = 500,
    seed: Seed = 0,
    data: DataName = "fashion-mnist",
    model: Model = None,
    entropy_coded: Annotated[bool, typer.Option("--entropy-coded", help="C: with the small file.")] = False,
):
    """Write a network as a file for another engine, or as C."""
    from mcomp import deploy

    deploy.engine(to)  # before the network is loaded: is it installed?
    if entropy_coded and to != "c":
        raise bad_value("--entropy-coded", f"--to {to}", "--to c")
    x = _data(data).train[0]
    calibration = x[:images] if int8 or to in deploy.INTEGERS else None
    options = {"entropy_coded": True} if entropy_coded else {}
    out = deploy.export(
        to, _network(network, seed, model), out, example=x[:8], calibration=calibration, **options
    )
    console.print(f"{out}: {deploy.nbytes(out):,} bytes", highlight=False, soft_wrap=True)


@app.command()
def evaluate(network: Network = None, seed: Seed = 0, data: DataName = "fashion-mnist", model: Model = None):
    """What a network costs and how often it is right on the test images."""
    from mcomp.measure import report

    path = Path(network) if network and Path(network).is_file() else None
    console.print(report(_network(network, seed, model), _data(data), path=path))


@zoo_app.command("train")
def zoo_train(
    network: Annotated[str, typer.Argument(help="lenet300, lenet5 or resnet.")],
    seed: Annotated[int, typer.Option(help="Any number; 0, 1, 2 are the shipped ones.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default NETWORK-SEED.safetensors.")
    ] = None,
    data: DataName = "fashion-mnist",
):
    """Train a reference network from scratch, offline, as the shipped ones were."""
    import mcomp.data
    from mcomp import zoo
    from mcomp.file import save
    from mcomp.train import evaluate

    path = _writable(out or Path(f"{network}-{seed}.safetensors"))
    images = mcomp.data.load(data)
    model = zoo.train(network, images, seed=seed)
    nbytes = save(model, path)
    right = evaluate(model, images.validation), evaluate(model, images.test)
    console.print(
        f"{path}: {nbytes:,} bytes, validation {right[0]:.2%}, test {right[1]:.2%}", highlight=False
    )


@app.command()
def strangers(
    only: Annotated[str | None, typer.Option(help="One network.")] = None,
    operation: Annotated[str | None, typer.Option(help="One operation.")] = None,
    why: Annotated[bool, typer.Option("--why", help="Say why each refused cell is.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As a page.")] = False,
):
    """Every operation on 26 networks as people write them: right ✓, refused by name –, wrong ✗ (exit 1)."""
    from mcomp.strangers import counts, markdown, matrix, reasons, rows

    cells = matrix(only=only, operation=operation)
    if as_markdown:
        print(markdown(cells))
    else:
        (_, *networks), *lines = rows(cells)
        for place, name in enumerate(networks, 1):
            print(f"{place:>3} {name}")
        print(" " * 20 + "".join(f"{place:>3}" for place in range(1, len(networks) + 1)))
        for name, *signs in lines:
            print(f"{name:<20}" + "".join(f"{sign:>3}" for sign in signs))
        for outcome in ("refused", "wrong") if why else ("wrong",):
            for place in reasons(cells, outcome):
                print(f"{outcome}: {', '.join(place[:2])}: {place[2]}")
        print(", ".join(f"{n} {outcome}" for outcome, n in counts(cells).items()))
    raise typer.Exit(int(counts(cells)["wrong"] > 0))


@app.command()
def progress(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False):
    """Which exercises of the course are done."""
    from mcomp.course.progress import main_progress

    raise typer.Exit(main_progress(as_json=as_json))


def _writable(path):
    """`path`, if a file can be there: told before the minutes of training, not after."""
    if path.is_dir() or not path.parent.is_dir():
        raise bad_value("out", str(path), "a file in a folder that exists")
    return path


@app.command()
def grade(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the submitted notebooks.")],
    csv: Annotated[Path, typer.Option(help="The file to write.")] = Path("grades.csv"),
    chapter: Annotated[str | None, typer.Option(help="Such as 02; by default each notebook's own.")] = None,
    workers: Annotated[int, typer.Option(help="Submissions graded at the same time.")] = 2,
    seconds: Annotated[float, typer.Option(help="For one answer.")] = 5.0,
    memory: Annotated[int, typer.Option(help="For one answer, in MB.")] = 1024,
    seed: Annotated[int | None, typer.Option(help="Of the cases not shown; by default drawn anew.")] = None,
):
    """Grade submitted notebooks, each in a process of its own without the network; a CSV file comes out."""
    from mcomp.course.gradebook import main_grade
    from mcomp.course.supervise import Limits

    limits = Limits(seconds=seconds, memory=memory * 10**6)
    for line in main_grade(folder, csv, chapter=chapter, workers=workers, seed=seed, limits=limits):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


@app.command()
def release(
    chapter: Annotated[str, typer.Argument(help="Such as 02.")],
    nbgrader: Annotated[Path, typer.Option(help="The folder of the nbgrader course.")],
    points: Annotated[int, typer.Option(help="For each exercise.")] = 1,
    solutions: Annotated[Path | None, typer.Option(help="The folder of the solution notebooks.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an assignment that is there.")] = False,
):
    """Write a chapter's exercises as an nbgrader assignment."""
    from mcomp.course.release import release

    path = release(chapter, nbgrader, points=points, solutions=solutions, force=force)
    print(f"{path}: now `nbgrader generate_assignment {path.stem}` in {nbgrader}")  # one line, to be copied


def _network(name, seed, factory):
    from mcomp import factories, zoo
    from mcomp.file import load

    if name is not None and Path(name).is_file():
        return load(name, **_opening(Path(name), factory))
    if factory is not None:
        if name is not None:
            raise bad_value("network", name, "a file, or none, beside --model")
        return factories.network_of(factory)
    if name not in zoo.NAMES:
        raise bad_value(
            "network", name, f"{', '.join(zoo.NAMES)}, a file, or --model package.module:function"
        )
    return zoo.load(name, seed)


def _opening(path, factory):
    """What `load` needs with this --model: its name, if the file has the same, or the network it makes."""
    from mcomp import factories
    from mcomp.file import read

    if factory is None:
        return {}
    if read(path, max_bytes=path.stat().st_size).metadata.get("factory") == factory:
        return {"factory": factory, "max_weights": 10**9}
    return {"model": factories.network_of(factory)}


def _unopened(path):
    """The rows of a file of which nobody has said what network it is of: how many bytes each tensor has."""
    from mcomp.file import read

    contents = read(path, max_bytes=path.stat().st_size)
    kinds = ("plain", "sparse", "codebook", "codec")  # by the tag, see mcomp.codecs.codes
    rows = []
    for i, (_, n) in enumerate(contents.spans):
        part = contents.part(i)
        kind = "equal" if contents.refers(i) else kinds[min(part[0], 3)] if part else ""
        rows.append((f"tensor {i + 1}", kind, None, n, 0.0))
    return [*rows, ("", "format", None, contents.nbytes - sum(row[3] for row in rows), 0.0)]


def _data(name):
    import mcomp.data
    from mcomp import factories

    return factories.data_of(name) if ":" in name else mcomp.data.load(name)
