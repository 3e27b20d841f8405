"""What notebook 03 defines, and what it says in numbers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from extract import NOTEBOOKS, load_definitions, read
from keras import ops
from scipy.spatial.distance import jensenshannon

from course_utils import checkpoints, data, losses, metrics, training

RNG = np.random.default_rng(0)
DIGITS = RNG.random((64, 28, 28, 1)).astype("float32") * 2 - 1
LABELS = (np.arange(64) % 10).astype("int32")


@pytest.fixture(scope="module")
def nb():
    return load_definitions("03_gan")


@pytest.fixture(scope="module")
def card():
    return checkpoints.card("gan")


@pytest.fixture
def small(nb, monkeypatch):
    """The notebook with small networks, small batches and a cache of its own."""
    generator, discriminator = nb.build_generator, nb.build_discriminator
    monkeypatch.setattr(nb, "build_generator", lambda: generator((8, 8, 4)))
    monkeypatch.setattr(nb, "build_discriminator", lambda: discriminator((4, 4, 4)))
    monkeypatch.setattr(nb, "BATCH_SIZE", 16)
    monkeypatch.setattr(nb, "R1_PICTURES", 4)
    return nb


# --- the article's GAN -----------------------------------------------------------------------


def test_article_networks_are_the_articles(nb):
    generator, discriminator = nb.build_article_generator(), nb.build_article_discriminator()
    units = [x.units for x in generator.layers if isinstance(x, keras.layers.Dense)]
    assert units == [256, 512, 1024, 784]
    norms = [x for x in generator.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert [x.momentum for x in norms] == [0.8] * 3
    assert generator.input_shape == (None, 100) and generator.output_shape == (None, 28, 28, 1)
    units = [x.units for x in discriminator.layers if isinstance(x, keras.layers.Dense)]
    assert units == [512, 256, 1]
    leaks = [
        x.negative_slope
        for network in (generator, discriminator)
        for x in network.layers
        if isinstance(x, keras.layers.LeakyReLU)
    ]
    assert leaks == pytest.approx([0.2] * 5)
    assert discriminator.layers[-1].activation is keras.activations.linear  # logits
    assert nb.ARTICLE_STEPS == 10_000 and nb.BATCH_SIZE == 64


def test_each_half_of_the_step_moves_its_own_network_and_no_other(nb):
    pair = nb.build_article_generator(), nb.build_article_discriminator()
    for options, expected in (
        ({"g_steps": 0}, (0, 1)),
        ({"d_steps": 0}, (1, 0)),
        ({}, (1, 1)),
    ):
        moved = nb.moved_by(nb.make_article_step(*pair, DIGITS, **options), *pair)
        assert tuple(moved.values()) == expected


def test_moved_by_counts_tensors(nb):
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)], name="tiny")
    moved = nb.moved_by(lambda: network.weights[1].assign_add([1.0]), network)
    assert moved == {"tiny": 0.5}


def test_the_articles_program_freezes_the_discriminator(nb):
    """The mistake of Break it, and the invariant that catches it."""
    loop, generator, discriminator = nb.make_article_loop(DIGITS)
    before = [weight.numpy() for weight in discriminator.weights]
    with pytest.warns(UserWarning, match="does not have any trainable weights"):
        moved = nb.moved_by(lambda: [loop() for _ in range(3)], generator, discriminator)
    assert moved == {generator.name: 1, discriminator.name: 0}
    for weight, old in zip(discriminator.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), old)


def test_article_training_yields_and_records(nb):
    pair = nb.build_article_generator(), nb.build_article_discriminator()
    history = {}
    step = nb.make_article_step(*pair, DIGITS)
    states = list(nb.article_training(step, pair[0], 5, history, every=2))
    assert [state.share for state in states] == [0, 0.4, 0.8, 1]
    assert history["step"] == [2, 4, 5]
    names = {"step", "d_loss", "g_loss", "real_accuracy", "fake_accuracy"}
    assert set(history) == names and {len(values) for values in history.values()} == {3}
    assert states[0].losses == {} and states[1].losses["d_loss"] == history["d_loss"][0]
    assert states[-1].image.shape == (58, 478, 3)
    assert states[-1].image.min() >= 0 and states[-1].image.max() <= 1
    assert np.any(states[0].image != states[-1].image)


def test_note_frechet_measures_at_its_steps(nb, monkeypatch):
    monkeypatch.setattr(nb, "draw_article", lambda generator: generator)
    history = {}
    features = RNG.normal(size=(50, 3))

    class Referee:
        def features(self, pictures):
            return features + pictures

    def states():
        for step in (0, 500, 1000, 1500, 2000):
            if step:
                history.setdefault("step", []).append(step)
            yield step

    passed = list(nb.note_frechet(states(), 2.0, history, Referee(), features))
    assert passed == [0, 500, 1000, 1500, 2000]
    assert history["at"] == [1000, 2000]
    np.testing.assert_allclose(history["frechet"], [12.0, 12.0], rtol=1e-6)  # 3 axes moved by 2


def test_the_speed_is_measured_in_turns(nb, monkeypatch):
    calls = []
    monkeypatch.setattr(nb, "make_article_loop", lambda images: (lambda: calls.append("old"),))
    monkeypatch.setattr(nb, "make_article_step", lambda *_: lambda: calls.append("new"))
    speed = nb.compare_speed(DIGITS, rounds=2, counts=(2, 3))
    warm_up = ["old"] * 3 + ["new"] * 3
    assert calls == warm_up + (["old"] * 2 + ["new"] * 3) * 2
    assert set(speed) == {"article", "ours", "ratio", "ratios"} and len(speed["ratios"]) == 2


# --- the conditional GAN ---------------------------------------------------------------------


def test_the_discriminator_is_a_projection(nb):
    """d(x, y) - d(x, y') is the product of the features with the difference of two directions."""
    network = nb.build_discriminator((4, 4, 4))
    pictures = DIGITS[:3]
    dense = [x for x in network.layers if isinstance(x, keras.layers.Dense)]
    directions = next(x for x in dense if not x.use_bias).kernel.numpy()  # (10, 128)
    hidden = next(x for x in dense if x.units == 128 and x.use_bias)
    before = keras.Model(network.inputs[0], hidden.output)(pictures).numpy()
    features = np.maximum(before, 0.2 * before)
    for a, b in ((0, 1), (3, 9)):
        first, second = (
            network([pictures, np.repeat(nb.one_hot([c]), 3, axis=0)]).numpy()[:, 0] for c in (a, b)
        )
        expected = features @ (directions[a] - directions[b])
        np.testing.assert_allclose(first - second, expected, rtol=1e-3, atol=1e-4)


def test_a_gan_step_moves_exactly_what_it_should(small):
    gan = small.make_gan(10)
    networks = gan.generator, gan.discriminator
    images, classes = tf.constant(DIGITS[:16]), tf.constant(small.one_hot(LABELS[:16]))
    moved = small.moved_by(lambda: small.discriminator_step(gan, images, classes), *networks)
    assert moved["generator"] == 0 and moved["discriminator"] == 1
    moved = small.moved_by(lambda: small.generator_step(gan, classes), *networks)
    assert moved["generator"] > 0.9 and moved["discriminator"] == 0


def test_the_discriminator_step_descends_its_loss_with_the_penalty(small):
    """With plain gradient descent a step is minus the rate times the gradient, found by hand."""
    gan = small.make_gan(10)
    gan.d_optimizer = keras.optimizers.SGD(0.1)
    classes = tf.constant(small.one_hot(LABELS[:16]))
    fakes = gan.generator([tf.random.normal((16, small.LATENT_DIM)), classes])
    gan.draw = lambda _: fakes
    weights = gan.discriminator.trainable_variables
    before = [weight.numpy() for weight in weights]
    images = tf.constant(DIGITS[:16])
    with tf.GradientTape() as tape:
        real = gan.discriminator([images, classes])[:, 0]
        fake = gan.discriminator([fakes, classes])[:, 0]
        with tf.GradientTape() as inner:
            some = images[:4]
            inner.watch(some)
            logits = gan.discriminator([some, classes[:4]])
        slopes = ops.reshape(inner.gradient(logits, some), (4, -1))
        penalty = ops.mean(ops.sum(slopes**2, axis=1))
        cost = -ops.mean(ops.log(ops.sigmoid(real))) - ops.mean(ops.log(1 - ops.sigmoid(fake)))
        total = cost + small.R1_WEIGHT / 2 * penalty
    gradients = tape.gradient(total, weights)
    report = small.discriminator_step(gan, images, classes)
    assert float(report["d_loss"]) == pytest.approx(float(cost), rel=1e-4)
    assert float(report["real_accuracy"]) == np.mean(real.numpy() > 0)
    assert float(report["fake_accuracy"]) == np.mean(fake.numpy() < 0)
    for weight, old, gradient in zip(weights, before, gradients, strict=True):
        np.testing.assert_allclose(weight.numpy(), old - 0.1 * gradient, atol=1e-5)


def test_the_average_follows_its_equation(small):
    gan = small.make_gan(10)
    slow = [weight.numpy().astype("float64") for weight in gan.average.weights]
    batches = data.batches(DIGITS, LABELS, batch_size=16)
    for step, batch in enumerate(batches, start=1):
        gan.train_step(batch)
        decay = min(small.EMA_DECAY, (1 + step) / (10 + step))
        slow = [
            decay * a + (1 - decay) * w.numpy()
            for a, w in zip(slow, gan.generator.weights, strict=True)
        ]
        for weight, expected in zip(gan.average.weights, slow, strict=True):
            np.testing.assert_allclose(weight.numpy(), expected, atol=1e-6)


def gan_state(gan):
    variables = [*gan.optimizer.variables, *gan.d_optimizer.variables]
    networks = gan.generator, gan.discriminator, gan.average
    return [v.numpy() for v in [*variables, *(w for n in networks for w in n.weights)]]


def test_resume_is_exact(small, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    batches = small.digit_batches(DIGITS, LABELS)
    whole, cut, resumed = (small.make_gan(3 * len(batches)) for _ in range(3))
    expected = training.fit(whole, batches, epochs=3, live=False)
    training.fit(cut, batches, epochs=2, live=False, resume="gan")
    history = training.fit(resumed, batches, epochs=3, live=False, resume="gan")
    assert history["d_loss"] == expected["d_loss"] and history["g_loss"] == expected["g_loss"]
    for a, b in zip(gan_state(resumed), gan_state(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_frechet_history_reaches_the_record(small, monkeypatch):
    monkeypatch.setattr(small, "draw_digits", lambda net: net)
    features = RNG.normal(size=(50, 3))

    class Referee:
        def features(self, net):
            return features + (1.0 if net is gan.average else 2.0)

    gan = small.make_gan(4)
    watch = small.FrechetHistory(Referee(), features, raw=True)
    batches = small.digit_batches(DIGITS, LABELS)
    history = training.fit(gan, batches, epochs=1, callbacks=[watch], live=False)
    np.testing.assert_allclose(history["frechet"], [3.0], rtol=1e-6)
    np.testing.assert_allclose(history["frechet_raw"], [12.0], rtol=1e-6)
    assert 0 <= history["measuring"][0] < history["seconds"][0]


def test_drawing_gives_as_many_of_each_class_in_range(small):
    generator = small.build_generator()
    pictures = small.draw_digits(generator, 30)
    assert pictures.shape == (30, 28, 28, 1) and pictures.min() >= 0 and pictures.max() <= 1
    z = np.random.default_rng(small.SEED).normal(size=(30, small.LATENT_DIM)).astype("float32")
    for index in (0, 13, 29):
        one = generator([z[index : index + 1], small.one_hot([index % 10])])
        np.testing.assert_allclose(pictures[index], (one[0] + 1) / 2, atol=1e-5)


# --- walks, measures and mistakes ------------------------------------------------------------


def test_jensen_shannon_is_scipys(nb):
    p, q = RNG.dirichlet(np.ones(6), size=2)
    assert nb.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q) ** 2)


def test_ink_and_slant(nb):
    bar = np.zeros((3, 28, 28, 1))
    for row in range(4, 24):
        bar[0, row, 14] = 1  # upright
        bar[1, row, 4 + (27 - row) // 2] = 0.5  # leaning to the right, paler
        bar[2, row, 4 + row // 2] = 1  # leaning to the left
    np.testing.assert_allclose(nb.ink(bar), [20, 10, 20])
    upright, right, left = nb.slant(bar)
    assert upright == pytest.approx(0, abs=1e-9) and right < -5 and left > 5
    rows, columns = np.nonzero(bar[2, ..., 0])
    assert left == pytest.approx(np.cov(rows, columns, bias=True)[0, 1])


def test_a_direction_is_found_and_classes_do_not_leak(nb):
    rng = np.random.default_rng(0)
    z, classes = rng.normal(size=(2000, 8)), np.arange(2000) % 10
    axis = np.eye(8)[3]
    found = nb.direction(z, z @ axis + 100 * classes, classes)  # classes differ by far more
    assert found @ axis / np.linalg.norm(found) > 0.95


def test_depends_on_neighbours(nb):
    codes = RNG.normal(size=(6, 100)).astype("float32")
    generator = nb.build_article_generator()
    assert not nb.depends_on_neighbours(lambda z: generator(z, training=False), codes)
    assert nb.depends_on_neighbours(lambda z: generator(z, training=True), codes)
    one_by_one = [generator(codes[i : i + 1], training=True).numpy() for i in range(3)]
    np.testing.assert_allclose(one_by_one[0], one_by_one[1], atol=1e-6)  # the code is gone


def test_gradient_norms_of_a_known_discriminator(nb):
    """With d(x) = c + w·x far below zero the ratio of the two gradients is (1 - σ(d)) / σ(d)."""
    generator = nb.build_article_generator()
    shift = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer="zeros")
    discriminator = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), shift])
    shift.kernel.assign(np.full((784, 1), 1e-4))
    shift.bias.assign([-6.0])
    codes = RNG.normal(size=(8, 100)).astype("float32")
    norms = nb.gradient_norms(generator, discriminator, codes)
    ratio = norms["non-saturating"] / norms["saturating"]
    assert ratio == pytest.approx(np.exp(6.0), rel=0.1)


