"""The page in a real browser without a network: answers as Python's, weights to the bit, pen and keys."""

import base64
import copy
import json
import random
import re
import shutil
import time

import numpy as np
import pytest
import test_container
import torch
from lab import STALLED, find_browser, start_browser
from test_deploy_c import masks_in_every_code, mutations, numbers_of_many_sizes
from test_deploy_c import outcome as loaded
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

import mcomp
from mcomp import cli, zoo
from mcomp.codecs import Codebook, Sparse
from mcomp.codecs.attachment import attach, bake
from mcomp.coding.arith import LIMIT, LN, SQUASH
from mcomp.course.results import course_folder
from mcomp.deploy import html
from mcomp.deploy.c_small import _axes
from mcomp.deploy.checks import integers_of
from mcomp.deploy.html_fit import rounded
from mcomp.file.frame import seal
from mcomp.quantize.grids import dequantize, quantize
from mcomp.structure import fold_batchnorm
from mcomp.train import predict

needs_browser = pytest.mark.skipif(
    find_browser() is None,
    reason="no Chromium or Chrome found: install one, or set MCOMP_BROWSER to its path",
)
READY = "!!document.querySelector('#table .most')"
# Files as [base64, digest, shapes]: what each decodes to, or null if the page says that it is damaged.
TEXT = """data => {
    const bytes = new Uint8Array(data.buffer), parts = [];
    for (let i = 0; i < bytes.length; i += 9999)
        parts.push(String.fromCharCode(...bytes.subarray(i, i + 9999)));
    return btoa(parts.join(''));
}"""
DECODE = """files => files.map(([data, digest, shapes]) => {
    try {
        return decodeFile(bytesOf(data), digest, shapes).map(TEXT);
    } catch (error) {
        if (error instanceof CorruptFile) return null;
        throw error;
    }
})""".replace("TEXT", TEXT)
RUN = """([name, data]) => {
    const x = new Float32Array(bytesOf(data).buffer), size = told.size[0] * told.size[1], found = [];
    for (let i = 0; i < x.length; i += size)
        found.push(Array.from(view.page.run[name](x.subarray(i, i + size))));
    return found;
}"""
SLIDE = """v => {
    const slider = document.getElementById('sparsity');
    slider.value = v;
    slider.dispatchEvent(new Event('input'));
}"""


def text(data):
    return base64.b64encode(data).decode()


def data_of(texts):
    return [base64.b64decode(one) for one in texts]


def until(page, true):
    """Wait in the way that a page allows which forbids the evaluation of text."""
    end = time.monotonic() + STALLED
    while not page.evaluate(true):
        assert time.monotonic() < end, true
        page.wait_for_timeout(50)


