"""What the style studio of notebook 02 shows, without any widget."""

import time
from collections import OrderedDict

import numpy as np

from course_utils import render
from course_utils._memory import remember

ALL_LAYERS = "all"


class StyleView:
    """What the studio of notebook 02 shows for one state, without any widget.

    Args:
        stylise, contents, styles, refine, layers, size: as in `widgets.style_studio`.

    Calling it with a state draws the live picture, `refined` yields those of the optimiser, and
    `describe` says the state in words. What the network made is remembered.
    """

    def __init__(self, stylise, contents, styles, refine=None, layers=(), size=192):
        self._stylise, self._refine, self.layers = stylise, refine, list(layers)
        self._size = size
        self.contents = {name: self._fitted(_as_float(x)) for name, x in contents.items()}
        self.styles = {name: _as_float(x) for name, x in styles.items()}
        if not self.contents or not self.styles:
            raise ValueError(
                "style_studio needs at least one content and one style; received "
                f"{len(contents)} and {len(styles)}."
            )
        self._made: OrderedDict = OrderedDict()
        weights = np.zeros((1, len(self.styles)), np.float32)
        for shape in {content.shape for content in self.contents.values()}:
            stylise(np.zeros((1, *shape), np.float32), weights)  # compiles

    def __call__(self, state: dict) -> np.ndarray:
        """Draw the state: `(460, 760, 3)` uint8.

        Args:
            state: "content", "style" and "second" (names), "blend" (share of the second style) and
                "strength" in [0, 1], "own_content" and "own_style" (None, or `(h, w, 3)` uint8,
                which goes before the named one).
        """
        title = f"strength {state['strength']:.0%}"
        if state["own_style"] is not None:
            title = "an own style needs Refine"
        return self._draw(state, self._result(state), title)

    def refined(self, state: dict):
        """Yield `(share, picture)` while the optimiser works on the live result.

        Args:
            state: as above, and "layers".
        """
        names = [name for name, _ in self._parts(state)]
        blend = [share for _, share in self._parts(state)]
        styles = [self._style(state, name) for name in names]
        content = self._content(state)
        layers = self.layers
        if state["layers"] != ALL_LAYERS:
            layers = self.layers[: self.layers.index(state["layers"]) + 1]
        start = self._result(state)
        begin = time.perf_counter()
        for step in self._refine(content, styles, blend, start, state["strength"], tuple(layers)):
            elapsed = time.perf_counter() - begin
            left = elapsed * (1 - step.share) / max(step.share, 1e-3)
            title = f"refined {step.share:.0%}"
            title += f", {left:.0f} s left" if step.share < 1 else f" in {elapsed:.0f} s"
            title += f" · style loss {step.losses['style']:.2f}" if "style" in step.losses else ""
            yield step.share, self._draw(state, step.image, title)

    def describe(self, state: dict) -> str:
        """Say in one line what the picture shows."""
        subject = "Your picture" if state["own_content"] is not None else state["content"]
        painted = " and ".join(
            f"{_spaced(name)} ({share:.0%})" if share < 1 else _spaced(name)
            for name, share in self._parts(state)
        )
        return f"{subject} in the style of {painted}, strength {state['strength']:.0%}."

    def _parts(self, state) -> list[tuple[str, float]]:
        """Name the styles of a state and their shares."""
        first = "your style" if state["own_style"] is not None else state["style"]
        blend = float(state["blend"])
        if first == state["second"]:
            return [(first, 1.0)]
        parts = [(first, 1 - blend), (state["second"], blend)]
        return [(name, share) for name, share in parts if share > 0]

    def _content(self, state):
        own = state["own_content"]
        return self.contents[state["content"]] if own is None else self._fitted(_as_float(own))

    def _style(self, state, name):
        return self.styles[name] if name in self.styles else _as_float(state["own_style"])

    def _result(self, state):
        """Return what the network makes of the state, the content where the style is unknown."""
        content = self._content(state)
        if state["own_style"] is not None:
            return content
        weights = np.zeros((1, len(self.styles)), np.float32)
        names = list(self.styles)
        for name, share in self._parts(state):
            weights[0, names.index(name)] = share * state["strength"]

        def make():
            return np.clip(np.asarray(self._stylise(content[None], weights))[0], 0, 1)

        own = state["own_content"]
        key = (state["content"] if own is None else own.tobytes(), weights.tobytes())
        return remember(self._made, key, make)

    def _draw(self, state, result, title):
        parts = self._parts(state)
        alone = len(parts) == 1
        return render.studio_canvas(
            _to_bytes(self._content(state)),
            [_to_bytes(self._style(state, name)) for name, _ in parts],
            _to_bytes(result),
            content_title="your picture" if state["own_content"] is not None else state["content"],
            style_titles=[
                _spaced(name) if alone else f"{share:.0%} {_spaced(name)}" for name, share in parts
            ],
            result_title=title,
        )

    def _fitted(self, picture):
        """Bring the longer side to `size`, and cut both to multiples of 4, as the network needs."""
        shrunk = render.shrink(_to_bytes(picture), self._size, self._size)
        height, width = (max(4, side // 4 * 4) for side in shrunk.shape[:2])
        if min(shrunk.shape[:2]) < 4:  # a thin strip
            shrunk = render.fit(shrunk, height, width)
        return _as_float(shrunk[:height, :width])


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _as_float(picture) -> np.ndarray:
    """Bring one picture to float32 in [0, 1]."""
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[-1] != 3 or not picture.size:
        raise ValueError(
            f"A picture must have the shape (height, width, 3); received {picture.shape}."
        )
    if picture.dtype == np.uint8:
        return picture.astype(np.float32) / 255
    return picture.astype(np.float32)
