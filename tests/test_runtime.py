import functools
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from course_utils import runtime


def run_python(code, **env):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "COURSE_PROFILE"} | env,
        timeout=300,
    )


@pytest.fixture(autouse=True)
def fresh_state(monkeypatch):
    monkeypatch.setattr(runtime, "_state", {"profile": None, "started": False})
    for name in ("COURSE_PROFILE", "COURSE_DATA", "COURSE_CACHE"):
        monkeypatch.delenv(name, raising=False)


# --- setup -----------------------------------------------------------------------------------


def test_a_fresh_process_prints_one_line_and_nothing_on_stderr():
    done = run_python(
        """
        from course_utils import runtime
        import os, sys
        assert "tensorflow" not in sys.modules
        assert runtime.setup(seed=3) == "lesson"
        os.write(2, b"still heard")
        """
    )
    assert done.returncode == 0
    assert done.stderr == "still heard"
    (line,) = done.stdout.splitlines()
    parts = line.split(" · ")
    assert parts[0].startswith("TensorFlow 2.") and parts[1].startswith("Keras 3.")
    assert parts[2].startswith("CPU, ") or parts[2].endswith("GPU")
    assert parts[3:] == ["profile lesson", "seed 3"]


def test_a_setup_that_fails_shows_what_was_written_meanwhile():
    done = run_python(
        """
        import sys, types
        tf = types.ModuleType("tensorflow")
        def __getattr__(name):
            import warnings
            warnings.warn("heard")
            raise AttributeError(name)
        tf.__getattr__ = __getattr__
        sys.modules["tensorflow"] = tf
        from course_utils import runtime
        runtime.setup()
        """
    )
    # The stand-in has no attributes, so setup fails.
    assert done.returncode == 1
    assert "heard" in done.stderr and "Traceback" in done.stderr


def test_another_keras_backend_is_refused(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="TensorFlow backend; received the backend 'jax'"):
        runtime.setup()


def test_setup_seeds_python_numpy_and_tensorflow(capsys):
    import random

    import keras

    def draw():
        return random.random(), np.random.rand(), float(keras.random.normal(()))

    runtime.setup(seed=1)
    first = draw()
    runtime.setup(seed=1)
    assert draw() == first
    runtime.setup(seed=2)
    assert not set(draw()) & set(first)
    assert capsys.readouterr().out.count("\n") == 3


def test_only_the_first_setup_touches_stderr(monkeypatch, capsys):
    runtime.setup()
    monkeypatch.setattr(runtime, "_quiet_stderr", lambda: pytest.fail("silenced a second time"))
    runtime.setup()


# --- silence ---------------------------------------------------------------------------------


def test_quiet_stderr_drops_the_noise_and_then_restores(capfd):
    os.write(2, b"before ")
    with runtime._quiet_stderr():
        os.write(2, b"noise ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_quiet_stderr_shows_the_noise_when_the_block_fails(capfd):
    with pytest.raises(ImportError), runtime._quiet_stderr():
        os.write(2, b"the reason ")
        raise ImportError
    os.write(2, b"after")
    assert capfd.readouterr().err == "the reason after"


def test_quiet_stderr_leaks_no_file_descriptor(capfd):
    def lowest_free():
        fd = os.dup(0)
        os.close(fd)
        return fd

    before = lowest_free()
    for _ in range(3):
        with runtime._quiet_stderr():
            pass
    assert lowest_free() == before


def test_quiet_stderr_works_without_a_stderr(monkeypatch):
    def closed(fd):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with runtime._quiet_stderr():
        reached = True
    assert reached


# --- profile ---------------------------------------------------------------------------------


def test_profile_comes_from_the_argument_then_the_environment(monkeypatch, capsys):
    assert runtime.profile() == "lesson"
    monkeypatch.setenv("COURSE_PROFILE", "full")
    assert runtime.profile() == "full"
    assert runtime.choose(lesson=1, full=2) == 2
    assert runtime.setup() == "full"
    assert runtime.setup(profile="lesson") == "lesson" == runtime.profile()
    assert runtime.choose(lesson=1, full=2) == 1
    assert "profile full" in capsys.readouterr().out


def test_an_unknown_profile_is_named(monkeypatch):
    with pytest.raises(
        ValueError, match=r"profile must be \"lesson\" or \"full\"; received 'fast'"
    ):
        runtime.setup(profile="fast")
    monkeypatch.setenv("COURSE_PROFILE", "Lesson")
    with pytest.raises(ValueError, match=r"\$COURSE_PROFILE must be .* received 'Lesson'"):
        runtime.profile()


# --- folders ---------------------------------------------------------------------------------


def test_data_dir(monkeypatch, tmp_path):
    assert runtime.data_dir() == Path(__file__).resolve().parents[1] / "data"
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert runtime.data_dir() == tmp_path


def test_cache_dir_is_created_in_the_repository(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime, "_REPO", tmp_path)
    assert runtime.cache_dir() == tmp_path / ".cache"
    assert (tmp_path / ".cache").is_dir()
    assert not list((tmp_path / ".cache").iterdir())  # the probe leaves nothing behind


def test_cache_dir_of_the_environment_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "deep" / "cache"))
    assert runtime.cache_dir() == tmp_path / "deep" / "cache"
    assert runtime.cache_dir().is_dir()


