import functools
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from course_utils import exercises


@pytest.fixture
def line(capsys):
    """Return what a check printed, which must be one line."""

    def read():
        out = capsys.readouterr()
        assert out.err == ""
        assert out.out.count("\n") == 1
        return out.out.strip()

    return read


def rejects(check, student, line, *parts):
    assert check(student) is False
    message = line()
    assert message.startswith("Not yet: ")
    for part in parts:
        assert part in message
    return message


# --- right answers, written as a student would -----------------------------------------------


def conv2d(image, kernel):
    k = kernel.shape[0]
    height, width = image.shape[0] - k + 1, image.shape[1] - k + 1
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            out[y, x] = np.sum(image[y : y + k, x : x + k] * kernel)
    return out


def conv_parameters(kernel_size, in_channels, filters, use_bias):
    return kernel_size**2 * in_channels * filters + (filters if use_bias else 0)


def cross_entropy_from_logits(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -log_probabilities[np.arange(len(labels)), labels].mean()


def grad_cam(features, gradients):
    weights = gradients.mean(axis=(0, 1))
    cam = np.maximum((features * weights).sum(axis=-1), 0)
    return cam / cam.max() if cam.max() > 0 else cam


def receptive_field(layers):
    size = step = 1
    for kernel, stride in layers:
        size += (kernel - 1) * step
        step *= stride
    return size


def gram_matrix(features):
    _, height, width, _ = features.shape
    return np.einsum("bijc,bijd->bcd", features, features) / (height * width)


def total_variation(image):
    down, right = np.diff(image, axis=0), np.diff(image, axis=1)
    return (np.abs(down).sum() + np.abs(right).sum()) / image.size


def keep_luminance(result, content):
    luma = np.array([0.299, 0.587, 0.114])
    return content + (result @ luma - content @ luma)[..., None]


def gram_changes(change):
    return int(change in ("mirrored", "pixels shuffled"))


def kl_divergence(z_mean, z_log_var):
    return -0.5 * np.sum(1 + z_log_var - z_mean**2 - np.exp(z_log_var), axis=1)


def reparameterise(z_mean, z_log_var, epsilon):
    return z_mean + np.exp(0.5 * z_log_var) * epsilon


def latent_grid(n):
    q = norm.ppf((np.arange(n) + 0.5) / n)
    return np.stack(np.meshgrid(q, q[::-1]), axis=-1)


def importance_weighted_bound(log_weights):
    top = log_weights.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(log_weights - top).mean(axis=1)) + top[:, 0])


SOLUTIONS = {
    exercises.check_conv2d: conv2d,
    exercises.check_conv_parameters: conv_parameters,
    exercises.check_cross_entropy: cross_entropy_from_logits,
    exercises.check_grad_cam: grad_cam,
    exercises.check_receptive_field: receptive_field,
    exercises.check_gram_matrix: gram_matrix,
    exercises.check_total_variation: total_variation,
    exercises.check_keep_luminance: keep_luminance,
    exercises.check_gram_changes: gram_changes,
    exercises.check_kl_divergence: kl_divergence,
    exercises.check_reparameterise: reparameterise,
    exercises.check_latent_grid: latent_grid,
    exercises.check_importance_weighted_bound: importance_weighted_bound,
}
CHECKS = list(SOLUTIONS)


def test_every_check_is_tested():
    public = {value for name, value in vars(exercises).items() if name.startswith("check_")}
    others = sorted(Path(__file__).parent.glob("test_exercises_*.py"))
    elsewhere = "".join(path.read_text(encoding="utf-8") for path in others)
    named = {check for check in public if f"exercises.{check.__name__}," in elsewhere}
    assert public == set(CHECKS) | named


@pytest.mark.parametrize("check", CHECKS)
def test_the_solution_passes(check, line):
    assert check(SOLUTIONS[check]) is True
    assert line().startswith("Correct: ")


def test_solutions_as_tensorflow_tensors_pass():
    import tensorflow as tf

    def cross_entropy(logits, labels):
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        )

    def conv(image, kernel):
        image, kernel = image[None, :, :, None], kernel[:, :, None, None]
        return tf.nn.conv2d(image, kernel, strides=1, padding="VALID")[0, :, :, 0]

    assert exercises.check_cross_entropy(cross_entropy)
    assert exercises.check_conv2d(conv)


