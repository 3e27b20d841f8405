"""Train Keras models in front of an audience: live curves, safe interruption, exact resume.

`fit` wraps `keras.Model.fit`; the optimisation itself is the model's own `train_step`, which the
notebooks show in full.
"""

import io
import json
import os
import time

import keras
import numpy as np
from IPython import get_ipython
from IPython.display import Image, display

from course_utils import plots, render, runtime
from course_utils.progress import bar, numbers

REFRESH_SECONDS = 0.25  # how often the progress bar is drawn anew


def fit(
    model,
    dataset,
    *,
    epochs,
    validation_data=None,
    callbacks=(),
    label="training",
    live=True,
    resume=None,
):
    """Train a compiled model and return its history, also when interrupted.

    Interrupting the kernel (the square button) ends training after the current step: the model
    keeps what it has learned, the history so far is returned and the cells below can run.

    Args:
        model: compiled `keras.Model`.
        dataset: `tf.data.Dataset` of `(inputs, targets)`. One made by `data.batches` is told the
            number of each epoch, so that a resumed training sees the very pictures that it would
            have seen without the break.
        epochs: how many passes in all, those done before a resume included.
        validation_data: dataset evaluated after each epoch, or None.
        callbacks: more Keras callbacks.
        label: what the progress display calls this training.
        live: draw the bar and the curves in place; False prints nothing.
        resume: name of a folder in `runtime.cache_dir()`. After every epoch the weights, the
            optimizer and the history are kept there, and a later call with the same name goes
            on from the last finished epoch. None keeps nothing.

    Returns:
        dict of lists, one number an epoch: what the model's `train_step` returns (`loss`, or
        several losses), the model's metrics, `val_...` where validation data was given, and
        `seconds` (wall-clock time of the epoch, validation excluded).

    Raises:
        ValueError: if `epochs` is not a positive integer, or the model is not compiled.
    """
    if isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        raise ValueError(f"epochs must be a positive integer; received {epochs!r}.")
    if not model.compiled:
        raise ValueError("fit needs a compiled model: call model.compile(...) first.")
    folder = runtime.cache_dir() / "training" / resume if resume else None
    record = _Record(folder, getattr(dataset, "set_epoch", None))
    budget = next((one for one in callbacks if isinstance(one, Budget)), None)
    first_epoch = record.restore(model)
    if budget is not None:
        budget.set_model(model)
        budget.resume(record.history)
    if first_epoch >= epochs or (budget is not None and budget.progress() >= 1):
        return record.history
    extra = [LiveProgress(label, record.history, budget)] if live else []
    try:
        with runtime.model_lock:
            model.fit(
                dataset,
                epochs=epochs,
                initial_epoch=first_epoch,
                validation_data=validation_data,
                shuffle=False,  # the dataset shuffles itself
                verbose=0,
                callbacks=[*callbacks, record, *extra],
            )
    except KeyboardInterrupt:
        done = len(record.history.get("seconds", []))
        if not done:  # cells below find a history all the same
            record.add(record.logs or {"loss": float("nan"), "accuracy": float("nan")})
        steps = int(model.optimizer.iterations)
        print(f"Interrupted after {done} full epochs; the model keeps all {steps} steps.")
    finally:
        # Keras keeps the validation data of a fit that did not end, and would use them next time.
        model._eval_epoch_iterator = None
    return record.history


class _Record(keras.callbacks.Callback):
    """Collect the history and keep a restorable copy of the training after each epoch."""

    def __init__(self, folder, set_epoch):
        super().__init__()
        self.folder = folder
        self.set_epoch = set_epoch
        self.history = {}
        self.logs = None  # of the last step
        self._start = time.perf_counter()

    def restore(self, model):
        """Load the last finished epoch, if there is one; return how many epochs are done."""
        path = self.folder and self.folder / "history.json"
        if not path or not path.exists():
            return 0
        record = json.loads(path.read_text(encoding="utf-8"))
        self.history = record["history"]
        if not model.optimizer.built:  # a model with several optimizers builds its own
            model.optimizer.build(model.trainable_variables)
        epochs = len(self.history["seconds"])
        model.load_weights(self._weights(epochs))  # the optimizer's variables are part of them
        for variable, value in zip(_seeds(model), record["seeds"], strict=True):
            variable.assign(value)
        return epochs

    def _weights(self, epochs):
        return self.folder / f"epoch-{epochs:04d}.weights.h5"

    def on_epoch_begin(self, epoch, logs=None):
        if self.set_epoch:
            self.set_epoch(epoch)
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.logs = logs

    def on_test_begin(self, logs=None):
        self._seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch, logs=None):
        self.add(logs)
        if self.folder:
            self._save(epoch + 1)

    def add(self, logs):
        """Append the numbers of an epoch, and its time."""
        seconds = time.perf_counter() - self._start
        if any(name.startswith("val_") for name in logs):
            seconds = self._seconds
        for name, value in {**logs, "seconds": seconds}.items():
            self.history.setdefault(name, []).append(float(value))

    def _save(self, epochs):
        # The history names the epoch whose weights count, so it is replaced last: a crash at any
        # line leaves either the old pair or the new one.
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.folder / f"unfinished-{os.getpid()}.weights.h5"
        self.model.save_weights(scratch, overwrite=True)
        os.replace(scratch, self._weights(epochs))
        scratch = self.folder / f"history-{os.getpid()}.json.part"
        seeds = [variable.numpy().tolist() for variable in _seeds(self.model)]
        record = {"history": self.history, "seeds": seeds}
        scratch.write_text(json.dumps(record), encoding="utf-8")
        os.replace(scratch, self.folder / "history.json")
        for path in self.folder.glob("epoch-*.weights.h5"):
            if path < self._weights(epochs):
                path.unlink(missing_ok=True)


