"""The shape of the package: what may import what, how long modules are, what an import costs."""

import ast
import subprocess
import sys

import astrules
import pytest

# What each module may import. It points one way: a module stands below those that it imports.
MAY_IMPORT = {
    "__init__": (),
    "runtime": (),
    "schedules": (),
    "layers": (),
    "losses": (),
    "metrics": (),
    # data
    "bundle": ("runtime",),
    "downloads": ("runtime", "bundle"),
    "cifar10": ("runtime", "bundle", "downloads"),
    "data": ("runtime", "bundle", "downloads", "cifar10"),
    "pictures": ("runtime", "bundle", "downloads", "data"),
    "checkpoints": ("runtime", "layers", "bundle"),
    "samplers": (),
    "_walking": (),
    "diffusion": ("schedules", "_walking"),
    "generators": ("runtime", "checkpoints", "schedules", "diffusion", "pixels"),
    "judge": ("runtime", "data", "checkpoints", "metrics"),
    "_drawing": (),
    "_charts": ("_drawing",),
    "plots": ("_drawing", "_charts"),
    "progress": ("plots", "render"),
    "training": ("plots", "render", "runtime", "progress"),
    # style transfer
    "crops": (),
    "backbones": ("runtime", "bundle", "downloads", "pictures"),
    "transfer": ("losses",),
    # pictures as sequences
    "_causal_plan": ("layers",),
    "_columns": ("layers", "_causal_plan"),
    "_pixel_draws": (),
    "pixels": ("losses", "_causal_plan", "_columns", "_pixel_draws"),
    # widgets
    "explain": ("runtime",),
    "render": ("plots",),
    "pads": ("render",),
    "shells": ("runtime", "render", "pads"),
    "slow": ("shells",),
    "_memory": (),
    "cnn_view": ("explain", "render", "_memory"),
    "studio": ("render", "_memory"),
    "_latent_canvas": ("_drawing", "_charts", "plots", "render"),
    "latent": ("runtime", "losses", "render", "_latent_canvas", "_memory"),
    "gan_view": ("pads", "render", "samplers", "shells", "_memory"),
    "_holes": ("pads", "render"),
    "completer_view": ("_holes", "pads", "pixels", "_memory"),
    "diffusion_view": ("diffusion", "render", "slow", "_memory"),
    "inpainter_view": ("_holes", "diffusion", "pads", "slow", "_memory"),
    "widgets": (
        "cnn_view",
        "completer_view",
        "diffusion_view",
        "gan_view",
        "inpainter_view",
        "latent",
        "pads",
        "render",
        "shells",
        "slow",
        "studio",
    ),
    # the terminal
    "__main__": (
        "runtime",
        "bundle",
        "pictures",
        "checkpoints",
        "data",
        "backbones",
        "transfer",
        "generators",
    ),
    # exercises
    "_checking": (),
    "_exercises_cnn": ("_checking",),
    "_exercises_diffusion": ("_checking",),
    "_exercises_gan": ("_checking",),
    "_exercises_pixelcnn": ("_checking",),
    "_exercises_style": ("_checking",),
    "_exercises_vae": ("_checking",),
    "exercises": (
        "_exercises_cnn",
        "_exercises_diffusion",
        "_exercises_gan",
        "_exercises_pixelcnn",
        "_exercises_style",
        "_exercises_vae",
    ),
}
MAX_LINES = 330  # without docstrings, which section 7 of the design wants to be complete
HEAVY = ("tensorflow", "keras", "matplotlib", "PIL", "scipy", "sklearn", "IPython", "ipywidgets")
TESTED_WITH = {
    "__main__": "cli",
    "bundle": "data",
    "cifar10": "data",
    "slow": "shells",
    "studio": "style_studio",
    "completer_view": "completer",
    "cnn_view": "widgets",
    "gan_view": "gan_explorer",
    "inpainter_view": "diffusion_view",
}
MODULES = astrules.modules()


def import_problems(name, tree):
    if name not in MAY_IMPORT:
        return [f"{name}.py is not in the table of tests/test_architecture.py: decide its place"]
    wrong = sorted(astrules.package_imports(tree) - set(MAY_IMPORT[name]))
    return [f"{name}.py may not import {other}" for other in wrong]


def length(source):
    """Count the lines of a module that are not docstrings."""
    lines = len(source.splitlines())
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


def undocumented(tree):
    """Return public functions, classes and methods without a docstring, and "module"."""
    missing = [] if ast.get_docstring(tree) else ["module"]
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            missing.append(node.name)
        if isinstance(node, ast.ClassDef):
            missing += [
                f"{node.name}.{method.name}"
                for method in node.body
                if isinstance(method, ast.FunctionDef)
                and not method.name.startswith("_")
                and method.name not in {"build"}  # Keras calls it; users do not
                and not ast.get_docstring(method)
            ]
    return missing


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# --- the package as it is --------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    assert import_problems(name, MODULES[name]) == []