class Odd(nn.Module):
    """Groups, strides, borders, batch norm, a ReLU whose input is read twice, an addition, a mean."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(5)
        self.first = nn.Conv2d(1, 8, (3, 2), stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.last = nn.Linear(8, 5, bias=False)
        self.norm.running_var.copy_(torch.rand(8) + 0.5)

    def forward(self, x):
        x = self.norm(self.first(x))
        x = F.relu(x) + self.second(x)
        return self.last(self.pool(x).mean((2, 3)))


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load(subset=1_000)


@pytest.fixture(scope="module")
def networks():
    """The small network of chapter 00 and the one that it was made from."""
    path = course_folder() / "experiments/results/00_lenet300-0.safetensors"
    return mcomp.load(path, progress=False), zoo.load("lenet300")


@pytest.fixture(scope="module")
def path(data, networks, tmp_path_factory):
    """The page of chapter 00."""
    x, y = html.pictures(data.test)
    path = tmp_path_factory.mktemp("page") / "small.html"
    calibration, (small, original) = data.train[0][:200], networks
    told = {"example": x, "calibration": calibration, "classes": data.classes, "labels": y}
    return html.export(small, path, original=original, **told)


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def opened(browser):
    """Opens a file in a window without a network; afterwards nothing may have been said or asked for."""
    noise, contexts = [], []

    def open_page(path, ready=READY, **options):
        options = {"viewport": {"width": 1200, "height": 900}, "has_touch": True} | options
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * STALLED)
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda ask: noise.append(ask.url) if ask.url != path.as_uri() else None)
        page.goto(path.as_uri())
        until(page, ready)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert noise == []


@pytest.fixture(scope="module")
def page(opened, path):
    return opened(path)


def said(page, name, x):
    """The logits of a network on the page."""
    return torch.tensor(page.evaluate(RUN, [name, text(x.numpy().tobytes())]), dtype=torch.float64)


def pixels(page):
    return np.array(page.evaluate("Array.from(view.pixels)")).reshape(28, 28)


# What it computes


def test_a_file_of_less_than_300_kB_that_names_no_other(path):
    whole = path.read_text("utf-8")
    assert 150_000 < path.stat().st_size < html.LIMIT
    assert "default-src 'none'" in whole
    assert re.findall(r"""(?:src|href)\s*=\s*["']?([^"'> ]*)""", whole) == ["data:,"]
    assert not re.search(r"https?:|\burl\(|\bfetch\(|\bimport\s*\(|XMLHttpRequest|WebSocket", whole)


@needs_browser
def test_weights_to_the_bit(page, path, networks):
    small, original = networks
    values = int(re.search(r"rounded to (\d+) evenly", path.read_text("utf-8"))[1])
    read = f"name => view.page[name].weights.map({TEXT})"
    for name, model in (("small", small), ("whole", rounded(original, values))):
        found = data_of(page.evaluate(read, name))
        assert found == [w.numpy().tobytes() for w in model.state_dict().values()]


@needs_browser
def test_a_hundred_test_images_get_pythons_answers(page, path, data, networks):
    small, original = networks
    told = json.loads(re.search(r'id="told">(.*?)</script>', path.read_text("utf-8"))[1])
    whole = rounded(original, int(re.search(r"rounded to (\d+) evenly", path.read_text("utf-8"))[1]))
    cut, x = copy.deepcopy(whole), data.test[0][:100]
    attach(cut, {"*.weight": Sparse(told["sparsity"])})
    for name, model in (("float", whole), ("pruned", bake(cut)), ("small", small)):
        found, goal = said(page, name, x), predict(model, x).double()
        assert (found.softmax(1) - goal.softmax(1)).abs().max() < 1e-5
        assert (found - goal).abs().max() < 1e-5 * goal.abs().max()  # float32 sums in another order
    network = integers_of(fold_batchnorm(whole), data.train[0][:200])
    steps = dequantize(network(quantize(x, network.grid)), network.steps[-1].grid)
    assert torch.equal(said(page, "int8", x).float(), steps)


@needs_browser
def test_a_convolutional_network_of_odd_sizes(opened, tmp_path):
    model, x = Odd().eval(), torch.randn(40, 1, 9, 12, generator=torch.Generator().manual_seed(3))
    page = opened(html.export(model, tmp_path / "odd.html", example=x[:3], calibration=x))
    network = integers_of(fold_batchnorm(model, x=x), x)
    assert torch.equal(
        said(page, "int8", x).float(),
        dequantize(network(quantize(x, network.grid)), network.steps[-1].grid),
    )
    goal = predict(model, x).double()
    for name in ("float", "small"):
        assert (said(page, name, x) - goal).abs().max() < 1e-5 * goal.abs().max()
    assert "no original was put in this page" in page.content()


@needs_browser
def test_requantized_near_ties_is_that_of_the_integer_network(page):
    from mcomp.integer.requantize import Multiplier, requantize

    rng = random.Random(0)
    rows = [
        (rng.randrange(-(2**20), 2**20), rng.randrange(2**30, 2**31), rng.randrange(31, 45))
        for _ in range(400)
    ]
    rows += [(rng.randrange(-400, 400) * 2**12 + 2**11, 2**30, 42) for _ in range(100)]  # ties
    acc, m0, shift = (torch.tensor(column) for column in zip(*rows, strict=True))
    whole = Multiplier(m0, shift)
    goal = requantize(acc.int()[None], whole, zero_point=3, qmin=-128, qmax=127)[0].tolist()
    grid = "{zero: 3, low: -128, high: 127}"
    assert page.evaluate(f"rows => rows.map(row => requantized(...row, {grid}))", rows) == goal


# The decoder


@needs_browser
def test_logarithms_and_probabilities(page):
    assert page.evaluate("Array.from(LN)") == LN
    assert page.evaluate("Array.from(SQUASH)")[:LIMIT] == SQUASH[:LIMIT]
    assert page.evaluate("squash(-LIMIT)") == SQUASH[-LIMIT]


def decoded(page, files, shapes):
    """The numbers of each file as bytes, None where the page calls it damaged."""
    sizes = [row[1 : 1 + row[0]] for row in map(_axes, shapes)]
    found = page.evaluate(DECODE, [[text(data), [*digest], sizes] for digest, data in files])
    return [None if parts is None else b"".join(data_of(parts)) for parts in found]


@needs_browser
def test_files_in_every_code_and_option(page):
    from test_deploy_c import SHAPES

    files, expected = masks_in_every_code()
    assert decoded(page, files, SHAPES) == expected
    for file, shapes, numbers in numbers_of_many_sizes():
        assert decoded(page, [file], shapes) == [numbers]


@needs_browser
def test_mutated_files_are_decoded_as_load_does_or_refused(page, tmp_path):
    spoken_in, metadata, model = test_container.dialects()
    state, files = model.state_dict(), [*mutations(spoken_in, metadata, model, 300, 1)]
    digest, shapes = test_container.digest(state), [tuple(x.shape) for x in state.values()]
    found = decoded(page, [(digest, data) for data, _ in files], shapes)
    counts = {"same": 0, "refused": 0}
    for (data, whole), numbers in zip(files, found, strict=True):
        goal = loaded(tmp_path / "file", data)
        # who the header names is nothing to the page, which holds the network
        assert numbers == goal or (goal is None and not whole)
        counts["refused" if numbers is None else "same"] += 1
    assert counts["same"] > 40
    assert counts["refused"] > 120


@needs_browser
def test_a_header_of_absurd_length_or_version(page):
    body = b"name" + b"\3\0\0\0"
    for data in (b"", b"\0" * 30, b"\xff" * 40, seal({"mcomp": "9"}, body), seal({}, body)[:-1]):
        assert decoded(page, [(b"name", data)], [(1,)]) == [None]


@needs_browser
def test_a_damaged_page_says_so(opened, path, tmp_path):
    whole = path.read_text("utf-8")
    at = whole.index('id="network-1">') + 4_000
    other = tmp_path / "damaged.html"
    other.write_text(whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :], "utf-8")
    page = opened(other, ready="!document.getElementById('trouble').hidden")
    told = page.locator("[role=alert]").inner_text()
    assert told == "This page can't be used: the file is damaged: its checksum doesn't fit."
    assert not page.locator("main").is_visible()
    with pytest.raises((ValueError, RuntimeError), match=r"checksum doesn't fit|no Node\.js"):
        html.run(other, torch.zeros(1, 1, 28, 28))


