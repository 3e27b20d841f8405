"""Save, verify and load the trained models that ship with the course."""

import io
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np

from course_utils import bundle, layers  # noqa: F401 (registers our layers with Keras)

ORIGIN = "trained for this course by its notebooks, `full` profile"
LICENCE = "MIT, as the course"
HALF_ABOVE = 1024  # arrays with more numbers than this are stored in half precision


def save(
    model: keras.Model,
    name: str,
    card: dict,
    measure: Callable[[keras.Model], dict] | None = None,
) -> Path:
    """Save a trained model and its card to `data/checkpoints/`, ready to ship.

    The model is stored as a plain functional `.keras` file without optimizer. Its large arrays are
    stored as float16 (relative rounding error at most 2⁻¹¹ for numbers above 6e-5), which halves
    the file; loaded, they are float32 again.

    Args:
        model: a functional model; a subclass with a `train_step` of its own is stored without it.
        name: lower-case letters, digits, "-" and "_".
        card: what a user should know, JSON-serialisable: data, recipe, seed, time.
        measure: called with the model as `load` will return it; what it returns goes on the card
            as "test". Nothing is written before it returns.

    Returns:
        The path of the `.keras` file.

    Raises:
        ValueError: if the name has other characters, a weight is not finite or does not fit into
            float16.
    """
    _check_name(name)
    for weight in model.weights:
        if "float" in weight.dtype and not np.all(np.abs(weight.numpy()) < 65504):
            raise ValueError(
                f"weights must be finite and below 65504 to be saved; {weight.path} is not."
            )
    plain = keras.Model(model.input, model.output, name=name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        plain.save(path)
        content = _with_half_precision(path)
        if measure is not None:
            path.write_bytes(content)
            card = card | {"test": measure(_open(path))}
    card = {"name": name, "parameters": model.count_params(), "bytes": len(content), **card}
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    source = {"origin": ORIGIN, "licence": LICENCE}
    bundle.write(f"checkpoints/{name}.json", text.encode(), **source)
    return bundle.write(f"checkpoints/{name}.keras", content, **source)


def load(name: str) -> keras.Model:
    """Load a shipped model, in inference state and not compiled.

    Args:
        name: as in `data/checkpoints/<name>.keras`.

    Returns:
        A functional model with float32 weights; everything about it may be changed.

    Raises:
        ValueError: if the name has other characters than lower-case letters, digits, "-" and "_".
        DataError: if there is no such checkpoint, or the file is not the one that was shipped. It
            is never opened then.
    """
    _check_name(name)
    content = bundle.read(f"checkpoints/{name}.keras")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.keras"
        path.write_bytes(content)
        return _open(path)


def card(name: str) -> dict:
    """Return the card of a shipped model: data, recipe, time, seed and measured figures.

    Raises:
        ValueError, DataError: as `load`.
    """
    _check_name(name)
    return json.loads(bundle.read(f"checkpoints/{name}.json"))


def _open(path):
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def _check_name(name):
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(
            "a checkpoint's name has only lower-case letters, digits, '-' and '_'; "
            f"received {name!r}."
        )


def _with_half_precision(path):
    """Rewrite the weights inside a `.keras` archive; everything else stays as Keras wrote it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(archive, "w") as target:
        for item in sorted(source.namelist()):
            content = source.read(item)
            if item == "model.weights.h5":
                content = _halve(content)
            elif item == "metadata.json":  # the date would make every build differ
                content = json.dumps(json.loads(content) | {"date_saved": ""}).encode()
            entry = zipfile.ZipInfo(item, date_time=(1980, 1, 1, 0, 0, 0))
            target.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _halve(content):
    with tempfile.TemporaryDirectory() as folder:
        old, new = os.path.join(folder, "old.h5"), os.path.join(folder, "new.h5")
        Path(old).write_bytes(content)
        with h5py.File(old, "r") as source, h5py.File(new, "w") as target:

            def copy(name, item):
                if isinstance(item, h5py.Group):
                    group = target.require_group(name)
                    group.attrs.update(item.attrs)
                    return
                array = item[()]
                if array.dtype == np.float32 and array.size > HALF_ABOVE:
                    array = array.astype(np.float16)
                target.create_dataset(name, data=array, track_times=False)
                target[name].attrs.update(item.attrs)

            target.attrs.update(source.attrs)
            source.visititems(copy)
        return Path(new).read_bytes()
