"""What each layer of a network of masked convolutions knows of a picture that is being written."""

from dataclasses import dataclass, field

import numpy as np
from keras import layers

from course_utils.layers import GatedActivation, MaskedConv2D, StackConv2D

# What a feature at a place knows, in ascending order: nothing of the picture; the rows above; all
# that comes before the place; the place itself.
NOTHING, ROWS_ABOVE, BEFORE, ITSELF = range(4)

IDLE = (
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianNoise,
    layers.GaussianDropout,
)  # they do nothing but in training
_POINTWISE = (
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
    *(layers.ReLU, layers.LeakyReLU, layers.ELU, layers.Activation, layers.Rescaling),
    *(layers.Dense, layers.LayerNormalization, layers.BatchNormalization, layers.Concatenate),
    *IDLE,
    GatedActivation,
)


@dataclass
class Call:
    """One call of a layer: which earlier calls it reads, and what its result knows."""

    layer: object
    sources: list[int]
    knows: int
    channels: int
    sides: tuple  # height and width of the result
    pads: list[int] = field(default_factory=lambda: [0, 0, 0])  # rows above, columns left and right
    kept: bool = False  # whether a convolution reads its result


class Plan:
    """The calls of a functional model in an order in which each place can be computed.

    Args:
        model: functional, from pictures `(n, rows, columns, channels)`, and possibly labels
            `(n,)`, to logits `(n, rows, columns, num_levels)`.

    Attributes:
        shape: (rows, columns).
        conditional: whether the model takes labels.
        num_levels: symbols.

    Raises:
        ValueError: naming the layer, if there is one that cannot be computed place by place.
    """

    def __init__(self, model):
        self.inputs = [len(tensor.shape) for tensor in model.inputs]  # 4 for pictures, 1 for labels
        if sorted(self.inputs) not in ([4], [1, 4]) or len(model.outputs) != 1:
            raise ValueError(
                "a sampler needs a functional model from pictures, or pictures and labels, to "
                f"logits; received inputs {[tuple(x.shape) for x in model.inputs]} and outputs "
                f"{[tuple(x.shape) for x in model.outputs]}."
            )
        self.conditional = len(self.inputs) == 2
        self.shape = tuple(model.inputs[self.inputs.index(4)].shape[1:3])
        self.num_levels = model.outputs[0].shape[-1]
        self.calls: list[Call] = []
        self._known: dict = {}
        self.output = self._visit(model.outputs[0])
        if self.calls[self.output].knows == ITSELF:
            raise ValueError(
                f"the logits of {model.name!r} depend on the very place whose symbol they predict."
            )

    def _visit(self, tensor) -> int:
        """Return the index of the call that makes a tensor, after those that it needs."""
        layer, node_index, _ = tensor._keras_history
        key = id(layer), node_index
        if key not in self._known:
            inputs = layer._inbound_nodes[node_index].input_tensors
            sources = [self._visit(one) for one in inputs]
            knows = self._knowledge(layer, sources, tensor)
            self.calls.append(
                Call(layer, sources, knows, tensor.shape[-1] or 1, tensor.shape[1:-1])
            )
            self._known[key] = len(self.calls) - 1
        return self._known[key]

    def _knowledge(self, layer, sources, tensor) -> int:
        if isinstance(layer, layers.InputLayer):
            return ITSELF if len(tensor.shape) == 4 else NOTHING
        known = max((self.calls[source].knows for source in sources), default=NOTHING)
        if known == NOTHING:
            return NOTHING  # of the label alone; computed once
        if isinstance(layer, MaskedConv2D | StackConv2D):
            return self._look(layer, sources[0], known)
        if not _is_pointwise(layer):
            raise ValueError(
                f"the layer {layer.name!r} ({type(layer).__name__}) cannot be computed place by "
                "place: a sampler knows masked and stack convolutions, convolutions of 1 x 1, "
                "and layers that treat each place by itself."
            )
        for source in sources:
            made = self.calls[source]
            if made.knows == NOTHING and any(side != 1 for side in made.sides):
                raise ValueError(
                    f"what {layer.name!r} is told of the label must be the same at every place, "
                    f"of shape (1, 1, channels); {made.layer.name!r} makes another."
                )
        return known

    def _look(self, layer, source, known) -> int:
        """Keep what a convolution reads, and check that it sees nothing that is still to come."""
        height, width = layer.kernel_size
        vertical = isinstance(layer, StackConv2D) and layer.stack == "vertical"
        allowed = ROWS_ABOVE if vertical else BEFORE
        if layer.mask_type == "B" and known > allowed:
            raise ValueError(
                f"the layer {layer.name!r} sees what it should predict: with mask_type 'B' "
                "it may only read features that already look to the past."
            )
        if isinstance(layer, StackConv2D):
            top, left = layer.padding_before
        else:
            top, left = height // 2, width // 2
        right = 0 if isinstance(layer, StackConv2D) and not vertical else width // 2
        read = self.calls[source]
        read.kept = True
        read.pads = [max(pair) for pair in zip(read.pads, (top, left, right), strict=True)]
        return ROWS_ABOVE if vertical else BEFORE


def _is_pointwise(layer):
    if type(layer) is layers.Conv2D:
        return layer.kernel_size == layer.strides == (1, 1) and layer.groups == 1
    on_channels = list(np.atleast_1d(getattr(layer, "axis", -1))) in ([-1], [3])
    return isinstance(layer, _POINTWISE) and on_channels
