"""The limits of a chapter, held over chapters/ and solutions/; each is tried on a notebook that breaks it.

What a notebook's cells compute is compared by nbval, in the same pytest run (`make test`).
"""

import ast
import re
import statistics

import nbformat
import pytest
from notebooks import ROOT, cells_hash, code_cells, find
from sections import LINE, TITLE, in_words, minutes_of, pace, rounded, told
from sections import sections as parts

SECTIONS = (
    "Setup", "By hand", "The mathematics", "Ladder", "On a real network", "Against theory", "Where it breaks",
    "Explore", "Summary", "Quiz", "Literature",
)  # fmt: skip
# Chapter 00 tells the whole story once and leaves the derivations to the others.
MAY_LACK = {"00": {"By hand", "The mathematics", "Ladder", "Against theory", "Explore", "Quiz"}}
TAGS = {"claims", "nbval-ignore-output", "timing", "hide-input"}
MACHINE_PATH = re.compile(r"/(?:root|work|tmp|var/folders|home/\w+|Users/\w+)/|[A-Z]:\\|site-packages")
FILLER = re.compile(
    r"\b(simply|obviously|powerful|seamless(?:ly)?|cutting-edge|delve)\b|\w!(?:\s|$)|TODO|FIXME", re.I
)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
REPO_FILE = re.compile(r"`((?:mcomp|scripts|experiments|chapters|solutions|tests|benchmarks)/[\w/.-]+\.\w+)`")
CITES = re.compile(r"arXiv|doi|\b(?:19|20)\d\d\b")
NUMBER = re.compile(
    r"(?<![\w.,/-])(\d[\d,]*(?:\.\d+)?)(?:\s?(%|×|points|bytes|bits|kB|KB|MB|ms|seconds))?(?![\w-])"
)


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def plain(markdown):
    """Prose alone: no code, formulas, pictures, link targets or HTML."""
    for pattern in (
        r"```.*?```",
        r"\$\$.*?\$\$",
        r"\$[^$]*\$",
        r"`[^`]*`",
        r"!\[[^\]]*\]\([^)]*\)",
        r"<[^>]*>",
        LINE.pattern,
    ):
        markdown = re.sub(pattern, " ", markdown, flags=re.S | re.M)
    return LINK.sub(r"\2", markdown)


def words(markdown):
    return len(re.findall(r"\w+(?:['’.,-]\w+)*", plain(markdown)))


def prose(book):
    return [cell.source for cell in book.cells if cell.cell_type == "markdown"]


def headings(book):
    fences = r"```.*?```"
    return re.findall(r"^(#+) +(.+?) *$", re.sub(fences, "", "\n".join(prose(book)), flags=re.S), flags=re.M)


def output_text(output):
    """What a reader reads of one output, HTML included (without its tags)."""
    data = output.get("data", {})
    return "\n".join(
        [
            output.get("text", ""),
            data.get("text/plain", ""),
            re.sub(r"<[^>]*>", " ", data.get("text/html", "")),
        ]
    )


def printed(cell):
    """The text of a cell's outputs; the repr of a figure isn't text."""
    text = "\n".join(output_text(output) for output in cell.outputs)
    return re.sub(r"<(?:Figure|Axes)[^>]*>", "", text)


# One generator a limit: (notebook, its path) -> complaints.


def cell_sizes(book, path):
    sizes = [len(lines(cell.source)) for cell in code_cells(book)]
    for number, size in enumerate(sizes, 1):
        if size > 15:
            yield f"code cell {number} has {size} lines; allowed: 15"
    if sizes and statistics.median(sizes) > 6:
        yield f"the median code cell has {statistics.median(sizes)} lines; allowed: 6"
    if is_chapter(path) and sizes and sizes[0] > 8:
        yield f"the setup cell has {sizes[0]} lines; allowed: 8"


def prose_sizes(book, path):
    counts = [words(text) for text in prose(book)]
    for text, count in zip(prose(book), counts, strict=True):
        if count > 120:
            yield f"a markdown cell of {count} words; allowed: 120: {text[:50]!r}"
    if is_chapter(path) and not 1200 <= sum(counts) <= 2500:
        yield f"{sum(counts)} words of prose; allowed: 1,200 to 2,500"


def sections(book, path):
    if not is_chapter(path):
        return
    found = [text.split(":")[0].strip() for level, text in headings(book) if level == "##"]
    found = [text for text in found if text in SECTIONS]
    may_lack = MAY_LACK.get(path.stem.partition("_")[0], ())
    wanted = [name for name in SECTIONS if name in found or name not in may_lack]
    if found != wanted:
        yield f"sections are {found}; wanted, in this order: {wanted}"


