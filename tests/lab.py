"""JupyterLab in a real browser, as a learner uses it: for tests/test_browser.py.

`start_lab` serves a folder; `Notebook` opens one notebook of it, runs cells, types, presses keys and reads
what stands on the page. `needed` finds the cells that others can't run without.
"""

import contextlib
import dis
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import types
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    f"{os.environ.get('PROGRAMFILES', '')}/Google/Chrome/Application/chrome.exe",
)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # every cell is on the page
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
STALLED = 600  # seconds in which not one cell ends, or nothing answers: only then a wait is given up
# In the page: the kernel is idle and no cell's number is a star.
IDLE = """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'
    && [...document.querySelectorAll('.jp-InputPrompt')].every(prompt => !prompt.textContent.includes('*'))"""

# Another notebook in place of the one that is open: its kernel ends, nothing asks whether to save it.
OPEN = """async path => {
    const before = window.jupyterapp.shell.currentWidget;
    await before.sessionContext.shutdown();
    before.dispose();
    await window.jupyterapp.commands.execute('docmanager:open', {path});
}"""
# Whether all that was started has ended, and the cells' numbers: little to hand over, for it is asked often.
PROGRESS = f"""() => [window.wasBusy && ({IDLE})(),
    window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.executionCount ?? null)]"""
POLL = 100  # milliseconds between two looks; Playwright's own default is at every frame
# These cells, selected and run as by Ctrl+Enter: a click into each would lay out the page anew.
RUN = """numbers => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.deselectAll();
    notebook.activeCellIndex = numbers[0];
    numbers.forEach(number => notebook.select(notebook.widgets[number]));
    window.jupyterapp.commands.execute('notebook:run-cell');
}"""
IN_FRONT = "path => window.jupyterapp.shell.currentWidget?.context?.path === path"
WATCH = """() => {
    window.wasBusy = false;
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    kernel.statusChanged.connect((_, status) => { window.wasBusy = window.wasBusy || status === 'busy'; });
}"""


def find_browser():
    """The path of a Chromium or Chrome on this machine, or None."""
    places = [os.environ.get("MCOMP_BROWSER"), *map(shutil.which, NAMES), *PLACES]
    return next((place for place in places if place and Path(place).exists()), None)


