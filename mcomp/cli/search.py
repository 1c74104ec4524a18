"""`mcomp search` and `mcomp leaderboard`: a network for a goal, and records measured again."""

from pathlib import Path
from typing import Annotated

import typer

from mcomp.asked import data_of, network_of, writable
from mcomp.cli.options import DataName, Model, Seed, console

leaderboard_app = typer.Typer(help="The course's records, and yours.", no_args_is_help=True)


def search(
    network: Annotated[str | None, typer.Option(help="A network of the zoo, or a file.")] = None,
    max_bytes: Annotated[int | None, typer.Option(help="The file may have so many.")] = None,
    min_accuracy: Annotated[
        float | None, typer.Option(help="On the validation images, such as 0.89.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="What the search remembers; the same one goes on.")] = Path(
        "search"
    ),
    out: Annotated[Path, typer.Option(help="The chosen network.")] = Path("chosen.safetensors"),
    trials: Annotated[int, typer.Option(help="In all, those already in the folder included.")] = 50,
    epochs: Annotated[int, typer.Option(help="Of a trial that isn't stopped early.")] = 18,
    images: Annotated[int, typer.Option(help="Training images; 55000 are all of Fashion-MNIST.")] = 12_000,
    teacher: Annotated[str, typer.Option(help="self, or a network of the zoo to distil from.")] = "self",
    sampler: Annotated[str, typer.Option(help="tpe (Optuna) or random.")] = "tpe",
    sampler_seed: Annotated[int, typer.Option(help="Of the sampler.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    on: Annotated[str | None, typer.Option(help="A Dask scheduler, such as tcp://192.0.2.1:8786.")] = None,
    seed: Seed = 0,
    data: DataName = "fashion-mnist",
    model: Model = None,
):
    """Search recipes for a network of so many bytes, so accurate; stopped in between, it goes on later."""
    from mcomp import search
    from mcomp.search import report
    from mcomp.search.trial import data_for

    goal, out = search.Goal(max_bytes, min_accuracy), writable(out)
    original = network_of(network, seed, model)
    part = None if ":" in data else images
    storage = search.search(
        original, goal, folder=folder, data=data, images=part, trials=trials, epochs=epochs, sampler=sampler,
        seed=sampler_seed, on=on, workers=workers, space=search.space_of(original, teacher=teacher),
    )  # fmt: skip
    console.print(report.front_table(storage))
    found = report.chosen(storage, original, data_for(data, part), out)
    if found is None:
        console.print(report.why_none(storage), highlight=False, markup=False)
        raise typer.Exit(1)
    small, test = found
    told = f"{small.nbytes:,} bytes, validation {small.accuracy:.2%}, test {test:.2%}"
    console.print(f"{out}: {told}; {folder / 'front.png'}", highlight=False, soft_wrap=True)


@leaderboard_app.command("verify")
def leaderboard_verify(
    files: Annotated[list[Path], typer.Argument(help="The files of one entry, one a seed.")],
    entry: Annotated[str, typer.Option(help="Its name.")] = "",
    training: Annotated[str, typer.Option(help="CPU minutes a seed.")] = "",
    command: Annotated[str, typer.Option(help="What makes it.")] = "",
    against: Annotated[Path, typer.Option(help="Where a row may claim these files.")] = Path(
        "LEADERBOARD.md"
    ),
    data: DataName = "fashion-mnist",
):
    """Measure an entry again and print its row; a claim that doesn't hold is refused (exit 1)."""
    from mcomp import leaderboard

    found = leaderboard.verify(files, data_of(data), entry=entry, training=training, command=command)
    print(found.markdown())
    claims = leaderboard.rows(against.read_text(encoding="utf-8")) if against.is_file() else []
    said = [why for row in claims if row.files == found.files for why in leaderboard.refusals(row, found)]
    for why in said:
        console.print(f"refused: {why}", highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(int(bool(said)))
