"""Checks of the exercises of notebook 01."""

from collections.abc import Callable

import numpy as np
from scipy.signal import correlate2d
from scipy.special import log_softmax, softmax

from course_utils._checking import Mistake, check, gives


def check_conv2d(student: Callable) -> bool:
    """Check `conv2d(image, kernel)`: the sum of products at every place the kernel fits.

    Args:
        student: takes `(h, w)` and `(k, k)` float arrays, returns `(h - k + 1, w - k + 1)`.
    """

    def reference(image, kernel):
        return correlate2d(image, kernel, mode="valid")

    image = np.array([[1, 2, 0, 1], [3, 1, 4, 0], [0, 2, 5, 1]], np.float32)
    kernel = np.array([[1, 2], [0, -1]], np.float32)
    wide = np.array([[0, 1, 3, 2, 5], [4, 0, 1, 1, 2], [2, 6, 0, 3, 1], [1, 1, 7, 0, 2]], "float32")
    edge = np.array([[1, 0, -2], [2, 1, -2], [1, 0, -1]], np.float32)
    return check(
        student,
        "conv2d",
        reference,
        inputs=[(image, kernel), (wide, edge), (np.ones((2, 2), "float32"), kernel)],
        mistakes=[
            gives(
                lambda i, k: reference(i, k[::-1, ::-1]),
                "the kernel is flipped, as convolution in mathematics does; deep-learning "
                "libraries do not flip it.",
            ),
            gives(lambda i, k: reference(i, k.T), "the kernel is transposed: rows go with rows."),
            gives(lambda i, k: reference(i, k).T, "the result is transposed: rows come first."),
            Mistake(
                lambda out, i, k: out.shape == i.shape,
                "the output is as large as the image, as with padding; without padding the "
                "kernel fits at h - k + 1 by w - k + 1 places.",
            ),
            Mistake(
                lambda out, i, k: out.shape == (i.shape[0] - len(k), i.shape[1] - len(k)),
                "the last row and column are missing: the kernel fits at h - k + 1 places, one "
                "more than h - k.",
            ),
        ],
    )


def check_conv_parameters(student: Callable) -> bool:
    """Check `conv_parameters(kernel_size, in_channels, filters, use_bias)`.

    Args:
        student: takes three positive ints and a bool, returns the number of weights of the layer.
    """

    def reference(kernel_size, in_channels, filters, use_bias):
        kernel = np.empty((kernel_size, kernel_size, in_channels, filters))
        return kernel.size + (filters if use_bias else 0)

    return check(
        student,
        "conv_parameters",
        reference,
        inputs=[(5, 3, 6, True), (3, 2, 4, False), (1, 64, 10, True), (3, 3, 32, True)],
        mistakes=[
            gives(lambda k, c, f, b: k * k * c * f, "every filter has one bias as well."),
            gives(lambda k, c, f, b: k * k * c * f + f, "with use_bias=False there are no biases."),
            gives(
                lambda k, c, f, b: k * k * f + f * b,
                "in_channels is missing: a filter reaches through all channels of its input.",
            ),
            gives(
                lambda k, c, f, b: k * c * f + f * b,
                "a kernel has kernel_size * kernel_size places, not kernel_size.",
            ),
            gives(
                lambda k, c, f, b: k * k * c * f + b,
                "there is one bias for each filter, not one for the layer.",
            ),
            Mistake(
                lambda out, *args: any(out == s * s * reference(*args) for s in range(2, 257)),
                "the size of the image does not count: the same weights are used at every place.",
            ),
        ],
    )


def check_cross_entropy(student: Callable) -> bool:
    """Check `cross_entropy_from_logits(logits, labels)`: the mean of -log(softmax) at the labels.

    Args:
        student: takes `(n, classes)` float logits and `(n,)` int labels, returns a number.
    """

    def at_labels(values, labels):
        return np.take_along_axis(values, labels[:, None], axis=1)

    def reference(logits, labels):
        return float(-at_labels(log_softmax(logits.astype(float), axis=1), labels).mean())

    logits = np.array([[2, 1, 0], [0, 3, -1]], np.float32)
    more = np.array([[0.5, 2, 1, -1], [1, 0, 0, 4], [3, 1, -2, 0.5]], np.float32)
    large = np.array([[1000, 0], [0, 1000]], np.float32)
    return check(
        student,
        "cross_entropy_from_logits",
        reference,
        inputs=[
            (logits, np.array([0, 2], np.int32)),
            (more, np.array([1, 3, 2], np.int32)),
            (large, np.array([0, 0], np.int32)),
        ],
        mistakes=[
            Mistake(
                lambda out, z, y: np.shape(out) == y.shape,
                "this is one loss for each picture; return their mean.",
            ),
            gives(
                lambda z, y: reference(softmax(z, axis=1), y),
                "softmax is applied twice: what goes into the loss are logits, not probabilities.",
            ),
            gives(
                lambda z, y: -at_labels(z, y).mean(),
                "the logits are not normalised: subtract log(sum(exp(logits))) of each row.",
            ),
            gives(
                lambda z, y: reference(z, y) * len(y),
                "this is the sum over the batch, not the mean.",
            ),
            gives(
                lambda z, y: reference(z, y) / z.shape[1],
                "divide by the number of pictures only, not by the number of classes as well.",
            ),
            gives(lambda z, y: -reference(z, y), "the sign is wrong: a loss is -log(probability)."),
            gives(
                lambda z, y: -at_labels(log_softmax(z, axis=0), y).mean(),
                "softmax runs over the pictures; it must run over the classes, axis=1.",
            ),
            Mistake(
                lambda out, z, y: not np.isfinite(out).all() and np.abs(z).max() > 500,
                "exp of a large logit overflows: subtract each row's maximum first, and take "
                "the logarithm of the sum, not of the quotient.",
            ),
            Mistake(
                lambda out, z, y: not np.isfinite(out).all(),
                "the logarithm of a logit is taken; make probabilities first.",
            ),
        ],
    )


