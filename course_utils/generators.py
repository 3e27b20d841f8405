"""Draw digits with any generator that ships with the course, all called alike."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from course_utils import checkpoints, diffusion, pixels, runtime, schedules

NAMES = ("gan", "vae", "pixelcnn", "diffusion")
DIFFUSION_STEPS = 20
_BATCH_SIZE = 50


class Samples(NamedTuple):
    """Digits, and what was asked for."""

    images: np.ndarray  # (n, 28, 28) uint8, ink is 255
    labels: np.ndarray | None  # (n,) uint8; None where a generator cannot be asked for a class


def generate(
    name: str, n: int, seed: int = 0, callback: Callable[[int], None] | None = None
) -> Samples:
    """Draw n digits from a shipped checkpoint; where classes can be asked for, 0 to 9 in turn.

    The same seed gives the same digits on the same machine, and the first ones of a longer row
    are those of a shorter one. (On another machine rounding may change a pixel.)

    Args:
        name: one of `NAMES`.
        n: how many.
        seed: of the noise.
        callback: called with the number of digits done, after each batch.

    Returns:
        The digits: grey levels of "gan" and "diffusion", probabilities of ink of "vae", and ink or
        paper of "pixelcnn".

    Raises:
        ValueError: if there is no such generator, or a number does not fit.
        DataError: if the checkpoint is missing or damaged.
    """
    if name not in NAMES:
        raise ValueError(f"a generator is one of {', '.join(NAMES)}; received {name!r}.")
    for what, number, smallest in (("n", n, 1), ("seed", seed, 0)):
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not whole or number < smallest:
            raise ValueError(
                f"{what} must be a whole number of at least {smallest}; received {number!r}."
            )
    make, shape, conditional = {
        "gan": _gan, "vae": _vae, "pixelcnn": _pixelcnn, "diffusion": _diffusion,
    }[name]()  # fmt: skip
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % 10).astype(np.uint8)
    images = np.empty((n, 28, 28), np.uint8)
    for start in range(0, n, _BATCH_SIZE):
        chosen = slice(start, min(start + _BATCH_SIZE, n))
        # the sampler of pixels wants uniform numbers, the others normal ones
        draw = rng.random if name == "pixelcnn" else rng.standard_normal
        # a last batch that is not full is drawn whole, so that rounding does not depend on n
        noise = draw((_BATCH_SIZE, *shape))
        with runtime.model_lock:
            drawn = make(noise, (np.arange(_BATCH_SIZE) + start) % 10)
        drawn = np.asarray(drawn).reshape(_BATCH_SIZE, 28, 28)[: chosen.stop - start]
        images[chosen] = np.rint(255 * np.clip(drawn, 0, 1))
        if callback:
            callback(chosen.stop)
    return Samples(images, labels if conditional else None)


# Each returns a function of noise and labels to digits in [0, 1], the shape of the noise of one
# digit, and whether it can be asked for a class.


def _gan():
    import tensorflow as tf

    generator = checkpoints.load("gan")
    run = tf.function(lambda z, classes: generator([z, classes], training=False))
    identity = np.eye(10, dtype=np.float32)

    def make(noise, labels):
        return (np.asarray(run(noise.astype(np.float32), identity[labels])) + 1) / 2

    return make, generator.inputs[0].shape[1:], True


def _vae():
    import tensorflow as tf

    decoder = checkpoints.load("vae").get_layer("decoder")
    run = tf.function(lambda z: tf.sigmoid(decoder(z, training=False)))
    return lambda noise, _: run(noise.astype(np.float32)), decoder.input.shape[1:], False


def _pixelcnn():
    sampler = pixels.PixelSampler(checkpoints.load("pixelcnn"), pixels.BLOCKS)

    def make(uniforms, labels):
        return pixels.BLOCKS.decode(sampler.sample(labels, uniforms=uniforms))

    return make, (28 // pixels.BLOCKS.side,) * 2, True


def _diffusion():
    denoiser = diffusion.Denoiser(checkpoints.load("diffusion"), schedules.cosine())

    def make(noise, labels):
        drawn = diffusion.dpm_solver_sample(denoiser, noise, labels=labels, steps=DIFFUSION_STEPS)
        return (drawn + 1) / 2

    return make, (28, 28, 1), True
