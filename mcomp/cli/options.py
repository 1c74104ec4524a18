"""What several commands ask for, and where they print."""

from typing import Annotated

import typer
from rich.console import Console

__all__ = ["DataName", "Model", "Network", "Seed", "console"]

console = Console()

Network = Annotated[
    str | None, typer.Argument(help="A network of the zoo (lenet300, lenet5, resnet) or a file.")
]
Model = Annotated[
    str | None, typer.Option("--model", help="package.module:function that makes a network of your own.")
]
Seed = Annotated[int, typer.Option(help="Which of the three trained copies (0, 1, 2).")]
DataName = Annotated[str, typer.Option(help="The data set, or package.module:function that makes one.")]
