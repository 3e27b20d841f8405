"""Gates that every committed notebook must pass.

A gate takes a notebook node and returns its complaints, each naming the cell; none is good.
"""

import ast
import re
import socket
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import astrules
import nbformat
from extract import (
    DETAILS,
    NOTEBOOKS,
    PYTHON,
    code_cells,
    exercise_calls,
    load_definitions,
    parse,
    run,
    solutions,
    tags,
)

MAX_BYTES = 1_500_000
MAX_CELL_LINES = 40
MIN_EXERCISES = 3
# Section 4 of the design: `##` headings that begin so, in this order; others may stand between.
SECTIONS = {
    "Setup": r"set-?up",
    "Data": r"(the )?data",
    "The idea": r"the idea",
    "Building blocks": r"building blocks",
    "Model": r"(the )?(model|network)",
    "Training step": r"(the |one )?training step",
    "Train": r"train\b(?! step)",
    "Sample or predict": r"(sample|predict|the shipped checkpoint)",
    "Play": r"play",
    "Measure": r"measure",
    "Break it": r"break it",
    "Exercises": r"exercises?",
    "Recap": r"recap",
}
HEADER = {
    "a title (# ...)": r"^# \S",
    "the question it answers": r"\?",
    "what you will be able to do": r"able to",
    "prerequisites": r"(?i)prerequisite|you need",
    "the measured run time": r"(?i)\b(minutes?|seconds?|min|s)\b",
}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
PICTURE = re.compile(r"!\[([^\]]*)\]\(\s*<?([^)\s>]+)>?[^)]*\)")
MACHINE = (
    r"""(?:^|[\s"'(=:,])(?:/(?:home|root|Users|tmp|var|usr|opt|mnt|etc)/\S+)""",
    r"(?<![A-Za-z])[A-Z]:\\\S+",
    r"\S*/(?:site|dist)-packages/\S*",
    r"\b0x[0-9a-f]{8,}\b",
)


def markdown(notebook):
    """Return `(index, source)` of every markdown cell."""
    return [(i, c.source) for i, c in enumerate(notebook.cells) if c.cell_type == "markdown"]


def prose(text):
    """Return markdown without code, formulas, comments and addresses."""
    for pattern in (
        r"(?ms)^\s*```.*?^\s*```", r"`[^`]*`", r"(?s)\$\$.*?\$\$", r"\$[^$\n]*\$",
        r"(?s)<!--.*?-->",
        r"\]\([^)]*\)",
    ):  # fmt: skip
        text = re.sub(pattern, "", text)
    return text.replace("![", "[")


def output_texts(cell):
    """Return every text in the outputs of a cell."""
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        for mime, data in output.get("data", {}).items():
            if mime.startswith("text/"):
                yield data


def headings(notebook):
    """Return `(level, text)` of every heading."""
    found = []
    for _, text in markdown(notebook):
        text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", text)
        found += [(len(m[1]), m[2].strip()) for m in re.finditer(r"(?m)^(#{1,6}) +(.+)$", text)]
    return found


# --- gates -----------------------------------------------------------------------------------


def check_size(notebook):
    """Refuse a file over 1.5 MB."""
    size = len(nbformat.writes(notebook).encode())
    return [f"{size:,} bytes, over {MAX_BYTES:,}"] if size > MAX_BYTES else []


def check_cell_length(notebook):
    """Refuse code cells over 40 lines."""
    return [
        f"cell {i}: {len(cell.source.splitlines())} lines, over {MAX_CELL_LINES}"
        for i, cell in enumerate(notebook.cells)
        if cell.cell_type == "code" and len(cell.source.splitlines()) > MAX_CELL_LINES
    ]