def title(book, path):
    first = book.cells[0] if book.cells else None
    if not first or first.cell_type != "markdown" or not first.source.startswith("# "):
        yield "the first cell must be the title, '# NN Title'"
    elif is_chapter(path):
        if not re.search(r"\d+ minutes? to read, \d+ (?:minutes?|seconds) to run", first.source):
            yield "the title cell must say 'N minutes to read, M minutes to run'"
        if not re.search(r"[\u4e00-\u9fff]", first.source):
            yield "the title cell must give the topic's Chinese term"
    if sum(level == "#" for level, _ in headings(book)) != 1:
        yield "one '# ' heading is wanted, the title"


def executed(book, path):
    counts = [cell.execution_count for cell in code_cells(book)]
    if counts != list(range(1, len(counts) + 1)):
        yield "execution counts are not 1..n: nbval would skip cells; run `make notebooks`"
    if book.metadata.get("mcomp", {}).get("cells") != cells_hash(book):
        yield "the outputs are not of these cells; run `make notebooks`"


def clean_outputs(book, path):
    for number, cell in enumerate(code_cells(book), 1):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"code cell {number} stores an error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"code cell {number} wrote to stderr: {output.text[:60]!r}"
            text = output_text(output)
            for bad in filter(None, (MACHINE_PATH.search(text), re.search(r"\w*Warning\b", text))):
                yield f"code cell {number}'s output has {bad.group()!r}"
        long = [o for o in cell.outputs if not {"text/html", "image/png"} & set(o.get("data", {}))]
        if sum(len(lines(output_text(output))) for output in long) > 25:
            yield f"code cell {number} prints more than 25 lines"


def alternative_text(book, path):
    for number, cell in enumerate(code_cells(book), 1):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt"):
                yield f"code cell {number}: a picture without alternative text; call use_style()"
            for tag in re.findall(r"<img\b[^>]*>", output.get("data", {}).get("text/html", "")):
                if not re.search(r"""alt=["'][^"']""", tag):
                    yield f"code cell {number}: an HTML picture without alternative text"
    for text in prose(book):
        pictures = [alt for bang, alt, _ in LINK.findall(text) if bang]
        pictures += re.findall(r"""<img\b(?![^>]*alt=["'][^"'])[^>]*()>""", text)
        if not all(alt.strip() for alt in pictures):
            yield f"a picture without alternative text: {text[:50]!r}"


def links(book, path):
    anchors = {re.sub(r"\s", "-", re.sub(r"[`*$]", "", text)) for _, text in headings(book)}
    for text in prose(book):
        for _, _, target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.S)):
            file, _, anchor = target.partition("#")
            if re.match(r"https?:|mailto:", target):
                continue
            if file and not (path.parent / file).exists():
                yield f"the link {target} leads nowhere"
            if not file and anchor not in anchors:
                yield f"the link {target} meets no heading"
        for file in REPO_FILE.findall(text):
            if not (ROOT / file).exists():
                yield f"`{file}` is named and doesn't exist"


def tags(book, path):
    code = code_cells(book)
    for number, cell in enumerate(code, 1):
        mine = set(cell.metadata.get("tags", []))
        if mine - TAGS:
            yield f"code cell {number} has tags {sorted(mine - TAGS)}; allowed: {sorted(TAGS)}"
        if "timing" in mine and "nbval-ignore-output" not in mine:
            yield f"code cell {number}: `timing` goes with `nbval-ignore-output`"
        if ("claims" in mine) != ("checked(" in cell.source):
            yield f"code cell {number}: the tag `claims` goes with `results.checked`"
        trained = "nbval-ignore-output" in mine and "timing" not in mine and re.search(r"\d", printed(cell))
        if trained and not any(map(has_band, code[number - 1 : number + 1])):
            yield f"code cell {number} prints a trained number: assert its band there or in the next cell"


def has_band(cell):
    """Whether a cell asserts an order, such as 0.87 < accuracy < 0.91, or has it checked as a claim."""
    source = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in cell.source.splitlines())
    order = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
    for node in ast.walk(ast.parse(source)):
        claim = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "checked"
        held = [node.test] if isinstance(node, ast.Assert) else node.args if claim else []
        if any(
            isinstance(op, order) for part in held for n in ast.walk(part) for op in getattr(n, "ops", [])
        ):
            return True
    return False


def style(book, path):
    for text in prose(book):
        for bad in FILLER.finditer(plain(text)):
            yield f"{bad.group().strip()!r} in {text[:50]!r}"


