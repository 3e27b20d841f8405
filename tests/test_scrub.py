import base64
import io

import nbformat
import numpy as np
import pytest
from nbformat import v4
from PIL import Image

from tools import scrub


def code(source="x", outputs=(), count=None, **metadata):
    return v4.new_code_cell(source, outputs=list(outputs), execution_count=count, metadata=metadata)


def display(**data):
    return v4.new_output(
        "display_data", {key.replace("_", "/"): value for key, value in data.items()}
    )


def widget(**data):
    output = display(**data)
    output.data[scrub.WIDGET_VIEW] = {"model_id": "1f"}
    return output


def stream(text, name="stdout"):
    return v4.new_output("stream", name=name, text=text)


def scrubbed(*cells, **metadata):
    return scrub.scrub(v4.new_notebook(cells=list(cells), metadata=metadata), "01_x.ipynb")


def test_counts_run_over_the_executed_cells_in_order():
    result = v4.new_output("execute_result", {"text/plain": "1"}, execution_count=17)
    book = scrubbed(
        v4.new_markdown_cell("# T"), code(count=9), code(), code(outputs=[result], count=17)
    )
    assert [cell.get("execution_count") for cell in book.cells] == [None, 1, None, 2]
    assert book.cells[3].outputs[0].execution_count == 2


def test_ids_follow_the_order():
    book = scrubbed(v4.new_markdown_cell("# T"), code(), code())
    assert [cell.id for cell in book.cells] == ["cell-0", "cell-1", "cell-2"]


def test_only_the_authors_metadata_stays():
    book = scrubbed(
        code(
            tags=["parameters"],
            collapsed=True,
            jupyter={"source_hidden": True, "outputs_hidden": True},
            execution={"iopub.status.busy": "2026-01-01T00:00:00Z"},
            papermill={"duration": 1},
            scrolled=True,
        ),
        code(tags=[]),
        widgets={"state": {}},
        kernelspec={"name": "my-env", "display_name": "Mine"},
    )
    assert book.cells[0].metadata == {
        "tags": ["parameters"],
        "collapsed": True,
        "jupyter": {"source_hidden": True},
    }
    assert book.cells[1].metadata == {}
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert book.metadata.kernelspec.name == "python3"
    assert "version" not in book.metadata.language_info


def test_widget_views_go_and_their_pictures_stay():
    outputs = [widget(text_plain="VBox()"), widget(text_plain="Image()", image_png="aGk=")]
    (kept,) = scrubbed(code(outputs=outputs, count=1)).cells[0].outputs
    assert kept.data == {"text/plain": "Image()", "image/png": "aGk="}


def test_neighbouring_prints_are_joined():
    outputs = [stream("a\n"), stream("b\n"), display(text_plain="1"), stream("c\n")]
    kept = scrubbed(code(outputs=outputs, count=1)).cells[0].outputs
    assert [output.get("text") for output in kept] == ["a\nb\n", None, "c\n"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (stream("careful", "stderr"), r"01_x.ipynb, cell \[2\] writes to stderr: careful"),
        (
            v4.new_output("error", ename="ValueError", evalue="no", traceback=[]),
            r"01_x.ipynb, cell \[2\] ends in ValueError: no",
        ),
    ],
)
def test_trouble_is_refused(output, message):
    with pytest.raises(scrub.ScrubError, match=message):
        scrubbed(code(count=1), code(outputs=[output], count=5))


@pytest.fixture
def notebook_file(tmp_path):
    path = tmp_path / "01_x.ipynb"
    nbformat.write(v4.new_notebook(cells=[code("1", count=4, scrolled=True)]), path)
    return path


def test_check_writes_nothing_and_scrub_writes_once(notebook_file, capsys):
    before = notebook_file.read_bytes()
    assert scrub.main(["--check", str(notebook_file)]) == 1
    assert notebook_file.read_bytes() == before
    assert "01_x.ipynb is not in its committed form: run `make scrub`" in capsys.readouterr().err
    assert scrub.main([str(notebook_file)]) == 0
    after = notebook_file.read_bytes()
    assert after.endswith(b"}\n") and after != before
    assert scrub.main(["--check", str(notebook_file)]) == 0
    assert scrub.main([str(notebook_file)]) == 0
    assert notebook_file.read_bytes() == after
    nbformat.validate(nbformat.read(notebook_file, as_version=4))


def test_refused_notebook_is_left_alone_and_named(tmp_path, capsys):
    path = tmp_path / "02_y.ipynb"
    nbformat.write(v4.new_notebook(cells=[code(outputs=[stream("!", "stderr")], count=1)]), path)
    before = path.read_bytes()
    assert scrub.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "02_y.ipynb, cell [1] writes to stderr" in capsys.readouterr().err


def encoded(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def test_pictures_get_a_palette_only_where_it_does_not_show():
    rng = np.random.default_rng(0)
    plain = rng.integers(0, 256, (200, 3), np.uint8)[rng.integers(0, 200, (200, 200))]
    rich = rng.integers(0, 256, (200, 200, 3), np.uint8)
    small = scrub.with_palette(encoded(plain))
    assert len(small) < 0.9 * len(encoded(plain))
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(small))).convert("RGB"))
    assert np.abs(again.astype(int) - plain).mean() < 1.5
    assert scrub.with_palette(small) == small
    assert scrub.with_palette(encoded(rich)) == encoded(rich)


def test_large_colourful_pictures_become_jpeg_and_keep_their_text():
    rng = np.random.default_rng(0)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).resize((400, 400))
    )
    picture = encoded(np.clip(smooth + rng.integers(0, 9, smooth.shape), 0, 255).astype(np.uint8))
    assert len(picture) > scrub.LARGE
    output = v4.new_output(
        "display_data", {"image/png": picture, "text/plain": "Figure: x"},
        metadata={"image/png": {"alt": "x"}},
    )  # fmt: skip
    cell = scrubbed(code(outputs=[output], count=1)).cells[0]
    (kept,) = cell.outputs
    assert "image/png" not in kept.data and kept.data["text/plain"] == "Figure: x"
    assert kept.metadata == {"image/jpeg": {"alt": "x"}}
    assert len(kept.data["image/jpeg"]) < len(picture) / 4
    again = Image.open(io.BytesIO(base64.b64decode(kept.data["image/jpeg"])))
    assert again.format == "JPEG" and again.size == (400, 400)
    assert np.abs(np.asarray(again).astype(int) - smooth).mean() < 8
    assert scrubbed(cell).cells[0].outputs == [kept]
