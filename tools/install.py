"""Build the course's environment in `.venv`, once, and start JupyterLab from it.

    python tools/install.py                             set up
    python tools/install.py lab [JUPYTERLAB OPTIONS]    set up, then start JupyterLab
    python tools/install.py settings                    only put JupyterLab's settings into the
                                                        environment of this Python (conda, Binder)

`tools/bootstrap.py` calls this on a Python that can run the course. Only the standard library is
used, and nothing is downloaded but the packages of `requirements.lock`, each checked by its hash.
An environment counts as built only when its stamp, the last thing written, agrees with the lock,
the project file, the Python and the folder; anything else is built again from nothing.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "course-stamp.json"
LOG = ROOT / "build" / "setup.log"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

GIB = 2**30
# The environment takes 2.9 GiB; the packages, while they are fetched and unpacked, 1.5 more.
NEEDED_BYTES = 5 * GIB

# Settings that would send packages elsewhere than into `.venv`, or other versions of them.
DROPPED_SETTINGS = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_CONSTRAINT",
    "PIP_REQUIREMENT",
    "UV_CONSTRAINT",
    "UV_TARGET",
)

# What a line that pip or uv prints means to a reader, in the order in which to look.
EXPLANATIONS = (
    (
        ("No space left on device", "Disk quota exceeded"),
        "the disk is full: free {needed:.0f} GB on the disk that holds {root} (and on that of "
        "pip's cache, `pip cache dir`), then run this again.",
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "SSLError", "invalid peer certificate"),
        "the package index's certificate was not accepted: behind a company proxy, set PIP_CERT "
        "to its certificate file, then run this again.",
    ),
    (
        ("DO NOT MATCH THE HASHES", "Hash mismatch"),
        "a downloaded package is not the one that requirements.lock names: run this again, and if "
        "it fails again, `pip cache purge` first.",
    ),
    (
        (
            "NewConnectionError",
            "NameResolutionError",
            "Failed to establish a new connection",
            "Name or service not known",
            "getaddrinfo failed",
            "ConnectTimeout",
            "Read timed out",
            "ProxyError",
            "Connection broken",
            "dns error",
            "error sending request",
            "operation timed out",
        ),
        "the packages could not be downloaded: check the network connection, then run this again "
        "(what has arrived is kept).",
    ),
    (
        ("No matching distribution found",),
        "a package has no build for this system: {log} names it.",
    ),
)


class SetupError(Exception):
    """The environment cannot be built; the message is one sentence with the remedy."""


def digest(*names: str) -> str:
    """Return one SHA-256 over the named files of the repository."""
    total = hashlib.sha256()
    for name in names:
        total.update((ROOT / name).read_bytes())
    return total.hexdigest()


def wanted_stamp() -> dict[str, str]:
    """Return what a finished environment was built from."""
    return {
        "folder": str(ROOT),
        "lock": digest("requirements.lock"),
        "project": digest("pyproject.toml", "tools/overrides.json", "tools/server_config.json"),
        "python": ".".join(map(str, sys.version_info[:2])),
    }


def written_stamp() -> dict[str, str]:
    """Return the stamp that the last finished set-up left, or an empty one."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def works(*command: str | Path) -> bool:
    """Does this command exist and succeed (a shim may exist and fail)?"""
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def up_to_date() -> bool:
    """Is the environment finished, and built from what is here now?"""
    return written_stamp() == wanted_stamp() and works(PYTHON, "-c", "")


def packages_right() -> bool:
    """Is the environment finished, but for the course itself, whose settings may have changed?"""
    same = written_stamp() | {"project": ""} == wanted_stamp() | {"project": ""}
    return same and works(PYTHON, "-c", "")


def write_stamp() -> None:
    """Declare the environment finished."""
    partial = STAMP.with_suffix(".partial")
    partial.write_text(json.dumps(wanted_stamp(), indent=1), encoding="utf-8")
    partial.replace(STAMP)


def clean_environment(**extra: str) -> dict[str, str]:
    """Return the process's environment without what would lead an installer astray."""
    kept = {key: value for key, value in os.environ.items() if key not in DROPPED_SETTINGS}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUTF8": "1"} | extra


def check_disk() -> None:
    """Raise where the environment will not fit."""
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"Set-up needs {NEEDED_BYTES / GIB:.0f} GB of free disk space and {ROOT} has "
            f"{free / GIB:.1f} GB: free some, then run this again."
        )


def explain(printed: str) -> str:
    """Return what went wrong, from what pip or uv printed, in one sentence."""
    for signs, meaning in EXPLANATIONS:
        if any(sign in printed for sign in signs):
            return "Set-up stopped, because " + meaning.format(
                needed=NEEDED_BYTES / GIB, root=ROOT, log=LOG
            )
    last = (printed.strip().splitlines() or ["no output"])[-1].strip()
    return f"Set-up stopped with: {last} (the whole report is in {LOG})."


def remove_environment() -> None:
    """Delete `.venv`, its stamp first, so that an interruption leaves nothing that looks built."""
    STAMP.unlink(missing_ok=True)
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(VENV)