def test_the_table_has_no_cycle():
    placed = set()
    waiting = dict(MAY_IMPORT)
    while waiting:
        free = [name for name, needs in waiting.items() if set(needs) <= placed]
        assert free, f"these import each other: {sorted(waiting)}"
        placed.update(free)
        for name in free:
            del waiting[name]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_and_documented(name):
    source = (astrules.PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    assert length(source) <= MAX_LINES, "a module over about 300 lines is probably two"
    assert undocumented(MODULES[name]) == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_has_no_star_import_no_predict_in_a_loop_and_no_bad_colours(name):
    assert astrules.star_imports(MODULES[name]) == []
    assert astrules.predict_in_loops(MODULES[name]) == []
    assert astrules.bad_colour_maps(MODULES[name]) == []


def test_the_package_itself_imports_nothing():
    assert not any(
        isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(MODULES["__init__"])
    )
    assert "utils" not in MODULES


def test_every_public_module_has_its_tests():
    tests = {path.stem for path in (astrules.PACKAGE.parent / "tests").glob("test_*.py")}
    public = {TESTED_WITH.get(name, name) for name in MODULES if not name.startswith("_")}
    assert {f"test_{name}" for name in public} <= tests


def test_importing_the_package_costs_nothing():
    code = f"""
import sys, time
begin = time.process_time()
import course_utils
print(time.process_time() - begin, [name for name in {HEAVY} if name in sys.modules])
"""
    seconds, loaded = run(code).split(" ", 1)
    assert float(seconds) < 0.3
    assert loaded == "[]"


def test_what_is_imported_before_setup_does_not_load_tensorflow():
    names = {"runtime", "data", "bundle", "cifar10", "downloads", "pictures", "plots", "exercises"}
    code = "import sys\n"
    for name in sorted(names & set(MODULES)):
        code += f"from course_utils import {name}\n"
        code += f"assert not {{'tensorflow', 'keras'}} & set(sys.modules), '{name}'\n"
    run(code)


# --- every rule can fail ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "from course_utils import training",
        "import course_utils.training",
        "import course_utils.training as t",
        "from course_utils.training import fit",
        "from . import training",
        "from .training import fit",
        "def late():\n    from course_utils import training",
        "import numpy, course_utils.training",
    ],
)
def test_a_wrong_import_is_seen_in_every_form(source):
    assert import_problems("plots", ast.parse(source)) == ["plots.py may not import training"]
    assert import_problems("widgets", ast.parse(source)) != []


def test_an_unknown_module_must_be_given_its_place():
    assert "decide its place" in import_problems("helpers", ast.parse(""))[0]


def test_a_right_import_passes():
    source = "import numpy as np\nfrom course_utils import plots, runtime\nimport course_utils"
    assert import_problems("training", ast.parse(source)) == []


def test_length_counts_code_and_not_docstrings():
    source = '"""One\n\ntwo."""\n\n\ndef f():\n    """Three."""\n    return 1\n'
    assert length(source) == 4
    assert length("x = 1\n" * (MAX_LINES + 1)) > MAX_LINES


def test_missing_docstrings_are_seen():
    source = "def f(): ...\ndef _g(): ...\nclass A:\n    '''a'''\n    def m(self): ...\n"
    assert undocumented(ast.parse(source)) == ["module", "f", "A.m"]


def test_star_imports_are_seen():
    assert astrules.star_imports(ast.parse("x = 1\nfrom numpy import *")) == [2]


@pytest.mark.parametrize(
    "source",
    [
        "for x in y:\n    model.predict(x)",
        "while model.predict(x) > 0:\n    x += 1",
        "z = [model.predict(x) for x in y]",
        "z = {x: model.predict(x) for x in y}",
        "z = [x for x in y if model.predict(x)]",
        "z = [a for x in y for a in model.predict(x)]",
        "for x in y:\n    if x:\n        z = f(model.predict(x, verbose=0)[0])",
    ],
)
def test_predict_in_a_loop_is_seen(source):
    assert astrules.predict_in_loops(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "z = model.predict(x)",
        "for p in model.predict(x):\n    print(p)",
        "z = [p for p in model.predict(x)]",
        "for x in y:\n    model(x)",
    ],
)
def test_predict_outside_a_loop_passes(source):
    assert astrules.predict_in_loops(ast.parse(source)) == []


@pytest.mark.parametrize("source", ["f(cmap='jet')", "plt.cm.hsv", "cm.jet", "f('rainbow_r')"])
def test_bad_colour_maps_are_seen(source):
    tree = ast.parse(source.replace("plt.cm", "cm"))
    assert astrules.bad_colour_maps(tree)


def test_public_names_are_functions_classes_and_constants():
    tree = ast.parse("import a\nA_B: int = 1\nC, d = 2, 3\ndef e(): f = 1\nclass G: ...\nH = I = 4")
    assert astrules.defined_names(tree) == {"A_B", "C", "e", "G", "H", "I"}
    assert astrules.public_names()["image_grid"] == "plots"
