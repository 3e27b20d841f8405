"""Bring notebooks into the form in which they are committed.

    python tools/scrub.py [--check] [NOTEBOOK ...]

Execution counts run from 1, cell ids follow the order, and nothing is kept that changes from run
to run or that a reader without a kernel cannot use: timestamps, widget state, widget views.
Pictures that 256 colours show as well get a palette, which makes them much smaller. A notebook
with an error or with text on stderr is refused. With `--check` nothing is written.
"""

import argparse
import base64
import io
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LARGE = 100_000  # characters of a PNG in base64
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}


class ScrubError(ValueError):
    """A notebook that must not be committed; the message names the notebook and the cell."""


def scrub(notebook: NotebookNode, name: str) -> NotebookNode:
    """Normalise `notebook` in place.

    Args:
        notebook: a notebook of format 4.
        name: what to call it in messages.

    Returns:
        The same notebook.

    Raises:
        ScrubError: if a cell left an error or wrote to stderr.
    """
    notebook.metadata = nbformat.from_dict(KERNEL)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    count = 0
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.metadata = kept_metadata(cell.metadata)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None or cell.outputs:
            count += 1
            cell.execution_count = count
        refuse_trouble(cell, f"{name}, cell [{cell.execution_count}]")
        cell.outputs = scrub_outputs(cell.outputs, cell.execution_count)
    return notebook


def kept_metadata(metadata: dict) -> NotebookNode:
    """Return the part of a cell's metadata that authors set: tags and what is folded away."""
    kept = {key: metadata[key] for key in ("collapsed", "tags") if metadata.get(key)}
    if metadata.get("jupyter", {}).get("source_hidden"):
        kept["jupyter"] = {"source_hidden": True}
    return NotebookNode(kept)


def refuse_trouble(cell: NotebookNode, where: str) -> None:
    """Raise if the cell failed or wrote to stderr."""
    for output in cell.outputs:
        if output.output_type == "error":
            raise ScrubError(f"{where} ends in {output.ename}: {output.evalue}")
        if output.output_type == "stream" and output.name == "stderr":
            raise ScrubError(f"{where} writes to stderr: {output.text.strip()[:200]}")


def scrub_outputs(outputs: list[NotebookNode], count: int) -> list[NotebookNode]:
    """Return a cell's outputs without widget views, neighbouring prints joined into one."""
    kept: list[NotebookNode] = []
    for output in outputs:
        data = output.get("data", {})
        if WIDGET_VIEW in data:
            if not any(mime.startswith("image/") for mime in data):
                continue
            del data[WIDGET_VIEW]
        if "image/png" in data:
            data["image/png"] = with_palette(data["image/png"])
            if len(data["image/png"]) > LARGE:
                as_jpeg(output)
        if output.output_type == "execute_result":
            output.execution_count = count
        if output.output_type == "stream" and kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
            continue
        kept.append(output)
    return kept


def with_palette(picture: str) -> str:
    """Return a base64 PNG with 256 colours where nobody sees the difference; it is much smaller."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
            if opened.mode == "P":
                return picture
            old = opened.convert("RGB")
    except UnidentifiedImageError:
        return picture
    new = old.quantize(256, dither=Image.Dither.NONE)
    difference = ImageChops.difference(old, new.convert("RGB"))
    if max(ImageStat.Stat(difference).mean) > 1.5:  # of 255
        return picture
    content = io.BytesIO()
    new.save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")


def as_jpeg(output: NotebookNode) -> None:
    """Store a picture that is too colourful for a palette as JPEG, which takes a tenth."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as opened:
            picture = opened.convert("RGB")
    except UnidentifiedImageError:
        return
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=75, optimize=True)
    del output.data["image/png"]
    output.data["image/jpeg"] = base64.b64encode(content.getvalue()).decode("ascii")
    if "image/png" in output.metadata:
        output.metadata["image/jpeg"] = output.metadata.pop("image/png")


def committed_form(path: Path) -> tuple[str, str]:
    """Return (the file's text, the text that it should have)."""
    text = path.read_text(encoding="utf-8")
    notebook = scrub(nbformat.reads(text, as_version=4), path.name)
    return text, nbformat.writes(notebook) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in notebooks/")
    parser.add_argument("--check", action="store_true", help="only say what would change")
    options = parser.parse_args(arguments)
    wrong = 0
    for path in options.notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        try:
            present, wanted = committed_form(path)
        except ScrubError as error:
            print(error, file=sys.stderr)
            wrong += 1
            continue
        if present == wanted:
            continue
        if options.check:
            print(f"{path.name} is not in its committed form: run `make scrub`", file=sys.stderr)
            wrong += 1
        else:
            path.write_text(wanted, encoding="utf-8")
            print(f"scrubbed {path.name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
