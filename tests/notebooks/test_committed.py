"""Every committed notebook against every gate."""

import nbformat
import pytest
from extract import NOTEBOOKS, load_definitions
from gates import GATES

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.__name__)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_gate(path, gate):
    assert gate(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_its_definitions_load(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    load_definitions(path.stem)
