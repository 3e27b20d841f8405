"""A good notebook passes every gate; for every rule a notebook that breaks it is caught."""

import inspect

import gates
import nbformat
import pytest
from extract import load_definitions, needed_cells, solutions
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

SETUP = "import numpy as np\n\nfrom course_utils import exercises, runtime\n\nruntime.setup(seed=0)"
HEADER = """# How does it see?

Which pixels matter? You will be able to count weights. Prerequisites: none. Run time: 2 minutes.
"""
TITLES = (
    "Data", "The idea", "Building blocks", "The model", "One training step", "Train, live",
    "Predict with the shipped checkpoint", "Play", "Measure", "Break it", "Exercises",
)  # fmt: skip
EXERCISES = {
    "conv2d": (
        "check_conv2d",
        "(image, kernel)",
        "k = len(kernel)\n    windows = np.lib.stride_tricks.sliding_window_view(image, (k, k))\n"
        "    return (windows * kernel).sum(axis=(2, 3))",
    ),
    "conv_parameters": (
        "check_conv_parameters",
        "(kernel_size, in_channels, filters, use_bias)",
        "return (kernel_size**2 * in_channels + use_bias) * filters",
    ),
    "receptive_field": (
        "check_receptive_field",
        "(layers)",
        "size = step = 1\n    for k, s in layers:\n        size += (k - 1) * step\n"
        "        step *= s\n    return size",
    ),
}


@pytest.fixture
def good():
    """Return a notebook that passes, with handles to some of its cells."""
    cells = [
        new_markdown_cell(HEADER),
        new_markdown_cell("## Setup\n\nGo on to [the data](#Data), or to [the end](#Recap)."),
        new_code_cell(SETUP, outputs=[new_output("stream", name="stdout", text="TensorFlow 2\n")]),
        new_code_cell('PROFILE = "lesson"\nEPOCHS = 3', metadata={"tags": ["parameters"]}),
    ]
    cells += [new_markdown_cell(f"## {title}\n\nText, $n!$ and `a != b`.") for title in TITLES]
    for name, (check, signature, body) in EXERCISES.items():
        cells += [
            new_code_cell(
                f"def {name}{signature}:\n    ...\n\n\nexercises.{check}({name})",
                outputs=[new_output("stream", name="stdout", text="Not yet: got None.\n")],
            ),
            new_markdown_cell(
                "<details><summary>Solution</summary>\n\n```python\n"
                f"def {name}{signature}:\n    {body}\n```\n\n</details>"
            ),
        ]
    cells.append(new_markdown_cell("## Recap\n\nSee [the gates](tests/gates.py)."))
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    return new_notebook(cells=cells)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "gates.py").write_text("")
    return tmp_path


def cell_of(notebook, text):
    return next(cell for cell in notebook.cells if text in cell.source)


def add_code(notebook, source, *outputs):
    count = sum(cell.cell_type == "code" for cell in notebook.cells) + 1
    cell = new_code_cell(source, execution_count=count, outputs=list(outputs))
    notebook.cells.append(cell)
    return cell


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
def test_a_good_notebook_passes(gate, good, folder):
    nbformat.validate(good)
    args = (folder,) if "folder" in inspect.signature(gate).parameters else ()
    assert gate(good, *args) == []


def text_output(text):
    return new_output("execute_result", {"text/plain": text}, execution_count=1)