# What one does with it


@needs_browser
def test_the_mouse_draws_and_the_rubber_takes_away(page):
    page.locator("#clear").click()
    assert pixels(page).sum() == 0
    box = page.locator("#pad").bounding_box()
    at = lambda x, y: (box["x"] + box["width"] * x, box["y"] + box["height"] * y)  # noqa: E731
    before = page.locator("#table").inner_text()
    page.mouse.move(*at(0.2, 0.5))
    page.mouse.down()
    page.mouse.move(*at(0.8, 0.5), steps=4)
    page.mouse.up()
    drawn = pixels(page)
    assert drawn[14, 6:22].min() > 150
    assert drawn[:11].sum() == drawn[18:].sum() == 0
    until(page, f"document.getElementById('table').innerText !== {json.dumps(before)}")
    page.mouse.move(*at(0.2, 0.9))  # nothing is down
    assert np.array_equal(pixels(page), drawn)
    page.locator("#rubber").click()
    page.mouse.click(*at(0.5, 0.5))
    page.locator("#rubber").click()
    assert pixels(page)[14, 14] == 0 < pixels(page)[14, 8]


@needs_browser
def test_a_finger_draws_and_the_page_stays_where_it_is(page):
    page.locator("#clear").click()
    box, touch = page.locator("#pad").bounding_box(), page.context.new_cdp_session(page)
    for kind, part in (("touchStart", 0.2), ("touchMove", 0.5), ("touchMove", 0.8), ("touchEnd", None)):
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] * (part or 0)}
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point] if part else []})
    until(page, "view.pixels[22 * 28 + 14] > 0")
    drawn = pixels(page)
    assert drawn[6:22, 14].min() > 150
    assert drawn[:, :11].sum() == drawn[:, 18:].sum() == 0
    assert page.evaluate("scrollY") == 0


