"""Find a Python that can run the course, then hand over to `tools/install.py`.

    python tools/bootstrap.py [--python PATH] [lab [JUPYTERLAB OPTIONS]]

This file must run, or at least explain itself, on whatever Python a machine has: it is written in
syntax that Python 2.7 and every Python 3 read. `tools/install.py` may use the current language.
"""

from __future__ import print_function

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
INSTALL = os.path.join(ROOT, "tools", "install.py")

MINORS = (13, 12, 11)
# Machines that TensorFlow has wheels for.
MACHINES = {"Linux": ("x86_64", "aarch64"), "Darwin": ("arm64",), "Windows": ("AMD64",)}
WHERE = "https://www.python.org/downloads/"

PROBE = """
import json, platform, sys
try:
    import ensurepip, venv
    can_venv = True
except ImportError:
    can_venv = False
try:
    import sysconfig
    musl = 'musl' in str(sysconfig.get_config_var('HOST_GNU_TYPE'))
    threaded = bool(sysconfig.get_config_var('Py_GIL_DISABLED'))
except ImportError:
    musl = threaded = False
print(json.dumps({
    'path': sys.executable, 'version': list(sys.version_info[:3]), 'venv': can_venv,
    'system': platform.system(), 'machine': platform.machine(), 'wide': sys.maxsize > 2 ** 32,
    'musl': musl, 'threaded': threaded,
    'debian': platform.system() == 'Linux' and sys.executable.startswith('/usr/bin/'),
}))
"""


def output_of(command):
    """Return what a command prints, or None where it does not exist or fails."""
    try:
        with open(os.devnull, "w") as null:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=null)
            text = process.communicate()[0]
    except OSError:
        return None
    return text.decode("utf-8", "replace").strip() if process.returncode == 0 else None


def probe(command):
    """Describe the interpreter `command`; None where it does not run (an empty pyenv shim, say)."""
    text = output_of([command, "-c", PROBE])
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def uv_works():
    """Is uv here? It can make a venv without the `venv` module, and it installs faster."""
    return output_of(["uv", "--version"]) is not None


def version_of(python):
    """Return the interpreter's version as text."""
    return ".".join(str(number) for number in python["version"])


def complaint(python, has_uv):
    """Return (rank, sentence) saying why this interpreter will not do, or None when it will.

    The sentence with the highest rank is the one worth showing: it is nearest to working.
    """
    machines = MACHINES.get(python["system"], ())
    name = "Python %s (%s)" % (version_of(python), python["path"])
    if tuple(python["version"][:2]) not in [(3, minor) for minor in MINORS]:
        return 1, (
            "This course needs Python 3.11, 3.12 or 3.13, because TensorFlow has no build for "
            "others, and here is only %s: install Python 3.13 from %s, then run this again."
            % (name, WHERE)
        )
    if python["system"] == "Darwin" and python["machine"] == "x86_64":
        return 2, (
            "%s is an Intel build, and TensorFlow no longer has one for Intel Macs: on an Apple "
            "silicon Mac install the universal Python 3.13 from %s, on an Intel Mac use the course "
            "on Binder or on another machine." % (name, WHERE)
        )
    if python["machine"] not in machines or not python["wide"] or python["musl"]:
        return 2, (
            "TensorFlow has no build for %s (%s %s%s%s): use a 64-bit Python 3.13 on Linux with "
            "glibc (x86_64 or aarch64), on an Apple silicon Mac or on Windows (x86_64)."
            % (
                name,
                python["system"],
                python["machine"],
                "" if python["wide"] else ", 32-bit",
                ", musl" if python["musl"] else "",
            )
        )
    if python["threaded"]:
        return 2, (
            "%s is a free-threaded build, which TensorFlow does not support: install the ordinary "
            "Python 3.13 from %s, then run this again." % (name, WHERE)
        )
    if not python["venv"] and not has_uv:
        remedy = "install Python 3.13 from %s" % WHERE
        if python["debian"]:
            remedy = "run `sudo apt install python3.%d-venv`" % python["version"][1]
        return 3, "%s has no venv module: %s, then run this again." % (name, remedy)
    return None


def candidates():
    """Yield the commands that may be a Python, the preferred first."""
    for minor in MINORS:
        yield "python3.%d" % minor
    yield "python3"
    yield "python"
    if not inside_venv():
        yield sys.executable
    if os.name == "nt":
        for minor in MINORS:
            path = output_of(["py", "-3.%d" % minor, "-c", "import sys; print(sys.executable)"])
            if path:
                yield path
    # Pythons that uv has already installed; it is not allowed to fetch one.
    path = output_of(["uv", "python", "find", "--no-python-downloads", ">=3.11,<3.14"])
    if path:
        yield path


def inside_venv():
    """Is this the Python of the course's own environment?"""
    return os.path.normcase(os.path.realpath(sys.prefix)) == os.path.normcase(
        os.path.realpath(VENV)
    )


def find(asked=None):
    """Return (path of a good Python, None), or (None, the sentence that says what to do)."""
    has_uv = uv_works()
    best = (0, "No Python runs here: install Python 3.13 from %s, then run this again." % WHERE)
    if asked:
        best = (0, "%s does not run: name a Python 3.11, 3.12 or 3.13." % asked)
    for command in [asked] if asked else candidates():
        python = probe(command)
        if not python or not python["path"]:
            continue
        if not asked and os.path.realpath(python["path"]).startswith(os.path.realpath(VENV)):
            continue
        problem = complaint(python, has_uv)
        if problem is None:
            return python["path"], None
        best = max(best, problem, key=lambda item: item[0])
    return None, best[1]


def main(arguments):
    """Run `tools/install.py` on the right Python and return its exit status."""
    asked = None
    if arguments[:1] == ["--python"]:
        asked, arguments = arguments[1], arguments[2:]
    if inside_venv() and not asked:
        sys.path.insert(0, os.path.dirname(INSTALL))
        import install

        if install.packages_right():
            return install.main(arguments)
    path, problem = find(asked)
    if problem:
        print(problem, file=sys.stderr)
        return 1
    try:
        return subprocess.call([path, INSTALL] + arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
