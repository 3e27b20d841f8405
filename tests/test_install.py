"""What the set-up builds, and that a set-up that did not finish is never taken for one that did."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tools import install

LOCKED = "install --require-hashes --only-binary :all: -r requirements.lock"
EDITABLE = "install --no-deps --no-build-isolation -e ."


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A course folder without an environment, on a machine without uv."""
    folder = tmp_path / "cours d'été"
    (folder / "tools").mkdir(parents=True)
    (folder / "requirements.lock").write_text("a==1")
    (folder / "pyproject.toml").write_text("[project]")
    (folder / "tools" / "overrides.json").write_text("{}")
    (folder / "tools" / "server_config.json").write_text("{}")
    monkeypatch.setattr(install, "ROOT", folder)
    monkeypatch.setattr(install, "VENV", folder / ".venv")
    monkeypatch.setattr(install, "STAMP", folder / ".venv" / "course-stamp.json")
    monkeypatch.setattr(install, "LOG", folder / "build" / "setup.log")
    monkeypatch.setattr(install, "PYTHON", folder / ".venv" / "bin" / "python")
    monkeypatch.setattr(install, "NEEDED_BYTES", 0)
    monkeypatch.setattr(
        install, "works", lambda program, *_: program != "uv" and Path(program).exists()
    )
    monkeypatch.setattr(install, "check_environment", lambda: None)
    return folder


@pytest.fixture
def calls(root, monkeypatch):
    """What the installer was asked to do; it does no more than link an interpreter."""
    made = []

    def run_installer(command):
        made.append(" ".join(str(word) for word in command[3:]))
        if not install.PYTHON.exists():
            install.PYTHON.parent.mkdir(parents=True)
            install.PYTHON.symlink_to(sys.executable)
        return True, ""

    monkeypatch.setattr(install, "run_installer", run_installer)
    return made


def test_a_fresh_set_up_installs_the_lock_then_the_course(root, calls):
    assert install.main([]) == 0
    assert calls == [str(root / ".venv"), LOCKED, EDITABLE]
    assert install.up_to_date()


def test_a_second_set_up_does_nothing(root, calls):
    install.main([])
    calls.clear()
    assert install.main([]) == 0
    assert calls == []


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "tools/overrides.json", "tools/server_config.json"]
)
def test_changed_settings_install_only_the_course_again(root, calls, name):
    install.main([])
    calls.clear()
    (root / name).write_text("changed")
    assert not install.up_to_date()
    assert install.main([]) == 0
    assert calls == [EDITABLE]
    assert install.up_to_date()


def other_lock(root):
    (root / "requirements.lock").write_text("a==2")


def other_python(root):
    stamp = json.loads(install.STAMP.read_text("utf-8"))
    install.STAMP.write_text(json.dumps(stamp | {"python": "3.10"}))


def other_folder(root):
    stamp = json.loads(install.STAMP.read_text("utf-8"))
    install.STAMP.write_text(json.dumps(stamp | {"folder": "/before/it/was/moved"}))


def broken_python(root):
    install.PYTHON.unlink()
    install.PYTHON.symlink_to("/no/such/python")


def broken_stamp(root):
    install.STAMP.write_text("{")


@pytest.mark.parametrize(
    "change", [other_lock, other_python, other_folder, broken_python, broken_stamp]
)
def test_anything_else_builds_the_environment_from_nothing(root, calls, change):
    install.main([])
    (root / ".venv" / "leftover").touch()
    calls.clear()
    change(root)
    assert install.main([]) == 0
    assert calls == [str(root / ".venv"), LOCKED, EDITABLE]
    assert not (root / ".venv" / "leftover").exists()
    assert install.up_to_date()


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize(
    ("trouble", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "Set-up was interrupted; run the same command"),
        (OSError(28, "No space left on device"), 1, "the disk is full: free"),
        (PermissionError(13, "no", "/x"), 1, "Set-up cannot write /x"),
    ],
)
def test_a_set_up_that_stops_is_never_taken_for_a_finished_one(
    root, calls, monkeypatch, capsys, step, trouble, status, says
):
    run_installer = install.run_installer

    def stop(command):
        if len(calls) == step:
            raise trouble
        return run_installer(command)

    monkeypatch.setattr(install, "run_installer", stop)
    assert install.main([]) == status
    assert says in capsys.readouterr().err
    assert not install.STAMP.exists()

    monkeypatch.setattr(install, "run_installer", run_installer)
    calls.clear()
    assert install.main([]) == 0
    assert calls == [str(root / ".venv"), LOCKED, EDITABLE]