@needs_browser
def test_the_keys_draw_pick_and_prune(page):
    page.locator("#clear").click()
    page.locator("#pad").focus()
    page.evaluate("Object.assign(view.pen, {x: 14, y: 14, down: false})")
    page.keyboard.press("ArrowUp")
    assert pixels(page).sum() == 0
    page.keyboard.press("Space")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    drawn = pixels(page)
    assert drawn[12:14, 14:19].min() > 150
    assert drawn[17:].sum() == 0
    page.keyboard.press("Delete")
    assert pixels(page).sum() == 0
    page.locator("#pictures button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("view.picked") == 2
    assert page.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"
    until(page, "document.getElementById('verdict').innerText.includes('The label is Pullover.')")
    kept = page.locator("#kept").inner_text()
    page.locator("#sparsity").focus()
    page.keyboard.press("ArrowLeft")
    until(page, f"document.getElementById('kept').innerText !== {json.dumps(kept)}")
    page.keyboard.press("ArrowRight")
    assert page.locator("#kept").inner_text() == kept


@needs_browser
def test_every_control_is_reached_by_tab(page):
    page.evaluate("document.activeElement.blur()")
    page.locator("body").click(position={"x": 2, "y": 2})
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.id || document.activeElement.parentElement.id || 'more'")
        )
    assert reached >= {"pad", "clear", "rubber", "pen", "shade", "pictures", "sparsity", "more"}


@needs_browser
def test_the_slider_prunes_as_the_codec_and_differences_are_marked(page, path, networks):
    original = rounded(networks[1], int(re.search(r"rounded to (\d+) evenly", path.read_text("utf-8"))[1]))
    before = page.locator("#sparsity").input_value()
    for sparsity in (0.5, 0.0, 0.97):
        page.evaluate(SLIDE, str(sparsity))
        found = data_of(page.evaluate(f"view.page.cut.map({TEXT})"))
        for x, (name, w) in zip(found, original.state_dict().items(), strict=True):
            goal = Sparse(sparsity).project(w) if "weight" in name else w
            assert x == goal.numpy().tobytes()
    page.locator("#pictures button").first.click()
    until(page, "document.getElementById('verdict').innerText.includes('pruned says')")
    assert page.locator("#table .other").count() == page.get_by_text("≠ float").count() >= 1
    page.evaluate(SLIDE, "0")
    until(page, "!document.getElementById('verdict').innerText.includes('pruned says')")
    cells = "name => view.cells[name].innerText"
    until(page, "view.cells['agree pruned'].innerText === '30'")  # nothing is pruned
    assert page.evaluate(cells, "agree float") == "30"
    assert 24 <= int(page.evaluate(cells, "right small")) <= 30
    small = page.evaluate(cells, "bytes small")
    nbytes = (course_folder() / "experiments/results/00_lenet300-0.safetensors").stat().st_size
    assert small.startswith(f"{nbytes:,}")
    page.evaluate(SLIDE, before)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@needs_browser
def test_light_dark_and_narrow(page):
    """Contrast as WCAG 2 asks of text (4.5), and of the longest bar beside the others in greyscale."""
    read = "names => names.map(n => getComputedStyle(document.documentElement).getPropertyValue(n).trim())"
    papers = []
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        light = [
            luminance(c) + 0.05
            for c in page.evaluate(read, ["--paper", "--ink", "--soft", "--most", "--bar"])
        ]
        papers.append(light[0])
        ratio = lambda a, b: max(a, b) / min(a, b)  # noqa: E731
        assert all(ratio(light[0], other) > 4.5 for other in light[1:4])
        assert ratio(light[3], light[4]) > 3
    assert papers[0] < 0.1 < 1 < papers[1]
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.set_viewport_size({"width": 1200, "height": 900})


# In Node.js, from Python


def compressed(**config):
    torch.manual_seed(1)
    model = zoo.build("lenet300", **config)
    attach(model, {"*.weight": Sparse(0.9) | Codebook(8), "*.bias": Codebook(4)})
    return model


