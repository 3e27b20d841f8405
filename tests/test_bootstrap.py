"""The set-up finds a right Python, or says in one sentence what to do."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap

ROOT = Path(__file__).resolve().parent.parent
posix = pytest.mark.skipif(os.name == "nt", reason="shell scripts stand in for interpreters")


def python(version=(3, 12, 4), **changes):
    """Describe an interpreter as `probe` does."""
    described = {
        "path": "/usr/bin/python3",
        "version": list(version),
        "venv": True,
        "system": "Linux",
        "machine": "x86_64",
        "wide": True,
        "musl": False,
        "threaded": False,
        "debian": True,
    }
    return described | changes


@pytest.mark.parametrize("minor", [11, 12, 13])
@pytest.mark.parametrize(
    ("system", "machine"),
    [("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64"), ("Windows", "AMD64")],
)
def test_supported_pythons_are_taken(minor, system, machine):
    assert bootstrap.complaint(python((3, minor, 0), system=system, machine=machine), False) is None


@pytest.mark.parametrize(
    ("described", "parts"),
    [
        (python((3, 14, 0)), ["only Python 3.14.0 (/usr/bin/python3)", "install Python 3.13"]),
        (python((3, 10, 13)), ["only Python 3.10.13", "3.11, 3.12 or 3.13"]),
        (python((2, 7, 18)), ["only Python 2.7.18"]),
        (
            python(system="Darwin", machine="x86_64"),
            ["Intel Macs", "universal Python 3.13", "Binder"],
        ),
        (python(wide=False), ["Linux x86_64, 32-bit", "64-bit Python 3.13"]),
        (python(musl=True), ["Linux x86_64, musl", "glibc"]),
        (python(machine="armv7l"), ["Linux armv7l"]),
        (python((3, 13, 1), threaded=True), ["free-threaded", "ordinary Python 3.13"]),
        (python(venv=False), ["no venv module", "`sudo apt install python3.12-venv`"]),
        (python(venv=False, debian=False), ["no venv module", "install Python 3.13 from https"]),
    ],
)
def test_a_wrong_python_gives_one_sentence_with_the_remedy(described, parts):
    _, sentence = bootstrap.complaint(described, has_uv=False)
    for part in parts:
        assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_uv_does_without_the_venv_module():
    assert bootstrap.complaint(python(venv=False), has_uv=True) is None


@pytest.fixture
def machine(monkeypatch):
    """A machine with the interpreters that a test puts there, and without uv."""
    here = {}
    monkeypatch.setattr(bootstrap, "uv_works", lambda: False)
    monkeypatch.setattr(bootstrap, "candidates", lambda: list(here))
    monkeypatch.setattr(bootstrap, "probe", here.get)
    return here


def test_the_first_good_python_is_taken(machine):
    machine |= {
        "python3.13": None,
        "python3.12": python(venv=False, path="/bad"),
        "python3.11": python((3, 11, 2), path="/good"),
        "python3": python((3, 13, 2), path="/later"),
    }
    assert bootstrap.find() == ("/good", None)


def test_the_complaint_nearest_to_working_is_shown(machine):
    machine |= {"python3.12": python(venv=False), "python3": python((3, 14, 0))}
    path, sentence = bootstrap.find()
    assert path is None
    assert "python3.12-venv" in sentence


def test_nothing_runs(machine):
    assert bootstrap.find()[1].startswith("No Python runs here: install Python 3.13 from https://")


def test_a_python_asked_for_is_the_only_one_tried(machine):
    machine |= {"python3": python(), "/old": python((3, 9, 1), path="/old")}
    assert "only Python 3.9.1 (/old)" in bootstrap.find("/old")[1]
    assert bootstrap.find("/none")[1] == "/none does not run: name a Python 3.11, 3.12 or 3.13."


def test_probe_describes_a_real_interpreter():
    found = bootstrap.probe(sys.executable)
    assert tuple(found["version"]) == sys.version_info[:3]
    assert found["venv"] and found["wide"] and not found["threaded"]


@posix
@pytest.mark.parametrize("body", ["exit 127", "echo pyenv: command not found", "exit 0"])
def test_a_shim_that_leads_nowhere_is_no_python(tmp_path, body):
    shim = tmp_path / "python3.13"
    shim.write_text(f"#!/bin/sh\n{body}\n")
    shim.chmod(0o755)
    assert bootstrap.probe(str(shim)) is None
    assert bootstrap.probe(str(tmp_path / "absent")) is None


def test_any_python_can_read_the_bootstrap():
    tree = ast.parse(Path(bootstrap.__file__).read_text("utf-8"), feature_version=(3, 4))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr), "f-strings need Python 3.6"
        if isinstance(node, ast.FunctionDef):
            assert not node.returns and not node.args.kwonlyargs, "Python 2.7 cannot read this"
        if isinstance(node, ast.Call):
            starred = [arg for arg in node.args if isinstance(arg, ast.Starred)]
            assert not starred or node.args[-1] in starred, "Python 2.7 cannot read this"
        if isinstance(node, ast.Dict | ast.List | ast.Tuple | ast.Set):
            for child in ast.iter_child_nodes(node):
                assert not isinstance(child, ast.Starred), "Python 2.7 cannot read this"


@posix
@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("shims", [(), ("python3.13", "python3", "python")])
def test_make_without_any_python_says_so(tmp_path, shims):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "sh"):
        (programs / name).symlink_to(shutil.which(name))
    for name in shims:
        (programs / name).write_text("#!/bin/sh\necho no such version >&2; exit 127\n")
        (programs / name).chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    finished = subprocess.run(
        ["make", "test"], cwd=tmp_path, env={"PATH": str(programs)}, capture_output=True, text=True
    )
    assert finished.returncode != 0
    assert finished.stderr.startswith("No Python runs here: install Python 3.13 from https://")