# (gate, what breaks the good notebook, part of the complaint)
BROKEN = [
    ("size", lambda nb: add_code(nb, "1", text_output("x" * 1_600_000)), "bytes, over"),
    ("cell_length", lambda nb: add_code(nb, "x = 1\n" * 41), "41 lines, over 40"),
    ("execution_counts", lambda nb: add_code(nb, "1").update(execution_count=99), "not 1 to"),
    ("execution_counts", lambda nb: add_code(nb, "").update(execution_count=None), "None"),
    (
        "outputs",
        lambda nb: add_code(nb, "1", new_output("stream", name="stderr", text="WARNING")),
        "stderr: WARNING",
    ),
    (
        "outputs",
        lambda nb: add_code(
            nb, "1", new_output("error", ename="KeyError", evalue="", traceback=[])
        ),
        "error KeyError",
    ),
    (
        "outputs",
        lambda nb: add_code(
            nb,
            "1",
            new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}}),
        ),
        "widget view",
    ),
    ("outputs", lambda nb: nb.metadata.update(widgets={}), "widget state"),
    ("compared_cells", lambda nb: add_code(nb, "# NBVAL_CHECK_OUTPUT\n1"), "without an output"),
    (
        "compared_cells",
        lambda nb: add_code(nb, "# NBVAL_CHECK_OUTPUT\n1", text_output("1")).update(
            execution_count=None
        ),
        "not executed",
    ),
    *(
        ("machine", lambda nb, text=text: add_code(nb, "1", text_output(text)), "cell ")
        for text in (
            "saved to /home/ada/course/x.png",
            "'/tmp/ipykernel_12/3.py'",
            "C:\\Users\\ada\\x",
            "lib/python3.12/site-packages/keras/x.py",
            "<function f at 0x7f0a12345678>",
            f"{gates.NOTEBOOKS.parent}/x",
        )
    ),
    ("tone", lambda nb: nb.cells.append(new_markdown_cell("Great!")), "exclamation"),
    ("tone", lambda nb: nb.cells.append(new_markdown_cell("Done \U0001f389")), "emoji"),
    ("tone", lambda nb: nb.cells.append(new_markdown_cell("Done \u2705")), "emoji"),
    ("template", lambda nb: cell_of(nb, "## Play").update(source="Play"), "'Play' is missing"),
    (
        "template",
        lambda nb: nb.cells.append(nb.cells.pop(nb.cells.index(cell_of(nb, "## Measure")))),
        "'Break it' is out of order",
    ),
    ("template", lambda nb: cell_of(nb, "# How").update(source="# See\n\nPrerequisites"), "able"),
    ("setup", lambda nb: cell_of(nb, "runtime.setup").update(source="import x"), "call setup"),
    ("setup", lambda nb: add_code(nb, "def f():\n    import keras"), "'import keras' belongs"),
    ("setup", lambda nb: cell_of(nb, "PROFILE").metadata.clear(), "tagged parameters"),
    ("setup", lambda nb: cell_of(nb, "PROFILE").update(source="EPOCHS = 3"), "set PROFILE"),
    ("code", lambda nb: add_code(nb, "from numpy import *"), "star import"),
    ("code", lambda nb: add_code(nb, "%matplotlib inline\n[m.predict(x) for x in y]"), "predict"),
    ("code", lambda nb: add_code(nb, "show(x, cmap='jet')"), "colour map jet"),
    ("code", lambda nb: add_code(nb, "def tile(x):\n    return x"), "course_utils.plots already"),
    ("code", lambda nb: add_code(nb, "class LessonFigure: ..."), "course_utils._drawing already"),
    ("code", lambda nb: add_code(nb, "PALETTE = 1"), "PALETTE is defined"),
    *(
        ("links", lambda nb, text=text: nb.cells.append(new_markdown_cell(text)), complaint)
        for text, complaint in (
            ("[next](02_style.ipynb)", "02_style.ipynb leads nowhere"),
            ("[up](#Nowhere)", "#Nowhere leads nowhere"),
            ("![](tests/gates.py)", "has no text"),
            ("![a cat](cat.png)", "cat.png leads nowhere"),
            ("![a cat](attachment:cat.png)", "leads nowhere"),
            ("[typo](htp://x.org)", "leads nowhere"),
        )
    ),
    (
        "exercises",
        lambda nb: nb.cells.remove(cell_of(nb, "exercises.check_conv2d(")),
        "2 exercises with a check, fewer than 3",
    ),
    (
        "exercises",
        lambda nb: nb.cells.remove(cell_of(nb, "windows = np")),
        "conv2d has no solution in <details>",
    ),
    (
        "exercises",
        lambda nb: cell_of(nb, "windows = np").update(
            source=cell_of(nb, "windows = np").source.replace("details>", "p>")
        ),
        "conv2d is not collapsed in <details>",
    ),
    (
        "exercises",
        lambda nb: cell_of(nb, "step *= s").update(
            source=cell_of(nb, "step *= s").source.replace("step *= s", "step += s")
        ),
        "the solution of receptive_field fails",
    ),
    (
        "exercises",
        lambda nb: cell_of(nb, "exercises.check_conv_parameters").update(
            source="def conv_parameters(kernel_size, in_channels, filters, use_bias):\n"
            f"    {EXERCISES['conv_parameters'][2]}\n\nexercises.check_conv_parameters("
            "conv_parameters)"
        ),
        "conv_parameters is solved already",
    ),
    ("exercises", lambda nb: add_code(nb, "exercises.check_all(conv2d)"), "check_all does not"),
]