def test_the_stamp_is_not_written_where_tensorflow_does_not_start(root, calls, monkeypatch, capsys):
    def fail():
        raise install.SetupError("TensorFlow does not start here: no AVX")

    monkeypatch.setattr(install, "check_environment", fail)
    assert install.main([]) == 1
    assert "no AVX" in capsys.readouterr().err
    assert not install.up_to_date()


def test_too_small_a_disk_is_noticed_before_anything_is_removed(root, monkeypatch, capsys):
    (root / ".venv").mkdir()
    monkeypatch.setattr(install, "NEEDED_BYTES", 5 * install.GIB)
    usage = shutil.disk_usage(root)._replace(free=int(1.25 * install.GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert install.main([]) == 1
    assert "needs 5 GB of free disk space and" in (said := capsys.readouterr().err)
    assert f"{root} has 1.2 GB: free some, then run this again." in said
    assert (root / ".venv").is_dir()


@pytest.mark.parametrize(
    ("printed", "meaning"),
    [
        ("ERROR: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError: Failed to establish", "check the network connection"),
        ("cause: dns error", "check the network connection"),
        ("SSLError(CERTIFICATE_VERIFY_FAILED)", "set PIP_CERT"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "is not the one that requirements.lock"),
        ("ERROR: No matching distribution found for x", "has no build for this system"),
        ("first\nerror: something new\n", "Set-up stopped with: error: something new"),
        ("", "Set-up stopped with: no output"),
    ],
)
def test_what_an_installer_prints_is_explained_in_one_sentence(printed, meaning):
    sentence = install.explain(printed)
    assert meaning in sentence
    assert sentence.endswith(".") and "\n" not in sentence


def test_pip_takes_over_where_uv_fails(root, monkeypatch):
    monkeypatch.setattr(install, "works", lambda *words: True)
    made = []

    def run_installer(command):
        made.append(command[0])
        return command[0] != "uv", "dns error"

    monkeypatch.setattr(install, "run_installer", run_installer)
    install.install("x")
    assert made == ["uv", install.PYTHON]


def test_installers_keep_to_the_environment(root, monkeypatch):
    for name in install.DROPPED_SETTINGS:
        monkeypatch.setenv(name, "astray")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    (root / ".venv").mkdir()
    code = "import os; [print(key, value) for key, value in os.environ.items()]"
    succeeded, printed = install.run_installer([sys.executable, "-c", code])
    assert succeeded
    assert "astray" not in printed
    assert "PIP_INDEX_URL https://mirror.example/simple" in printed
    assert f"TMPDIR {root / '.venv' / 'tmp'}" in printed
    assert not (root / ".venv" / "tmp").exists()
    assert "PIP_INDEX_URL" in install.LOG.read_text("utf-8")


def test_jupyterlab_gets_the_settings(root, calls):
    install.main([])
    settings = root / ".venv/share/jupyter/lab/settings/overrides.json"
    assert settings.read_text() == "{}"
    server = root / ".venv/etc/jupyter/jupyter_server_config.d/course.json"
    assert server.read_text() == "{}"


def test_settings_switch_off_what_disturbs_a_lecture():
    settings = json.loads(Path(install.__file__).with_name("overrides.json").read_text("utf-8"))
    assert settings["@jupyterlab/apputils-extension:kernels-settings"] == {
        "commsOverSubshells": "disabled"
    }
    notification = settings["@jupyterlab/apputils-extension:notification"]
    assert notification["fetchNews"] == "false"
    assert notification["checkForUpdates"] is False


def test_the_server_takes_a_photograph_from_a_phone():
    config = json.loads(Path(install.__file__).with_name("server_config.json").read_text("utf-8"))
    assert config["ServerApp"]["tornado_settings"]["websocket_max_message_size"] > 100e6


def test_settings_command_serves_conda_and_binder(root, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "conda"))
    assert install.main(["settings"]) == 0
    assert (tmp_path / "conda/share/jupyter/lab/settings/overrides.json").exists()


def test_unknown_command(capsys):
    assert install.main(["lap"]) == 2
    assert "Unknown command 'lap'" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="starts JupyterLab as a child there")
def test_lab_opens_the_first_notebook(root, calls, monkeypatch):
    (root / "notebooks").mkdir()
    for name in ("02_b.ipynb", "01_a.ipynb"):
        (root / "notebooks" / name).touch()
    started = []
    monkeypatch.setattr(install.os, "execv", lambda path, command: started.append(command))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    install.main(["lab", "--no-browser"])
    first = str(root / "notebooks" / "01_a.ipynb")
    assert started[0] == [str(install.PYTHON), "-m", "jupyterlab", first, "--no-browser"]
