"""The course's picture sets, and batches of them for training.

The bundled sets are read from `data/`, never from the network, and each file is verified before it
is decoded. Only `load_cifar10(subset="full")` may download, once.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from course_utils import bundle, cifar10
from course_utils.bundle import DataError

__all__ = [
    "CIFAR10_CLASSES",
    "Augment",
    "DataError",
    "batches",
    "binarise",
    "load_cifar10",
    "load_mnist",
    "to_range",
]

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_MNIST_MOSAICS = {"train": 6, "test": 1}
_CIFAR10_MOSAICS = {"train": 5, "test": 1}


def load_mnist(
    split: str = "train", *, value_range: tuple[int, int] = (0, 1), subset: str = "bundled"
) -> tuple[np.ndarray, np.ndarray]:
    """Load the handwritten digits of MNIST, in their original order.

    Args:
        split: "train" (60,000 digits) or "test" (10,000).
        value_range: (0, 1) or (-1, 1) for float32, (0, 255) for uint8 as stored.
        subset: "bundled" or "full", which are the same here: the whole set ships with the course.

    Returns:
        images: `(n, 28, 28, 1)`, ink bright on a dark ground.
        labels: `(n,)` int32, the digits.

    Raises:
        ValueError: if an argument is not one of the values named above.
        DataError: if a file is missing or damaged.

    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition.
    """
    _check(split=split, value_range=value_range, subset=subset)
    images, labels = _read_mosaics("mnist", split, _MNIST_MOSAICS[split], 28, channels=1)
    return to_range(images, value_range), labels.astype(np.int32)


def load_cifar10(
    split: str = "train", *, value_range: tuple[int, int] = (0, 1), subset: str = "bundled"
) -> tuple[np.ndarray, np.ndarray]:
    """Load colour pictures of CIFAR-10, of the ten kinds in `CIFAR10_CLASSES`.

    Args:
        split: "train" or "test".
        value_range: (0, 1) or (-1, 1) for float32, (0, 255) for uint8 as stored.
        subset: "bundled" for the 10,000 training and 2,000 test pictures that ship with the course
            (the first 1,000 and 200 of each class, in the order of the full set), or "full" for
            all 50,000 and 10,000, which downloads 170 MB the first time.

    Returns:
        images: `(n, 32, 32, 3)`.
        labels: `(n,)` int32, indices into `CIFAR10_CLASSES`.

    Raises:
        ValueError: if an argument is not one of the values named above.
        DataError: if a file is missing or damaged, or the full set cannot be downloaded.

    Source: Krizhevsky 2009, Learning multiple layers of features from tiny images.
    """
    _check(split=split, value_range=value_range, subset=subset)
    if subset == "full":
        images, labels = cifar10.load(split)
    else:
        images, labels = _read_mosaics("cifar10", split, _CIFAR10_MOSAICS[split], 32, channels=3)
    return to_range(images, value_range), labels.astype(np.int32)


def to_range(pixels: np.ndarray, value_range: tuple[int, int]) -> np.ndarray:
    """Convert stored pixels to the range of values that a model works on.

    Args:
        pixels: uint8, any shape.
        value_range: (0, 1) or (-1, 1) for float32, (0, 255) for uint8 unchanged.

    Returns:
        An array of the same shape; black is the lower and white the upper end of the range.

    Raises:
        ValueError: if the pixels are not uint8 or the range is another.
    """
    _check_range(value_range)
    if pixels.dtype != np.uint8:
        raise ValueError(f"pixels must be uint8; received {pixels.dtype}.")
    if value_range == (0, 255):
        return pixels
    values = pixels.astype(np.float32)
    if value_range == (-1, 1):
        values /= 127.5
        values -= 1
    else:
        values /= 255
    return values


def binarise(pictures: np.ndarray, seed: int = 0) -> np.ndarray:
    """Make each pixel one with the probability that its grey level names, else zero.

    This is how likelihoods on "binarised MNIST" are usually measured: a test set binarised once,
    with a seed that is stated. For training, `batches(..., binarise=True)` draws anew every epoch.

    Args:
        pictures: any shape, float in [0, 1].
        seed: of the draw; the same seed gives the same pixels.

    Returns:
        float32 array of the same shape, of zeros and ones.

    Raises:
        ValueError: if a value lies outside [0, 1].

    Source: Salakhutdinov and Murray 2008, doi:10.1145/1390156.1390266, §6.
    """
    pictures = np.asarray(pictures)
    if pictures.size and not (pictures.min() >= 0 and pictures.max() <= 1):
        raise ValueError(
            "binarise needs grey levels in [0, 1]; received values from "
            f"{pictures.min():.3g} to {pictures.max():.3g}."
        )
    # random() is below one, so a pixel of level 1 always becomes 1, and one of level 0 never
    return (np.random.default_rng(seed).random(pictures.shape) < pictures).astype(np.float32)


@dataclass(frozen=True)
class Augment:
    """Random changes that keep what a picture shows, drawn anew for each picture and epoch.

    Attributes:
        flip: mirror left and right with probability 1/2.
        shift: move by a whole number of pixels in [-shift, shift] along each axis; what comes in
            at the border is the picture's own reflection.
    """

    flip: bool = True
    shift: int = 2

    def __post_init__(self):
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip must be True or False; received {self.flip!r}.")
        _check_count("shift", self.shift, minimum=0)


def batches(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    batch_size: int,
    shuffle: bool = False,
    augment: Augment | None = None,
    binarise: bool = False,
    drop_remainder: bool = False,
    seed: int = 0,
    first_epoch: int = 0,
):
    """Make a `tf.data.Dataset` of batches; each pass over it is one epoch.

    Order and augmentation are functions of `seed` and the number of the epoch, nothing else. So
    epochs differ, runs repeat, and a training that was stopped goes on exactly: a dataset made with
    `first_epoch=k` gives what a first one gives in its pass number k (counted from 0). Every pass
    counts, a glance at one batch included; to be sure of the number, set it before a pass:
    `dataset.set_epoch(k)`.

    Args:
        images: `(n, height, width, channels)`, any dtype; batches keep it.
        labels: `(n, ...)`, or None for a dataset of images alone.
        batch_size: pictures in a batch.
        shuffle: whether each epoch has an order of its own.
        augment: what to change at random; None changes nothing.
        binarise: whether to turn grey levels in [0, 1] into zeros and ones at random, as the
            function `binarise` does, anew for each picture and epoch.
        drop_remainder: whether to leave out a last batch that is not full.
        seed: fixes order and augmentation.
        first_epoch: number of the first pass.

    Returns:
        A dataset of `(images, labels)`, or of `images` where `labels` is None.

    Raises:
        ValueError: if a shape, a length or a number does not fit.
    """
    images, labels = _check_arrays(images, labels)
    _check_count("batch_size", batch_size, minimum=1)
    _check_count("seed", seed, minimum=0)
    _check_count("first_epoch", first_epoch, minimum=0)
    count, height, width, channels = images.shape
    steps = count // batch_size if drop_remainder else -(-count // batch_size)
    if steps == 0:
        raise ValueError(
            "with drop_remainder, batch_size must be at most the number of images; received "
            f"batch_size {batch_size} for {count} images."
        )
    if augment is not None and not isinstance(augment, Augment):
        raise ValueError(f"augment must be None or an Augment; received {augment!r}.")
    if augment and augment.shift >= min(height, width):
        raise ValueError(
            "shift must be smaller than the images, so that they can be reflected; received shift "
            f"{augment.shift} for images of {height} x {width}."
        )
    if binarise and (images.dtype != np.float32 or images.min() < 0 or images.max() > 1):
        raise ValueError(
            "binarise needs float32 images in [0, 1]; received "
            f"{images.dtype} from {images.min():.3g} to {images.max():.3g}."
        )
    import tensorflow as tf

    with tf.device("CPU"):
        images, labels = tf.constant(images), None if labels is None else tf.constant(labels)
        pixels = tf.reshape(images, (-1, channels))  # (n * height * width, channels)
        next_epoch = tf.Variable(first_epoch, dtype=tf.int64, trainable=False)

    def start_epoch(_):
        epoch = next_epoch.assign_add(1) - 1
        epoch_seed = tf.random.fold_in(tf.constant([seed, 0], tf.int64), epoch)
        order = tf.range(count)
        if shuffle:
            order = tf.random.experimental.stateless_shuffle(order, epoch_seed, alg="philox")
        numbers = tf.data.Dataset.range(steps)
        return numbers.map(lambda step: make_batch(step, order, epoch_seed), num_parallel_calls=2)

    def make_batch(step, order, epoch_seed):
        chosen = order[step * batch_size : (step + 1) * batch_size]
        if drop_remainder:
            chosen = tf.ensure_shape(chosen, (batch_size,))
        batch_seed = tf.random.fold_in(epoch_seed, step + 1)
        if augment:
            batch = tf.gather(
                pixels, _augmented_pixels(tf, chosen, augment, height, width, batch_seed)
            )
        else:
            batch = tf.gather(images, chosen)
        if binarise:
            # folded once more: the augmentation has used the seed of the batch
            levels = tf.random.stateless_uniform(
                tf.shape(batch), tf.random.fold_in(batch_seed, 1), alg="philox"
            )
            batch = tf.cast(levels < batch, tf.float32)
        return batch if labels is None else (batch, tf.gather(labels, chosen))

    dataset = tf.data.Dataset.range(1).flat_map(start_epoch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)
    # Nothing is left to tune, and a pass that is given up midway (an interrupt, a spent budget)
    # was seen to wait for the tuning thread, without end, when its iterator was collected.
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = dataset.with_options(options)
    dataset.set_epoch = next_epoch.assign
    return dataset


def _augmented_pixels(tf, chosen, augment, height, width, seed):
    """For each pixel of the augmented pictures, the number of the pixel that it shows.

    Mirroring, moving and reflecting at the border only decide which pixel is looked up where, so
    that all pictures of a batch are made by one gather.
    """
    seeds = tf.random.split(seed, 3)

    def shifts(seed):
        low, high = -augment.shift, augment.shift + 1
        return tf.random.stateless_uniform(
            (tf.size(chosen), 1), seed, low, high, tf.int32, alg="philox"
        )

    rows = _reflect(tf, tf.range(height) + shifts(seeds[0]), height)  # (batch, height)
    columns = _reflect(tf, tf.range(width) + shifts(seeds[1]), width)  # (batch, width)
    if augment.flip:
        coin = tf.random.stateless_uniform((tf.size(chosen), 1), seeds[2], alg="philox")
        columns = tf.where(coin < 0.5, width - 1 - columns, columns)
    first = tf.cast(chosen, tf.int64)[:, None, None] * (height * width)
    inside = rows[:, :, None] * width + columns[:, None, :]  # (batch, height, width)
    return first + tf.cast(inside, tf.int64)


def _reflect(tf, positions, size):
    """Send positions beyond the border back inside; the border itself is not repeated."""
    positions = tf.abs(positions)
    return (size - 1) - tf.abs((size - 1) - positions)


def _read_mosaics(folder, split, count, side, channels):
    """All pictures of a split, `(n, side, side, channels)` uint8, and its labels, `(n,)` uint8."""
    names = [f"{folder}/{split}-{number}.webp" for number in range(count)]
    # Pillow lets other threads run while it decodes.
    with ThreadPoolExecutor(max_workers=2) as pool:
        images = np.concatenate(list(pool.map(lambda n: _read_mosaic(n, side, channels), names)))
    content = io.BytesIO(bundle.read(f"{folder}/{split}-labels.npy"))
    return images, np.load(content, allow_pickle=False)


def _read_mosaic(name, side, channels):
    from PIL import Image

    with Image.open(io.BytesIO(bundle.read(name)), formats=["WEBP"]) as picture:
        mosaic = np.asarray(picture if channels == 3 else picture.getchannel(0))
    rows, columns = mosaic.shape[0] // side, mosaic.shape[1] // side
    grid = mosaic.reshape(rows, side, columns, side, channels).swapaxes(1, 2)
    return grid.reshape(rows * columns, side, side, channels)


def _check(*, split, value_range, subset):
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; received {split!r}.')
    _check_range(value_range)
    if subset not in ("bundled", "full"):
        raise ValueError(f'subset must be "bundled" or "full"; received {subset!r}.')


def _check_range(value_range):
    if value_range not in ((0, 1), (-1, 1), (0, 255)):
        raise ValueError(
            f"value_range must be (0, 1), (-1, 1) or (0, 255); received {value_range!r}."
        )


def _check_arrays(images, labels):
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            "images must have the shape (n, height, width, channels) with n > 0; received "
            f"{images.shape}."
        )
    if labels is not None:
        labels = np.asarray(labels)
        if labels.ndim == 0 or len(labels) != len(images):
            raise ValueError(
                f"labels must have one entry for each image; received labels of shape "
                f"{labels.shape} for {len(images)} images."
            )
    return images, labels


def _check_count(name, value, minimum):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(
            f"{name} must be a whole number of at least {minimum}; received {value!r}."
        )
