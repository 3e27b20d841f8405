import json
import sys

import nbformat
import pytest
from nbformat import v4

from tools import run_notebooks, times

GOOD = [
    v4.new_markdown_cell(
        "# One & all\n\n**Question.** Does *it* run?\n\n"
        "Time: <!-- time 01_good -->?<!-- /time -->.\n\n"
        "[next](02_bad.ipynb), [elsewhere](https://example.org/a.ipynb)"
    ),
    v4.new_code_cell("import os, sys\nprint(sys.executable, os.environ['COURSE_PROFILE'])"),
    v4.new_code_cell("import ipywidgets\nipywidgets.IntSlider()"),
]
BAD = [
    v4.new_markdown_cell("# Bad"),
    v4.new_code_cell("x = 1"),
    v4.new_code_cell("# divide\nx / 0"),
    v4.new_code_cell("print('never')"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Notebooks of a course of two, one of which fails; times and README beside them."""
    for name, cells in (("01_good", GOOD), ("02_bad", BAD)):
        nbformat.write(v4.new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    (tmp_path / "README.md").write_text("takes <!-- time 01_good --><!-- /time -->", "utf-8")
    monkeypatch.setattr(run_notebooks, "ROOT", tmp_path)
    saved = times.save
    monkeypatch.setattr(times, "save", lambda runs: saved(runs, tmp_path / "times.json"))
    return tmp_path


def test_pages_are_written_and_a_failure_is_named(folder, capsys):
    pages = folder / "pages"
    books = [str(folder / "02_bad.ipynb"), str(folder / "01_good.ipynb")]
    assert run_notebooks.main([*books, "--pages", str(pages)]) == 1

    printed = capsys.readouterr()
    assert "02_bad.ipynb: cell [2] raised ZeroDivisionError: division by zero" in printed.err
    good = (pages / "01_good.html").read_text("utf-8")
    assert f"{sys.executable} lesson" in good
    assert 'href="02_bad.html"' in good
    assert 'href="https://example.org/a.ipynb"' in good
    assert "widget-view" not in good
    assert "ZeroDivisionError" in (pages / "02_bad.html").read_text("utf-8")

    index = (pages / "index.html").read_text("utf-8")
    assert '<a href="01_good.html">One &amp; all</a></td><td>Does it run?</td>' in index
    assert "cell [2] raised ZeroDivisionError" in index

    record = json.loads((folder / "times.json").read_text("utf-8"))
    assert [book["name"] for book in record["notebooks"]] == ["02_bad", "01_good"]
    assert len(record["notebooks"][1]["cells"]) == 2


def test_in_place_writes_what_ran_and_quotes_its_time(folder):
    path = folder / "01_good.ipynb"
    assert run_notebooks.main(["--in-place", str(path)]) == 0
    book = nbformat.read(path, as_version=4)
    assert [cell.get("execution_count") for cell in book.cells] == [None, 1, 2]
    assert "<!-- time 01_good -->10 s<!-- /time -->" in book.cells[0].source
    assert (folder / "README.md").read_text(
        "utf-8"
    ) == "takes <!-- time 01_good -->10 s<!-- /time -->"
    assert not (folder / "pages").exists()


def test_in_place_leaves_a_failing_notebook_alone(folder):
    path = folder / "02_bad.ipynb"
    before = path.read_bytes()
    assert run_notebooks.main(["--in-place", str(path)]) == 1
    assert path.read_bytes() == before


def test_missing_notebook_is_named(capsys):
    with pytest.raises(SystemExit):
        run_notebooks.main(["nowhere.ipynb"])
    assert "no such notebook: nowhere.ipynb" in capsys.readouterr().err