def test_parameters_and_receptive_field_agree_with_keras():
    import keras
    import tensorflow as tf

    def parameters(kernel_size, in_channels, filters, use_bias):
        layer = keras.layers.Conv2D(filters, kernel_size, use_bias=use_bias)
        layer.build((None, 8, 8, in_channels))
        return layer.count_params()

    def field(layers):  # which input pixels have a gradient at one output pixel
        x = tf.Variable(np.zeros((1, 31), "float32"))
        with tf.GradientTape() as tape:
            y = x[:, :, None]
            for kernel, stride in layers:
                y = tf.nn.conv1d(y, np.ones((kernel, 1, 1), "float32"), stride, "VALID")
            y = y[0, 0, 0]
        return int(np.count_nonzero(tape.gradient(y, x)))

    assert exercises.check_conv_parameters(parameters)
    assert exercises.check_receptive_field(field)


# --- plausible wrong answers -----------------------------------------------------------------


def padded(image, kernel):
    k = len(kernel)
    return conv2d(np.pad(image, ((0, k - 1), (0, k - 1))), kernel)


WRONG_CONVOLUTIONS = {
    "the kernel is flipped": lambda i, k: conv2d(i, np.flip(k)),
    "the kernel is transposed": lambda i, k: conv2d(i, k.T),
    "the result is transposed": lambda i, k: conv2d(i, k).T,
    "as large as the image": padded,
    "last row and column are missing": lambda i, k: conv2d(i, k)[:-1, :-1],
}
WRONG_COUNTS = {
    "one bias as well": lambda k, c, f, b: k * k * c * f,
    "there are no biases": lambda k, c, f, b: (k * k * c + 1) * f,
    "in_channels is missing": lambda k, c, f, b: (k * k + b) * f,
    "not kernel_size": lambda k, c, f, b: (k * c + b) * f,
    "not one for the layer": lambda k, c, f, b: k * k * c * f + int(b),
    "size of the image does not count": lambda k, c, f, b: conv_parameters(k, c, f, b) * 32 * 32,
}


def softmax_of(logits, axis=1):
    e = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def pick(values, labels):
    return values[np.arange(len(labels)), labels]


def naive(logits, labels):
    e = np.exp(logits)
    return -np.log(pick(e / e.sum(axis=1, keepdims=True), labels)).mean()


WRONG_LOSSES = {
    "return their mean": lambda z, y: -np.log(pick(softmax_of(z), y)),
    "softmax is applied twice": lambda z, y: cross_entropy_from_logits(softmax_of(z), y),
    "not normalised": lambda z, y: -pick(z, y).mean(),
    "not the mean": lambda z, y: cross_entropy_from_logits(z, y) * len(z),
    "number of classes": lambda z, y: cross_entropy_from_logits(z, y) / z.shape[1],
    "the sign is wrong": lambda z, y: np.log(pick(softmax_of(z), y)).mean(),
    "over the pictures": lambda z, y: -np.log(pick(softmax_of(z, axis=0), y)).mean(),
    "subtract each row's maximum": naive,
    "not of the quotient": lambda z, y: -np.log(pick(softmax_of(z), y)).mean(),
    "logarithm of a logit": lambda z, y: -np.log(pick(z, y)).mean(),
}


def cam_of(features, weights):
    return (features * weights).sum(axis=-1)


def positive(cam):
    cam = np.maximum(cam, 0)
    return cam / cam.max() if cam.any() else cam


def stretched(features, gradients):
    cam = cam_of(features, gradients.mean(axis=(0, 1)))
    return (cam - cam.min()) / (cam.max() - cam.min())


def undefined_at_zero(features, gradients):
    cam = np.maximum(cam_of(features, gradients.mean(axis=(0, 1))), 0)
    return cam / cam.max()


def without_relu(features, gradients):
    cam = cam_of(features, gradients.mean(axis=(0, 1)))
    return cam / cam.max()


WRONG_MAPS = {
    "apply ReLU": without_relu,
    "not the absolute value": lambda f, g: positive(np.abs(cam_of(f, g.mean((0, 1))))),
    "divide the map by": lambda f, g: np.maximum(cam_of(f, g.mean((0, 1))), 0),
    "over the wrong axes": lambda f, g: positive(cam_of(f, g.mean(2, keepdims=True))),
    "before you multiply": lambda f, g: positive(cam_of(f, g)),
    "gradients are not used": lambda f, g: positive(f.mean(axis=2)),
    "do not subtract the minimum": stretched,
    "zero is divided by zero": undefined_at_zero,
}


def early_stride(layers):
    size = step = 1
    for kernel, stride in layers:
        step *= stride
        size += (kernel - 1) * step
    return size