def _seeds(model):
    """Return the states of the random layers; Keras does not count them as weights."""
    return [variable for variable in model.variables if "seed_generator" in variable.path]


class LiveProgress(keras.callbacks.Callback):
    """Progress bar with the time left, and curves that are redrawn in place after each epoch.

    A training of a single epoch has no curves.

    Args:
        label: what the display calls this training.
        history: dict of lists to draw; whoever trains appends to it.
        budget: the `Budget` that ends the training before the last epoch does, or None.
    """

    def __init__(self, label, history, budget=None):
        super().__init__()
        self.label = label
        self.history = history
        self.budget = budget

    def on_train_begin(self, logs=None):
        """Open the display."""
        self.epochs = self.params["epochs"]
        self.steps = self.params["steps"] or 1
        self._epoch = len(self.history.get("seconds", []))
        self._begin = self._drawn = time.perf_counter()
        self._before = self._progress(0)
        self._bar = self._curves = None
        self._draw(0, "")

    def on_epoch_begin(self, epoch, logs=None):
        """Note which epoch runs."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Redraw the bar, a few times a second at most."""
        if time.perf_counter() - self._drawn > REFRESH_SECONDS:
            self._draw(batch + 1, numbers(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Redraw the bar and the curves."""
        self._draw(self.steps, numbers(logs), line=True)
        if get_ipython() is None or self.epochs == 1:
            return
        picture = io.BytesIO()
        keys = [key for key in self.history if key != "seconds" and not key.startswith("val_")]
        metrics = sorted(keys, key=lambda key: (key != "loss", not key.endswith("_loss")))[:2]
        figure = plots.curves({self.label: self.history}, metrics=metrics)
        figure.savefig(picture, format="png")
        picture = Image(data=picture.getvalue())
        if self._curves is None:
            self._curves = display(picture, display_id=True)
        else:
            self._curves.update(picture)

    def _progress(self, step):
        if self.budget is not None:
            return self.budget.progress()
        return (self._epoch * self.steps + step) / (self.epochs * self.steps)

    def _draw(self, step, numbers, line=False):
        self._drawn = time.perf_counter()
        progress = self._progress(step)
        elapsed = self._drawn - self._begin
        gained = progress - self._before
        parts = [f"{self.label}: epoch {self._epoch + 1}", f"{elapsed:.0f} s"]
        if self.budget is None:
            parts[0] += f" of {self.epochs}"
        if gained > 0 and progress < 1:
            parts.append(f"{elapsed * (1 - progress) / gained:.0f} s left")
        text = " · ".join([*parts, *([numbers] if numbers else [])])
        if get_ipython() is None:
            if line:
                print(text, flush=True)
            return
        shown = bar(self.label, progress, text)
        if self._bar is None:
            self._bar = display(shown, display_id=True)
        else:
            self._bar.update(shown)


class Preview(keras.callbacks.Callback):
    """Show a picture of what the model can do, redrawn in place after each epoch.

    Args:
        draw: called without arguments; returns `(height, width[, 3])` uint8.
        width: of the picture in the notebook, in pixels; None shows it at its own size.
        every: redraw after so many steps of an epoch as well; None only after its end.
    """

    def __init__(self, draw, width=None, every=None):
        super().__init__()
        self.draw, self.width, self.every = draw, width, every
        self._shown = None

    def on_train_begin(self, logs=None):
        """Show what the model draws before the first step."""
        self._shown = None
        self.on_epoch_end(-1)

    def on_train_batch_end(self, batch, logs=None):
        """Redraw, where it is time."""
        if self.every and (batch + 1) % self.every == 0:
            self.on_epoch_end(-1)

    def on_epoch_end(self, epoch, logs=None):
        """Redraw."""
        if get_ipython() is None:
            return
        picture = Image(data=render.encode_png(self.draw()), width=self.width)
        if self._shown is None:
            self._shown = display(picture, display_id=True)
        else:
            self._shown.update(picture)


class Budget(keras.callbacks.Callback):
    """Say how far a training has come, and end it when its budget is spent.

    Args:
        steps: optimizer steps in all; counted by the optimizer, so a resumed training goes on.
        seconds: wall-clock seconds of training in all, validation excluded. Exactly one of the
            two must be given.

    Raises:
        ValueError: if not exactly one positive number is given.
    """

    def __init__(self, *, steps=None, seconds=None):
        super().__init__()
        given = [number for number in (steps, seconds) if number is not None]
        if len(given) != 1 or given[0] <= 0:
            raise ValueError(
                "Budget needs exactly one positive number, steps or seconds; "
                f"received steps={steps!r}, seconds={seconds!r}."
            )
        self.steps, self.seconds = steps, seconds
        self._spent = 0.0
        self._since = None

    def resume(self, history):
        """Count the seconds of epochs that an earlier call has trained."""
        self._spent += sum(history.get("seconds", []))

    def progress(self):
        """Return the part of the budget that is spent, from 0 to 1."""
        if self.steps is not None:
            return min(int(self.model.optimizer.iterations) / self.steps, 1.0)
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return min((self._spent + running) / self.seconds, 1.0)

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self._since = time.perf_counter()

    def on_test_begin(self, logs=None):
        """Stop the clock during validation."""
        if self._since is not None:
            self._spent += time.perf_counter() - self._since
            self._since = None

    def on_epoch_end(self, epoch, logs=None):
        """Stop the clock between epochs."""
        self.on_test_begin()

    def on_train_batch_end(self, batch, logs=None):
        """End the training when nothing is left."""
        if self.progress() >= 1:
            self.model.stop_training = True


class OneCycle(keras.callbacks.Callback):
    """Raise the learning rate to its peak, then lower it to almost nothing, both along lines.

    Args:
        budget: the `Budget` whose progress is followed; it must stand in the callbacks too.
        peak: largest learning rate.
        warm_up: part of the budget at which the peak is reached.
        first, last: learning rate at the start and the end, as parts of the peak.

    Source: Smith and Topin 2017, arXiv:1708.07120; the numbers are Jordan 2024, arXiv:2404.00498.
    """

    def __init__(self, budget, peak, *, warm_up=0.23, first=0.2, last=0.07):
        super().__init__()
        self.budget, self.peak = budget, peak
        self.corners = [0.0, warm_up, 1.0], [first, 1.0, last]

    def learning_rate(self, progress):
        """Return the learning rate at `progress` in [0, 1]."""
        return self.peak * float(np.interp(progress, *self.corners))

    def on_train_batch_begin(self, batch, logs=None):
        """Set the learning rate of the coming step."""
        self.model.optimizer.learning_rate = self.learning_rate(self.budget.progress())


class Lookahead(keras.callbacks.Callback):
    """Pull the weights towards their own slow average every few steps.

    With fast weights θ, slow weights φ and the progress p of the training in [0, 1]::

        φ ← λ φ + (1 - λ) θ,   θ ← φ,   λ = 0.95^interval · p³

    Early on λ is near zero and nothing happens; late in training it averages away the noise of
    large learning rates. Batch statistics are averaged like weights. The averages are taken every
    `interval` steps of an epoch and at its end, so nothing but the model needs to be saved for an
    exact resume.

    Args:
        budget: the `Budget` whose progress is followed; it must stand in the callbacks too.
        interval: steps between two averages.

    Source: Zhang et al. 2019, arXiv:1907.08610; the schedule of λ is Jordan 2024,
    arXiv:2404.00498, §3.4.
    """

    def __init__(self, budget, interval=5):
        super().__init__()
        self.budget = budget
        self.interval = interval

    def on_train_begin(self, logs=None):
        """Start the slow weights at the present ones."""
        self._slow = [weight.numpy() for weight in self._weights()]
        self._pending = False

    def on_train_batch_end(self, batch, logs=None):
        """Average every `interval` steps."""
        self._pending = True
        if (batch + 1) % self.interval == 0:
            self._average()

    def on_epoch_end(self, epoch, logs=None):
        """Average what is left of an epoch whose length is no multiple of `interval`."""
        if self._pending:
            self._average()

    def _average(self):
        decay = 0.95**self.interval * self.budget.progress() ** 3
        for index, weight in enumerate(self._weights()):
            self._slow[index] = decay * self._slow[index] + (1 - decay) * weight.numpy()
            weight.assign(self._slow[index])
        self._pending = False

    def _weights(self):
        return [weight for weight in self.model.weights if "float" in weight.dtype]
