"""`mcomp progress`, `grade` and `release`: the course, for a learner and for a teacher."""

from pathlib import Path
from typing import Annotated

import typer

from mcomp.cli.options import console


def progress(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False):
    """Which exercises of the course are done."""
    from mcomp.course.progress import main_progress

    raise typer.Exit(main_progress(as_json=as_json))


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
