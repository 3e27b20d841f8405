"""Checks of the exercises of notebook 02."""

from collections.abc import Callable

import numpy as np

from course_utils._checking import Mistake, check, gives


def check_gram_matrix(student: Callable) -> bool:
    """Check `gram_with_einsum(features)`: mean over positions of all products of two channels.

    Args:
        student: takes `(batch, height, width, channels)`, returns `(batch, channels, channels)`.
    """

    def reference(features):  # one picture and one position at a time
        def of_one(picture):
            outer = [np.outer(f, f) for f in picture.reshape(-1, picture.shape[-1])]
            return np.mean(outer, axis=0)

        return np.stack([of_one(picture) for picture in features])

    def positions(features):
        return features.shape[1] * features.shape[2]

    rng = np.random.default_rng(0)
    small = np.array([[[[1, 2], [0, -1], [3, 1]]]], np.float32)  # (1, 1, 3, 2)
    return check(
        student,
        "gram_with_einsum",
        reference,
        inputs=[(small,), (np.round(rng.normal(size=(2, 2, 3, 2)), 1).astype(np.float32),)],
        mistakes=[
            gives(
                lambda f: reference(f) * positions(f),
                "the sum over positions is right, but it is not divided by height * width.",
            ),
            gives(
                lambda f: reference(f) / f.shape[-1],
                "it is divided by the number of channels as well; divide by height * width only.",
            ),
            gives(
                lambda f: np.broadcast_to(
                    reference(f).sum(axis=0), (len(f), f.shape[-1], f.shape[-1])
                ),
                "the pictures of the batch are added up: keep the letter of the batch axis in the "
                "output of einsum.",
            ),
            gives(
                lambda f: (
                    np.einsum("bijc,bijc->bc", f, f)[..., None] * np.eye(f.shape[-1]) / positions(f)
                ),
                "only the diagonal is there: give the two channel axes two different letters.",
            ),
            Mistake(
                lambda out, f: out.shape == (len(f), positions(f), positions(f)),
                "this compares positions with positions; sum over positions and keep channels.",
            ),
            Mistake(
                lambda out, f: out.shape == (f.shape[-1], f.shape[-1]),
                "the batch axis is gone: each picture has a Gram matrix of its own.",
            ),
        ],
    )


def check_total_variation(student: Callable) -> bool:
    """Check `total_variation(image)`: mean absolute difference of neighbouring pixels.

    Args:
        student: takes `(height, width, channels)`, returns a number: the sum of the absolute
            differences to the neighbours below and to the right, divided by the size of the image.
    """

    def reference(image):
        height, width, _ = image.shape
        total = 0.0
        for i, j in np.ndindex(height, width):
            for i2, j2 in ((i + 1, j), (i, j + 1)):
                if i2 < height and j2 < width:
                    total += np.abs(image[i2, j2] - image[i, j]).sum()
        return total / image.size

    def differences(image):
        return np.diff(image, axis=0), np.diff(image, axis=1)

    small = np.array([[[0], [5], [1]], [[1], [4], [5]]], np.float32)
    colour = np.array([[[0, 1], [1, 0.5]], [[0.5, 0.25], [1, 1]], [[0, 0], [0.5, 1]]], np.float32)
    return check(
        student,
        "total_variation",
        reference,
        inputs=[(small,), (colour,)],
        mistakes=[
            gives(lambda x: reference(x) * x.size, "the sum is right; divide it by image.size."),
            gives(
                lambda x: sum(d.sum() for d in differences(x)) / x.size,
                "without the absolute value rising and falling cancel.",
            ),
            gives(
                lambda x: sum((d**2).sum() for d in differences(x)) / x.size,
                "the differences are squared; this exercise wants their absolute values.",
            ),
            gives(
                lambda x: np.abs(differences(x)[0]).sum() / x.size,
                "only the neighbours below are counted; add those to the right.",
            ),
            gives(
                lambda x: np.abs(differences(x)[1]).sum() / x.size,
                "only the neighbours to the right are counted; add those below.",
            ),
            gives(
                lambda x: sum(np.abs(np.roll(x, -1, a) - x).sum() for a in (0, 1)) / x.size,
                "the last row is compared with the first: a picture has no neighbours beyond its "
                "edge, and np.roll makes it a ring.",
            ),
            gives(
                lambda x: sum(np.abs(d).mean() for d in differences(x)),
                "each direction is divided by its own number of differences; divide the sum by "
                "image.size.",
            ),
        ],
    )


def check_keep_luminance(student: Callable) -> bool:
    """Check `keep_luminance(result, content)`: lightness of the one, colours of the other.

    Args:
        student: takes two `(height, width, 3)` pictures, returns `content` plus, in each channel,
            the difference of the luminances Y = 0.299 R + 0.587 G + 0.114 B, not cut off.
    """
    to_luma = np.array([0.299, 0.587, 0.114])
    # YIQ: the first row is the luminance, the others the colour
    yiq = np.array([to_luma, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])

    def reference(result, content):
        mixed = content @ yiq.T
        mixed[..., 0] = (result @ yiq.T)[..., 0]
        return mixed @ np.linalg.inv(yiq).T

    def shifted(result, content, luma):
        return content + (result @ luma - content @ luma)[..., None]

    rng = np.random.default_rng(3)
    pairs = [tuple(np.round(rng.random((2, n, 2, 3)), 2).astype("float32")) for n in (1, 2)]
    bright, red = np.array([[[0.9, 1, 0.8]]], "float32"), np.array([[[0.9, 0.1, 0.2]]], "float32")
    pairs.insert(0, (bright, red))
    return check(
        student,
        "keep_luminance",
        reference,
        inputs=pairs,
        mistakes=[
            gives(
                lambda r, c: reference(c, r),
                "the two are exchanged: the lightness comes from result, the colours from content.",
            ),
            gives(
                lambda r, c: shifted(r, c, np.full(3, 1 / 3)),
                "the mean of the channels is not the luminance: green counts most.",
            ),
            gives(
                lambda r, c: np.clip(reference(r, c), 0, 1),
                "it is right but for the cutting off at 0 and 1, which this exercise leaves out.",
            ),
            gives(
                lambda r, c: np.repeat((r @ to_luma)[..., None], 3, axis=-1),
                "this is the luminance alone, a grey picture; the colours of content are missing.",
            ),
        ],
    )


def check_gram_changes(student: Callable) -> bool:
    """Check `gram_changes(change)`: does a change of a picture show in its Gram matrices?

    Args:
        student: takes "moved", "tiled", "mirrored", "pixels shuffled" or "features shuffled";
            returns 1 if the Gram matrices change, 0 if they stay (but for the edges).
    """
    answers = {  # and why
        "moved": (
            0,
            "the features move along with the picture, and the Gram matrix does not know where "
            "they are; only the edges differ.",
        ),
        "tiled": (
            0,
            "four times as many positions with the same features have the same mean; only at the "
            "seams something new appears.",
        ),
        "mirrored": (
            1,
            "a line that rises to the right becomes one that falls, and that is another channel.",
        ),
        "pixels shuffled": (
            1,
            "it is features whose positions are forgotten, and features are computed from "
            "neighbours: of shuffled pixels they see noise.",
        ),
        "features shuffled": (0, "the same products are added up in another order."),
    }

    def reference(change):
        return answers[change][0]

    return check(
        student,
        "gram_changes",
        reference,
        inputs=[(change,) for change in answers],
        mistakes=[
            Mistake(lambda out, asked, change=change: asked == change, reason)
            for change, (_, reason) in answers.items()
        ],
    )
