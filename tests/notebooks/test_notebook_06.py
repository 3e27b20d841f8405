"""What notebook 06 defines, and what it says in numbers."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from extract import NOTEBOOKS, load_definitions, read

from course_utils import checkpoints, data, diffusion, judge, metrics, schedules

RNG = np.random.default_rng(0)
COSINE = schedules.cosine()


@pytest.fixture(scope="module")
def nb():
    return load_definitions("06_diffusion")


@pytest.fixture(scope="module")
def digits():
    return data.load_mnist("test", value_range=(-1, 1))


@pytest.fixture(scope="module")
def card():
    return checkpoints.card("diffusion")


@pytest.fixture(scope="module")
def denoiser():
    return diffusion.Denoiser(checkpoints.load("diffusion"), COSINE)


def tiny(nb, kind="Diffusion", decay=0.999):
    keras.utils.set_random_seed(0)
    return getattr(nb, kind)(nb.build_unet((8, 16), 16), COSINE, decay, 3)


# --- the network


def test_an_untrained_block_is_the_identity(nb):
    x, told = keras.Input((7, 7, 8)), keras.Input((5,))
    block = keras.Model([x, told], nb.residual_block(x, told, 8, "block"))
    values = RNG.normal(size=(2, 7, 7, 8)).astype("float32")
    np.testing.assert_array_equal(block([values, RNG.normal(size=(2, 5))]), values)


def test_a_block_depends_on_what_it_is_told(nb):
    x, told = keras.Input((7, 7, 8)), keras.Input((5,))
    block = keras.Model([x, told], nb.residual_block(x, told, 16, "block"))
    block.get_layer("block_conv2").kernel.assign(RNG.normal(size=(3, 3, 16, 16)))
    values = np.repeat(RNG.normal(size=(1, 7, 7, 8)), 2, axis=0)
    first, second = block([values, RNG.normal(size=(2, 5))]).numpy()
    assert first.shape == (7, 7, 16) and np.abs(first - second).max() > 0.01


def test_the_unet_says_nothing_before_training_and_has_the_weights_of_the_shipped(nb, card):
    unet = nb.build_unet()
    x = RNG.normal(size=(3, 28, 28, 1)).astype("float32")
    out = unet([x, np.array([0, 10, 999]), np.array([0, 9, nb.NO_LABEL])])
    assert out.shape == (3, 28, 28, 1) and not np.any(out)
    shipped = checkpoints.load("diffusion")
    assert [w.shape for w in unet.weights] == [w.shape for w in shipped.weights]
    assert unet.count_params() == card["parameters"] and card["bytes"] < 8_000_000


def test_operations_are_those_that_tensorflow_counts(nb):
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2_as_graph,
    )

    unet = nb.build_unet((8, 16), 16)
    spec = [tf.TensorSpec((1, *one.shape[1:]), one.dtype) for one in unet.inputs]
    concrete = tf.function(lambda *parts: unet(list(parts))).get_concrete_function(*spec)
    _, graph = convert_variables_to_constants_v2_as_graph(concrete)
    with tf.Graph().as_default() as plain:
        tf.graph_util.import_graph_def(graph, name="")
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        found = tf.compat.v1.profiler.profile(plain, options=options).total_float_ops
    # also counted: sums, norms and dense layers
    assert found == pytest.approx(nb.count_flops(unet), rel=0.15)


# --- the training step


def test_the_objective_is_the_squared_error_of_the_velocity(nb, digits):
    """With the same dice, one picture at a time, in NumPy."""
    model = tiny(nb, "Denoising")
    x_start, labels = digits[0][:6], digits[1][:6].astype("int32")
    answer = RNG.normal(size=(6, 28, 28, 1)).astype("float32")
    seen = []

    def network(inputs, training):
        seen.append([np.asarray(part) for part in inputs])
        return answer

    found = float(model.objective(network, x_start, labels, training=False))
    dice = keras.random.SeedGenerator(3)
    t = keras.random.randint((6,), 0, 1000, seed=dice).numpy()
    noise = keras.random.normal((6, 28, 28, 1), seed=dice).numpy()
    errors = []
    for n in range(6):
        left = np.prod(1 - COSINE.betas[: t[n] + 1])
        x_t = np.sqrt(left) * x_start[n] + np.sqrt(1 - left) * noise[n]
        np.testing.assert_allclose(seen[0][0][n], x_t, atol=1e-5)
        velocity = np.sqrt(left) * noise[n] - np.sqrt(1 - left) * x_start[n]
        errors.append(np.mean((answer[n] - velocity) ** 2))
    assert found == pytest.approx(np.mean(errors), rel=1e-5)
    np.testing.assert_array_equal(seen[0][1], t)
    np.testing.assert_array_equal(seen[0][2], labels)


def test_one_label_in_ten_is_left_out_and_only_in_training(nb):
    model, seen = tiny(nb, "Denoising"), []

    def network(inputs, training):
        seen.append(np.asarray(inputs[2]))
        return tf.zeros((4000, 1, 1, 1))

    nothing, labels = np.zeros((4000, 1, 1, 1), "float32"), np.full(4000, 7, "int32")
    model.objective(network, nothing, labels, training=True)
    model.objective(network, nothing, labels, training=False)
    assert set(np.unique(seen[0])) == {7, nb.NO_LABEL}
    assert np.mean(seen[0] == nb.NO_LABEL) == pytest.approx(nb.NO_LABEL_SHARE, abs=0.02)
    assert np.all(seen[1] == 7)


def test_a_step_moves_every_weight_and_the_average_follows(nb, digits):
    model = tiny(nb, decay=0.5)
    model.compile(keras.optimizers.Adam(1e-2))
    batch = tf.constant(digits[0][:16]), tf.constant(digits[1][:16].astype("int32"))
    start = [w.numpy() for w in model.network.weights]
    expected = [w.numpy().astype("float64") for w in model.average.weights]
    for step in range(1, 9):
        model.train_step(batch)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = [
            decay * slow + (1 - decay) * fast.numpy()
            for slow, fast in zip(expected, model.network.weights, strict=True)
        ]
    for old, fast, slow, wanted in zip(
        start, model.network.weights, model.average.weights, expected, strict=True
    ):
        assert not np.array_equal(old, fast.numpy()), fast.path
        np.testing.assert_allclose(slow.numpy(), wanted, atol=1e-5, err_msg=slow.path)
        assert not np.array_equal(fast.numpy(), slow.numpy())


def test_validation_measures_the_average(nb, digits):
    model = tiny(nb)
    model.compile(keras.optimizers.Adam(1e-3))
    for weight in model.network.weights:
        weight.assign(weight + 1.0)  # spoiled; the average still says nothing
    batch = tf.constant(digits[0][:50]), tf.constant(digits[1][:50].astype("int32"))
    found = float(model.test_step(batch)["loss"])
    assert 0.7 < found < 1.3


def test_training_reports_and_the_diary_keeps_both(nb, digits):
    model, diary = tiny(nb), nb.KeepWeights()
    pictures, labels = digits[0][:256], digits[1][:256].astype("int32")
    history = nb.train_diffusion(
        model, pictures, labels, (pictures[:100], labels[:100]), 2, callbacks=[diary], live=False
    )
    assert set(history) == {"loss", "val_loss", "seconds"} and len(history["loss"]) == 2
    assert history["loss"][1] < history["loss"][0]
    assert int(model.optimizer.iterations) == 2 * 256 // nb.BATCH_SIZE
    assert len(diary.kept) == 2
    for kept, network in zip(diary.kept[-1], (model.network, model.average), strict=True):
        for old, weight in zip(kept, network.weights, strict=True):
            np.testing.assert_array_equal(old, weight.numpy())


def test_training_and_a_resume_are_one_training(nb, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    pictures, labels = digits[0][:128], digits[1][:128].astype("int32")
    held_out = pictures[:100], labels[:100]

    def train(epochs, name):
        model = tiny(nb)
        model.compile(keras.optimizers.Adam(1e-3))
        # the learning rate follows the whole budget, so it is the same one in all calls
        monkeypatch.setattr(nb.training.OneCycle, "learning_rate", lambda self, progress: 1e-3)
        nb.train_diffusion(model, pictures, labels, held_out, epochs, live=False, resume=name)
        return model.average.get_weights()

    whole = train(2, "whole")
    train(1, "parts")
    for one, other in zip(whole, train(2, "parts"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


# --- pictures and their measures


class Painter:
    """Stands for a denoiser: knows one picture, the brightness of which is the class."""

    schedule = COSINE

    def __call__(self, x_t, t, labels=None, guidance=1.0):
        picture = np.zeros(x_t.shape) + np.reshape(labels, (-1, 1, 1, 1)) / 10
        alpha_bar_t = COSINE.alpha_bar(t)
        return picture, (x_t - np.sqrt(alpha_bar_t) * picture) / np.sqrt(1 - alpha_bar_t)


def test_digits_come_in_turn_and_a_shorter_row_is_the_beginning_of_a_longer(nb):
    drawn = nb.draw_digits(Painter(), 260, steps=2)
    assert drawn.shape == (260, 28, 28, 1) and drawn.dtype == np.float32
    expected = (np.arange(260) % 10 / 10 + 1) / 2
    np.testing.assert_allclose(drawn, np.broadcast_to(expected[:, None, None, None], drawn.shape))
    gaussian = diffusion.Denoiser(lambda inputs: inputs[0] / 2, COSINE, "noise")
    long = nb.draw_digits(gaussian, 255, steps=3)
    np.testing.assert_array_equal(long[:252], nb.draw_digits(gaussian, 252, steps=3))
    assert np.abs(long[:5] - long[250:255]).max() > 0.01
    assert long.min() >= 0 and long.max() <= 1


def test_rates_are_those_of_the_judge(nb, digits):
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == digit)[:20] for digit in range(10)])
    pictures = (images[rows.reshape(10, 20).T.ravel()] + 1) / 2  # classes in turn
    found, referee = nb.rate(pictures), judge.load()
    assert found["n"] == 200 and found["accuracy"] > 0.97
    assert found["frechet"] == pytest.approx(referee.score(pictures)["frechet"])
    assert nb.rate(pictures[::-1].copy())["accuracy"] < 0.2
    assert nb.rate_real(200)["frechet"] == pytest.approx(referee.real(200)["frechet"])


def test_the_measurements_cover_what_the_notebook_shows(nb, digits, monkeypatch):
    asked = []

    def draw(_, count, *, sampler=diffusion.dpm_solver_sample, steps=nb.SOLVER_STEPS,
             guidance=nb.GUIDANCE, done=None):  # fmt: skip
        asked.append((sampler.__name__, count, steps, guidance))
        return (digits[0][:count] + 1) / 2

    monkeypatch.setattr(nb, "draw_digits", draw)
    monkeypatch.setattr(nb, "in_half_precision", lambda *_: None)
    # module-level constants of ordinary cells are not extracted
    nb.METHODS = {
        "DPM-Solver++": diffusion.dpm_solver_sample, "DDIM": diffusion.ddim_sample,
        "DDPM": diffusion.ddpm_sample,
    }  # fmt: skip
    monkeypatch.setattr(nb, "rate", lambda pictures: {"n": len(pictures)})
    found = nb.measure(None, COSINE, say=lambda _: None)
    assert asked[0] == ("dpm_solver_sample", nb.MEASURED, nb.SOLVER_STEPS, nb.GUIDANCE)
    assert found["n"] == nb.MEASURED and found["few"]["n"] == 500
    steps = {(row["sampler"], row["steps"]) for row in found["curve"]}
    assert steps == {(name, n) for name, numbers in nb.CURVE.items() for n in numbers}
    assert ("DPM-Solver++", nb.SOLVER_STEPS) in steps  # beside it stand the guided ones
    assert all(row["n"] == nb.CURVE_DIGITS for row in found["curve"])
    assert [row["guidance"] for row in found["guided"]] == list(nb.GUIDED)
    assert asked[-1] == ("dpm_solver_sample", nb.CURVE_DIGITS, nb.SOLVER_STEPS, nb.GUIDED[-1])


# --- cases whose answer is known


def test_the_mean_guess_is_that_of_bayes(nb):
    values, frequencies = np.array([-0.5, 0.7]), np.array([0.3, 0.7])
    x_t = RNG.normal(size=7)
    guess, log_density = nb.mean_guess(x_t, 0.4, values, frequencies)
    likelihood = scipy.stats.norm.pdf(x_t[:, None], np.sqrt(0.4) * values, np.sqrt(0.6))
    joint = likelihood * frequencies
    np.testing.assert_allclose(guess, (joint * values).sum(1) / joint.sum(1))
    expected = np.log(joint.sum(1))  # up to a constant
    np.testing.assert_allclose(np.diff(log_density), np.diff(expected))


def test_the_exact_noises_agree_with_sums_over_many_values(nb):
    """A normal distribution is a great many values with its density for frequencies."""
    values = np.linspace(-2.5, 3, 4001)
    frequencies = scipy.stats.norm.pdf(values, 0.4, 0.3)
    x_t, t = RNG.normal(size=(5, 1)), np.array([0, 200, 500, 800, 999])
    many = nb.exact_noise([x_t, t, None], COSINE, values, frequencies)
    known = nb.exact_gaussian([x_t, t, None], COSINE, 0.4, 0.3)
    np.testing.assert_allclose(known[1:], many[1:], atol=1e-3)


# --- editing


def test_blocky_digits_are_seven_bars(nb):
    eight, one = nb.blocky(8), nb.blocky(1)
    assert eight.shape == (28, 28, 1) and set(np.unique(eight)) == {-1.0, 1.0}
    sketches = [nb.blocky(digit) for digit in range(10)]
    assert all(np.all(sketch <= eight) for sketch in sketches)
    assert len({sketch.tobytes() for sketch in sketches}) == 10
    assert np.array_equal(one[:, :15], np.full((28, 15, 1), -1.0))


# --- the mistakes


def test_the_articles_net_has_neither_noise_nor_time(nb, digits):
    net = nb.build_article_net()
    assert len(net.inputs) == 1 and net.output_shape == (None, 28, 28, 1)
    assert [layer.filters for layer in net.layers if hasattr(layer, "filters")] == [
        64, 128, 128, 64, 1,
    ]  # fmt: skip
    rounds = nb.article_rounds(lambda x: x, np.ones((2, 3, 3, 1), "float32"), steps=4)
    noise = np.random.default_rng(nb.SEED).normal(size=(2, 3, 3, 1))
    expected = np.ones((2, 3, 3, 1))
    for alpha in (1, 0.75, 0.5, 0.25):
        expected = alpha * expected + (1 - alpha) * noise
    np.testing.assert_allclose(rounds, expected, rtol=1e-5)


def test_returning_the_input_does_not_beat_the_mean_and_the_shipped_net_does(nb, digits, denoiser):
    x_start = digits[0][:100]
    noise = RNG.normal(size=x_start.shape)
    x_t = schedules.q_sample(COSINE, x_start, np.full(100, 600), noise.astype("float32")).numpy()
    assert not nb.beats_the_mean(lambda x: x, x_start, x_t)
    assert not nb.beats_the_mean(lambda x: np.clip(x, -1, 1), x_start, x_t)
    assert nb.beats_the_mean(lambda x: denoiser(x, 600)[0], x_start, x_t)


def test_a_product_over_the_batch_is_seen(nb):
    t = np.array([10, 500, 900])
    assert not nb.depends_on_the_batch(nb.gathered_product, COSINE, t)
    assert nb.depends_on_the_batch(nb.product_of_gathered, COSINE, t)
    np.testing.assert_allclose(
        nb.gathered_product(COSINE, t), [np.prod(1 - COSINE.betas[: one + 1]) for one in t]
    )


def gaussian(nb):
    return diffusion.Denoiser(
        lambda inputs: nb.exact_gaussian(inputs, COSINE, 0.4, 0.3), COSINE, "noise", clip=False
    )


def test_the_right_walk_is_the_packages_and_the_wrong_ones_are_not(nb):
    x_T, times = RNG.normal(size=(4000, 1)), np.arange(999, 0, -25)
    known, right = gaussian(nb), "all but the last"

    def same_dice():  # the package draws from a branch of what a seed gives
        return np.random.default_rng(5).spawn(1)[0]

    walks = {
        place: nb.walk_back(known, x_T, times, noise_after=place, seed=same_dice())
        for place in (right, "every", "none")
    }
    package = diffusion.ddpm_sample(known, x_T, steps=times, seed=5)
    np.testing.assert_allclose(walks[right], package, atol=1e-5)
    added = (walks["every"] - walks[right]).std()
    assert added == pytest.approx(np.sqrt(1 - COSINE.alphas_cumprod[times[-1]]), rel=0.05)
    assert walks["none"].std() < 0.7 * walks[right].std()


def test_guesses_leave_the_range_only_without_clipping(denoiser):
    noise = np.random.default_rng(15).standard_normal((4, 28, 28, 1))
    wild = diffusion.Denoiser(denoiser._network, COSINE, clip=False)
    for one, inside in ((denoiser, True), (wild, False)):
        way = diffusion.trajectory(one, noise, labels=np.arange(4), steps=5, guidance=6.0)
        assert bool(np.abs(way.x_start).max() <= 1) is inside


# --- the shipped network, and what is said about it


def test_the_card_is_of_this_recipe(nb, card):
    assert len(card["history"]["loss"]) == nb.EPOCHS == card["recipe"]["epochs"]
    names = ("batch_size", "peak", "policy", "ema_decay", "no_label_share")
    assert all(card["recipe"][name] == getattr(nb, name.upper()) for name in names)
    assert card["test"]["steps"] == nb.SOLVER_STEPS and card["test"]["guidance"] == nb.GUIDANCE


def test_the_shipped_network_draws_what_the_card_says(nb, card, denoiser):
    """In float32; the card's digits were drawn in half precision."""
    pictures = nb.draw_digits(denoiser, 250)
    few, found = card["test"]["few"], nb.rate(pictures)
    assert found["accuracy"] == pytest.approx(few["accuracy"], abs=0.03)
    floor = judge.load().real(250)["frechet"]
    assert found["frechet"] < floor + 0.5 * few["frechet"]
    assert metrics.class_coverage(judge.load().labels(pictures))["present"] == 10


