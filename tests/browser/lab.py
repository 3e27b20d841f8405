"""Drive a real JupyterLab in Chromium: open a notebook, run it, use its widgets, time them."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import TimeoutError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "notebooks"))
import extract  # noqa: E402

NOTEBOOKS = ROOT / "notebooks"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# Console errors that say nothing about the course: what a notebook server without a network, or a
# notebook without checkpoints, answers on every machine.
HARMLESS = ("favicon", "status of 404")

READY = """async () => {
    const app = window.jupyterapp;
    if (!app || !app.shell.currentWidget || !app.shell.currentWidget.sessionContext) return false;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    return true;
}"""
RUN_CELLS = """async (indices) => {
    const app = window.jupyterapp;
    for (const index of indices) {
        app.shell.currentWidget.content.deselectAll();
        app.shell.currentWidget.content.activeCellIndex = index;
        await app.commands.execute('notebook:run-cell');
    }
}"""
RUN_ALL = """(command) => {
    window.courseRun = null;
    window.jupyterapp.commands.execute(command).then(
        () => { window.courseRun = 'done'; },
        (error) => { window.courseRun = String(error); });
}"""
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .map((cell, index) => ({
        index, type: cell.model.type,
        count: cell.model.type === 'code' ? cell.model.executionCount : null,
        outputs: cell.model.type === 'code' ? cell.model.outputs.toJSON() : []}))"""
# From the input event to the frame that shows the new picture. `load` fires when the new picture
# is decoded, and the next animation frame is the one that paints it.
RECORD = """(image) => {
    const times = [];
    let begin = null;
    for (const kind of ['keydown', 'pointerdown', 'change']) {
        document.addEventListener(kind, (event) => {
            // `change` follows a key press in a list; then the press is when it began.
            if (kind !== 'change' || begin === null) begin = event.timeStamp;
        }, true);
    }
    image.addEventListener('load', () => {
        const start = begin;
        begin = null;
        requestAnimationFrame(() => {
            if (start !== null) times.push(performance.now() - start);
            image.dataset.loads = Number(image.dataset.loads || 0) + 1;
        });
    });
    image.dataset.recorded = 'yes';
    window.courseTimes = times;
}"""


def find_chromium() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    return None