def test_mode_collapse_is_seen_by_coverage(nb, monkeypatch):
    class Referee:
        def probabilities(self, pictures):
            return 0.99 * nb.one_hot(pictures) + 0.001

    monkeypatch.setattr(nb.judge, "load", lambda: Referee())
    monkeypatch.setattr(nb, "draw_article", lambda labels, count: labels)
    healthy = nb.coverage(np.arange(1000) % 10)
    collapsed = nb.coverage(np.where(np.arange(1000) < 950, 3, 7))
    assert healthy["classes"] == 10 and collapsed["classes"] == 2
    assert healthy["imbalance"] == pytest.approx(0) and collapsed["imbalance"] > 0.7
    assert healthy["score"] > 9 and collapsed["score"] < 1.5


def test_plain_makes_a_score_fit_for_a_card(nb):
    score = nb.plain({"frechet": 1.0, **metrics.class_coverage(np.arange(100) % 10)})
    assert score["shares"] == [0.1] * 10 and isinstance(score["shares"], list)


# --- the shipped generator, and what is said about it ----------------------------------------


def test_shipped_generator_is_the_notebooks(nb, card):
    built, shipped = nb.build_generator(), checkpoints.load("gan")
    assert [w.shape for w in built.weights] == [w.shape for w in shipped.weights]
    assert card["parameters"] == built.count_params() and card["bytes"] < 8_000_000
    assert card["recipe"]["epochs"] == nb.EPOCHS == len(card["history"]["frechet"])
    for name in ("batch_size", "learning_rate", "latent_dim", "r1_weight", "ema_decay"):
        assert card["recipe"][name] == getattr(nb, name.upper())