def test_recorded_results_reach_their_marks(card):
    test, gan = card["test"], card["test"]["gan"]
    assert test["n"] == test["real"]["5000"]["n"] == gan["n"] == 5_000
    assert test["steps"] * 2 <= 20  # with guidance a step is two calls
    assert test["accuracy"] > 0.98
    curve = {(row["sampler"], row["steps"]): row["frechet"] for row in test["curve"]}
    floor = test["real"]["500"]["frechet"]
    assert all(floor < distance < floor + 0.5 for distance in curve.values())
    guided = {row["guidance"]: row for row in test["guided"]}
    assert guided[1.5]["precision"] < guided[3.0]["precision"] + 0.05
    assert guided[3.0]["recall"] < guided[1.5]["recall"]


def claims(card):
    """Every sentence with a number from a recorded run, made from the record."""
    test, gan = card["test"], card["test"]["gan"]
    real, few = test["real"]["5000"], test["real"]["500"]
    curve = {(row["sampler"], row["steps"]): row for row in test["curve"]}
    guided = {row["guidance"]: row for row in test["guided"]}
    plain, some, much = curve["DPM-Solver++", 10], guided[1.5], guided[3.0]
    return [
        f"real digits, as many, are at {few['frechet']:.2f}",
        f"the precision from {plain['precision']:.1%} to {some['precision']:.1%}",
        f"asked for from {plain['accuracy']:.1%} to {some['accuracy']:.1%}",
        f"falls from {plain['recall']:.1%} to {some['recall']:.1%}",
        f"At 3 it is {much['recall']:.1%}",
        f"is {much['frechet']:.2f} instead of {some['frechet']:.2f}",
        f"the distance is {test['frechet']:.2f}; the floor of real digits is "
        f"{real['frechet']:.2f}, and the GAN is at {gan['frechet']:.2f}.",
        f"are {test['precision']:.1%} and {test['recall']:.1%}, against {real['precision']:.1%} "
        f"and {real['recall']:.1%} for real digits and {gan['precision']:.1%} and "
        f"{gan['recall']:.1%} for the GAN's",
        f"takes {test['accuracy']:.2%} of them for what was asked for",
        f"DPM-Solver++ is at {curve['DPM-Solver++', 5]['frechet']:.2f} and DDIM at "
        f"{curve['DDIM', 5]['frechet']:.2f}; with 20 they are at "
        f"{curve['DPM-Solver++', 20]['frechet']:.2f} and {curve['DDIM', 20]['frechet']:.2f}",
        f"at {curve['DDPM', 20]['frechet']:.2f}.",
    ]


def test_prose_quotes_the_record(nb, card):
    text = "\n".join(c.source for c in read("06_diffusion").cells if c.cell_type == "markdown")
    for claim in claims(card):
        assert claim in text, f"the notebook does not say {claim!r}"
    assert f"The last {nb.HELD_OUT:,}" in text and f"{60_000 - nb.HELD_OUT:,} to learn" in text
    assert nb.EPOCHS == 9 and "nine epochs" in text
    assert np.sum(schedules.linear().snr < 0.01) > 300  # the title of a figure


def test_readme_quotes_the_record(card):
    text = " ".join((NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8").split())
    test = card["test"]
    for claim in (
        f"{card['parameters']:,} weights",
        f"Fréchet distance of {test['frechet']:.2f}, with 20 calls of the network for each",
        f"{test['accuracy']:.2%} are what was asked for",
    ):
        assert claim in text, f"the README does not say {claim!r}"