WRONG_FIELDS = {
    "strides are ignored": lambda layers: 1 + sum(k - 1 for k, _ in layers),
    "not its own kernel": early_stride,
    "wrong direction": lambda layers: receptive_field(layers[::-1]),
    "not from none": lambda layers: receptive_field(layers) - 1,
    "kernels overlap": lambda layers: sum(k for k, _ in layers),
}
WRONG = [
    (check, hint, student)
    for check, answers in [
        (exercises.check_conv2d, WRONG_CONVOLUTIONS),
        (exercises.check_conv_parameters, WRONG_COUNTS),
        (exercises.check_cross_entropy, WRONG_LOSSES),
        (exercises.check_grad_cam, WRONG_MAPS),
        (exercises.check_receptive_field, WRONG_FIELDS),
    ]
    for hint, student in answers.items()
]


@pytest.mark.parametrize(("check", "hint", "student"), WRONG, ids=[hint for _, hint, _ in WRONG])
def test_a_known_mistake_gets_its_hint(check, hint, student, line):
    message = rejects(check, student, line, "for input ", "expected ", ", got ", " Hint: ")
    assert hint in message.split(" Hint: ")[1]


def test_an_unknown_mistake_shows_input_and_both_results_without_a_hint(line):
    message = rejects(exercises.check_conv_parameters, lambda k, c, f, b: 7, line)
    assert message == (
        "Not yet: for input kernel_size = 5, in_channels = 3, filters = 6, use_bias = True "
        "expected 456, got 7."
    )


# --- results of the wrong kind ---------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS)
def test_a_missing_return_is_named(check, line):
    rejects(check, lambda *args: None, line, "got None. Hint: is a return statement missing.")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("result", ["0.5", [0.5], (1, 2), {}, True])
def test_a_result_of_the_wrong_type_is_named(check, result, line):
    rejects(check, lambda *args: result, line, f"got a {type(result).__name__}, but a", "is needed")


@pytest.mark.parametrize("check", [exercises.check_conv2d, exercises.check_grad_cam])
def test_a_nested_list_is_not_an_array(check, line):
    def student(*args):
        return SOLUTIONS[check](*args).tolist()

    rejects(check, student, line, "got a list, but an array is needed")


@pytest.mark.parametrize("check", [exercises.check_conv2d, exercises.check_grad_cam])
@pytest.mark.parametrize("dtype", ["int32", "complex128", "object", "float16", "bool"])
def test_an_array_of_the_wrong_type_is_named(check, dtype, line):
    def student(*args):
        return SOLUTIONS[check](*args).astype(dtype)

    rejects(check, student, line, f"of type {dtype}, but float32 or float64 is needed")


def test_a_float_is_no_count(line):
    rejects(
        exercises.check_conv_parameters,
        lambda *args: float(conv_parameters(*args)),
        line,
        "got 456. of type float64, but a whole number (int) is needed",
    )


def test_numpy_integers_are_counts(line):
    assert exercises.check_conv_parameters(lambda *args: np.int64(conv_parameters(*args)))


def test_a_wrong_shape_is_named_before_the_values(line):
    rejects(
        exercises.check_conv2d,
        lambda *args: np.zeros((1, 2, 3, 1)),
        line,
        "shape (1, 2, 3, 1), but an array with shape (2, 3) is needed",
    )
    rejects(
        exercises.check_cross_entropy,
        lambda *args: np.zeros((2, 3)),
        line,
        "shape (2, 3), but a number with no axes is needed",
    )


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_wrong(check, value, line):
    def student(*args):
        return SOLUTIONS[check](*args) * value

    rejects(check, student, line)


# --- functions that misbehave ----------------------------------------------------------------


@pytest.mark.parametrize("check", CHECKS)
def test_an_exception_is_reported_with_the_students_own_line(check, line):
    def student(*args):
        np.zeros(3)
        return np.zeros(3).reshape(2, 2)  # raises inside NumPy

    number = student.__code__.co_firstlineno + 2
    rejects(
        check,
        student,
        line,
        f"raised ValueError in line {number} (return np.zeros(3).reshape(2, 2)",
        "cannot reshape array of size 3 into shape (2,2)",
    )


def test_the_line_of_a_decorated_function_and_its_helper_is_found(line):
    def helper():
        raise KeyError("lost")

    @functools.lru_cache
    def student(*args):
        return helper()

    number = helper.__code__.co_firstlineno + 1
    rejects(
        exercises.check_conv_parameters,
        student,
        line,
        f"raised KeyError in line {number} (",
        "lost",
    )


