"""What the explorer of notebook 01 shows, without any widget."""

from collections import OrderedDict

import numpy as np

from course_utils import explain, render
from course_utils._memory import remember

STRONGEST = "strongest 16"
GRAD_CAM, OCCLUSION, OFF = "Grad-CAM", "occlusion", "off"
TOP = "most probable"

_AHEAD = 32  # pictures whose occlusion maps, the only slow part, are computed at the start


class CnnView:
    """What the explorer of notebook 01 shows for one state, without any widget.

    Args:
        model, images, labels, class_names, preprocess, layer_names: as in `widgets.cnn_explorer`.

    Calling it with a state draws the picture; `describe` says it in words. What the network
    computed is remembered, so moving along layers and channels runs no network.
    """

    def __init__(self, model, images, labels, class_names, preprocess=None, layer_names=None):
        self.class_names = list(class_names)
        self.layers = list(layer_names or explain.visible_layers(model))
        self.pictures = _as_bytes(images)
        self.labels = np.asarray(labels, int)
        self._shape = tuple(model.inputs[0].shape[1:])
        classes = model.outputs[0].shape[-1]
        if self.labels.shape != (len(self.pictures),) or len(self.class_names) != classes:
            raise ValueError(
                f"cnn_explorer needs one label for each of {len(self.pictures)} images and one "
                f"name for each of {classes} classes; received labels of shape "
                f"{self.labels.shape} and {len(self.class_names)} names."
            )
        self._preprocess = preprocess or (lambda image: image)
        self._explain = explain.explain(model, self.layers)
        self._occlusion = explain.occlusion(model)
        self._seen: OrderedDict = OrderedDict()
        self._occluded: OrderedDict = OrderedDict()
        # Both functions compile at their first call; that must not be the first key press.
        explanation = self._explanation(("test", 0), self.pictures[0], None)
        for index, picture in enumerate(self.pictures[:_AHEAD]):
            self._falls(("test", index), picture)
        if (explanation.logits >= 0).all() and abs(explanation.logits.sum() - 1) < 1e-4:
            raise ValueError("cnn_explorer needs a model that returns logits, not probabilities.")
        self.depths = {name: maps.shape[-1] for name, maps in explanation.features.items()}

    def __call__(self, state: dict) -> np.ndarray:
        """Draw the state: `(440, 960, 3)` uint8.

        Args:
            state: "picture" (index), "own" (None or `(h, w, 3)` uint8, which goes before
                "picture"), "layer" (name), "channel" (index, or `STRONGEST`), "saliency"
                (`GRAD_CAM`, `OCCLUSION` or `OFF`), "class" (name or
                `TOP`).
        """
        key, picture, truth, title = self._picture(state)
        explanation = self._explanation(key, picture, self._class(state))
        features = explanation.features[state["layer"]]
        one = state["channel"] != STRONGEST
        channels = [state["channel"]] if one else render.strongest(features)
        saliency = None
        if state["saliency"] == GRAD_CAM:
            saliency = explanation.grad_cam[state["layer"]]
        elif state["saliency"] == OCCLUSION:
            saliency = self._falls(key, picture)[..., explanation.class_index]
        return render.cnn_canvas(
            picture,
            explanation,
            self.class_names,
            layer=state["layer"],
            channels=channels,
            saliency=saliency,
            saliency_title=f"{state['saliency']}: {self.class_names[explanation.class_index]}",
            truth=truth,
            title=title,
        )

    def describe(self, state: dict) -> str:
        """Say in one line what the picture shows."""
        key, picture, truth, _ = self._picture(state)
        explanation = self._explanation(key, picture, self._class(state))
        probabilities = explanation.probabilities
        top = int(np.argmax(probabilities))
        subject = self.class_names[truth] if truth is not None else "Your picture"
        text = f"{subject}, taken for {self.class_names[top]} ({probabilities[top]:.0%})"
        if state["saliency"] == GRAD_CAM:
            about = self.class_names[explanation.class_index]
            text += f". Bright: what speaks for {about} at {state['layer']}"
        elif state["saliency"] == OCCLUSION:
            fall = self._falls(key, picture)[..., explanation.class_index].max()
            about = self.class_names[explanation.class_index]
            text += f". Bright: where a grey square lowers {about}, by up to {fall:.0%}"
        return text + "."

    def channels(self, layer: str) -> list:
        """Return what "channel" may be at a layer."""
        return [STRONGEST, *range(self.depths[layer])]

    def _picture(self, state):
        """Return a key for the cache, the picture as the model takes it, its class, its title."""
        own = state["own"]
        if own is not None:
            height, width, channels = self._shape
            picture = render.fit(own, height, width)
            if channels == 1:
                picture = np.rint(picture @ [0.299, 0.587, 0.114]).astype(np.uint8)[..., None]
            return ("own", picture.tobytes()), picture, None, "Your picture"
        index = state["picture"]
        truth = int(self.labels[index])
        title = f"Picture {index}: {self.class_names[truth]}"
        return ("test", index), self.pictures[index], truth, title

    def _class(self, state):
        return None if state["class"] == TOP else self.class_names.index(state["class"])

    def _explanation(self, key, picture, class_index):
        return remember(
            self._seen,
            (key, class_index),
            lambda: self._explain(self._model_input(picture), class_index),
        )

    def _falls(self, key, picture):
        return remember(self._occluded, key, lambda: self._occlusion(self._model_input(picture)))

    def _model_input(self, picture):
        return self._preprocess(picture.astype(np.float32) / 255)


def _as_bytes(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
        raise ValueError(
            "Images must have the shape (n, height, width, 1 or 3) with n > 0; "
            f"received {images.shape}."
        )
    if images.dtype == np.uint8:
        return images
    if images.min() < 0 or images.max() > 1:
        raise ValueError(
            "Images must be uint8, or float in [0, 1]; received "
            f"{images.dtype} from {images.min():.3g} to {images.max():.3g}."
        )
    return np.rint(images * 255).astype(np.uint8)
