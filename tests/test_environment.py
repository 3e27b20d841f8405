"""The lock, the project file and environment.yml agree, and conda and Binder can read them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import rattler
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
CONDA_SPECS = [spec for spec in CONDA["dependencies"] if isinstance(spec, str)]
(PIP_SPECS,) = [spec["pip"] for spec in CONDA["dependencies"] if isinstance(spec, dict)]
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")

# The extra `cuda` is left to those who have the GPU; everything else is locked.
DIRECT = [
    Requirement(text)
    for text in [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["test"],
    ]
]


def locked_versions():
    """Return {name: versions} of the lock; a package has several where Pythons differ."""
    found = {}
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", LOCK, re.MULTILINE
    ):
        found.setdefault(canonicalize_name(name), []).append(Version(version))
    return found


@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_the_lock_holds_each_direct_dependency_within_its_range(requirement):
    versions = locked_versions().get(canonicalize_name(requirement.name))
    assert versions, f"{requirement.name} is not in requirements.lock: run `make lock`"
    for version in versions:
        assert version in requirement.specifier, f"{requirement} but locked is {version}"


def test_every_dependency_has_a_lower_and_an_upper_bound():
    unbounded = [
        str(requirement)
        for requirement in DIRECT
        if not {operator.operator for operator in requirement.specifier} & {"<", "=="}
        or not {operator.operator for operator in requirement.specifier} & {">=", "=="}
    ]
    assert not unbounded


def test_the_lock_is_pinned_and_hashed_and_names_no_host():
    assert "://" not in LOCK
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > 100
    for block in blocks:
        assert re.match(r"\S+==\S+", block), f"not pinned: {block.splitlines()[0]}"
        assert "--hash=sha256:" in block, f"no hash: {block.splitlines()[0]}"


def test_the_command_in_the_lock_is_the_makefile_s():
    (command,) = re.findall(r"^#\s+(uv pip compile .*)$", LOCK, re.MULTILINE)
    assert command in (ROOT / "Makefile").read_text("utf-8")


def test_conda_environment_has_the_parts_that_conda_and_binder_need():
    assert set(CONDA) == {"name", "channels", "dependencies"}
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]
    assert "pip" in CONDA_SPECS
    assert "-e ." in PIP_SPECS


@pytest.mark.parametrize("spec", CONDA_SPECS)
def test_conda_spec_is_valid(spec):
    assert rattler.MatchSpec(spec, strict=True).name


def test_conda_spec_check_can_fail():
    with pytest.raises(Exception, match="unable to parse version spec"):
        rattler.MatchSpec("jupyterlab =>4", strict=True)


def pinned(name):
    """Return the version that environment.yml pins a package to."""
    texts = [text for text in CONDA_SPECS + PIP_SPECS if re.match(rf"{name}=", text)]
    assert len(texts) == 1, f"environment.yml pins {name} {len(texts)} times"
    return Version(texts[0].replace("==", "=").split("=")[1])


@pytest.mark.parametrize("name", ["jupyterlab", "tensorflow"])
def test_conda_environment_has_the_locked_version(name):
    assert locked_versions()[name] == [pinned(name)]


def test_conda_environment_has_a_python_that_the_project_supports():
    assert (
        Version(f"{pinned('python')}.0") in Requirement(f"x{PROJECT['requires-python']}").specifier
    )


def test_every_pip_requirement_of_conda_is_a_dependency_of_the_project():
    ours = {canonicalize_name(requirement.name) for requirement in DIRECT}
    named = {canonicalize_name(Requirement(text).name) for text in PIP_SPECS if text != "-e ."}
    assert named <= ours


def run(command, environment, cwd=ROOT):
    """Run a command; return what it printed, or skip where only the network is missing."""
    finished = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    printed = finished.stdout + finished.stderr
    offline = re.search(r"NewConnectionError|NameResolution|dns error|getaddrinfo", printed)
    if finished.returncode and offline and not IN_CI:
        pytest.skip("no network here, and this test installs packages")
    assert finished.returncode == 0, printed[-3000:]
    return printed


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of what is committed or about to be, without what runs leave."""
    folder = tmp_path_factory.mktemp("checkout") / "course"
    shutil.copytree(ROOT / "course_utils", folder / "course_utils")
    for name in ("pyproject.toml", "environment.yml", "README.md", "LICENSE", "postBuild"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "tools").mkdir()
    for name in ("install.py", "overrides.json", "server_config.json"):
        shutil.copy(ROOT / "tools" / name, folder / "tools" / name)
    return folder


@pytest.mark.slow
def test_the_pip_section_installs_into_a_fresh_environment(checkout, tmp_path, outside_environment):
    venv = tmp_path / "venv"
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("\n".join(PIP_SPECS) + "\n")
    run([sys.executable, "-m", "venv", str(venv)], outside_environment)
    installer = [str(python), "-m", "pip", "install", "--no-compile", "--quiet"]
    if subprocess.run(["sh", "-c", "uv --version"], capture_output=True).returncode == 0:
        installer = ["uv", "pip", "install", "--python", str(python)]
    run([*installer, "-r", str(requirements)], outside_environment, cwd=checkout)
    versions = run(
        [
            str(python),
            "-c",
            "import course_utils, importlib.metadata as m;"
            "print(m.version('tensorflow'), m.version('jupyterlab'), course_utils.__file__)",
        ],
        outside_environment,
        cwd=tmp_path,
    ).split()
    assert versions[0] == str(pinned("tensorflow"))
    assert versions[2].startswith(str(checkout))
    run(["sh", str(checkout / "postBuild")], outside_environment | path_of(python), cwd=checkout)
    settings = venv / "share/jupyter/lab/settings/overrides.json"
    assert settings.read_bytes() == (ROOT / "tools/overrides.json").read_bytes()


def path_of(python):
    """Return a PATH on which `python` is the given one."""
    return {"PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]])}


def test_repo2docker_takes_the_repository(checkout, outside_environment):
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(checkout)]
    printed = run(command, outside_environment)
    assert "Building conda environment for python=3.12" in printed
    assert "environment.yml" in printed
    assert "postBuild" in printed
