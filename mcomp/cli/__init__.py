"""The command line: `mcomp compress`, `inspect`, `evaluate`, `grade` and more; `mcomp --help` lists them."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mcomp.arrays import bad_value
from mcomp.asked import data_of, network_of, opening, shown, unopened, writable
from mcomp.cli.course import grade, progress, release
from mcomp.cli.options import DataName, Model, Network, Seed, console
from mcomp.cli.search import leaderboard_app, search
from mcomp.threads import calm

app = typer.Typer(
    help="Model Compression from Scratch: make a trained network small, and see where every byte went.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
zoo_app = typer.Typer(help="The reference networks.", no_args_is_help=True)
app.add_typer(zoo_app, name="zoo")
app.add_typer(leaderboard_app, name="leaderboard")


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
    from mcomp.estimates import estimate
    from mcomp.pipeline import compress, recipe_for

    original, out, images = network_of(network, seed, model), writable(out), data_of(data)
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
        rows, missing = byte_rows(file, **opening(file, model)), ""
    except NeedsModelError as error:
        if model is not None:
            raise
        rows, missing = unopened(file), f"{error}; here --model package.module:function"
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
    to: Annotated[
        str, typer.Option(help="ncnn, mnn, litert, c, html, gguf, ...; a wrong one lists all.")
    ] = "onnxruntime",
    out: Annotated[Path, typer.Option(help="To write: .onnx, .xml, .param, .mnn, .c, .gguf, ...")] = Path(
        "net.onnx"
    ),
    int8: Annotated[bool, typer.Option("--int8", help="In integers; TensorRT and C always are.")] = False,
    images: Annotated[int, typer.Option(help="Training images to calibrate on.")] = 500,
    seed: Seed = 0,
    data: DataName = "fashion-mnist",
    model: Model = None,
    entropy_coded: Annotated[bool, typer.Option("--entropy-coded", help="C: with the small file.")] = False,
    original: Annotated[str | None, typer.Option(help="HTML: the network before it was compressed.")] = None,
    kind: Annotated[str | None, typer.Option(help="GGUF: q8_0 (else), q4_0, f16 or f32.")] = None,
):
    """Write a network as a file for another engine, as C, or as a web page to try it on."""
    from mcomp import deploy

    deploy.engine(to)  # before the network is loaded: is it installed?
    only = {
        "--entropy-coded": ("c", entropy_coded),
        "--original": ("html", original),
        "--kind": ("gguf", kind),
    }
    for option, (wanted, given) in only.items():
        if given not in (None, False) and to != wanted:
            raise bad_value(option, f"--to {to}", f"--to {wanted}")
    if to == "gguf":  # of bytes: there are no images
        if int8:
            raise bad_value("--int8", "--to gguf", "--kind q8_0")
        calibration, options = None, {"example": None} | ({"kind": kind} if kind else {})
    else:
        held = data_of(data)
        x = held.train[0]
        calibration = x[:images] if int8 or to in deploy.INTEGERS else None
        options = {"example": x[:8]} | ({"entropy_coded": True} if entropy_coded else {})
    if to == "html":
        options = shown(held) | {"original": original and network_of(original, seed, None)}
    out = deploy.export(to, network_of(network, seed, model), out, calibration=calibration, **options)
    console.print(f"{out}: {deploy.nbytes(out):,} bytes", highlight=False, soft_wrap=True)


@app.command()
def evaluate(network: Network = None, seed: Seed = 0, data: DataName = "fashion-mnist", model: Model = None):
    """What a network costs and how often it is right on the test images."""
    from mcomp.measure import report

    path = Path(network) if network and Path(network).is_file() else None
    console.print(report(network_of(network, seed, model), data_of(data), path=path))


@zoo_app.command("train")
def zoo_train(
    network: Annotated[str, typer.Argument(help="lenet300, lenet5, resnet or tinygpt.")],
    seed: Annotated[int, typer.Option(help="Any number; 0, 1, 2 are the shipped ones.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; by default NETWORK-SEED.safetensors.")
    ] = None,
    data: DataName = "fashion-mnist",
):
    """Train a reference network from scratch, offline, as the shipped ones were; tinygpt reads text."""
    import mcomp.data
    from mcomp import zoo
    from mcomp.file import save
    from mcomp.language import bits_per_byte
    from mcomp.train import evaluate

    path = writable(out or Path(f"{network}-{seed}.safetensors"))
    if network in zoo.TEXTS:
        text = mcomp.data.load_text()
        model = zoo.train(network, text, seed=seed)
        nbytes = save(model, path)
        found = {part: bits_per_byte(model, getattr(text, part)).per_byte for part in ("validation", "test")}
        said = ", ".join(f"{part} {bits:.3f}" for part, bits in found.items())
        console.print(f"{path}: {nbytes:,} bytes, bits per byte: {said}", highlight=False)
        return
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
    from mcomp.strangers import counts, listing, markdown, matrix

    cells = matrix(only=only, operation=operation)
    print(markdown(cells) if as_markdown else "\n".join(listing(cells, why=why)))
    raise typer.Exit(int(counts(cells)["wrong"] > 0))


for command in (search, progress, grade, release):
    app.command()(command)
