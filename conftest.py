"""How the whole suite runs: the students' profile, offline kernels, notebook times."""

import os
import sys
from pathlib import Path

import pytest

from tools import times

ROOT = Path(__file__).resolve().parent
# The measured run of each notebook that nbval executes in this session, by notebook name.
NOTEBOOK_TIMES = pytest.StashKey[dict[str, times.NotebookTime]]()


def is_notebook_cell(item):
    """Is this one of nbval's items?"""
    return type(item).__name__ == "IPyNbCell"


def pytest_configure(config):
    """Give the processes that tests start the profile of students, and no network."""
    config.stash[NOTEBOOK_TIMES] = {}
    os.environ["COURSE_PROFILE"] = "lesson"
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ.pop("JUPYTER_PATH", None)
    inherited = [path for path in [os.environ.get("PYTHONPATH")] if path]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "offline"), *inherited])


def pytest_collection_modifyitems(items):
    """Mark nbval's cells, and let the tests that judge their times come last."""
    for item in items:
        if is_notebook_cell(item):
            item.add_marker("notebook")
    items.sort(key=lambda item: "notebook_times" in getattr(item, "fixturenames", ()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Add the time of each notebook cell to its notebook's."""
    report = yield
    if is_notebook_cell(item) and call.when in ("setup", "call"):
        name = item.path.stem
        run = item.config.stash[NOTEBOOK_TIMES].setdefault(name, times.NotebookTime(name))
        if call.when == "setup":  # the kernel starts with the first cell
            run.seconds += call.duration
        else:
            first_line = (item.cell.source.strip().splitlines() or [""])[0][:50]
            run.add(
                call.duration,
                f"cell [{item.cell_num + 1}]: {first_line}",
                picture=times.has_picture(item.test_outputs or ()),
            )
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Leave the times where the runner leaves them."""
    if runs := session.config.stash[NOTEBOOK_TIMES]:
        times.save(list(runs.values()))


def pytest_terminal_summary(terminalreporter, config):
    """Show what each notebook took."""
    if runs := config.stash[NOTEBOOK_TIMES]:
        terminalreporter.section("notebook times")
        for line in times.report(list(runs.values())):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def notebook_times(pytestconfig):
    """Times of the notebooks that ran in this session; whoever asks for them runs last."""
    runs = pytestconfig.stash[NOTEBOOK_TIMES]
    if not runs:
        pytest.skip("no notebook was executed in this session")
    return runs


@pytest.fixture(scope="session")
def outside_environment():
    """Environment for a child process that is meant to reach the network: none of the above."""
    dropped = ("PYTHONPATH", "COURSE_PROFILE", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    return environment | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }
