"""Training: history, interruption, exact resume, budgets, schedules, averaging, display."""

import io
import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from course_utils import data, training

IMAGES = np.random.default_rng(0).random((40, 4, 4, 1)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, 40).astype("int32")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    return tmp_path / "training"


def make_model(optimizer=None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(3, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.3, seed=5),
            keras.layers.Dense(3),
        ]
    )
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def make_batches(**options):
    return data.batches(
        IMAGES, LABELS, batch_size=8, shuffle=True, augment=data.Augment(shift=1), **options
    )


def state(model):
    return [weight.numpy() for weight in [*model.weights, *model.optimizer.variables]]


class StopAt(keras.callbacks.Callback):
    """Interrupt at a step, or where a training or a validation begins."""

    def __init__(self, epoch, step=0, where="step"):
        super().__init__()
        self.at = epoch, step
        self.where = where

    def on_train_begin(self, logs=None):
        if self.where == "train":
            raise KeyboardInterrupt

    def on_test_begin(self, logs=None):
        if self.where == "test":
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.where == "step" and (self.epoch, batch) == self.at:
            raise KeyboardInterrupt


def test_history_has_one_number_an_epoch():
    history = training.fit(
        make_model(), make_batches(), epochs=3, live=False, validation_data=make_batches()
    )
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"}
    assert {len(values) for values in history.values()} == {3}
    assert all(isinstance(value, float) for value in history["loss"])
    json.dumps(history)


def test_the_same_as_keras_fit():
    ours, theirs = make_model(), make_model()
    history = training.fit(ours, make_batches(), epochs=2, live=False)
    expected = theirs.fit(make_batches(), epochs=2, verbose=0, shuffle=False).history
    np.testing.assert_array_equal(history["loss"], expected["loss"])
    for a, b in zip(state(ours), state(theirs), strict=True):
        np.testing.assert_array_equal(a, b)


def test_interrupt_keeps_the_steps_done_and_says_so(capsys):
    model = make_model()
    history = training.fit(
        model, make_batches(), epochs=4, live=False, callbacks=[StopAt(epoch=1, step=3)]
    )
    assert len(history["loss"]) == 1
    assert int(model.optimizer.iterations) == 5 + 3
    assert capsys.readouterr().out == (
        "Interrupted after 1 full epochs; the model keeps all 8 steps.\n"
    )


@pytest.mark.parametrize(
    "stop",
    [StopAt(0, 2), StopAt(0, 0), StopAt(0, where="train"), StopAt(0, where="test")],
    ids=["third step", "first step", "before", "validation"],
)
def test_interrupt_in_the_first_epoch_still_gives_a_history(cache, stop):
    history = training.fit(
        make_model(),
        make_batches(),
        epochs=4,
        live=False,
        validation_data=make_batches(),
        callbacks=[stop],
        resume="early",
    )
    assert {name: len(values) for name, values in history.items()} == {
        "loss": 1, "accuracy": 1, "seconds": 1,
    }  # fmt: skip
    assert not (cache / "early").exists()  # a restart begins anew


@pytest.mark.parametrize("make_optimizer", [
    lambda: keras.optimizers.Adam(0.01),
    lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
])  # fmt: skip
def test_resume_is_exact(make_optimizer, cache):
    def callbacks():
        budget = training.Budget(steps=20)
        return [budget, training.OneCycle(budget, 0.05), training.Lookahead(budget, interval=2)]

    whole = make_model(make_optimizer())
    expected = training.fit(
        whole, make_batches(), epochs=4, callbacks=callbacks(), live=False, resume="whole"
    )
    broken = make_model(make_optimizer())
    stop = StopAt(epoch=2, step=4)
    training.fit(
        broken, make_batches(), epochs=4, callbacks=[*callbacks(), stop], live=False, resume="cut"
    )
    resumed = make_model(make_optimizer())
    history = training.fit(
        resumed, make_batches(), epochs=4, callbacks=callbacks(), live=False, resume="cut"
    )
    assert history["loss"] == expected["loss"]
    for a, b in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_interrupt_does_not_keep_the_old_validation_data():
    model = make_model()
    first = data.batches(IMAGES, LABELS, batch_size=8)
    other = data.batches(IMAGES, (LABELS + 1) % 3, batch_size=8)
    training.fit(
        model, make_batches(), epochs=3, live=False, validation_data=first, callbacks=[StopAt(1)]
    )
    history = training.fit(model, make_batches(), epochs=1, live=False, validation_data=other)
    assert history["val_loss"][0] == pytest.approx(model.evaluate(other, verbose=0)[0], rel=1e-5)


def test_a_spent_budget_is_not_overspent_after_a_resume():
    def run():
        model = make_model()
        budget = training.Budget(steps=7)
        history = training.fit(
            model, make_batches(), epochs=9, callbacks=[budget], live=False, resume="spent"
        )
        return int(model.optimizer.iterations), history

    assert run() == run()
    assert run()[0] == 7


def test_seconds_of_earlier_epochs_count_after_a_resume():
    budget = training.Budget(seconds=10)
    budget.set_model(make_model())
    budget.resume({"seconds": [3.0, 4.0]})
    assert budget.progress() == pytest.approx(0.7)


def test_a_finished_training_is_loaded_not_repeated(cache):
    first = make_model()
    history = training.fit(first, make_batches(), epochs=2, live=False, resume="done")
    second = make_model()
    assert training.fit(second, make_batches(), epochs=2, live=False, resume="done") == history
    for a, b in zip(state(first), state(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_crash_while_saving_leaves_the_previous_epoch(cache, monkeypatch):
    model = make_model()
    training.fit(model, make_batches(), epochs=1, live=False, resume="crash")
    kept = state(model)

    def half_written(self, path, **options):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save_weights", half_written)
    with pytest.raises(OSError, match="No space"):
        training.fit(make_model(), make_batches(), epochs=2, live=False, resume="crash")
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_CACHE", str(cache.parent))
    again = make_model()
    assert (
        len(training.fit(again, make_batches(), epochs=1, live=False, resume="crash")["loss"]) == 1
    )
    for a, b in zip(kept, state(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_the_last_epoch_is_kept_on_disk(cache):
    training.fit(make_model(), make_batches(), epochs=3, live=False, resume="tidy")
    assert sorted(path.name for path in (cache / "tidy").iterdir()) == [
        "epoch-0003.weights.h5",
        "history.json",
    ]


@pytest.mark.parametrize("epochs", [0, -1, 2.0, True, None])
def test_epochs_must_be_a_positive_integer(epochs):
    with pytest.raises(ValueError, match=r"epochs must be a positive integer; received"):
        training.fit(make_model(), make_batches(), epochs=epochs)


def test_model_must_be_compiled():
    with pytest.raises(ValueError, match=r"compiled model: call model\.compile"):
        training.fit(keras.Sequential([keras.layers.Dense(1)]), make_batches(), epochs=1)


def test_step_budget_ends_the_training_on_the_step():
    model = make_model()
    training.fit(model, make_batches(), epochs=9, live=False, callbacks=[training.Budget(steps=7)])
    assert int(model.optimizer.iterations) == 7


def test_second_budget_counts_training_and_leaves_validation_out(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: now[0])
    budget = training.Budget(seconds=10)
    budget.set_model(make_model())
    budget.on_epoch_begin(0)
    now[0] = 4.0
    assert budget.progress() == pytest.approx(0.4)
    budget.on_test_begin()
    now[0] = 50.0  # validation
    budget.on_epoch_end(0)
    assert budget.progress() == pytest.approx(0.4)
    budget.on_epoch_begin(1)
    now[0] = 55.0
    budget.on_train_batch_end(0)
    assert budget.progress() == pytest.approx(0.9)
    assert not budget.model.stop_training
    now[0] = 57.0
    budget.on_train_batch_end(1)
    assert budget.model.stop_training
    assert budget.progress() == 1


@pytest.mark.parametrize("given", [{}, {"steps": 1, "seconds": 1}, {"steps": 0}, {"seconds": -1}])
def test_budget_wants_exactly_one_positive_number(given):
    with pytest.raises(ValueError, match="exactly one positive number"):
        training.Budget(**given)


def test_one_cycle_is_piecewise_linear_and_sets_the_rate():
    budget = training.Budget(steps=100)
    cycle = training.OneCycle(budget, 2.0, warm_up=0.2, first=0.1, last=0.05)
    assert cycle.learning_rate(0.0) == pytest.approx(0.2)
    assert cycle.learning_rate(0.1) == pytest.approx(1.1)
    assert cycle.learning_rate(0.2) == pytest.approx(2.0)
    assert cycle.learning_rate(0.6) == pytest.approx(1.05)
    assert cycle.learning_rate(1.0) == pytest.approx(0.1)
    model = make_model()
    for callback in (budget, cycle):
        callback.set_model(model)
    model.optimizer.iterations.assign(60)
    cycle.on_train_batch_begin(0)
    assert float(model.optimizer.learning_rate) == pytest.approx(1.05)


def test_lookahead_equals_its_equations():
    budget = training.Budget(steps=10)
    lookahead = training.Lookahead(budget, interval=2)
    model = make_model()
    for callback in (budget, lookahead):
        callback.set_model(model)
    weights = [weight for weight in model.weights if "float" in weight.dtype]
    slow = [weight.numpy().astype("float64") for weight in weights]
    lookahead.on_train_begin()
    rng = np.random.default_rng(0)
    for step in range(1, 8):
        for weight in weights:
            weight.assign_add(rng.normal(size=weight.shape).astype("float32"))
        model.optimizer.iterations.assign(step)
        fast = [weight.numpy().astype("float64") for weight in weights]
        lookahead.on_train_batch_end(step - 1)
        if step == 7:
            lookahead.on_epoch_end(0)
        if step % 2 == 0 or step == 7:
            lam = 0.95**2 * (step / 10) ** 3
            slow = [lam * p + (1 - lam) * t for p, t in zip(slow, fast, strict=True)]
            fast = slow
        for weight, expected in zip(weights, fast, strict=True):
            np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_display_updates_one_bar_and_one_picture(monkeypatch):
    shown = []

    class Handle:
        def __init__(self, thing):
            self.things = [thing]
            shown.append(self)

        def update(self, thing):
            self.things.append(thing)

    monkeypatch.setattr(training, "get_ipython", object)
    monkeypatch.setattr(training, "display", lambda thing, display_id: Handle(thing))
    training.fit(make_model(), make_batches(), epochs=3, validation_data=make_batches())
    bar, curves = shown
    assert 'value="1.000"' in bar.things[-1].data
    assert "epoch 3 of 3" in bar.things[-1].data
    assert "left" not in bar.things[-1].data
    assert len(curves.things) == 3
    assert curves.things[-1].data.startswith(b"\x89PNG")
    shown.clear()
    training.fit(make_model(), make_batches(), epochs=1)
    (bar,) = shown  # one epoch has no curve
    assert 'value="1.000"' in bar.things[-1].data


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ({"accuracy": [1], "loss": [1], "seconds": [1], "val_loss": [1]}, ["loss", "accuracy"]),
        (
            {"d_loss": [1], "fake_accuracy": [1], "g_loss": [1], "seconds": [1]},
            ["d_loss", "g_loss"],
        ),
    ],
)
def test_curves_show_the_losses_first(monkeypatch, history, expected):
    drawn = []
    monkeypatch.setattr(training, "get_ipython", object)
    monkeypatch.setattr(training, "display", lambda thing, display_id: None)
    curves = training.plots.curves

    def spy(runs, *, metrics):
        drawn.append(metrics)
        return curves(runs, metrics=metrics)

    monkeypatch.setattr(training.plots, "curves", spy)
    live = training.LiveProgress("x", history)
    live.set_params({"epochs": 2, "steps": 5})
    live.on_train_begin()
    live.on_epoch_end(0)
    assert drawn == [expected]


@pytest.mark.parametrize(("every", "count"), [(None, 4), (2, 10)])
def test_a_preview_is_drawn_before_and_after_every_epoch(monkeypatch, every, count):
    shown = []

    class Handle:
        def __init__(self, thing):
            self.things = [thing]
            shown.append(self)

        def update(self, thing):
            self.things.append(thing)

    monkeypatch.setattr(training, "get_ipython", object)
    monkeypatch.setattr(training, "display", lambda thing, display_id: Handle(thing))
    drawn = []

    def draw():
        drawn.append(np.full((4, 6), len(drawn), np.uint8))
        return drawn[-1]

    preview = training.Preview(draw, width=60, every=every)
    training.fit(make_model(), make_batches(), epochs=3, callbacks=[preview], live=False)
    (handle,) = shown  # one picture, replaced in place
    assert len(drawn) == len(handle.things) == count  # and at two steps of the five of each epoch
    for thing, picture in zip(handle.things, drawn, strict=True):
        np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(thing.data))), picture)
        assert thing.width == 60


def test_without_a_notebook_a_line_an_epoch(capsys):
    training.fit(make_model(), make_batches(), epochs=2, label="digits")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines] == [
        "digits: epoch 1 of 2",
        "digits: epoch 2 of 2",
    ]


# --- a model with two optimizers ------------------------------------------------------------


class Duel(keras.Model):
    """Two weights that pull against each other, each with an optimizer of its own, and noise."""

    def __init__(self):
        super().__init__()
        self.first, self.second = keras.layers.Dense(2), keras.layers.Dense(2)
        for layer in (self.first, self.second):
            layer.build((None, 16))
        self.noise = keras.random.SeedGenerator(3)
        self.built = True

    def compile(self):
        super().compile(optimizer=keras.optimizers.Adam(0.01))
        self.other_optimizer = keras.optimizers.Adam(0.02)
        self.optimizer.build(self.first.trainable_variables)
        self.other_optimizer.build(self.second.trainable_variables)

    def train_step(self, batch):
        images, _ = batch
        x = keras.ops.reshape(images, (-1, 16))
        x += keras.random.normal(keras.ops.shape(x), seed=self.noise)
        parts = {}
        for name, layer, optimizer, sign in (
            ("first_loss", self.first, self.optimizer, 1),
            ("second_loss", self.second, self.other_optimizer, -1),
        ):
            with tf.GradientTape() as tape:
                loss = sign * keras.ops.mean((self.first(x) - self.second(x)) ** 2)
            weights = layer.trainable_variables
            optimizer.apply(tape.gradient(loss, weights), weights)
            parts[name] = loss
        return parts


def make_duel():
    keras.utils.set_random_seed(0)
    duel = Duel()
    duel.compile()
    return duel


def duel_state(model):
    return [*state(model), *(v.numpy() for v in model.other_optimizer.variables)]


def test_resume_is_exact_with_two_optimizers_and_no_loss_of_that_name(cache):
    whole, cut = make_duel(), make_duel()
    expected = training.fit(whole, make_batches(), epochs=4, live=False, resume="whole")
    assert set(expected) == {"first_loss", "second_loss", "seconds"}
    training.fit(cut, make_batches(), epochs=2, live=False, resume="cut")
    resumed = make_duel()
    history = training.fit(resumed, make_batches(), epochs=4, live=False, resume="cut")
    assert history["first_loss"] == expected["first_loss"]
    for a, b in zip(duel_state(resumed), duel_state(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(resumed.other_optimizer.iterations) == 4 * 5