def run_installer(command: list[str | Path]) -> tuple[bool, str]:
    """Run pip or uv, showing on one line what it is doing; return (succeeded, all it printed).

    Its temporary files lie in `.venv`: what fits there fits, whatever the size of /tmp.
    """
    scratch = VENV / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=clean_environment(TMPDIR=str(scratch), TEMP=str(scratch), TMP=str(scratch)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    width = min(shutil.get_terminal_size().columns, 100) - 1
    lines = []
    with process:
        for line in process.stdout:
            lines.append(line)
            if sys.stdout.isatty():
                print("\r" + line.strip()[:width].ljust(width), end="", flush=True)
    if sys.stdout.isatty():
        print("\r" + " " * width, end="\r", flush=True)
    shutil.rmtree(scratch, ignore_errors=True)
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("a", encoding="utf-8") as log:
        log.writelines([f"$ {' '.join(map(str, command))}\n", *lines])
    return process.returncode == 0, "".join(lines)


def make_venv() -> None:
    """Create an empty `.venv` on the Python that runs this."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401

        command = [sys.executable, "-m", "venv", VENV]
    except ImportError:
        command = ["uv", "venv", "--no-python-downloads", "--allow-existing"]
        command += ["--python", sys.executable, VENV]
    succeeded, printed = run_installer(command)
    if not succeeded:
        raise SetupError(explain(printed))


def install(*arguments: str) -> None:
    """Install into `.venv`: with uv where it is here and works, else with pip."""
    printed = ""
    if works("uv", "--version"):
        command = ["uv", "pip", "install", "--compile-bytecode", "--python", PYTHON, *arguments]
        succeeded, printed = run_installer(command)
        if succeeded:
            return
        say("uv could not install the packages; trying pip.")
    if works(PYTHON, "-m", "pip", "--version"):
        succeeded, more = run_installer([PYTHON, "-m", "pip", "install", *arguments])
        if succeeded:
            return
        printed += more
    raise SetupError(explain(printed))


def install_settings(prefix: Path) -> None:
    """Give every JupyterLab that starts from the environment `prefix` the course's settings."""
    for source, target in {
        "overrides.json": "share/jupyter/lab/settings/overrides.json",
        # larger messages, so that a photograph from a phone can be dropped into a widget
        "server_config.json": "etc/jupyter/jupyter_server_config.d/course.json",
    }.items():
        path = prefix / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / "tools" / source, path)


def install_course() -> None:
    """Install `course_utils` in place, and JupyterLab's settings with it."""
    install("--no-deps", "--no-build-isolation", "-e", ".")
    install_settings(VENV)


def check_environment() -> None:
    """Raise unless what was installed starts on this machine."""
    finished = subprocess.run(
        [PYTHON, "-c", "import course_utils, jupyterlab, tensorflow"],
        env=clean_environment(TF_CPP_MIN_LOG_LEVEL="3"),
        capture_output=True,
        text=True,
    )
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or [f"status {finished.returncode}"])[-1]
        raise SetupError(f"The packages are installed, but TensorFlow does not start here: {last}")


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let one set-up work at a time; a second one waits."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    LOG.parent.mkdir(exist_ok=True)
    with open(LOG.parent / "setup.lock", "w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is running here; waiting for it.")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Print at once, before what a child process prints next."""
    print(text, flush=True)


def build() -> None:
    """Bring `.venv` up to date: all of it, or only the course where the packages are right."""
    if packages_right():
        STAMP.unlink()
        install_course()
        write_stamp()
        return
    check_disk()
    if VENV.exists():
        say("The environment in .venv is unfinished or out of date; building it again.")
    say("Setting up the course in .venv: about 600 MB to download, the first time only.")
    LOG.unlink(missing_ok=True)
    remove_environment()
    make_venv()
    install("--require-hashes", "--only-binary", ":all:", "-r", "requirements.lock")
    install_course()
    check_environment()
    write_stamp()
    say("Set-up is done.")


def lab(options: list[str]) -> int:
    """Open JupyterLab on the notebooks and return its exit status when it ends."""
    notebooks = ROOT / "notebooks"
    first = next(iter(sorted(notebooks.glob("*.ipynb"))), notebooks)
    command = [str(PYTHON), "-m", "jupyterlab", str(first), *options]
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not the user's
    if os.name == "nt":
        return subprocess.run(command).returncode
    return os.execv(PYTHON, command)  # Ctrl+C and signals reach JupyterLab itself


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit status."""
    if arguments == ["settings"]:
        install_settings(Path(sys.prefix))
        return 0
    if arguments and arguments[0] != "lab":
        print(f"Unknown command {arguments[0]!r}: there are `lab` and `settings`.", file=sys.stderr)
        return 2
    try:
        if not up_to_date():
            with only_one():
                if not up_to_date():
                    build()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except PermissionError as error:
        print(
            f"Set-up cannot write {error.filename}: make it yours, then try again.", file=sys.stderr
        )
        return 1
    except OSError as error:
        print(
            explain(str(error)) if error.errno == 28 else f"Set-up stopped: {error}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("Set-up was interrupted; run the same command to start it again.", file=sys.stderr)
        return 130
    return lab(arguments[1:]) if arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