def test_shipped_generator_draws_what_the_card_says(nb, card):
    referee, shipped = nb.judge.load(), checkpoints.load("gan")
    pictures = nb.draw_digits(shipped)
    accuracy = np.mean(referee.labels(pictures) == np.arange(10_000) % 10)
    assert accuracy == pytest.approx(card["test"]["accuracy"], abs=0.002)
    test_images, _ = data.load_mnist("test")
    distance = metrics.frechet_distance(referee.features(test_images), referee.features(pictures))
    assert distance == pytest.approx(card["test"]["frechet"], abs=0.01)


def test_recorded_results_reach_their_marks(card):
    test, real, article = card["test"], card["real"], card["article"]
    assert test["n"] == real["n"] == article["score"]["n"] == 10_000
    assert test["accuracy"] > 0.98 and test["present"] == 10
    assert test["frechet"] < 2 * real["frechet"] < article["score"]["frechet"]
    assert article["steps"] == 10_000
    # trained as long, or nearly: one epoch against the article's 10,000 steps
    cost = card["step_seconds"]
    assert 60_000 // 64 * cost["conditional"] < 2 * article["steps"] * cost["article"]
    assert card["history"]["frechet"][0] < article["score"]["frechet"] / 2


def test_the_loss_of_the_notebook_is_the_packages(nb):
    assert nb.losses is losses