def check_grad_cam(student: Callable) -> bool:
    """Check `grad_cam(features, gradients)`: where in the picture the evidence for a class is.

    Args:
        student: takes two `(h, w, channels)` float arrays, returns `(h, w)` in [0, 1].
    """

    def weighted(features, gradients):
        return np.einsum("hwc,c->hw", features, gradients.mean(axis=(0, 1)))

    def scaled(cam):
        return cam / cam.max() if cam.max() > 0 else cam

    def reference(features, gradients):
        return scaled(np.maximum(weighted(features, gradients), 0))

    features = np.array([[[1, 2], [0, 4], [3, 1]], [[2, 0], [5, 1], [1, 3]]], np.float32)
    gradients = np.array([[[1, 0], [2, -1], [0, -2]], [[3, -1], [1, 0], [-1, -2]]], np.float32)
    return check(
        student,
        "grad_cam",
        reference,
        inputs=[(features, gradients), (features[:, ::-1] + 1, gradients + 1),
                (features, -np.ones_like(features))],
        mistakes=[
            gives(
                lambda f, g: scaled(weighted(f, g)),
                "negative values remain: apply ReLU, since only evidence for the class counts.",
            ),
            gives(
                lambda f, g: scaled(np.abs(weighted(f, g))),
                "use ReLU, not the absolute value: evidence against the class does not count.",
            ),
            gives(
                lambda f, g: np.maximum(weighted(f, g), 0), "divide the map by its largest value."
            ),
            gives(
                lambda f, g: scaled(np.maximum((f * g.mean(axis=2, keepdims=True)).sum(axis=2), 0)),
                "the gradients are averaged over the wrong axes: average over height and width, "
                "which leaves one weight for each channel.",
            ),
            gives(
                lambda f, g: scaled(np.maximum((f * g).sum(axis=2), 0)),
                "average the gradients over height and width before you multiply.",
            ),
            gives(
                lambda f, g: scaled(np.maximum(f.mean(axis=2), 0)),
                "the gradients are not used: they weigh the channels.",
            ),
            gives(
                lambda f, g: (weighted(f, g) - weighted(f, g).min()) / np.ptp(weighted(f, g)),
                "do not subtract the minimum: apply ReLU, then divide by the maximum.",
            ),
            Mistake(
                lambda out, f, g: np.isnan(out).any() and not reference(f, g).any(),
                "the map is zero everywhere, and zero is divided by zero; return zeros then.",
            ),
        ],
    )  # fmt: skip


def check_receptive_field(student: Callable) -> bool:
    """Check `receptive_field(layers)`: how many input pixels, along one side, an output sees.

    Args:
        student: takes a list of `(kernel_size, stride)`, first layer first, returns an int.
    """

    def reference(layers):  # backwards: from one output pixel to the pixels it was made of
        size = 1
        for kernel, stride in reversed(layers):
            size = (size - 1) * stride + kernel
        return size

    def stride_too_early(layers):
        size = step = 1
        for kernel, stride in layers:
            step *= stride
            size += (kernel - 1) * step
        return size

    return check(
        student,
        "receptive_field",
        reference,
        inputs=[
            ([(3, 1), (3, 1)],),
            ([(3, 1), (2, 2), (5, 1)],),
            ([(3, 1), (2, 2), (3, 1), (2, 2), (3, 1)],),
            ([],),
        ],
        mistakes=[
            gives(
                lambda layers: 1 + sum(k - 1 for k, _ in layers),
                "the strides are ignored: after a stride of 2, neighbours are 2 pixels apart.",
            ),
            gives(
                stride_too_early,
                "a layer's stride spreads the layers after it, not its own kernel.",
            ),
            gives(
                lambda layers: reference(layers[::-1]),
                "the layers are walked through in the wrong direction.",
            ),
            gives(lambda layers: reference(layers) - 1, "start from one pixel, not from none."),
            gives(
                lambda layers: sum(k for k, _ in layers),
                "kernels overlap: each adds kernel_size - 1 pixels, not kernel_size.",
            ),
        ],
    )
