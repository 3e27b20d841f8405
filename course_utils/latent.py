"""What the widgets of notebook 04 show, without any widget: a plane of codes, and digits on it."""

import functools
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from course_utils import _latent_canvas as canvas
from course_utils import losses, render, runtime
from course_utils._memory import remember

CODES, DECODED = "codes", "decoded digits"
SIDE = canvas.MAP_SIDE  # of the map of the explorer, in pixels of the screen

_PICTURE = (28, 28, 1)
_NEAREST = 25  # codes that are asked what digit a place belongs to
_AROUND = 5  # digits in a row around the point
_DRAWS = 24  # codes drawn from q(z | x)
_BOX, _FRAME, _CENTRE = 20, 28, 14  # how MNIST's digits lie in their pictures
_LARGEST_ZOOM = 2.0  # so that the first touch of the pen does not fill the picture


class Look(NamedTuple):
    """What a net makes of one picture."""

    z_mean: np.ndarray  # (2,)
    z_std: np.ndarray  # (2,)
    mean: np.ndarray  # (28, 28) uint8, the reconstruction of z_mean
    draws: np.ndarray  # (draws, 28, 28) uint8, reconstructions of codes drawn from q(z | x)
    deviation: np.ndarray  # (28, 28), of the pixels over such draws
    kl: float  # nats
    reconstruction: float  # nats, the mean over the draws


