"""Rules over Python source that the package and the notebooks are both held to."""

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "course_utils"
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BAD_COLOUR_MAPS = {"jet", "rainbow", "gist_rainbow", "hsv", "nipy_spectral", "gist_ncar"}


def modules() -> dict[str, ast.Module]:
    """Return the parsed modules of the package by name."""
    return {
        path.stem: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.glob("*.py"))
    }


def package_imports(tree: ast.AST) -> set[str]:
    """Return which modules of the package a tree imports, wherever in it and in whatever form."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {n.split(".")[1] for n in names if n.startswith("course_utils.")}
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "") if not node.level else f"course_utils.{node.module or ''}"
            parts = base.strip(".").split(".")
            if parts[0] != "course_utils":
                continue
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
    return found


def star_imports(tree: ast.AST) -> list[int]:
    """Return the lines of `from x import *`."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]


def defined_names(tree: ast.Module) -> set[str]:
    """Return the functions, classes and CAPITAL constants that a module defines at its top."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            found |= {name for name in names if re.fullmatch(r"[A-Z][A-Z0-9_]*", name)}
    return found


def public_names() -> dict[str, str]:
    """Return every public name of the package, with the module that holds it."""
    return {
        name: module
        for module, tree in modules().items()
        for name in defined_names(tree)
        if not name.startswith("_")
    }


def predict_in_loops(tree: ast.AST) -> list[int]:
    """Return the lines where a `.predict(...)` is called again and again."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, LOOPS):
            repeated = [*node.body, *([node.test] if isinstance(node, ast.While) else [])]
        elif isinstance(node, COMPREHENSIONS):
            first = node.generators[0]
            repeated = [child for child in ast.iter_child_nodes(node) if child is not first]
            repeated += first.ifs
        else:
            continue
        for part in repeated:
            for call in ast.walk(part):
                function = getattr(call, "func", None)
                if isinstance(function, ast.Attribute) and function.attr == "predict":
                    found.add(call.lineno)
    return sorted(found)


def bad_colour_maps(tree: ast.AST) -> list[str]:
    """Return the colour maps that mislead or that colour-blind readers cannot read."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in (
            "cm",
            "colormaps",
        ):
            name = node.attr
        else:
            continue
        if name.removesuffix("_r") in BAD_COLOUR_MAPS:
            found.append(name)
    return found