def test_cache_dir_falls_back_when_mkdir_fails(monkeypatch, tmp_path):
    repo = tmp_path / "repo"
    repo.write_text("a file, so that no folder can be made below it")
    monkeypatch.setattr(runtime, "_REPO", repo)
    monkeypatch.setattr(runtime.platformdirs, "user_cache_dir", lambda app: tmp_path / "user" / app)
    assert runtime.cache_dir() == tmp_path / "user" / "course_utils"


def test_cache_dir_falls_back_when_the_folder_exists_but_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / ".cache").mkdir()
    real = runtime.tempfile.TemporaryFile

    def read_only(dir):
        if Path(dir) == tmp_path / ".cache":
            raise PermissionError(13, "Read-only file system")
        return real(dir=dir)

    monkeypatch.setattr(runtime.tempfile, "TemporaryFile", read_only)
    monkeypatch.setattr(runtime, "_REPO", tmp_path)
    monkeypatch.setattr(runtime.platformdirs, "user_cache_dir", lambda app: tmp_path / "user")
    assert runtime.cache_dir() == tmp_path / "user"


def test_cache_dir_says_what_to_do_when_nothing_is_writable(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match=r"must be writable; tried .*Set COURSE_CACHE"):
        runtime.cache_dir()


def test_the_parameters_cell_can_choose_the_profile(monkeypatch):
    monkeypatch.setitem(runtime._state, "profile", "lesson")
    runtime.use_profile("full")
    assert runtime.profile() == "full"
    assert runtime.choose(lesson=1, full=2) == 2
    with pytest.raises(ValueError, match="profile must be"):
        runtime.use_profile("fast")
    assert runtime.profile() == "full"


# --- show_source -----------------------------------------------------------------------------


def shown(obj, monkeypatch, capsys):
    import IPython  # loaded, as by other modules of the package, but no shell runs

    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    runtime.show_source(obj)
    return capsys.readouterr().out


def twice(function):
    @functools.wraps(function)
    def wrapper(x):
        return function(function(x))

    return wrapper


@twice
def add_one(x):
    return x + 1


class Shape:
    sides = 4

    def area(self):
        return self.sides**2

    @property
    def corners(self):
        return self.sides

    @functools.cached_property
    def edges(self):
        return self.sides

    @staticmethod
    def unit():
        return Shape()


@pytest.mark.parametrize(
    ("obj", "start"),
    [
        (runtime.choose, "def choose("),
        (Shape, "class Shape:"),
        (Shape(), "class Shape:"),
        (Shape.area, "def area(self):"),
        (Shape().area, "def area(self):"),
        (Shape.corners, "@property\ndef corners(self):"),
        (Shape.edges, "@functools.cached_property\ndef edges(self):"),
        (Shape.unit, "@staticmethod\ndef unit():"),
        (functools.partial(runtime.choose, lesson=1), "def choose("),
        (add_one, "@twice\ndef add_one(x):"),
        (runtime, '"""Start a notebook'),
    ],
)
def test_show_source_prints_the_definition(obj, start, monkeypatch, capsys):
    assert shown(obj, monkeypatch, capsys).startswith(start)


def test_show_source_looks_inside_a_tf_function(monkeypatch, capsys):
    import tensorflow as tf

    @tf.function
    def step(x):
        return x + 1

    assert shown(step, monkeypatch, capsys).startswith("@tf.function\ndef step(x):")


@pytest.mark.parametrize("obj", [len, 3, "text", np.add, np.zeros(2), dict.get])
def test_show_source_refuses_what_has_no_python_source(obj):
    with pytest.raises(TypeError, match=r"written in Python; received .* cannot be read"):
        runtime.show_source(obj)


def test_show_source_displays_highlighted_markdown_with_a_plain_fallback(monkeypatch):
    import IPython.display

    calls = []
    monkeypatch.setattr(IPython, "get_ipython", object)
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: calls.append(data))
    runtime.show_source(Shape.area)
    (bundle,) = calls
    assert bundle["text/plain"] == "def area(self):\n    return self.sides**2"
    assert bundle["text/markdown"] == (
        f"`{__name__}.Shape.area`\n\n````python\n{bundle['text/plain']}\n````"
    )


# --- lock ------------------------------------------------------------------------------------


def test_model_lock_may_be_taken_twice_by_one_thread_but_not_by_two():
    with runtime.model_lock, runtime.model_lock:
        got = []
        other = threading.Thread(target=lambda: got.append(runtime.model_lock.acquire(False)))
        other.start()
        other.join()
        assert got == [False]


@pytest.mark.parametrize(("slow", "fast", "expected"), [(1, 0.5, "bfloat16"), (1, 0.7, "float32")])
def test_the_fast_dtype_must_be_worth_it(monkeypatch, slow, fast, expected):
    seconds = {"float32": slow, "bfloat16": fast}
    monkeypatch.setattr(runtime, "_time_convolution", seconds.pop)
    runtime.fast_dtype.cache_clear()
    assert runtime.fast_dtype() == expected
    assert runtime.fast_dtype() == expected and not seconds  # timed once a session
    runtime.fast_dtype.cache_clear()


def test_convolutions_are_timed_in_both_types():
    assert all(0 < runtime._time_convolution(dtype) < 10 for dtype in ("float32", "bfloat16"))
