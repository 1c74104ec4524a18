"""Words in a submission that a teacher may want to look at: a static check, a hint and not a verdict."""

import ast
import re

from mcomp.course.magics import BROKEN, read_python

# Nothing that a chapter needs in any cell; `mcomp.course.specs` and its like are the checker's own.
SUSPECT = re.compile(
    r"\b(mcomp\.course\.(?:check|compare|fence|grade|harvest|jail|model|sandbox|specs|supervise|wire)"
    r"|specs|oracle|inspect|gc|ctypes|importlib|subprocess|socket|builtins|multiprocessing|_getframe|__import__|__subclasses__|__globals__|__code__|(?<!\.)eval|(?<!\.)exec|pickle)\b"
)
# Nothing that an answer needs either.
IN_ANSWERS = re.compile(r"\b(os|sys|signal|shutil|threading|open|pathlib)\b")
LIBRARY = re.compile(r"\bmcomp(?:\.\w+)*")


def flags_of(found):
    """Short texts: suspect words of all cells, then the answers that use the library.

    Parameters
    ----------
    found : Harvest

    Examples
    --------
    >>> from mcomp.course.harvest import Harvest
    >>> flags_of(Harvest(cells=["import gc  # os"], sources={"02.1": "import mcomp.prune as p"}))
    ['gc', '02.1 uses mcomp.prune']
    """
    words = {word for cell in found.cells for word in SUSPECT.findall(_without_comments(cell))}
    words |= {word for source in found.sources.values() for word in IN_ANSWERS.findall(source)}
    uses = {f"{i} uses {word}" for i, source in found.sources.items() for word in LIBRARY.findall(source)}
    return [*sorted(words), *sorted(uses)]


def _without_comments(cell):
    """A cell as Python reads it, so that no comment is suspect; as it stands if it can't be read."""
    try:
        return ast.unparse(ast.Module(read_python(cell, mentions=True)[1], []))
    except BROKEN:
        return cell
