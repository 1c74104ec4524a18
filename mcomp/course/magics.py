"""A cell's Python without IPython's own syntax: magics, shell commands, questions. Nothing is run.

What is no Python for IPython is decided as it does: a line that starts with ``%`` is a magic only where a
statement starts, not within brackets or a string. Each line keeps its number.
"""

import ast
import re
import warnings

LONGEST = 200_000  # characters of a cell that are read as Python
BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)  # what parsing a stranger's source may raise
ITEM = re.compile(
    r"""(?P<string>'''(?:\\[\s\S]|[^\\])*?(?:'''|\\?\Z)|\"""(?:\\[\s\S]|[^\\])*?(?:\"""|\\?\Z)"""
    r"""|"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*')"""
    r"""|(?P<skip>\#[^\n]*|\\\n|[ \t\f]+)|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>\n)|(?P<asks>\?)"""
    r"""|[^\s'"#\\()\[\]{}?]+|[\s\S]"""
)
NAMES = r"[\w.]+(?:\[[^\]\n]*\])?"
MAGIC = re.compile(rf"[ \t]*(?:[%!?,;/]|{NAMES}(?:[ \t]*,[ \t]*{NAMES})*[ \t]*=[ \t]*[!%])")
LINE = re.compile(r"(?:\\\n|[^\n])*\n?")
TIMED = re.compile(r"([ \t]*)%time[ \t]+(?=[^\W\d])")  # its statement is run, and binds names
WHOLE = re.compile(r"\s*%%[ \t]*(\w*)[^\n]*(?:\n|\Z)")
PYTHON = ("time", "capture", "prun", "python", "python3", "timeit", "debug")
PROMPT = re.compile(r"^[ \t]*(?:>>>|\.\.\.|In \[\d+\]:|\.{3,}:)(?: |$)", re.MULTILINE)


def read_python(source, *, mentions=False):
    """``(text, nodes)``: a cell as Python and its statements; each line is where it was in `source`.

    Parameters
    ----------
    source : str
    mentions : bool
        Read the cell also if a magic such as ``%%bash`` makes something else of it.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        If it can't be parsed.

    Examples
    --------
    >>> read_python("%matplotlib inline\\nx = (5\\n  % 2)\\nnp.abs?")[0]
    'pass\\nx = (5\\n  % 2)\\npass'
    """
    if len(source) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST:,} characters")
    text = source.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    with warnings.catch_warnings():  # of backslashes in the learner's strings: nothing to tell the teacher
        warnings.simplefilter("ignore")
        try:
            return text, ast.parse(text).body
        except BROKEN:
            text = plain_python(text, mentions=mentions)
            return text, ast.parse(text).body


def plain_python(text, *, mentions=False):
    """The text with ``pass`` in place of what only IPython reads."""
    text = _without_indent(text)
    while match := WHOLE.match(text):
        if match[1] not in PYTHON and not mentions:
            return ""
        text = "\n" * match[0].count("\n") + text[match.end() :]
    parts, at = [], 0
    while at < len(text):
        end, foreign = (LINE.match(text, at).end(), True) if MAGIC.match(text, at) else _statement(text, at)
        parts.append(_in_python(text[at:end]) if foreign else text[at:end])
        at = end
    return "".join(parts)


def _without_indent(text):
    """A cell that was pasted with its prompts, or indented as a whole, as IPython takes it."""
    if PROMPT.match(text.lstrip("\n")):
        return PROMPT.sub("", text)
    indent = re.match(r"\n*([ \t]*)", text)[1]
    return re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) if indent else text


def _statement(text, at):
    """(where the statement ends that starts at `at`, is it a question to IPython?)."""
    depth, asks = 0, False
    for item in ITEM.finditer(text, at):
        kind = item.lastgroup
        depth = max(depth + (kind == "open") - (kind == "close"), 0)
        if kind == "end" and not depth:
            return item.end(), asks
        if kind not in ("skip", "end"):
            asks = kind == "asks"
    return len(text), asks


def _in_python(piece):
    """What Python is to read in place of a magic: the same number of lines."""
    if match := TIMED.match(piece):
        return match[1] + piece[match.end() :]
    indent = re.match(r"[ \t]*", piece)[0]
    return f"{indent}pass" + "\n" * piece.count("\n")
