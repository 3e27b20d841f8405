"""Run a network of masked convolutions place by place, remembering what it has computed.

A whole forward pass computes every place of every layer, though only one column, the features of
the place that is drawn next, is new. Here each layer computes that column alone. What its window
looks at further left or above has been computed before; the rows that windows still reach are kept.

Each convolution falls into two parts. Rows above are complete when a row begins, so their part is
one matrix product for the whole row; only the part of the row itself waits for its neighbours.
"""

import keras
import numpy as np
from keras import layers

from course_utils._causal_plan import BEFORE, IDLE, ITSELF, NOTHING, ROWS_ABOVE, Plan
from course_utils.layers import GatedActivation, MaskedConv2D, StackConv2D


class Columns:
    """The state of n pictures that a network is writing, from row to row and from left to right.

    `begin_row`, then for each column `logits` and `write`, then the next row.

    Args:
        plan: of the network; its weights are taken as they are now.
        n: number of pictures.
        labels: `(n,)` int, or None if the network takes none.

    Everything is computed in float32, whatever the policy of the layers.
    """

    def __init__(self, plan: Plan, n: int, labels=None):
        self._plan = plan
        columns = plan.shape[1]
        self._values: list = [None] * len(plan.calls)  # a place's, a row's, or of the label alone
        self._kept: list = [None] * len(plan.calls)  # rows that windows still reach
        self._works: list = [None] * len(plan.calls)
        for index, call in enumerate(plan.calls):
            if call.kept:
                top, left, right = call.pads
                shape = (n, top + 1, left + columns + right, call.channels)
                self._kept[index] = np.zeros(shape, np.float32)
            if isinstance(call.layer, layers.InputLayer):
                self._values[index] = labels
            elif call.knows == NOTHING:
                self._values[index] = _call(call.layer, [self._values[s] for s in call.sources])
            elif isinstance(call.layer, MaskedConv2D | StackConv2D):
                source = call.sources[0]
                self._works[index] = _Window(
                    call.layer, self._kept[source], plan.calls[source].pads, columns
                )
            else:
                self._works[index] = _pointwise(call.layer)
        for index, call in enumerate(plan.calls):
            if call.knows == NOTHING and labels is not None:
                value = self._values[index]
                self._values[index] = value.reshape(n, -1) if value.ndim > 1 else value
        groups: dict[int, list] = {ROWS_ABOVE: [], BEFORE: [], ITSELF: []}
        for index, call in enumerate(plan.calls):
            if call.knows != NOTHING:
                groups[call.knows].append((index, call))
        self._row_calls, self._place_calls, self._late_calls = groups.values()
        self._windows = [
            work
            for (index, _) in self._place_calls
            if isinstance(work := self._works[index], _Window)
        ]
        self._started = False

    def begin_row(self) -> None:
        """Go to the next row, and compute what depends on the rows above alone."""
        if self._started:
            for kept in self._kept:
                if kept is not None:
                    kept[:, :-1] = kept[:, 1:]
        self._started = True
        for index, call in self._row_calls:
            work = self._works[index]
            if isinstance(work, _Window):
                value = work.activate(work.above())
            else:
                value = work(*[self._row(source) for source in call.sources])
            self._values[index] = value  # (n, columns, channels)
            if call.kept:
                left = call.pads[1]
                self._kept[index][:, -1, left : left + value.shape[1]] = value
        for window in self._windows:
            window.begin_row()

    def logits(self, column: int) -> np.ndarray:
        """Return the logits of the symbol at a column of this row, `(n, num_levels)` float32."""
        for index, call in self._place_calls:
            work = self._works[index]
            if isinstance(work, _Window):
                value = work.at(column)
            else:
                value = work(*[self._place(source, column) for source in call.sources])
            self._values[index] = value  # (n, channels)
            if call.kept:
                self._kept[index][:, -1, call.pads[1] + column] = value
        return self._place(self._plan.output, column)

    def write(self, column: int, seen: np.ndarray) -> None:
        """Say what the network sees at a column of this row, `(n, channels)`."""
        for index, call in self._late_calls:
            value = seen
            if call.sources:
                value = self._works[index](*[self._place(s, column) for s in call.sources])
            self._values[index] = value
            if call.kept:
                self._kept[index][:, -1, call.pads[1] + column] = value

    def select(self, chosen: np.ndarray) -> None:
        """Go on with these of the n pictures, `(n,)` int, some perhaps more than once.

        To be called between two rows.
        """
        for index, kept in enumerate(self._kept):
            if kept is not None:
                kept[:] = kept[chosen]
            if self._plan.calls[index].knows == NOTHING and self._values[index] is not None:
                self._values[index] = self._values[index][chosen]

    def _row(self, source):
        value = self._values[source]
        return value[:, None] if self._plan.calls[source].knows == NOTHING else value

    def _place(self, source, column):
        value = self._values[source]
        return value[:, column] if self._plan.calls[source].knows == ROWS_ABOVE else value