def test_a_wrong_signature_is_reported(line):
    rejects(exercises.check_conv2d, lambda image: image, line, "raised TypeError: ", "argument")


def test_endless_recursion_is_reported(line):
    def student(layers):
        return student(layers)

    rejects(exercises.check_receptive_field, student, line, "raised RecursionError in line ")


def test_interrupt_passes_through():
    def student(*args):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercises.check_conv2d(student)


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_not_a_function_is_refused(check, line):
    rejects(check, np.zeros(3), line, "give the check your function", "itself, not ndarray")


def test_a_student_cannot_spoil_the_inputs(line):
    def spoils(image, kernel):
        result = conv2d(image, kernel)
        image[:] = kernel[:] = 0
        return result

    rejects(exercises.check_conv2d, spoils, line, "the input was changed. Hint: work on a copy")
    assert exercises.check_conv2d(conv2d)


def test_a_spoiled_list_is_noticed_too(line):
    def spoils(layers):
        size = receptive_field(layers)
        layers.clear()
        return size

    rejects(exercises.check_receptive_field, spoils, line, "the input was changed")


def test_numpy_warnings_of_a_student_stay_out_of_the_notebook(line, recwarn):
    rejects(exercises.check_cross_entropy, naive, line, "overflows")
    assert not recwarn.list


# --- notebook 02 -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda f: np.einsum("bijc,bijd->bcd", f, f), "not divided by height * width"),
        (lambda f: gram_matrix(f) / f.shape[-1], "divided by the number of channels as well"),
        (lambda f: np.einsum("bijc,bijd->cd", f, f) / f[0, ..., 0].size, "batch axis is gone"),
        (
            lambda f: np.einsum("bijc,aijd->bcd", f, f) / f[0, ..., 0].size,
            "",  # a batch mixed up in another way: wrong, and not recognised
        ),
        (
            lambda f: gram_matrix(f) * np.eye(f.shape[-1]),
            "two different letters",
        ),
        (
            lambda f: np.einsum("bpc,bqc->bpq", *[f.reshape(len(f), -1, f.shape[-1])] * 2),
            "compares positions with positions",
        ),
        (lambda f: np.transpose(f, (2, 0, 1)), "raised ValueError"),  # the article's mistake
        (
            lambda f: np.broadcast_to(
                gram_matrix(f).sum(axis=0), (len(f), *gram_matrix(f)[0].shape)
            ),
            "pictures of the batch are added up",
        ),
    ],
)
def test_gram_matrix_mistakes(student, hint, line):
    rejects(exercises.check_gram_matrix, student, line, hint)


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda x: total_variation(x) * x.size, "divide it by image.size"),
        (lambda x: (np.diff(x, axis=0).sum() + np.diff(x, axis=1).sum()) / x.size, "cancel"),
        (
            lambda x: ((np.diff(x, axis=0) ** 2).sum() + (np.diff(x, axis=1) ** 2).sum()) / x.size,
            "squared",
        ),
        (lambda x: np.abs(np.diff(x, axis=0)).sum() / x.size, "only the neighbours below"),
        (lambda x: np.abs(np.diff(x, axis=1)).sum() / x.size, "only the neighbours to the right"),
        (
            lambda x: sum(np.abs(x - np.roll(x, -1, axis)).sum() for axis in (0, 1)) / x.size,
            "np.roll makes it a ring",
        ),
        (
            lambda x: np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean(),
            "its own number of differences",
        ),
    ],
)
def test_total_variation_mistakes(student, hint, line):
    rejects(exercises.check_total_variation, student, line, hint)


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda r, c: keep_luminance(c, r), "exchanged"),
        (lambda r, c: c + (r.mean(-1) - c.mean(-1))[..., None], "green counts most"),
        (lambda r, c: np.clip(keep_luminance(r, c), 0, 1), "cutting off"),
        (lambda r, c: np.repeat((r @ [0.299, 0.587, 0.114])[..., None], 3, -1), "grey picture"),
    ],
)
def test_keep_luminance_mistakes(student, hint, line):
    rejects(exercises.check_keep_luminance, student, line, hint)