def test_run_gives_the_logits_or_says_what_is_missing(tmp_path, monkeypatch, data):
    x, model = data.test[0][:40], compressed(hidden=(9, 8))
    path = html.export(model, tmp_path / "a.html", example=x, calibration=x)
    if shutil.which("node"):
        assert torch.allclose(html.run(path, x), predict(bake(model), x), atol=1e-5)
        network = integers_of(bake(model), x)
        steps = dequantize(network(quantize(x, network.grid)), network.steps[-1].grid)
        assert torch.equal(html.run(path, x, network="int8"), steps)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"no Node\.js on this machine"):
        html.run(path, x)
    with pytest.raises(ValueError, match="network is 'half'; allowed: float, pruned, int8, small"):
        html.run(path, x, network="half")
    with pytest.raises(ValueError, match=r"the shape of the images is \(40, 27\)"):
        html.run(path, x.reshape(40, -1)[:, :27])
    path.write_text("<html>")
    with pytest.raises(ValueError, match=r"the page is '.*a\.html'; allowed: one that mcomp\.deploy\.html"):
        html.run(path, x)


def test_class_names_are_text(tmp_path, data):
    x, names = data.test[0][:40], ["</script><b>", "{{engine}}", *"abcdefgh"]
    path = html.export(
        compressed(hidden=(4, 4)), tmp_path / "a.html", example=x, calibration=x, classes=names
    )
    whole = path.read_text("utf-8")
    told = re.search(r'<script type="application/json" id="told">(.*?)</script>', whole)[1]
    assert json.loads(told)["classes"] == names
    assert "</script><b>" not in whole


def test_on_the_command_line(tmp_path, monkeypatch, data):
    monkeypatch.setattr(mcomp.data, "load", lambda name: data)
    for name, hidden in (("small", (4, 4)), ("original", (6, 5))):
        mcomp.save(zoo.build("lenet300", hidden=hidden), tmp_path / name, progress=False)
    words = ["export", tmp_path / "small", "--to", "html", "--out", tmp_path / "a.html"]
    words += ["--original", tmp_path / "original"]
    done = CliRunner().invoke(cli.app, [*map(str, words)], catch_exceptions=False)
    assert f"{(tmp_path / 'a.html').stat().st_size:,} bytes" in done.stdout
    told = json.loads(re.search(r'id="told">(.*?)</script>', (tmp_path / "a.html").read_text("utf-8"))[1])
    assert told["classes"] == [*data.classes]
    assert [network["shapes"][0] for network in told["networks"]] == [[6, 784], [4, 784]]
    with pytest.raises(ValueError, match=r"--original is '--to c'; allowed: --to html"):
        CliRunner().invoke(cli.app, [*map(str, words[:3]), "c", *map(str, words[4:])], catch_exceptions=False)


# What can't be


def test_bad_input(tmp_path, data, monkeypatch):
    x, y = data.test[0][:40], data.test[1][:40]
    model, path = zoo.build("lenet300", hidden=(4, 4)), tmp_path / "a.html"
    good = {"example": x, "calibration": x}
    wavy = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.Sigmoid())
    for bad, match in (
        ({"calibration": None}, "calibration is None"),
        ({"calibration": x[:1]}, "number of calibration images is 1"),
        ({"example": x.expand(40, 3, 28, 28)}, r"shape of the images is \(40, 3, 28, 28\)"),
        ({"example": torch.full((2, 1, 28, 28), torch.nan)}, "a NaN or an infinity"),
        ({"classes": ["one"]}, "the number of classes is 1; allowed: 10"),
        ({"labels": y[:3]}, "labels is .*; allowed: 40 of them"),
        ({"original": nn.Sequential(nn.Flatten(), nn.Linear(784, 3))}, r"outputs of the original is \[?3"),
        ({"original": wavy}, "_2|Sigmoid"),
    ):
        with pytest.raises(ValueError, match=match):
            html.export(model, path, **good | bad)
    with pytest.raises(ValueError, match=r"ends in \.html"):
        html.export(model, tmp_path / "a.htm", **good)
    monkeypatch.setattr(html, "LIMIT", 90_000)
    with pytest.raises(
        ValueError, match=r"original network is \d+; allowed: what fits on a page of 90,000 bytes"
    ):
        html.export(model, path, original=zoo.build("lenet300"), **good)
    assert list(tmp_path.iterdir()) == []
