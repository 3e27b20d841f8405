"""Execute notebooks headless and turn them into pages to read in a browser.

    python tools/run_notebooks.py [--in-place] [NOTEBOOK ...]

Every notebook runs in the `lesson` profile, on the Python that runs this script. The pages, an
index of them and the measured times go to `build/`. With `--in-place` the executed notebooks
themselves are written back, scrubbed for a commit and with their time in the header and in the
README; nothing is written for a notebook that fails.
"""

import argparse
import html
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tools import scrub, times

ROOT = times.ROOT
NOTEBOOKS = ROOT / "notebooks"
PAGES = ROOT / "build" / "html"


class OwnKernelSpecs(KernelSpecManager):
    """Always the Python that runs this script, whatever kernels the user has registered."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the specification of a kernel on `sys.executable`."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())


def execute(path: Path) -> tuple[NotebookNode, times.NotebookTime, str | None]:
    """Run one notebook.

    Args:
        path: the notebook; it runs in its own folder, and the file is not changed.

    Returns:
        The notebook with its outputs, its times, and None or a sentence naming the failed cell.
    """
    notebook = nbformat.read(path, as_version=4)
    measured = times.NotebookTime(path.stem)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    clock = [time.perf_counter()]

    def finished(cell: NotebookNode, cell_index: int, execute_reply: dict) -> None:
        now = time.perf_counter()
        measured.add(
            now - clock[0],
            label(cell, len(measured.cells)),
            picture=times.has_picture(cell.outputs),
        )
        clock[0] = now

    client = NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_spec_manager=OwnKernelSpecs()),
        timeout=None,
        record_timing=False,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_executed=finished,
    )
    try:
        # What the kernel itself says on stderr is about its connection, not about the notebook.
        client.execute(stderr=subprocess.DEVNULL)
    except CellExecutionError as error:
        failed = len(measured.cells)
        return notebook, measured, f"cell [{failed}] raised {error.ename}: {error.evalue}"
    except (CellTimeoutError, DeadKernelError) as error:
        return notebook, measured, f"after cell [{len(measured.cells)}]: {error}"
    return notebook, measured, None


def label(cell: NotebookNode, done: int) -> str:
    """Name a cell by its number and its first line."""
    return f"cell [{done + 1}]: {cell.source.strip().splitlines()[0][:50]}"


def heading(notebook: NotebookNode, fallback: str) -> tuple[str, str]:
    """Return (title, question) from a notebook's first text."""
    text = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    title = re.search(r"^#\s+(.+)$", text, re.MULTILINE)
    body = re.sub(r"<!--.*?-->|[*_>`]", "", re.sub(r"^#.*$", "", text, flags=re.MULTILINE))
    question = re.search(r"[^.?!\n][^.?!\n]*\?", body)
    return (
        title.group(1).strip() if title else fallback,
        question.group(0).strip() if question else "",
    )


def page(notebook: NotebookNode, title: str) -> str:
    """Return a notebook as an HTML page that needs no kernel and no widget manager."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = scrub.scrub_outputs(cell.outputs, cell.execution_count)
    notebook.metadata.pop("widgets", None)
    exporter = HTMLExporter(require_js_url="", jquery_url="")
    body, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": title}})
    return re.sub(r'(href="[^":/#]+)\.ipynb(["#])', r"\1.html\2", body)


def index(rows: list[tuple[str, str, times.NotebookTime, str | None]]) -> str:
    """Return the page that lists the notebooks: (title, question, times, failure) each."""
    lines = []
    for title, question, measured, failure in rows:
        name = html.escape(measured.name)
        state = html.escape(failure) if failure else times.in_words(measured.seconds)
        lines.append(
            f'<tr><td><a href="{name}.html">{html.escape(title)}</a></td>'
            f"<td>{html.escape(question)}</td><td{' class=failed' * bool(failure)}>{state}</td>"
            f'<td><a href="../../notebooks/{name}.ipynb">notebook</a></td></tr>'
        )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Image generation, from convolution to diffusion</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .5rem; border-bottom: 1px solid #ccc }}
.failed {{ color: #a30000 }}
</style>
</head>
<body>
<h1>Image generation, from convolution to diffusion</h1>
<table>
<thead><tr><th>Notebook</th><th>Question</th><th>Time</th><th>Source</th></tr></thead>
<tbody>
{chr(10).join(lines)}
</tbody>
</table>
</body>
</html>
"""


def write_back(path: Path, notebook: NotebookNode, measured: times.NotebookTime) -> None:
    """Replace the file by the executed notebook, and quote its time where it is quoted."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = times.quote(cell.source, path.stem, measured.seconds)
    text = nbformat.writes(scrub.scrub(notebook, path.name)) + "\n"
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = times.quote(old, path.stem, measured.seconds)
    if new != old:
        readme.write_text(new, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in notebooks/")
    parser.add_argument("--in-place", action="store_true", help="write the notebooks themselves")
    parser.add_argument("--pages", type=Path, default=PAGES, help="where the pages go")
    options = parser.parse_args(arguments)
    os.environ["COURSE_PROFILE"] = "lesson"
    paths = options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    if missing := [str(path) for path in paths if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    if not paths:
        parser.error(f"there is no notebook in {NOTEBOOKS}")
    rows, failed = [], False
    for path in paths:
        print(f"running {path.name}", flush=True)
        notebook, measured, failure = execute(path.resolve())
        title, question = heading(notebook, path.stem)
        if failure is None and options.in_place:
            try:
                write_back(path, notebook, measured)
            except scrub.ScrubError as error:
                failure = str(error)
        if failure:
            print(f"{path.name}: {failure}", file=sys.stderr, flush=True)
            failed = True
        rows.append((title, question, measured, failure))
        if not options.in_place:
            options.pages.mkdir(parents=True, exist_ok=True)
            (options.pages / f"{path.stem}.html").write_text(page(notebook, title), "utf-8")
    measurements = [measured for _, _, measured, _ in rows]
    times.save(measurements)
    print("\n".join(times.report(measurements)))
    if not options.in_place and rows:
        (options.pages / "index.html").write_text(index(rows), "utf-8")
        print(f"open {options.pages / 'index.html'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
