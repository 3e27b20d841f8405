"""Take the code out of a notebook without running the notebook.

A test of what notebook 01 defines:

    from extract import load_definitions

    def test_training_step():
        nb = load_definitions("01_cnn")
        nb.training_step(...)
"""

import ast
import linecache
import re
import symtable
import textwrap
import types
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL | re.IGNORECASE)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def read(name):
    """Read `notebooks/<name>.ipynb`."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def tags(cell):
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def code_cells(notebook):
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def parse(cell):
    """Parse a code cell; its magics become calls."""
    return ast.parse(TransformerManager().transform_cell(cell.source))


def load_definitions(notebook):
    """Return a module with the imports, functions, classes and hyper-parameters of a notebook.

    Executed are, in order: every import, every function and class at the top of a cell, and the
    whole of the cell tagged `parameters`. A definition that needs any other global fails when it
    is called: it should take that as an argument.

    Args:
        notebook: name such as "01_cnn", or a notebook node.
    """
    name = notebook if isinstance(notebook, str) else "notebook"
    node = read(notebook) if isinstance(notebook, str) else notebook
    module = types.ModuleType(name)
    for index, cell in enumerate(code_cells(node)):
        tree = parse(cell)
        kept = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
        if "parameters" not in tags(cell):
            tree.body = [statement for statement in tree.body if isinstance(statement, kept)]
        run(tree, cell.source, f"<{name}, code cell {index + 1}>", module.__dict__)
    return module


def run(tree, source, filename, namespace):
    """Execute a tree so that tracebacks and `inspect.getsource` find its source."""
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(tree, filename, "exec"), namespace)  # our own notebooks


def needed_cells(notebook, wanted):
    """Return the indices in `notebook.cells` of the code cells that some of them need, in order.

    Read backwards from the last: a cell counts if it is wanted, or if it defines a name that a
    later one that counts looks up in the `lesson` profile. Objects that a cell changes without
    naming them anew (a model that it trains, say) are not followed.

    Args:
        notebook: notebook node.
        wanted: cell -> whether it is wanted for its own sake.
    """
    chosen, missing = [], set()
    for index in reversed(range(len(notebook.cells))):
        cell = notebook.cells[index]
        if cell.cell_type != "code":
            continue
        names = [_names(statement) for statement in _in_lesson(parse(cell).body)]
        if wanted(cell) or any(stored & missing for stored, _ in names):
            chosen.insert(0, index)
            for stored, loaded in reversed(names):
                missing = (missing - stored) | loaded
    return chosen


def _in_lesson(statements):
    """Leave out what only the `full` profile runs."""
    for statement in statements:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "PROFILE == 'full'":
            yield ast.Expr(statement.test)
            yield from statement.orelse
        else:
            yield statement


def _names(statement):
    """Names that a statement binds for the statements behind it, and globals that it looks up."""
    top = symtable.symtable(ast.unparse(statement), "cell", "exec")
    stored = {name.get_name() for name in top.get_symbols() if name.is_assigned()}
    stored |= {name.get_name() for name in top.get_symbols() if name.is_imported()}
    loaded = {name.get_name() for name in top.get_symbols() if name.is_referenced()}
    inner = list(top.get_children())
    while inner:
        scope = inner.pop()
        inner += scope.get_children()
        loaded |= {name.get_name() for name in scope.get_symbols() if name.is_global()}
    if isinstance(statement, ast.AugAssign):
        loaded |= stored
    return stored, loaded


def exercise_calls(notebook):
    """Return `(check, function)` for every `exercises.check_...(function)` in a code cell."""
    found = []
    for cell in code_cells(notebook):
        for node in ast.walk(parse(cell)):
            function = getattr(node, "func", None)
            if isinstance(function, ast.Attribute) and function.attr.startswith("check_"):
                found.append((function.attr, node.args[0].id))
    return found


def solutions(notebook):
    """Return the solutions that are collapsed in `<details>`, by the name of what they define."""
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for block in DETAILS.findall(cell.source):
                for code in PYTHON.findall(textwrap.dedent(block)):
                    for statement in ast.parse(code).body:
                        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                            found[statement.name] = code
    return found