def check_execution_counts(notebook):
    """Want 1, 2, 3, ... as restart-and-run-all gives; an empty code cell has no count."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    right = list(range(1, len(counts) + 1))
    return [] if counts == right else [f"execution counts are {counts}, not 1 to {len(counts)}"]


def check_outputs(notebook):
    """Refuse errors, stderr and widget state among the outputs."""
    found = []
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"cell {i}: error {output.ename}")
            if output.get("name") == "stderr":
                found.append(f"cell {i}: stderr: {output.text[:80]}")
            if any("widget-view" in mime for mime in output.get("data", {})):
                found.append(f"cell {i}: a widget view that nobody can show without a kernel")
    return found + (["widget state"] if "widgets" in notebook.metadata else [])


def check_compared_cells(notebook):
    """Want an execution and an output where nbval compares; without, it never does."""
    return [
        f"cell {i}: marked NBVAL_CHECK_OUTPUT, but not executed or without an output"
        for i, cell in enumerate(notebook.cells)
        if cell.cell_type == "code"
        and "NBVAL_CHECK_OUTPUT" in cell.source
        and (cell.execution_count is None or not cell.outputs)
    ]


def check_machine(notebook):
    """Refuse paths, host names and memory addresses of the machine that executed it."""
    host = socket.gethostname()
    patterns = [*MACHINE, re.escape(str(NOTEBOOKS.parent)) + r"\b"]
    if len(host) > 5 and host != "localhost":
        patterns.append(rf"\b{re.escape(host)}\b")
    return [
        f"cell {i}: {found[0].strip()!r}"
        for i, cell in enumerate(notebook.cells)
        for text in output_texts(cell)
        for pattern in patterns
        if (found := re.search(pattern, text, re.MULTILINE))
    ]


def check_tone(notebook):
    """Refuse exclamation marks and emoji in the text."""
    found = []
    for i, text in markdown(notebook):
        text = prose(text)
        if "!" in text:
            found.append(f"cell {i}: exclamation mark")
        pictures = [c for c in text if ord(c) >= 0x2600 and unicodedata.category(c) == "So"]
        found += [f"cell {i}: emoji {c!a}" for c in pictures]
    return found


def check_template(notebook):
    """Want the header and the sections of the template, in order."""
    texts = markdown(notebook)
    header = ""
    for _, text in texts:
        header += text.split("\n## ")[0] + "\n"
        if re.search(r"(?m)^## ", text):
            break
    found = [f"the header lacks {k}" for k, v in HEADER.items() if not re.search(v, header, re.M)]
    titles = [text for level, text in headings(notebook) if level == 2]
    place = 0
    for name, pattern in SECTIONS.items():
        rule = re.compile(rf"(?:\d+[.:)]? +)?(?:{pattern})", re.IGNORECASE)
        later = [i for i, title in enumerate(titles) if i >= place and rule.match(title)]
        if later:
            place = later[0] + 1
        elif any(rule.match(title) for title in titles):
            found.append(f"section {name!r} is out of order")
        else:
            found.append(f"section {name!r} is missing")
    return found


def check_setup(notebook):
    """Want one import cell, first, that calls runtime.setup, and one `parameters` cell."""
    cells = code_cells(notebook)
    if not cells:
        return ["no code"]
    found = [] if "runtime.setup(" in cells[0].source else ["the first code cell must call setup"]
    for cell in cells[1:]:
        imports = [n for n in ast.walk(parse(cell)) if isinstance(n, ast.Import | ast.ImportFrom)]
        if imports:
            found.append(f"{ast.unparse(imports[0])!r} belongs into the first code cell")
    tagged = [cell for cell in cells if "parameters" in tags(cell)]
    if len(tagged) != 1 or "PROFILE" not in astrules.defined_names(parse(tagged[0])):
        found.append("one cell must be tagged parameters, and set PROFILE")
    return found


def check_code(notebook):
    """Refuse star imports, predict in a loop, misleading colour maps, names of the package."""
    found = []
    public = astrules.public_names()
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        tree = parse(cell)
        found += [f"cell {i}: star import" for _ in astrules.star_imports(tree)]
        found += [f"cell {i}: predict in a loop" for _ in astrules.predict_in_loops(tree)]
        found += [f"cell {i}: colour map {name}" for name in astrules.bad_colour_maps(tree)]
        found += [
            f"cell {i}: {name} is defined in course_utils.{public[name]} already"
            for name in sorted(astrules.defined_names(tree) & set(public))
        ]
    return found


def check_links(notebook, folder=NOTEBOOKS):
    """Want every link to a file or a heading to resolve, and a text for every picture."""
    found = []
    anchors = {text.replace(" ", "-") for _, text in headings(notebook)}
    for i, text in markdown(notebook):
        text = re.sub(r"(?ms)^\s*```.*?^\s*```|`[^`\n]*`", "", text)
        pictures = PICTURE.findall(text)
        found += [f"cell {i}: picture {target} has no text" for alt, target in pictures if not alt]
        for target in [*LINK.findall(text), *(target for _, target in pictures)]:
            if re.match(r"(https?://[^/]+\.[^/]+|mailto:)", target):
                continue
            if target.startswith("attachment:"):
                ok = target[11:] in notebook.cells[i].get("attachments", {})
            elif target.startswith("#"):
                ok = unquote(target[1:]) in anchors
            else:
                ok = (Path(folder) / unquote(target.split("#")[0])).exists()
            if not ok:
                found.append(f"cell {i}: {target} leads nowhere")
    return found


def check_exercises(notebook):
    """Want three checked exercises with collapsed solutions that pass, and stubs that do not."""
    found = []
    calls = exercise_calls(notebook)
    if len(calls) < MIN_EXERCISES:
        found.append(f"{len(calls)} exercises with a check, fewer than {MIN_EXERCISES}")
    hidden = solutions(notebook)
    for i, text in markdown(notebook):
        for code in PYTHON.findall(DETAILS.sub("", text)):
            shown = {
                node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)
            }
            for name in sorted(shown & {function for _, function in calls}):
                found.append(f"cell {i}: the solution of {name} is not collapsed in <details>")
    if not calls:
        return found
    from course_utils import exercises

    module = load_definitions(notebook)
    for check, name in calls:
        checked = getattr(exercises, check, None)
        if checked is None:
            found.append(f"exercises.{check} does not exist")
        elif name not in hidden:
            found.append(f"{name} has no solution in <details>")
        else:
            if checked(getattr(module, name, None)):
                found.append(f"{name} is solved already in its cell")
            namespace = dict(vars(module))
            run(ast.parse(hidden[name]), hidden[name], f"<solution of {name}>", namespace)
            if not checked(namespace[name]):
                found.append(f"the solution of {name} fails exercises.{check}")
    return found


GATES = [value for name, value in list(globals().items()) if name.startswith("check_")]