class Lab:
    """A JupyterLab of its own: its own port, token, settings and folder of notebooks."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.token = secrets.token_hex(16)
        self._process = None

    def __enter__(self):
        self.notebooks.mkdir(parents=True)
        settings = self.folder / "app-settings"
        settings.mkdir()
        # The settings that `make lab` installs, whether or not this Python's environment has them.
        shutil.copyfile(ROOT / "tools" / "overrides.json", settings / "overrides.json")
        config = self.folder / "config"
        config.mkdir()
        shutil.copyfile(
            ROOT / "tools" / "server_config.json", config / "jupyter_server_config.json"
        )
        runtime = self.folder / "runtime"
        environment = {
            **os.environ,
            "COURSE_PROFILE": "lesson",
            "COURSE_DATA": os.environ.get("COURSE_DATA", str(ROOT / "data")),
            "IPYTHONDIR": str(self.folder / "ipython"),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(self.folder / "jupyter-data"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            "JUPYTERLAB_SETTINGS_DIR": str(self.folder / "user-settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(self.folder / "workspaces"),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])
            ),
        }
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
            "--expose-app-in-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.notebooks}",
            f"--LabApp.app_settings_dir={settings}",
        ]  # fmt: skip
        with (self.folder / "lab.log").open("w") as log:
            self._process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self._process.poll() is None:
            for path in runtime.glob("jpserver-*.json"):
                with contextlib.suppress(ValueError, KeyError):  # it is being written
                    self.url = json.loads(path.read_text())["url"]
                    return self
            time.sleep(0.1)
        self.__exit__()
        raise RuntimeError("JupyterLab did not start:\n" + (self.folder / "lab.log").read_text())

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def add(self, path: Path) -> str:
        """Copy a notebook into this Lab, so that the original stays as it is."""
        shutil.copyfile(path, self.notebooks / path.name)
        return path.name


class Notebook:
    """One notebook, open in a page of its own."""

    def __init__(self, lab: Lab, page, name: str):
        self.page, self.path = page, lab.notebooks / name
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("console", self._hear)
        address = f"{lab.url}lab/workspaces/{secrets.token_hex(4)}/tree/{name}"
        page.goto(f"{address}?token={lab.token}&reset", timeout=120_000)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
        page.wait_for_function(READY, timeout=120_000)

    def _hear(self, message):
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(word in text for word in HARMLESS):
            self.problems.append(f"console: {text}")

    def run_all(self, timeout: float = 180) -> float:
        """Run every cell; return the seconds that it took, and fail on an error in any."""
        return self._run("notebook:run-all-cells", timeout)

    def restart_and_run_all(self, timeout: float = 180) -> float:
        """Choose "Restart Kernel and Run All Cells", and confirm."""
        confirm = self.page.locator(".jp-Dialog button.jp-mod-accept")
        return self._run("notebook:restart-run-all", timeout, lambda: confirm.click())

    def _run(self, command: str, timeout: float, then=lambda: None) -> float:
        begin = time.monotonic()
        self.page.evaluate(RUN_ALL, command)
        then()
        self.page.wait_for_function("() => window.courseRun", timeout=timeout * 1000)
        seconds = time.monotonic() - begin
        assert self.page.evaluate("window.courseRun") == "done"
        self.check()
        return seconds

    def run_widgets(self, timeout: float = 120) -> float:
        """Run the cells that show widgets, and those that they need; return the seconds."""
        node = nbformat.read(self.path, as_version=4)
        indices = extract.needed_cells(node, lambda cell: "widgets." in cell.source)
        begin = time.monotonic()
        self.page.set_default_timeout(timeout * 1000)
        self.page.evaluate(RUN_CELLS, indices)
        seconds = time.monotonic() - begin
        self.page.set_default_timeout(30_000)
        counts = {cell["index"]: cell["count"] for cell in self.cells()}
        assert all(counts[index] for index in indices), "a cell was not run"
        self.check()
        return seconds

    def start_cell(self, index: int) -> None:
        """Start one cell without waiting for it."""
        self.page.evaluate(
            "(i) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", index
        )
        self.page.evaluate(RUN_ALL, "notebook:run-cell")

    def set_source(self, index: int, source: str) -> None:
        self.page.evaluate(
            "([i, source]) => window.jupyterapp.shell.currentWidget.content.widgets[i]"
            ".model.sharedModel.setSource(source)",
            [index, source],
        )

    def interrupt(self) -> None:
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()"
        )

    def wait_idle(self, timeout: float = 60) -> None:
        self.page.wait_for_selector(
            '.jp-Notebook-ExecutionIndicator[data-status="idle"]',
            state="attached",
            timeout=timeout * 1000,
        )

    def cells(self) -> list[dict]:
        """Return index, type, execution count and outputs of every cell."""
        return self.page.evaluate(CELLS)

    def check(self) -> None:
        """Fail on what a student would see as broken: errors and stderr in cells or the page."""
        for cell in self.cells():
            for output in cell["outputs"]:
                wrong = output["output_type"] == "error" or output.get("name") == "stderr"
                assert not wrong, f"cell {cell['index']} shows {output}"
        assert not self.problems, "\n".join(self.problems)

    def widget(self, name: str, number: int = 0) -> "Widget":
        """Return the widget of class `course-<name>`, scrolled into view.

        JupyterLab keeps only the cells near the window in the page, so it may have to be looked
        for.
        """
        shown = self.page.locator(f".course-{name}:visible").nth(number)
        live = "application/vnd.jupyter.widget-view+json"
        for cell in self.cells():
            if shown.count():
                break
            if any(live in output.get("data", {}) for output in cell["outputs"]):
                self.page.evaluate(
                    "(i) => window.jupyterapp.shell.currentWidget.content.scrollToItem(i)",
                    cell["index"],
                )
                with contextlib.suppress(Exception):
                    shown.wait_for(timeout=3000)
        shown.wait_for(timeout=10_000)
        shown.scroll_into_view_if_needed()
        return Widget(self.page, shown)


class Widget:
    """One of the course's widgets in the page: its controls by name, its picture, its timing."""

    def __init__(self, page, root):
        self.page, self.root = page, root
        self.image = root.locator("img.course-picture")
        self.image.wait_for()

    def control(self, name: str):
        """Return the locator of a control, a button or a line: the class is `course-<name>`."""
        return self.root.locator(f".course-{name}")

    def handle(self, name: str):
        """Return what takes the keyboard in a control."""
        control = self.control(name)
        for inner in ("[role=slider]", "select", "button", "input"):
            if control.locator(inner).count():
                return control.locator(inner).first
        return control

    def message(self) -> str:
        return self.control("message").inner_text().strip()

    def caption(self) -> str:
        return self.control("caption").inner_text().strip()

    def source(self) -> str:
        return self.image.get_attribute("src")

    def pixels(self) -> bytes:
        """Return the picture's bytes, whatever its address."""
        return bytes(
            self.image.evaluate(
                "async (image) => Array.from(new Uint8Array("
                "await (await fetch(image.src)).arrayBuffer()))"
            )
        )

    def wait_change(self, before: str, timeout: float = 10) -> None:
        """Wait until the picture is another than the one whose `source()` was `before`."""
        self.page.wait_for_function(
            "([image, before]) => image.src !== before && image.complete",
            arg=[self.image.element_handle(), before],
            timeout=timeout * 1000,
        )

    def wait_still(self, quiet: float = 0.5) -> None:
        """Wait until the picture has stayed the same for `quiet` seconds."""
        before = None
        while before != (before := self.source()):
            self.page.wait_for_timeout(quiet * 1000)

    def change(self, action, timeout: float = 10) -> None:
        """Do something that must change the picture, and wait for that."""
        before, seen = self.source(), self.pixels()
        action()
        self.wait_change(before, timeout)
        assert self.pixels() != seen, "the picture was sent again, but is the same"

    def press(self, name: str, key: str) -> None:
        """Press a key on a control and wait for the changed picture."""
        self.handle(name).focus()
        self.change(lambda: self.page.keyboard.press(key))

    def latencies(self, name: str, keys, discard: int = 3, may_stay: bool = False) -> np.ndarray:
        """Press keys one by one and time every change of the picture.

        Args:
            name: the control that has the focus.
            keys: names of keys, as Playwright calls them.
            discard: how many changes at the start are for warming up.
            may_stay: whether a key may leave the picture as it is; that one is not counted.

        Returns:
            Milliseconds from each key press to the frame that shows the changed picture, measured
            inside the page.
        """
        if not self.image.get_attribute("data-recorded"):
            self.image.evaluate(RECORD)
        self.page.evaluate("() => { window.courseTimes.length = 0; }")
        self.handle(name).focus()
        changes = 0
        for key in keys:
            self.page.keyboard.press(key)
            try:
                self.page.wait_for_function(
                    "(n) => window.courseTimes.length > n",
                    arg=changes,
                    timeout=1000 if may_stay else 10_000,
                )
                changes += 1
            except TimeoutError:
                if not may_stay:
                    raise AssertionError(f"{key} on {name} changed nothing") from None
            time.sleep(0.05)  # nobody reads faster
        assert changes > discard, f"{changes} changes of {name} are too few to be timed"
        return np.array(self.page.evaluate("window.courseTimes"))[discard:]

    def square(self, name: str):
        """Return the locator of a pad's square: what is dragged or drawn on."""
        return self.control(name).locator("[tabindex]").first

    def drag(self, name: str, *stops, release: bool = True) -> list[tuple[float, float]]:
        """Move the pressed pointer along points given in parts of a pad; return them in pixels."""
        box = self.square(name).bounding_box()
        points = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in stops]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for x, y in points[1:]:
            self.page.mouse.move(x, y, steps=6)
        if release:
            self.page.mouse.up()
            self.wait_still()
        return points

    def upload(self, name: str, path: Path) -> None:
        """Choose a file as a user does."""
        with self.page.expect_file_chooser() as chooser:
            self.control(name).click()
        chooser.value.set_files(str(path))


def check_latency(what: str, measure, budget: float = 100, rounds: int = 3) -> None:
    """Print median and 90th percentile, and fail where the latter is over budget in every round.

    More than one round, because a moment's work of another process on the machine is not ours.

    Args:
        what: is measured.
        measure: returns milliseconds, as `Widget.latencies` does.
        budget: in milliseconds.
        rounds: how many, at most.
    """
    for _ in range(rounds):
        times = measure()
        p90 = float(np.percentile(times, 90))
        print(f"{what}: median {np.median(times):.0f} ms, p90 {p90:.0f} ms, {len(times)} changes")
        if p90 < budget:
            return
    raise AssertionError(f"{what}: p90 {p90:.0f} ms, budget {budget:.0f} ms, {rounds} rounds")