class Plane:
    """An encoder and a decoder with two latent axes, compiled, and the codes of some digits.

    Args:
        encoder: from pictures `(n, 28, 28, 1)` to `[z_mean, z_log_var]`, each `(n, 2)`.
        decoder: from codes `(n, 2)` to logits `(n, 28, 28, 1)`.
        images: `(m, 28, 28, 1)` float32 in [0, 1].
        labels: `(m,)` their digits.

    Attributes:
        codes: `(m, 2)`, the means of the images.
        reach: the map shows [-reach, reach] along both axes, nearly all codes.
        step: between two neighbours in the block of digits around a point.

    Raises:
        ValueError: if the models have other shapes, return probabilities, or codes are not finite.
    """

    def __init__(self, encoder, decoder, images, labels):
        _check_model("encoder", encoder, [_PICTURE], [(2,), (2,)])
        _check_model("decoder", decoder, [(2,)], [_PICTURE])
        self.labels = labels
        self._noise = np.random.default_rng(0).standard_normal((_DRAWS, 2)).astype(np.float32)
        self._encode, self._decode, self._look = _compile(encoder, decoder)
        with runtime.model_lock:
            self.codes = np.concatenate(
                [self._encode(images[i : i + 500]).numpy() for i in range(0, len(images), 500)]
            )
            logits = decoder(self.codes[:50]).numpy()
        if not np.isfinite(self.codes).all():
            raise ValueError("An encoder must return finite codes; received some that are not.")
        if logits.min() >= 0 and logits.max() <= 1:
            raise ValueError("A decoder must return logits, not probabilities.")
        far = max(3.5, float(np.quantile(np.abs(self.codes), 0.995)))
        self.reach = math.ceil(2 * far) / 2
        self.step = 0.25 * 2 ** max(0, math.ceil(math.log2(self.reach / 6)))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The edges of the map: left, right, bottom, top."""
        return (-self.reach, self.reach, -self.reach, self.reach)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return the digits at some places, `(n, 28, 28)` uint8.

        Args:
            z: `(n, 2)`.
        """
        with runtime.model_lock:
            return self._decode(np.asarray(z, np.float32)).numpy()

    def look(self, picture: np.ndarray) -> Look:
        """Encode a picture, and decode where it lies and codes drawn from its distribution.

        Args:
            picture: `(28, 28)` uint8.
        """
        with runtime.model_lock:
            parts = self._look(picture.astype(np.float32) / 255, self._noise)
            z_mean, z_std, digits, deviation, kl, reconstruction = (p.numpy() for p in parts)
        return Look(z_mean, z_std, digits[0], digits[1:], deviation, float(kl),
                    float(reconstruction))  # fmt: skip

    def around(self, point: tuple[float, float]) -> np.ndarray:
        """Return a block of digits around a place, `(5, 5, 28, 28)` uint8, as they lie on the map.

        Args:
            point: (x, y); its digit is in the middle.
        """
        steps = self.step * (np.arange(_AROUND) - _AROUND // 2)
        x, y = np.meshgrid(point[0] + steps, point[1] - steps)
        digits = self.decode(np.stack([x.ravel(), y.ravel()], axis=-1))
        return digits.reshape(_AROUND, _AROUND, 28, 28)

    def nearest(self, point) -> tuple[dict[int, int], float]:
        """Say which digits have their codes near a place.

        Args:
            point: (x, y).

        Returns:
            How many of the 25 nearest codes belong to each digit, the most frequent first, and the
            distance of the nearest one.
        """
        distances = np.hypot(*(self.codes - np.asarray(point)).T)
        count = min(_NEAREST, len(distances))
        chosen = np.argpartition(distances, count - 1)[:count]
        digits, counts = np.unique(self.labels[chosen], return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {int(digits[i]): int(counts[i]) for i in order}, float(distances.min())


class ExplorerView:
    """What the latent explorer shows for one state, without any widget.

    Args:
        nets, images, labels: as in `widgets.latent_explorer`.

    Calling it with a state draws the digit at the point and its neighbours; `describe` says it in
    words, `still` draws the map beside it, and `map_png` is the map alone.

    Attributes:
        planes: a `Plane` for each net.
    """

    def __init__(self, nets, images, labels):
        self.planes = _planes("latent_explorer", nets, images, labels)
        self._maps = {}
        for label, plane in self.planes.items():
            self._maps[label, CODES] = canvas.code_map(plane.codes, plane.labels, plane.reach)
            self._maps[label, DECODED] = canvas.tiled_map(self._decoded(plane))
            plane.around((0, 0))  # compiles
        self._pngs = {key: render.encode_png(drawn, level=6) for key, drawn in self._maps.items()}

    def __call__(self, state: dict) -> np.ndarray:
        """Draw the state: `(386, 596, 3)` uint8.

        Args:
            state: "kl_weight" (name of a net), "point" (x, y), "background" (`CODES` or
                `DECODED`, which is for the map only).
        """
        plane = self.planes[state["kl_weight"]]
        counts, distance = plane.nearest(state["point"])
        return canvas.explorer(plane.around(state["point"]), plane.step, counts, distance)

    def still(self, state: dict) -> np.ndarray:
        """Draw the map with the point on it, beside what `__call__` draws."""
        plane = self.planes[state["kl_weight"]]
        return canvas.beside(
            canvas.with_mark(self.map(state), state["point"], plane.reach), self(state)
        )

    def map(self, state: dict) -> np.ndarray:
        """Return the map of the state's net, `(672, 672, 3)` or, of decoded digits, `(672, 672)`.

        Args:
            state: "kl_weight" and "background".
        """
        return self._maps[state["kl_weight"], state["background"]]

    def map_png(self, state: dict) -> bytes:
        """Return the same as a PNG, which was made beforehand."""
        return self._pngs[state["kl_weight"], state["background"]]

    def describe(self, state: dict) -> str:
        """Say in words where the point lies, and what is near."""
        x, y = state["point"]
        counts, distance = self.planes[state["kl_weight"]].nearest((x, y))
        radius = math.hypot(x, y)
        share = math.exp(-(radius**2) / 2)  # also of the prior that lies farther out, in the plane
        density = f"{share / (2 * math.pi):.2g}, {_percent(share)} of that at the centre"
        return (
            f"Point {_place((x, y))}, {radius:.2f} standard deviations from the centre. The "
            f"density of the prior is {density}.\n"
            f"{_of_digits(counts)}; the nearest is {distance:.2f} away."
        )

    @staticmethod
    def _decoded(plane):
        """Decode the middles of equal squares that cover the map."""
        middles = plane.reach * ((2 * np.arange(canvas.TILES) + 1) / canvas.TILES - 1)
        x, y = np.meshgrid(middles, middles[::-1])
        return plane.decode(np.stack([x.ravel(), y.ravel()], axis=-1))


class EncoderView:
    """What the digit encoder shows for one state, without any widget.

    Args:
        nets, images, labels: as in `widgets.digit_encoder`.

    Calling it with a state draws where the digit lands and what comes back; `describe` says it in
    words.

    Attributes:
        planes: a `Plane` for each net.
        pictures: the digits to choose from, `(m, 28, 28)` uint8.
    """

    def __init__(self, nets, images, labels):
        self.planes = _planes("digit_encoder", nets, images, labels)
        self.pictures = np.rint(255 * _checked_images(images)[..., 0]).astype(np.uint8)
        self.labels = np.asarray(labels)
        self._maps = {
            label: canvas.code_map(plane.codes, plane.labels, plane.reach, canvas.SMALL_MAP, 1)
            for label, plane in self.planes.items()
        }
        self._looks: OrderedDict = OrderedDict()
        for plane in self.planes.values():
            plane.look(self.pictures[0])  # compiles

    def __call__(self, state: dict) -> np.ndarray:
        """Draw the state: `(366, 716, 3)` uint8.

        Args:
            state: "kl_weight" (name of a net), "digit" (index), "drawing" (bytes of a 28 × 28
                raster, what is encoded; it is the chosen digit until something is drawn).
        """
        picture, _ = self._picture(state)
        look = None if picture is None else self._look(state, picture)
        plane = self.planes[state["kl_weight"]]
        return canvas.encoder(self._maps[state["kl_weight"]], plane.reach, picture, look)

    def describe(self, state: dict) -> str:
        """Say in words what was encoded, where it landed, and how well it came back."""
        picture, own = self._picture(state)
        if picture is None:
            return (
                "Nothing is drawn. Draw a digit in the square, or choose one with the slider: this "
                "picture then shows where it lands and what comes back."
            )
        look = self._look(state, picture)
        plane = self.planes[state["kl_weight"]]
        if own:
            subject = "Your drawing, scaled and centred as the digits of MNIST are,"
        else:
            index = state["digit"]
            subject = f"Test digit {index}, {_a(self.labels[index])},"
        outside = " (outside the map)" if np.abs(look.z_mean).max() > plane.reach else ""
        counts, _ = plane.nearest(look.z_mean)
        return (
            f"{subject} lands at {_place(look.z_mean)}{outside} with standard deviations "
            f"{_place(look.z_std)}. {_of_digits(counts)}.\n"
            f"KL divergence {look.kl:.1f} nats, reconstruction loss {look.reconstruction:.1f} nats "
            f"(mean of {_DRAWS} draws); between draws a pixel deviates by up to "
            f"{look.deviation.max():.2f}."
        )

    def _picture(self, state):
        """Return what is encoded, or None where nothing is drawn, and whether it is the user's."""
        raster = np.frombuffer(state["drawing"], np.uint8).reshape(28, 28)
        if np.array_equal(raster, self.pictures[state["digit"]]):
            return raster, False
        return centred(raster), True

    def _look(self, state, picture):
        label = state["kl_weight"]
        return remember(
            self._looks, (label, picture.tobytes()), lambda: self.planes[label].look(picture)
        )


def centred(raster: np.ndarray) -> np.ndarray | None:
    """Bring a drawing into the form of MNIST's digits.

    These fit into 20 × 20 pixels, their longer side being 20, and lie in 28 × 28 pixels so that
    their centre of mass is nearest to the pixel (14, 14). A small drawing is enlarged twofold at
    most.

    Args:
        raster: `(28, 28)` uint8, bright on dark.

    Returns:
        The same shape and type; None if the raster is empty. A digit of MNIST comes back as it is.
    """
    rows, columns = (np.flatnonzero(raster.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    cut = raster[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    zoom = min(_BOX / max(cut.shape), _LARGEST_ZOOM)
    height, width = (max(1, round(zoom * side)) for side in cut.shape)
    if zoom != 1:
        cut = canvas.resize(cut, height, width)
    mass = cut.astype(float)
    if not mass.any():  # a faint dot can vanish
        return None
    top, left = (
        math.floor(_CENTRE - (mass.sum(axis=1 - axis) @ np.arange(side)) / mass.sum() + 0.5)
        for axis, side in enumerate(cut.shape)
    )
    room = np.zeros((3 * _FRAME, 3 * _FRAME), np.uint8)  # a lopsided drawing may reach outside
    room[_FRAME + top :, _FRAME + left :][:height, :width] = cut
    return room[_FRAME : 2 * _FRAME, _FRAME : 2 * _FRAME]


def _compile(encoder, decoder):
    """Return compiled functions: pictures to means, codes to bytes, and all about one picture."""
    spec = tf.TensorSpec

    def to_bytes(logits):
        return tf.cast(tf.round(255 * tf.sigmoid(logits[..., 0])), tf.uint8)

    @functools.partial(tf.function, input_signature=[spec((None, *_PICTURE))])
    def encode(pictures):
        return encoder(pictures)[0]

    @functools.partial(tf.function, input_signature=[spec((None, 2))])
    def decode(z):
        return to_bytes(decoder(z))

    @functools.partial(tf.function, input_signature=[spec((28, 28)), spec((_DRAWS, 2))])
    def look(picture, noise):
        x = picture[None, ..., None]
        z_mean, z_log_var = encoder(x)
        z_std = tf.exp(z_log_var / 2)
        logits = decoder(tf.concat([z_mean, z_mean + z_std * noise], axis=0))
        draws = logits[1:]
        reconstruction = losses.reconstruction_loss(tf.broadcast_to(x, tf.shape(draws)), draws)
        return (
            z_mean[0],
            z_std[0],
            to_bytes(logits),
            tf.math.reduce_std(tf.sigmoid(draws[..., 0]), axis=0),
            losses.kl_divergence(z_mean, z_log_var)[0],
            tf.reduce_mean(reconstruction),
        )

    return encode, decode, look


def _planes(name, nets, images, labels) -> dict[str, Plane]:
    if not isinstance(nets, Mapping) or not nets:
        raise ValueError(
            f"{name} needs a mapping from kl_weight to (encoder, decoder), with at least one; "
            f"received {nets!r}."
        )
    for label, pair in nets.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"Each net must be a pair (encoder, decoder); received {pair!r} for {label!r}."
            )
    images, labels = _checked_images(images), np.asarray(labels)
    if labels.shape != (len(images),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} needs one whole number as label for each of {len(images)} images; received "
            f"labels of shape {labels.shape} and type {labels.dtype}."
        )
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"Labels must be digits from 0 to 9; received some from {labels.min()} to "
            f"{labels.max()}."
        )
    return {str(label): Plane(*pair, images, labels) for label, pair in nets.items()}


def _checked_images(images) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != _PICTURE or not len(images):
        raise ValueError(
            f"Images must have the shape (m, 28, 28, 1) with m > 0; received {images.shape}."
        )
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            "Images must be uint8, or float in [0, 1]; received "
            f"{images.dtype} from {images.min():.3g} to {images.max():.3g}."
        )
    return images.astype(np.float32)


def _check_model(what, model, inputs, outputs):
    """Compare the shapes of a model's inputs and outputs, without the batch, with these."""
    received = [
        [tuple(tensor.shape[1:]) for tensor in getattr(model, side, None) or []]
        for side in ("inputs", "outputs")
    ]
    if received != [inputs, outputs]:
        raise ValueError(
            f"The {what} must be a functional model from {inputs} to {outputs}, shapes without the "
            f"batch; received one from {received[0]} to {received[1]}."
        )


def _place(z) -> str:
    return f"({z[0]:.2f}, {z[1]:.2f})"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "less than 1%"


def _a(digit) -> str:
    return f"an {digit}" if digit == 8 else f"a {digit}"


def _of_digits(counts: Mapping[int, int]) -> str:
    """Say of which digits the nearest codes are, most frequent first."""
    total = sum(counts.values())
    if len(counts) == 1:
        return f"All {total} nearest codes are of digit {next(iter(counts))}"
    shown = list(counts.items())[:3]
    parts = [f"{number} of digit {digit}" for digit, number in shown]
    if rest := total - sum(number for _, number in shown):
        parts.append(f"{rest} of other digits")
    return f"The {total} nearest codes are {', '.join(parts[:-1])} and {parts[-1]}"
