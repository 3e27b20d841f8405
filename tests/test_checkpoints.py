"""Checkpoints: what is saved comes back, small, verified, and nothing else is ever opened."""

import json
import zipfile

import keras
import numpy as np
import pytest

from course_utils import bundle, checkpoints
from course_utils.layers import PatchWhitening


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "manifest.json").write_text('{"files": []}')
    return tmp_path


class Trained(keras.Model):
    def train_step(self, batch):
        return {}


@pytest.fixture
def model():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((9, 9, 3))
    x = PatchWhitening(name="whiten")(inputs)
    x = keras.layers.Conv2D(400, 3, name="conv")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    model = Trained(inputs, keras.layers.GlobalMaxPooling2D()(x))
    images = np.random.default_rng(0).random((50, 9, 9, 3))
    model.get_layer("whiten").adapt(images)
    model.get_layer("norm").moving_variance.assign(np.linspace(1e-6, 50, 400))
    return model


def test_loaded_model_gives_the_same_outputs_up_to_half_precision(folder, model):
    checkpoints.save(model, "tiny", {"seed": 3})
    loaded = checkpoints.load("tiny")
    images = np.random.default_rng(1).random((5, 9, 9, 3), dtype="float32")
    expected, found = model(images).numpy(), loaded(images).numpy()
    # float16 keeps 11 bits; the rounding of 216 weights an output adds up like a random walk
    np.testing.assert_allclose(found, expected, rtol=0, atol=2**-10 * np.abs(expected).max())
    assert {weight.dtype for weight in loaded.weights} == {"float32"}
    for old, new in zip(model.weights, loaded.weights, strict=True):
        if np.prod(old.shape) <= checkpoints.HALF_ABOVE:
            np.testing.assert_array_equal(old.numpy(), new.numpy())
        else:
            np.testing.assert_array_equal(old.numpy().astype("float16"), new.numpy())


def test_large_arrays_take_half_the_room(folder, model):
    path = checkpoints.save(model, "tiny", {})
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("model.weights.h5").file_size
    full = 4 * model.count_params()
    assert size < 0.5 * full + 30_000  # HDF5 itself takes about 25 kB


def test_saving_twice_gives_the_same_bytes(folder, model):
    first = checkpoints.save(model, "tiny", {}).read_bytes()
    assert checkpoints.save(model, "tiny", {}).read_bytes() == first


def test_measure_sees_the_model_as_it_will_be_loaded(folder, model):
    seen = []

    def measure(loaded):
        seen.extend(weight.numpy() for weight in loaded.weights)
        assert json.loads((folder / "manifest.json").read_text()) == {"files": []}
        return {"accuracy": 0.5}

    checkpoints.save(model, "tiny", {"seed": 3}, measure)
    assert checkpoints.card("tiny")["test"] == {"accuracy": 0.5}
    for a, b in zip(seen, checkpoints.load("tiny").weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def test_a_failed_measurement_leaves_what_was_there(folder, model):
    first = checkpoints.save(model, "tiny", {"seed": 3}).read_bytes()
    model.get_layer("norm").beta.assign(np.ones(400))

    def measure(loaded):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(model, "tiny", {"seed": 4}, measure)
    assert (folder / "checkpoints" / "tiny.keras").read_bytes() == first
    assert checkpoints.card("tiny")["seed"] == 3


def test_card_keeps_what_was_said_and_adds_size(folder, model):
    path = checkpoints.save(model, "tiny", {"seed": 3, "data": "none"})
    card = checkpoints.card("tiny")
    assert card["seed"] == 3
    assert card["data"] == "none"
    assert card["parameters"] == model.count_params()
    assert card["bytes"] == path.stat().st_size


def test_a_foreign_file_in_its_place_is_refused_before_it_is_opened(folder, model, monkeypatch):
    path = checkpoints.save(model, "tiny", {})
    path.write_bytes(b"something else")
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("was opened"))
    with pytest.raises(bundle.DataError, match=r"tiny\.keras is damaged.*expected.*found"):
        checkpoints.load("tiny")


def test_missing_and_unknown_checkpoints_are_named(folder, model):
    with pytest.raises(bundle.DataError, match="does not list it"):
        checkpoints.load("nothing")
    checkpoints.save(model, "tiny", {}).unlink()
    with pytest.raises(bundle.DataError, match=r"tiny\.keras cannot be read.*git checkout"):
        checkpoints.load("tiny")


@pytest.mark.parametrize("name", ["../evil", "Tiny", "", None, "a b"])
def test_bad_names(folder, model, name):
    with pytest.raises(ValueError, match="lower-case letters"):
        checkpoints.load(name)
    with pytest.raises(ValueError, match="lower-case letters"):
        checkpoints.save(model, name, {})


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e5])
def test_weights_that_float16_cannot_hold_are_refused_and_nothing_is_written(folder, model, value):
    model.get_layer("norm").beta.assign(np.full(400, value))
    with pytest.raises(ValueError, match="finite and below 65504"):
        checkpoints.save(model, "tiny", {})
    assert json.loads((folder / "manifest.json").read_text()) == {"files": []}


def test_every_shipped_checkpoint_loads_and_survives_saving(tmp_path, monkeypatch):
    names = [
        name.removeprefix("checkpoints/").removesuffix(".keras")
        for name in bundle.entries()
        if name.startswith("checkpoints/") and name.endswith(".keras")
    ]
    assert names, "no checkpoint ships with the course"
    shipped = {name: (checkpoints.load(name), checkpoints.card(name)) for name in names}
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "manifest.json").write_text('{"files": []}')
    for name, (loaded, card) in shipped.items():
        assert loaded.count_params() == card["parameters"]
        assert card["bytes"] < 8_000_000
        rng = np.random.default_rng(0)
        inputs = [
            rng.random((4, *(side or 32 for side in x.shape[1:])), dtype="float32")
            for x in loaded.inputs
        ]
        inputs = inputs if len(inputs) > 1 else inputs[0]
        checkpoints.save(loaded, name, {})  # rounding twice changes nothing more
        again = checkpoints.load(name)
        outputs = [keras.tree.flatten(model(inputs)) for model in (again, loaded)]
        for one, other in zip(*outputs, strict=True):  # draws have the same seed
            np.testing.assert_array_equal(one, other)
