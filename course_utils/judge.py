"""Measure what a generator of digits draws, with the classifier that ships with the course.

The classifier, "judge", was trained by `tools/train_judge.py` on real digits. Distances are taken
in the space of its 64 features, so they cannot be compared with the usual FID, whose features come
from another network and other pictures.
"""

import functools

import numpy as np

from course_utils import checkpoints, data, metrics, runtime

_BATCH_SIZE = 500
# Trained with smoothed labels, the judge is less sure than it is right. Divided by this number its
# logits give probabilities of the smallest cross-entropy on the training digits (temperature
# scaling: Guo et al. 2017, arXiv:1706.04599, §4.2).
_TEMPERATURE = 0.46


class Judge:
    """The shipped classifier of digits, and measures of sets of digits.

    Use `load()`, which makes one for a session.

    Args:
        model: from a picture `(28, 28, 1)` in [0, 1] to logits, with a layer "features".
    """

    def __init__(self, model):
        import keras
        import tensorflow as tf

        both = keras.Model(model.input, [model.get_layer("features").output, model.output])
        self._run = tf.function(both, reduce_retracing=True)
        self._real = {}

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return the features of pictures, `(n, 64)` float32.

        Args:
            images: `(n, 28, 28, 1)` float in [0, 1].

        Raises:
            ValueError: if shape or range differ.
        """
        return self._both(images)[0]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return how sure the judge is of each digit, `(n, 10)` float64, rows that sum to 1.

        Args:
            images: as for `features`.
        """
        return _softmax(self._both(images)[1] / _TEMPERATURE)

    def labels(self, images: np.ndarray) -> np.ndarray:
        """Return what the judge takes each picture for, `(n,)` integers.

        Args:
            images: as for `features`.
        """
        return self._both(images)[1].argmax(axis=1)

    def score(self, images: np.ndarray) -> dict:
        """Measure a set of pictures against as many real digits of the test set.

        Args:
            images: `(n, 28, 28, 1)` float in [0, 1], with 100 <= n <= 10,000.

        Returns:
            dict with "n", "frechet" (`metrics.frechet_distance`; compare it with that of
            `real(n)`), "precision" and "recall" (`metrics.precision_recall`), "score"
            (`metrics.classifier_score`), and "shares", "present", "imbalance"
            (`metrics.class_coverage`).

        Raises:
            ValueError: if shape, range or number do not fit.
        """
        n = len(images)
        if not 100 <= n <= 10_000:
            raise ValueError(f"score needs 100 to 10,000 pictures; received {n}.")
        features, logits = self._both(images)
        reference = self._test_features()[_shuffled(10_000, n)]
        precision, recall = metrics.precision_recall(reference, features)
        return {
            "n": n,
            "frechet": metrics.frechet_distance(reference, features),
            "precision": precision,
            "recall": recall,
            "score": metrics.classifier_score(_softmax(logits / _TEMPERATURE)),
            **metrics.class_coverage(logits.argmax(axis=1)),
        }

    def real(self, n: int) -> dict:
        """Return the `score` of n real training digits: what no generator should be able to beat.

        Args:
            n: how many, from 100 to 10,000.
        """
        if n not in self._real:
            images, _ = data.load_mnist("train")
            self._real[n] = self.score(images[_shuffled(len(images), n)])
        return self._real[n]

    @functools.lru_cache(maxsize=1)  # noqa: B019 (there is one judge a session)
    def _test_features(self):
        return self.features(data.load_mnist("test")[0])

    def _both(self, images):
        images = np.asarray(images, np.float32)
        if images.ndim != 4 or images.shape[1:] != (28, 28, 1) or not len(images):
            raise ValueError(f"images must have the shape (n, 28, 28, 1); received {images.shape}.")
        if not (images.min() >= -1e-3 and images.max() <= 1 + 1e-3):
            raise ValueError(
                "images must lie in [0, 1]; received values from "
                f"{images.min():.3g} to {images.max():.3g}."
            )
        with runtime.model_lock:
            parts = [
                self._run(images[start : start + _BATCH_SIZE])
                for start in range(0, len(images), _BATCH_SIZE)
            ]
        return [
            np.concatenate([part.numpy() for part in each]) for each in zip(*parts, strict=True)
        ]


@functools.cache
def load() -> Judge:
    """Return the judge of this session; the first call loads it."""
    return Judge(checkpoints.load("judge"))


def _shuffled(count, n):
    """Choose n of the numbers below `count`, always the same.

    The first half of MNIST's test set was written by other people than the second, and is easier.
    """
    return np.random.default_rng(0).permutation(count)[:n]


def _softmax(logits):
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
