"""One JupyterLab and one Chromium for all browser tests."""

import os
import re

import pytest
from lab import CHROMIUM_ARGS, NOTEBOOKS, ROOT, Lab, Notebook, find_chromium


@pytest.fixture(scope="session")
def chromium():
    """A browser; without one the tests are skipped, except in CI, where they fail."""
    path = find_chromium()
    if path is None:
        reason = "no chromium, chromium-browser or google-chrome on the PATH"
        if os.environ.get("CI") == "true":
            pytest.fail(f"browser tests cannot run: {reason}")
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("lab")) as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    setattr(item, f"report_{report.when}", report)
    return report


@pytest.fixture(scope="module")
def contexts():
    """The browser contexts that a module's tests have opened."""
    opened = []
    yield opened
    for context in opened:
        context.close()


@pytest.fixture(scope="module")
def open_notebook(chromium, lab, contexts):
    """A function that opens a copy of a notebook in a page of its own."""

    def opened(path, **viewport):
        size = {"width": 1400, "height": 1000, **viewport}
        contexts.append(chromium.new_context(viewport=size))
        return Notebook(lab, contexts[-1].new_page(), lab.add(path))

    return opened


@pytest.fixture(scope="module")
def notebook(request, open_notebook):
    """The notebook that a module calls NOTEBOOK, with the cells run that its widgets need."""
    opened = open_notebook(NOTEBOOKS / request.module.NOTEBOOK)
    print(f"the widgets of {request.module.NOTEBOOK} ran in {opened.run_widgets():.0f} s")
    return opened


@pytest.fixture
def play(notebook):
    """A function that finds a widget by name; it is set back after the test."""
    played = []

    def find(name):
        played.append(notebook.widget(name))
        return played[-1]

    yield find
    for widget in played:
        widget.control("reset").click()
        widget.wait_still()
    notebook.check()


@pytest.fixture(autouse=True)
def screenshots(request):
    """A test that fails leaves pictures of its pages in build/screenshots."""
    yield
    reports = [getattr(request.node, f"report_{when}", None) for when in ("setup", "call")]
    if "contexts" not in request.fixturenames or not any(r and r.failed for r in reports):
        return
    folder = ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", request.node.name)
    for number, context in enumerate(request.getfixturevalue("contexts")):
        for page in context.pages:
            page.screenshot(path=folder / f"{name}-{number}.png")