@pytest.mark.parametrize(
    ("gate", "spoil", "complaint"), BROKEN, ids=[f"{g}-{i}" for i, (g, _, _) in enumerate(BROKEN)]
)
def test_a_broken_notebook_is_caught(gate, spoil, complaint, good, folder):
    spoil(good)
    gate = getattr(gates, f"check_{gate}")
    args = (folder,) if "folder" in inspect.signature(gate).parameters else ()
    assert any(complaint in found for found in gate(good, *args))


def test_every_gate_is_seen_to_fail():
    assert {f"check_{name}" for name, _, _ in BROKEN} == {gate.__name__ for gate in gates.GATES}


def test_a_host_name_is_caught(good, monkeypatch):
    monkeypatch.setattr(gates.socket, "gethostname", lambda: "adas-laptop")
    add_code(good, "1", text_output("node adas-laptop, 2 cores"))
    assert gates.check_machine(good) == [f"cell {len(good.cells) - 1}: 'adas-laptop'"]


@pytest.mark.parametrize(
    "text",
    [
        "`print('done!')` and $5!$ and $$n!$$",
        "```python\nassert a != b, 'no!'\n```",
        "![a cat](cat.png) <!-- note --> arrows → ↑ and 3 × 3 °",
    ],
)
def test_marks_in_code_and_formulas_are_no_exclamations(text):
    assert gates.check_tone(new_notebook(cells=[new_markdown_cell(text)])) == []


@pytest.mark.parametrize(
    "text", ["accuracy 3/4, 12 px/s", "see https://arxiv.org/abs/1412.6980", "(2, 2), a/b", "0xff"]
)
def test_fractions_and_addresses_on_the_web_are_no_machine_paths(text, good):
    add_code(good, "1", text_output(text))
    assert gates.check_machine(good) == []


# --- extraction ------------------------------------------------------------------------------


def test_load_definitions_runs_definitions_and_parameters_only():
    cells = [
        new_code_cell("import numpy as np\nnp.never_called()"),
        new_code_cell("RATE = 2", metadata={"tags": ["parameters"]}),
        new_code_cell("%time x = 1\nLATER = 5\n\ndef f(a):\n    return np.sum(a) * RATE"),
        new_code_cell("class A:\n    size = 3\n\nraise SystemExit"),
    ]
    module = load_definitions(new_notebook(cells=cells))
    assert module.f([1, 2]) == 6
    assert module.A.size == 3
    assert not hasattr(module, "LATER") and not hasattr(module, "x")
    assert inspect.getsource(module.f).rstrip() == "def f(a):\n    return np.sum(a) * RATE"


def test_solutions_are_found_by_the_name_they_define(good):
    assert set(solutions(good)) == set(EXERCISES)


def test_needed_cells_follow_names_backwards():
    sources = [
        "import numpy as np",
        "PROFILE = 'lesson'",
        "def double(x):\n    unrelated = 2\n    return unrelated * x + offset",
        "unrelated = slow()",
        "offset = 1\ntotal = 0",
        "total += offset",
        "if PROFILE == 'full':\n    weights = slow()\nelse:\n    weights = np.ones(3)",
        "weights = double(weights)",
        "show(weights, total)",
        "later = weights",
    ]
    notebook = new_notebook(cells=[new_code_cell(s) for s in sources])
    needed = needed_cells(notebook, lambda cell: "show(" in cell.source)
    assert needed == [0, 1, 2, 4, 5, 6, 7, 8]
