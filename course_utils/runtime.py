"""Start a notebook: seed, profile, device banner, places on disk, and a look at the source."""

import contextlib
import functools
import inspect
import os
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

PROFILES = ("lesson", "full")
WORTH_IT = 1.5  # how much faster bfloat16 must be to be used

# Widget callbacks run in a second thread, even during training: whoever uses a model holds this.
model_lock = threading.RLock()

_REPO = Path(__file__).resolve().parents[1]
_state = {"profile": None, "started": False}


def setup(seed: int = 0, profile: str | None = None) -> str:
    """Start TensorFlow quietly, seed every random generator and print one line about the session.

    Call it before the first `import keras` or `import tensorflow` of a notebook: the lines that
    TensorFlow writes to the C-level stderr while it starts are dropped here, and only here.

    Args:
        seed: seeds Python, NumPy and TensorFlow.
        profile: "lesson" or "full"; None takes `$COURSE_PROFILE`, or "lesson" where it is unset.

    Returns:
        The profile that is now current.

    Raises:
        ValueError: if the profile is not one of the two.
        RuntimeError: if Keras runs on a backend other than TensorFlow.
    """
    _state["profile"] = _checked_profile(profile)
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with contextlib.nullcontext() if _state["started"] else _quiet_stderr():
        import keras
        import tensorflow as tf

        _first_operations(tf)
        gpus = tf.config.list_logical_devices("GPU")
    _state["started"] = True
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "The course runs on Keras with the TensorFlow backend; received the backend "
            f"{keras.backend.backend()!r}. Unset KERAS_BACKEND and restart the kernel."
        )
    keras.utils.set_random_seed(seed)
    device = f"{len(gpus)} GPU" if gpus else f"CPU, {_count_threads()} threads"
    print(
        f"TensorFlow {tf.__version__} · Keras {keras.__version__} · {device} · "
        f"profile {_state['profile']} · seed {seed}"
    )
    return _state["profile"]


def profile() -> str:
    """Return the current profile, "lesson" or "full".

    Raises:
        ValueError: if `$COURSE_PROFILE` holds something else.
    """
    return _state["profile"] or _checked_profile(None)


def use_profile(name: str) -> None:
    """Make "lesson" or "full" the current profile, as the `parameters` cell of a notebook says.

    Raises:
        ValueError: if the name is not one of the two.
    """
    _state["profile"] = _checked_profile(name)


def choose(*, lesson, full):
    """Return the value that belongs to the current profile."""
    return {"lesson": lesson, "full": full}[profile()]


@functools.cache
def fast_dtype() -> str:
    """Return "bfloat16" where this processor multiplies it much faster than float32, or "float32".

    Decided by timing a convolution, once a session: which instructions a processor has is named
    differently on each, and does not say how fast they are. Results in bfloat16 differ from those
    in float32 in the third digit. On a GPU the answer is "float32".
    """
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        return "float32"
    seconds = {name: _time_convolution(name) for name in ("float32", "bfloat16")}
    return "bfloat16" if seconds["float32"] > WORTH_IT * seconds["bfloat16"] else "float32"


def data_dir() -> Path:
    """Return the folder of the bundled data: `$COURSE_DATA`, or `data/` of the repository."""
    return Path(os.environ.get("COURSE_DATA") or _REPO / "data")


def cache_dir() -> Path:
    """Return a writable folder for what is downloaded or computed, and create it.

    It is `$COURSE_CACHE` where that is set, else `.cache/` of the repository, else (a read-only
    repository) the user's own cache folder.

    Raises:
        OSError: if no such folder can be written.
    """
    if chosen := os.environ.get("COURSE_CACHE"):
        candidates = [Path(chosen)]
    else:
        candidates = [_REPO / ".cache", Path(platformdirs.user_cache_dir("course_utils"))]
    for folder in candidates:
        if _is_writable(folder):
            return folder
    raise OSError(
        "A cache folder must be writable; tried "
        f"{', '.join(map(str, candidates))}. Set COURSE_CACHE to a folder that is."
    )


def show_source(obj) -> None:
    """Display the source of a function, class, method, property or module, highlighted.

    An instance stands for its class, a decorated function for the function that was decorated.
    In a plain terminal the source is printed.

    Args:
        obj: anything that was written in Python, in a module or in this notebook.

    Raises:
        TypeError: if `obj` has no Python source (a built-in, a plain number or string).
    """
    target = _unwrap(obj)
    try:
        source = inspect.getsource(target)
    except (TypeError, OSError):
        raise TypeError(
            "show_source needs a function, class, method or module written in Python; "
            f"received {target!r}, whose source cannot be read."
        ) from None
    source = textwrap.dedent(source).rstrip()
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        print(source)
        return
    from IPython.display import display

    # Markdown follows the reader's theme and is highlighted on the web as well; the HTML of
    # IPython.display.Code carries a style sheet in every output and loses it on the web.
    name = (
        target.__name__
        if inspect.ismodule(target)
        else f"{target.__module__}.{target.__qualname__}"
    )
    markdown = f"`{name}`\n\n````python\n{source}\n````"
    display({"text/markdown": markdown, "text/plain": source}, raw=True)


def _checked_profile(name: str | None) -> str:
    origin = "profile"
    if name is None:
        origin = "$COURSE_PROFILE"
        name = os.environ.get("COURSE_PROFILE") or "lesson"
    if name not in PROFILES:
        raise ValueError(f'{origin} must be "lesson" or "full"; received {name!r}.')
    return name


def _first_operations(tf) -> None:
    """Run what writes a line to the C-level stderr, once a process."""
    ones = tf.ones((1, 2))
    with tf.GradientTape() as tape:  # of tf.repeat, as in UpSampling2D: about oneDNN and integers
        tape.watch(ones)
        twice = tf.repeat(ones, 2, axis=1)
    tape.gradient(twice, ones)
    scalar = tf.TensorSpec((), tf.int32)  # datasets of generators: about a setting of memory
    next(iter(tf.data.Dataset.from_generator(lambda: [0], output_signature=scalar)))


def _time_convolution(dtype: str) -> float:
    """Return the seconds that a convolution as in VGG takes in this type, at best."""
    import tensorflow as tf

    features = tf.ones((1, 64, 64, 128), dtype)
    kernel = tf.ones((3, 3, 128, 128), dtype)
    convolve = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"))
    convolve(features)  # compiles
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        convolve(features).numpy()
        times.append(time.perf_counter() - begin)
    return min(times)


def _count_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Drop what is written to file descriptor 2; if the block fails, show it after all."""
    try:
        saved = os.dup(2)
    except OSError:  # no stderr at all, as under pythonw
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, saved)
        log = stack.enter_context(tempfile.TemporaryFile())
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(saved, 2)
            log.seek(0)
            os.write(2, log.read())
            raise
        finally:
            os.dup2(saved, 2)


def _unwrap(obj):
    """Return the object that holds the source: what a decorator wrapped, or an instance's class."""
    while True:
        if isinstance(obj, functools.partial):
            obj = obj.func
        elif isinstance(obj, property):
            obj = obj.fget
        elif isinstance(obj, functools.cached_property):
            obj = obj.func
        elif hasattr(obj, "python_function"):  # tf.function
            obj = obj.python_function
        elif hasattr(obj, "__wrapped__"):
            obj = obj.__wrapped__
        else:
            break
    if inspect.isroutine(obj) or inspect.isclass(obj) or inspect.ismodule(obj):
        return obj
    return type(obj)