class _Window:
    """A convolution in two parts: of the rows above, and of the row itself up to the place."""

    def __init__(self, layer, kept, pads, columns):
        kernel = layer.kernel.numpy().astype(np.float32)  # (height, width, channels, filters)
        height, width, _, self._filters = kernel.shape
        self._kept, self._columns = kept, columns
        self._bias = layer.bias.numpy().astype(np.float32) if layer.use_bias else np.float32(0)
        self.activate = _activation(layer.activation)
        top, left, _ = pads
        strict = int(layer.mask_type == "A")
        vertical = isinstance(layer, StackConv2D) and layer.stack == "vertical"
        if vertical:
            above, beside = kernel, kernel[:0, 0]
            first = top + 1 - height - strict
        elif isinstance(layer, MaskedConv2D):
            above, beside = kernel[: height // 2], kernel[height // 2, : width // 2 + 1 - strict]
            first = top - height // 2
        else:
            above, beside, first = kernel[:0], kernel[0], 0
        self._rows = slice(first, first + len(above))
        self._from = left - width // 2  # where the window of column 0 begins, in rows above
        self._width = width
        self._above = above.reshape(-1, self._filters)
        self._beside = np.ascontiguousarray(beside).reshape(-1, self._filters)
        self._end = left + 1 - strict  # behind the last column that is seen from column 0
        self._count = len(beside)
        self._base = None

    def above(self):
        """Return the part of the rows above, with the bias, `(n, columns, filters)`."""
        n = len(self._kept)
        columns, width = self._columns, self._width
        rows = self._kept[:, self._rows, self._from : self._from + columns + width - 1]
        windows = np.lib.stride_tricks.sliding_window_view(rows, width, axis=2)
        windows = windows.transpose(0, 2, 1, 4, 3)  # (n, columns, rows, width, channels)
        product = windows.reshape(n * columns, -1) @ self._above
        return product.reshape(n, columns, self._filters) + self._bias

    def begin_row(self):
        """Compute the part of the rows above, for a convolution that has both parts."""
        self._base = self.above() if len(self._above) else None

    def at(self, column):
        """Return the features at a column, `(n, filters)`."""
        base = self._bias if self._base is None else self._base[:, column]
        if not self._count:
            return self.activate(np.broadcast_to(base, (len(self._kept), self._filters)))
        end = self._end + column
        window = self._kept[:, -1, end - self._count : end]
        value = window.reshape(len(window), -1) @ self._beside
        value += base
        return self.activate(value)


# --- layers that treat each place by itself ------------------------------------------------------


def _pointwise(layer):
    """Return a function of arrays `(..., channels)` that does what the layer does."""
    if isinstance(layer, layers.Conv2D | layers.Dense):
        kernel = layer.kernel.numpy().astype(np.float32)
        kernel = kernel.reshape(kernel.shape[-2:])
        bias = layer.bias.numpy().astype(np.float32) if layer.use_bias else np.float32(0)
        activate = _activation(layer.activation)

        def product(x):
            flat = x.reshape(-1, x.shape[-1]) @ kernel
            flat += bias
            return activate(flat).reshape(*x.shape[:-1], -1)

        return product
    if isinstance(layer, GatedActivation):
        return _gate
    if isinstance(layer, IDLE):
        return lambda x: x
    if type(layer) is layers.Add:
        return lambda *terms: sum(terms[1:], start=terms[0])
    if type(layer) is layers.ReLU and not layer.negative_slope and not layer.threshold:
        return lambda x: np.clip(x, 0, layer.max_value)
    if isinstance(layer, layers.Activation):
        return _activation(layer.activation)

    def by_keras(*arrays):
        result = _call(layer, [x.reshape(len(x), 1, -1, x.shape[-1]) for x in arrays])
        return result[:, 0] if arrays[0].ndim == 3 else result[:, 0, 0]

    return by_keras


def _call(layer, arrays):
    result = np.asarray(layer(arrays[0] if len(arrays) == 1 else arrays))
    return result if np.issubdtype(result.dtype, np.integer) else result.astype(np.float32)


def _gate(x):
    half = x.shape[-1] // 2
    return np.tanh(x[..., :half]) * _sigmoid(x[..., half:])


def _sigmoid(x):
    return 0.5 * np.tanh(0.5 * x) + np.float32(0.5)


def _activation(function):
    known = {
        keras.activations.linear: lambda x: x,
        keras.activations.relu: lambda x: np.maximum(x, 0),
        keras.activations.tanh: np.tanh,
        keras.activations.sigmoid: _sigmoid,
    }
    if function is None:
        return lambda x: x
    return known.get(function) or (
        lambda x: np.asarray(function(keras.ops.convert_to_tensor(x)), np.float32)
    )