CHANGES = ["moved", "tiled", "mirrored", "pixels shuffled", "features shuffled"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_prediction_is_named_with_a_reason(change, line):
    def wrong(asked):
        return 1 - gram_changes(asked) if asked == change else gram_changes(asked)

    rejects(exercises.check_gram_changes, wrong, line, repr(change), "Hint: ")


def test_the_predictions_are_what_a_trained_network_shows():
    """Relative distance of Gram matrices on a picture whose edges weigh little."""
    from course_utils import backbones, losses, pictures

    picture = pictures.load_picture("woodcut_waves", size=(192, 192))
    vgg = backbones.load("vgg16")
    extract = vgg.extractor(["block1_conv1", "block2_conv1", "block3_conv1"])
    rng = np.random.default_rng(0)
    changed = {
        "moved": np.roll(picture, (64, 32), axis=(0, 1)),
        "tiled": np.tile(picture, (2, 2, 1)),
        "mirrored": picture[:, ::-1],
        "pixels shuffled": rng.permutation(picture.reshape(-1, 3)).reshape(picture.shape),
    }
    before = {k: losses.gram_matrix(v) for k, v in extract(picture[None]).items()}
    distances = {}
    for change, one in changed.items():
        after = {k: losses.gram_matrix(v) for k, v in extract(one[None]).items()}
        gaps = [np.linalg.norm(after[k] - g) / np.linalg.norm(g) for k, g in before.items()]
        distances[change] = max(gaps)
    same = max(distances[c] for c in distances if not gram_changes(c))
    other = min(distances[c] for c in distances if gram_changes(c))
    assert other > 2 * same, distances


# --- notebook 04 -----------------------------------------------------------------------------


def gaussian_kl(z_mean, variance, log_variance):
    return 0.5 * np.sum(z_mean**2 + variance - log_variance - 1, axis=1)


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda m, v: kl_divergence(m, v) / 3, "averaged over the latent axes"),
        (  # the article's
            lambda m, v: -0.5 * np.mean(1 + v - m**2 - np.exp(v)),
            "averaged over the batch and over the latent axes",
        ),
        (lambda m, v: kl_divergence(m, v).mean(), "one number for the whole batch"),
        (lambda m, v: 0.5 * (m**2 + np.exp(v) - v - 1), "one number for each latent axis"),
        (lambda m, v: 0.5 * (m**2 + np.exp(v) - v - 1).sum(axis=0), "runs over the batch"),
        (lambda m, v: np.sum(m**2 + np.exp(v) - v - 1, axis=1), "the half"),
        (lambda m, v: 0.5 * np.sum(1 + v - m**2 - np.exp(v), axis=1), "the sign is wrong"),
        (lambda m, v: gaussian_kl(m, v**2, 2 * np.log(v)), "taken for σ; it is log σ²"),
        (lambda m, v: gaussian_kl(m, v, np.log(v)), "taken for σ²; it is log σ²"),
        (lambda m, v: gaussian_kl(m, v**2, v), "not the square of z_log_var"),
        (lambda m, v: gaussian_kl(m, np.exp(v) ** 2, 2 * v), "taken for log σ; it is log σ²"),
        (lambda m, v: gaussian_kl(m, np.exp(v) ** 2, v), "do not square it"),
        (lambda m, v: gaussian_kl(m, np.exp(0.5 * v), v), "without the half"),
        (lambda m, v: 0.5 * (np.sum(m**2 + np.exp(v) - v, axis=1) - 1), "inside the sum"),
    ],
)
def test_kl_divergence_mistakes(student, hint, line):
    assert hint in rejects(exercises.check_kl_divergence, student, line).split(" Hint: ")[1]


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda m, v, e: m + v * e, "taken for the standard deviation"),
        (lambda m, v, e: m + np.exp(v) * e, "is the variance"),
        (lambda m, v, e: m + np.sqrt(v) * e, "the logarithm is not undone"),
        (lambda m, v, e: m + np.exp(-0.5 * v) * e, "the sign in the exponent"),
        (lambda m, v, e: 1.0 * m, "the noise is not used"),
        (lambda m, v, e: (m + e) * np.exp(0.5 * v), "the mean is scaled as well"),
        (lambda m, v, e: m + np.exp(0.5 * v) * e[0, 0], "used more than once"),
        (lambda m, v, e: m + np.exp(0.5 * v) * e[:1], "used more than once"),
        (lambda m, v, e: m + np.exp(0.5 * v) * e[:, :1], "used more than once"),
        (lambda m, v, e: m + np.exp(0.5 * v) * e.mean(), "used more than once"),
        (lambda m, v, e: (m + np.exp(0.5 * v) * e)[0], "the shape of the mean"),
    ],
)
def test_reparameterise_mistakes(student, hint, line):
    assert hint in rejects(exercises.check_reparameterise, student, line).split(" Hint: ")[1]


