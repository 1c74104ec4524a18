"""The command line: `mcomp compress | inspect | evaluate | zoo | progress`; `mcomp --help` explains."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

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
    try:
        app()
    except (ValueError, FileNotFoundError, ConnectionError) as error:
        console.print(f"[red]mcomp:[/red] {error}", highlight=False)
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

    model, images = _network(network, seed), mcomp.data.load(data)
    steps = load_recipe(recipe, architecture(model)[0])
    console.print(f"about {estimate(model, steps, images):.0f} s on this machine", highlight=False)
    result = compress(model, steps, images)
    result.save(out)
    console.print(result.table(images, out))


@app.command()
def inspect(file: Annotated[Path, typer.Argument(help="A file that mcomp wrote.")]):
    """Where every byte of a file went: by tensor, by stream, beside the entropy of what it holds."""
    from mcomp.coding.container import byte_rows

    table = Table("tensor", "stream", "numbers", "bytes", "entropy", title=str(file.name))
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
    from mcomp import save, zoo
    from mcomp.train import evaluate

    images = mcomp.data.load(data)
    model = zoo.train(network, images, seed=seed)
    path = out or Path(f"{network}-{seed}.safetensors")
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


def _network(name, seed):
    from mcomp import load, zoo

    if Path(name).is_file():
        return load(name)
    if name not in zoo.NAMES:
        raise ValueError(f"network is {name!r}; allowed: {', '.join(zoo.NAMES)}, or a file")
    return zoo.load(name, seed)