def numbers(book, path):
    """A number in the prose stands in a cell or its output; a paragraph that cites a paper is let off."""
    known = "\n".join(cell.source + "\n" + printed(cell) for cell in code_cells(book)).replace(",", "")
    known = set(re.findall(r"\d+(?:\.\d+)?", known))
    shown = {factor * float(number) for number in known for factor in (1, 100, 0.01)}  # fraction, percent
    for text in prose(book)[1:]:
        for paragraph in re.split(r"\n\s*\n", plain(text)):
            for number, unit in NUMBER.findall("" if CITES.search(paragraph) else paragraph):
                value = float(number.replace(",", ""))
                matters = unit or "." in number or value >= 100
                if matters and not any(abs(value - other) < 1e-9 * max(1.0, value) for other in shown):
                    yield f"no cell shows {number}{unit and ' ' + unit}: {paragraph.strip()[:60]!r}"


def paced(book, path):
    """Below each heading of a section what it takes; the minutes add up to the title's."""
    if not is_chapter(path) or not TITLE.search(book.cells[0].source):
        return
    wanted = [in_words(n) for n in minutes_of(book)]
    for (_, name, cells), minutes, (said, seconds) in zip(parts(book), wanted, told(book), strict=True):
        computes = any(cell.cell_type == "code" for cell in cells)
        if said != minutes or (seconds is None) == computes:
            yield f"{name} says {said}, {seconds}; wanted: {minutes} and the seconds: run `make notebooks`"


LIMITS = (
    cell_sizes, prose_sizes, sections, paced, title, executed, clean_outputs, alternative_text, links, tags,
    style, numbers,
)  # fmt: skip


def is_chapter(path):
    return path.parent.name == "chapters"