@contextlib.contextmanager
def start_browser():
    """A browser without a window, for Playwright."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=list(FLAGS), timeout=1000 * STALLED
        )
        yield browser
        browser.close()


@contextlib.contextmanager
def start_lab(folder, home, **environment):
    """Serve `folder` with JupyterLab on a free port, its configuration in `home`; gives (url, token)."""
    settings = home / "jupyter_config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
    own = {name: home / name.rpartition("_")[0].lower() for name in names}
    own |= {
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
        "JUPYTER_TOKEN": token,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            command, env=os.environ | {k: str(v) for k, v in (own | environment).items()},
            cwd=home, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_served(f"{url}/api/status?token={token}", server, home / "server.log")
        yield url, token
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_until_served(address, server, log):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy
    end = time.monotonic() + STALLED
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), direct.open(address, timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab didn't answer; its log ends: {log.read_text()[-2000:]}")


class Notebook:
    """One notebook, open on a Playwright page. Cells are counted from 0, markdown cells too."""

    def __init__(self, page, url, token, path):
        self.page = page
        page.set_default_timeout(1000 * STALLED)
        page.goto(f"{url}/lab/tree/{path}?token={token}&reset")
        page.wait_for_function(IDLE, polling=POLL)
        self.cells = page.locator(".jp-Notebook-cell:visible")

    def open(self, path):
        """Put another notebook in place of this one, as from the list of files, in the same JupyterLab."""
        self.page.evaluate(OPEN, path)
        self.page.wait_for_function(IN_FRONT, arg=path, polling=POLL)
        self.page.wait_for_function(IDLE, polling=POLL)

    def model(self):
        """The notebook as it stands in the browser, outputs included (nbformat as a dict)."""
        return self.page.evaluate("window.jupyterapp.shell.currentWidget.content.model.toJSON()")

    def find(self, text):
        """The number of the first code cell whose source contains `text`."""
        for number, cell in enumerate(self.model()["cells"]):
            if cell["cell_type"] == "code" and text in "".join(cell["source"]):
                return number
        raise ValueError(f"no code cell has {text!r}")

    def run_all(self):
        """Choose Run, Run All Cells in the menu and wait for the end."""
        self.page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
        self.watch()
        self.page.get_by_text("Run All Cells", exact=True).click()
        self.wait()

    def watch(self):
        """Before a cell is started: note from now on whether the kernel was busy, for `wait`."""
        self.page.evaluate(WATCH)

    def wait(self):
        """After `watch`: until the kernel was busy and no cell is running or waiting to run.

        However long that takes, as long as one cell ends after the other.
        """
        ended, since = None, time.monotonic()
        while True:
            done, now = self.page.evaluate(PROGRESS)
            if done:
                return
            if now != ended:
                ended, since = now, time.monotonic()
            if time.monotonic() - since > STALLED:
                raise RuntimeError(f"no cell has ended for {STALLED} seconds; so far: {ended}")
            self.page.wait_for_timeout(POLL)

    def type(self, number, source):
        """Replace what stands in a code cell."""
        editor = self.cells.nth(number).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("Control+A" if sys.platform != "darwin" else "Meta+A")
        self.page.keyboard.insert_text(source)

    def run(self, number):
        """Run one cell as Ctrl+Enter does and wait for the end; gives what the reader reads under it."""
        self.cells.nth(number).locator(".cm-content").click()
        self.watch()
        self.page.keyboard.press("Control+Enter")
        self.wait()
        return self.read(number)

    def run_selected(self, numbers):
        """Select these cells, run them in their order and wait for the end."""
        self.watch()
        self.page.evaluate(RUN, numbers)
        self.wait()

    def output(self, number):
        """The Playwright locator of a cell's output area, for buttons, sliders and pictures."""
        return self.cells.nth(number).locator(".jp-Cell-outputWrapper")

    def click(self, number, text):
        """Click what is labelled `text` under a cell: a button, or an option of a quiz."""
        self.output(number).get_by_text(text).first.click()

    def read(self, number):
        """The text of a cell's output, as shown."""
        return "\n".join(self.output(number).locator(".jp-OutputArea-output").all_inner_texts())

    def wait_for_text(self, number, text):
        """Until `text` stands under a cell: what a widget answers without a cell being run."""
        self.output(number).get_by_text(text).first.wait_for()

    def pictures(self, number):
        """The sources of the pictures under a cell: data or blob addresses, which change with the picture."""
        return self.output(number).locator("img").evaluate_all("images => images.map(image => image.src)")

    def press_slider(self, number, key="ArrowRight", times=1):
        """Press `key` on the first slider under a cell; True once the picture beside it has changed."""
        before = self.pictures(number)
        handle = self.output(number).locator(".noUi-handle, input[type=range]").first
        handle.focus()
        for _ in range(times):
            handle.press(key)
        give_up = time.monotonic() + STALLED
        while self.pictures(number) == before and time.monotonic() < give_up:
            self.page.wait_for_timeout(50)
        return self.pictures(number) != before

    def errors(self):
        """(cell number, name, value) of every error output."""
        return [
            (number, output["ename"], output["evalue"])
            for number, cell in enumerate(self.model()["cells"])
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
        ]


def needed(sources, wanted):
    """The numbers of the cells that those `wanted` need, themselves included, ascending: by names alone.

    A cell is needed if it gives a needed cell further down a name that this one reads before it gives it.
    """
    names, found = set(), []
    for number in reversed(range(len(sources))):
        reads, writes = _names(sources[number])
        if number in wanted or writes & names:
            found.append(number)
            names = names - writes | reads
    return found[::-1]


def _names(source):
    """The global names that a cell reads before it gives them, and those that it gives."""
    code = compile(re.sub(r"(?m)^\s*[%!].*$", "pass", source), "<cell>", "exec")
    reads, writes = set(), set()
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            writes.add(step.argval)
        elif step.opname == "LOAD_NAME" and step.argval not in writes:
            reads.add(step.argval)
    return reads | (_inner_reads(code) - writes), writes


def _inner_reads(code):
    """The global names that functions, classes and comprehensions in `code` read."""
    found = set()
    for inner in (x for x in code.co_consts if isinstance(x, types.CodeType)):
        steps = dis.get_instructions(inner)
        found |= {step.argval for step in steps if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
        found |= _inner_reads(inner)
    return found