def claims(card):
    """Every sentence with a number from a recorded run, made from the record."""
    test, real, score = card["test"], card["real"], card["article"]["score"]
    straight, arc = test["middles"]["straight"], test["middles"]["arc"]
    r1, nothing = card["ablation"]["r1"], card["ablation"]["nothing"]
    cost, judge = card["step_seconds"], checkpoints.card("judge")
    assert r1["frechet"][-1] < nothing["frechet"][-1]
    assert arc["recall"] > straight["recall"]
    return [
        f"the recall is {straight['recall']:.1%}, of as many middles of arcs {arc['recall']:.1%}, "
        f"and of codes as they are drawn {test['recall']:.1%}",
        f"are {straight['frechet']:.2f}, {arc['frechet']:.2f} and {test['frechet']:.2f}.",
        f"The shipped generator is at {test['frechet']:.2f}, the floor of real digits at "
        f"{real['frechet']:.2f}, the article's GAN at {score['frechet']:.2f}.",
        f"of {test['precision']:.1%} and {test['recall']:.1%}, against "
        f"{real['precision']:.1%} and {real['recall']:.1%} for real digits",
        f"takes {test['accuracy']:.2%} of them for what was asked for",
        f"of real test digits it names {judge['test']['accuracy']['none']:.2%}",
        f"reaches {r1['frechet'][-1]:.2f} after three epochs, without {nothing['frechet'][-1]:.2f}",
        f"it turns {r1['frechet_raw'][0]:.2f} into {r1['frechet'][0]:.2f}",
        f"({r1['frechet_raw'][-1]:.3f} and {r1['frechet'][-1]:.3f})",
        f"or {60_000 // 64 * cost['conditional']:.0f} seconds, is at "
        f"{card['history']['frechet'][0]:.2f}",
        f"takes {10_000 * cost['article']:.0f} seconds for its 10,000 steps",
        f"costs {1000 * cost['article']:.0f} ms and one of ours "
        f"{1000 * cost['conditional']:.0f} ms",
    ]


def test_prose_quotes_the_record(card):
    text = "\n".join(c.source for c in read("03_gan").cells if c.cell_type == "markdown")
    for claim in claims(card):
        assert claim in text, f"the notebook does not say {claim!r}"


def test_readme_quotes_the_record(card):
    text = " ".join((NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8").split())
    test, real, article = card["test"], card["real"], card["article"]
    for claim in (
        f"Fréchet distance of {test['frechet']:.2f} from the test digits",
        f"real training digits are at {real['frechet']:.2f}",
        f"the article's GAN at {article['score']['frechet']:.2f}",
        f"{test['accuracy']:.2%} of them are what was asked for",
    ):
        assert claim in text, f"the README does not say {claim!r}"