@pytest.mark.parametrize("path", find(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notebook_keeps_the_limits(path):
    book = nbformat.read(path, as_version=4)
    assert [complaint for limit in LIMITS for complaint in limit(book, path)] == []


def test_every_solution_has_its_chapter():
    chapters, solutions = ({p.name for p in find() if p.parent.name == f} for f in ("chapters", "solutions"))
    assert solutions <= chapters


def code(source, *outputs, tags=()):
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata.tags = list(tags)
    return cell


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def picture(**metadata):
    return nbformat.v4.new_output("display_data", {"image/png": "aGk="}, metadata={"image/png": metadata})


def good_book():
    """A chapter that keeps every limit: the title, eleven sections of 113 words, one cell each."""
    top = "# 02 Magnitude pruning (剪枝)\n\nWhich weights may go? 20 minutes to read, 1 minute to run."
    cells = [nbformat.v4.new_markdown_cell(top)]
    for name in SECTIONS:
        cells.append(nbformat.v4.new_markdown_cell(f"## {name}\n\n" + "word " * 112))
        cells.append(code("x = 1", stream("97.5 % of 266,610\n")))
    return finish(nbformat.v4.new_notebook(cells=cells))


def finish(book):
    pace(book, {id(cell): 3.4 for cell in code_cells(book)})
    for number, cell in enumerate(code_cells(book), 1):
        cell.execution_count = number
    book.metadata.mcomp = {"cells": cells_hash(book)}
    return book


CHAPTER = ROOT / "chapters" / "02_try.ipynb"


def replace_prose(text):
    def change(book):
        book.cells[3].source = text + " word" * 100

    return change


def add_cell(*args, **kwargs):
    return lambda book: book.cells.append(code(*args, **kwargs))


BREAKS = [
    (cell_sizes, add_cell("x = 1\n" * 16)),
    (cell_sizes, lambda book: [cell.update(source="x = 1\n" * 7) for cell in code_cells(book)]),
    (cell_sizes, lambda book: book.cells[2].update(source="x = 1\n" * 9)),
    (prose_sizes, replace_prose("word " * 121)),
    (prose_sizes, lambda book: book.cells.__delitem__(slice(1, None))),
    (sections, lambda book: book.cells.__delitem__(slice(5, 7))),
    (sections, lambda book: book.cells.__setitem__(slice(3, 7), book.cells[5:7] + book.cells[3:5])),
    (paced, lambda book: book.cells[3].update(source="## By hand\n\n" + "word " * 112)),
    (paced, lambda book: book.cells[3].update(source=book.cells[3].source.replace("minute", "hour"))),
    (paced, lambda book: book.cells.pop(4)),
    (title, lambda book: book.cells.pop(0)),
    (title, lambda book: book.cells[0].update(source="# Pruning (剪枝)")),
    (title, lambda book: book.cells[0].update(source="# Pruning, 3 minutes to read, 1 minute to run")),
    (title, replace_prose("# A second title\n\n")),
    (executed, lambda book: book.cells[4].update(execution_count=None)),
    (executed, lambda book: book.metadata.mcomp.update(cells="0")),
    (clean_outputs, add_cell("f()", nbformat.v4.new_output("error", ename="E", evalue="", traceback=[]))),
    (clean_outputs, add_cell("f()", stream("bar", name="stderr"))),
    (clean_outputs, add_cell("f()", stream("/home/" + "someone/x"))),
    (clean_outputs, add_cell("f()", stream("UserWarning: no"))),
    (clean_outputs, add_cell("f()", stream("x\n" * 26))),
    (alternative_text, add_cell("f()", picture())),
    (
        alternative_text,
        add_cell("f()", nbformat.v4.new_output("display_data", {"text/html": "<img src='x'>"})),
    ),
    (alternative_text, replace_prose("![](../README.md)")),
    (alternative_text, replace_prose("<img src='../README.md'>")),
    (links, replace_prose("[there](nowhere.md)")),
    (links, replace_prose("[there](#Nowhere)")),
    (links, replace_prose("see `mcomp/nowhere.py`")),
    (tags, add_cell("x = 1", tags=["NBVAL_IGNORE_OUTPUT"])),
    (tags, add_cell("x = 1", tags=["timing"])),
    (tags, add_cell("x", stream("0.89"), tags=["nbval-ignore-output"])),
    (tags, add_cell("results.checked('x', y)")),
    (tags, add_cell("x = 1", tags=["claims"])),
    (style, replace_prose("This is simply so.")),
    (style, replace_prose("It works!\n")),
    (numbers, replace_prose("It reached 88.7 %.")),
    (numbers, replace_prose("It has 266,611 weights.")),
]


def test_a_good_chapter_breaks_no_limit():
    assert [complaint for limit in LIMITS for complaint in limit(good_book(), CHAPTER)] == []


@pytest.mark.parametrize(("limit", "change"), BREAKS)
def test_each_limit_catches_what_breaks_it(limit, change):
    book = good_book()
    change(book)
    assert list(limit(book, CHAPTER)) != []


@pytest.mark.parametrize(
    ("limit", "change"),
    [
        (prose_sizes, replace_prose("$" + "x " * 200 + "$ `" + "y " * 200 + "` $$" + "z " * 200 + "$$")),
        (alternative_text, add_cell("f()", picture(alt="A falls"))),
        (alternative_text, replace_prose("![the front](../README.md)")),
        (
            links,
            replace_prose(
                "[readme](../README.md#x), [setup](#Setup), [web](https://arxiv.org), `mcomp/arrays.py`"
            ),
        ),
        (tags, add_cell("x; assert 0.8 < x", stream("0.89"), tags=["nbval-ignore-output"])),
        (tags, add_cell("results.checked('x', 0.8 < x)", tags=["claims"])),
        (tags, add_cell("%time x", stream("12 ms"), tags=["nbval-ignore-output", "timing"])),
        (tags, add_cell("x", picture(alt="A"), tags=["nbval-ignore-output"])),
        (numbers, replace_prose("Of 266,610 weights 97.5 % went, in 3 layers; 0.975 of them.")),
        (numbers, replace_prose("LeCun et al. 1990 removed 60.5 %.")),
    ],
)
def test_what_a_limit_lets_pass(limit, change):
    book = good_book()
    change(book)
    assert list(limit(book, CHAPTER)) == []


def test_a_section_says_what_it_takes():
    book = good_book()
    assert told(book)[0] == ("2 minutes", "3")
    assert [int(minutes.split()[0]) for minutes, _ in told(book)] == minutes_of(book)
    assert sum(minutes_of(book)) == 20
    assert len(minutes_of(book)) == len(SECTIONS) - 1  # the literature takes what you give it
    before = [cell.source for cell in book.cells]
    pace(book, {id(cell): 6.0 for cell in code_cells(book)})  # less than twice: the same bytes
    assert [cell.source for cell in book.cells] == before
    pace(book, {id(cell): 60.0 for cell in code_cells(book)})
    assert {seconds for _, seconds in told(book)} == {"60"}
    assert [rounded(s) for s in (0.2, 1.6, 14.4, 26)] == ["under 1", "2", "10", "30"]


def test_notebooks_are_stored_one_way():
    for path in find():
        text = path.read_text("utf-8")
        again = nbformat.writes(nbformat.reads(text, as_version=4)).rstrip("\n") + "\n"
        assert text == again, f"{path.name}: run `make notebooks`"