def grid_of(values, down=True):
    return np.stack(np.meshgrid(values, values[::-1] if down else values), axis=-1)


def middles(n):
    return (np.arange(n) + 0.5) / n


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda n: grid_of(middles(n)), "these are probabilities"),
        (lambda n: grid_of(middles(n), down=False), "these are probabilities"),
        (lambda n: grid_of(norm.ppf(middles(n)), down=False), "y grows downwards"),
        (lambda n: grid_of(norm.ppf(np.linspace(0, 1, n))), "are infinite"),
        (lambda n: grid_of(norm.ppf(np.arange(n) / n)), "are infinite"),
        (lambda n: grid_of(norm.ppf(np.linspace(0.05, 0.95, n))), "not the values"),
        (lambda n: grid_of(np.linspace(-2, 2, n)), "not the values"),  # the article's
        (lambda n: grid_of(np.linspace(-2, 2, n), down=False), "y grows downwards"),
        (lambda n: latent_grid(n)[:, ::-1], "x grows to the left"),
        (lambda n: latent_grid(n)[..., ::-1], "the axes are exchanged"),
        (
            lambda n: np.stack(np.meshgrid(*[norm.ppf(middles(n))] * 2, indexing="ij"), axis=-1),
            "the axes are exchanged",
        ),
        (lambda n: latent_grid(n).transpose(1, 0, 2), "the axes are exchanged"),
        (lambda n: latent_grid(n).reshape(-1, 2), "give them the shape"),
        (lambda n: np.moveaxis(latent_grid(n), -1, 0), "stack them with axis=-1"),
        (lambda n: np.stack(np.meshgrid(*[norm.ppf(middles(n))] * 2)), "stack them with axis=-1"),
        (lambda n: latent_grid(n)[..., 0], "two numbers"),
    ],
)
def test_latent_grid_mistakes(student, hint, line):
    assert hint in rejects(exercises.check_latent_grid, student, line).split(" Hint: ")[1]


def log_mean_exp(log_weights):
    return np.log(np.exp(log_weights).mean(axis=1))


@pytest.mark.parametrize(
    ("student", "hint"),
    [
        (lambda w: w.mean(), "which is the ELBO"),
        (lambda w: logsumexp(w, axis=1).mean(), "log k is missing"),
        (lambda w: (logsumexp(w, axis=1) + np.log(w.shape[1])).mean(), "subtract log k"),
        (lambda w: log_mean_exp(w).mean(), "overflows"),
        (lambda w: log_mean_exp(np.float64(w)).mean(), "each row's own maximum"),
        (lambda w: (log_mean_exp(w - w.max()) + w.max()).mean(), "each row's own maximum"),
        (lambda w: -log_mean_exp(w).mean(), "the sign is wrong"),
        (lambda w: log_mean_exp(w).sum(), "not the mean"),
        (log_mean_exp, "one bound for each picture"),
        (lambda w: np.log(np.exp(w).mean()), "weights of different pictures"),
        (lambda w: np.log(np.exp(w).mean(axis=0)).mean(), "the axes are exchanged"),
        (lambda w: w.max(axis=1).mean(), "the largest weight"),
        (lambda w: np.exp(w).mean(), "the logarithm is missing"),
        (
            lambda w: np.log(np.exp(np.float64(w)).mean(axis=1) + 1e-300).mean(),
            "only hides that exp underflows",
        ),
        (
            lambda w: importance_weighted_bound(np.clip(w, -np.inf, 700)),
            "",  # wrong for large weights only, and not recognised
        ),
    ],
)
def test_importance_weighted_bound_mistakes(student, hint, line):
    message = rejects(exercises.check_importance_weighted_bound, student, line)
    assert hint in message.split(" Hint: ")[-1]


def test_the_package_solves_the_exercises_of_notebook_04():
    """What students are asked to write is what the package computes, under another name."""
    from course_utils import layers, losses, samplers

    def sampled(z_mean, z_log_var, epsilon):  # Sampling's formula, with its own noise taken out
        layer = layers.Sampling(seed=0)
        again = layers.Sampling(seed=0)
        unit = np.asarray(again([np.zeros_like(z_mean), np.zeros_like(z_mean)]))
        z = np.asarray(layer([z_mean, z_log_var]))
        return z_mean + (z - z_mean) / unit * epsilon

    assert exercises.check_kl_divergence(losses.kl_divergence)
    assert exercises.check_reparameterise(sampled)
    assert exercises.check_latent_grid(samplers.latent_grid)
