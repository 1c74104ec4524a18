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

Network = Annotated[str, typer.Argument(help="A network of the zoo (lenet300, lenet5, resnet) or a file.")]
Seed = Annotated[int, typer.Option(help="Which of the three trained copies (0, 1, 2).")]
DataName = Annotated[str, typer.Option(help="The data set.")]


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
    network: Network,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a YAML file.")] = "deep-compression",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("small.safetensors"),
    seed: Seed = 0,
    data: DataName = "fashion-mnist",
):
    """Prune, share values, code: a network in, a small file out, and what it lost."""
    import mcomp.data
    from mcomp.pipeline import compress, estimate, load_recipe
    from mcomp.zoo import architecture

    model, out = _network(network, seed), _writable(out)
    steps = load_recipe(recipe, architecture(model)[0])
    images = mcomp.data.load(data)
    console.print(f"about {estimate(model, steps, images):.0f} s on this machine", highlight=False)
    result = compress(model, steps, images)
    result.save(out)
    console.print(result.table(images, out))


@app.command()
def inspect(file: Annotated[Path, typer.Argument(help="A file that mcomp wrote.")]):
    """Where every byte of a file went: by tensor, by stream, beside the entropy of what it holds."""
    from mcomp.file.container import byte_rows

    table = Table("tensor", "stream", title=str(file.name))
    for name in ("numbers", "bytes", "entropy, bytes"):
        table.add_column(name, justify="right")
    rows = byte_rows(file)
    for tensor, stream, count, nbytes, entropy_bits in rows:
        table.add_row(tensor, stream, f"{count:,}", f"{nbytes:,}", f"{entropy_bits / 8:,.1f}")
    table.add_row("all", "", "", f"{sum(row[3] for row in rows):,}", "", style="bold")
    console.print(table)


@app.command()
def evaluate(network: Network, seed: Seed = 0, data: DataName = "fashion-mnist"):
    """What a network costs and how often it is right on the test images."""
    import mcomp.data
    from mcomp.measure import report

    path = Path(network) if Path(network).is_file() else None
    console.print(report(_network(network, seed), mcomp.data.load(data), path=path))


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


def _network(name, seed):
    from mcomp import zoo
    from mcomp.file import load

    if Path(name).is_file():
        return load(name)
    if name not in zoo.NAMES:
        raise bad_value("network", name, f"{', '.join(zoo.NAMES)}, or a file")
    return zoo.load(name, seed)
