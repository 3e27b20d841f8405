"""What notebook 04 defines, and what it says in numbers."""

import itertools
import re

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from extract import NOTEBOOKS, load_definitions, read

from course_utils import checkpoints, data, layers, losses, metrics, samplers

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def nb():
    return load_definitions("04_vae")


@pytest.fixture(scope="module")
def digits():
    return data.load_mnist("test")[0]


@pytest.fixture(scope="module")
def maps():
    return checkpoints.load("vae-maps")


@pytest.fixture(scope="module")
def card():
    return checkpoints.card("vae")


def small(nb, draw=None, latent_dim=2):
    keras.utils.set_random_seed(0)
    return nb.build_vae(nb.build_encoder(latent_dim), nb.build_decoder(latent_dim), draw)


# --- the article's networks


def test_the_networks_are_those_of_the_article(nb):
    encoder, decoder = nb.build_encoder(2), nb.build_decoder(2)
    assert encoder.count_params() == (
        (9 * 32 + 32) + (9 * 32 * 64 + 64) + (7 * 7 * 64 * 16 + 16) + 2 * (16 * 2 + 2)
    )
    assert decoder.count_params() == (
        (2 * 3136 + 3136) + (9 * 64 * 64 + 64) + (9 * 64 * 32 + 32) + (9 * 32 + 1)
    )
    assert decoder.output_shape == (None, 28, 28, 1)
    assert decoder.get_layer("logits").activation is keras.activations.linear


def test_the_objective_is_the_negative_lower_bound(nb, digits):
    """Against SciPy, one picture and one pixel at a time, with the very draw of the model."""
    vae = small(nb)
    vae.compile(kl_weight=1.0)
    kernel = vae.get_layer("encoder").get_layer("z_mean").kernel
    kernel.assign(100 * kernel)  # so that codes cost something
    pictures = data.binarise(digits[:3])
    outputs = [value.numpy().astype("float64") for value in vae(pictures)]
    vae.call = lambda *args, **kwargs: [tf.constant(value, tf.float32) for value in outputs]
    loss, reconstruction, kl = vae.objective(pictures, training=True)
    expected, rate = [], []
    for x, mean, log_var, logits in zip(pictures, *outputs, strict=True):
        expected.append(-scipy.stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(x).sum())
        rate.append(0.5 * (mean**2 + np.exp(log_var) - log_var - 1).sum())
    assert np.mean(rate) > 2
    np.testing.assert_allclose(reconstruction, np.mean(expected), rtol=1e-4)
    np.testing.assert_allclose(kl, np.mean(rate), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(loss, np.mean(expected) + np.mean(rate), rtol=1e-4)
    vae.kl_weight.assign(4.0)
    np.testing.assert_allclose(
        vae.objective(pictures, training=True)[0], np.mean(expected) + 4 * np.mean(rate), rtol=1e-4
    )


def test_a_step_changes_every_weight_and_lowers_the_loss(nb, digits):
    vae = small(nb)
    vae.compile(optimizer=keras.optimizers.Adam(1e-3))
    before = [w.numpy() for w in vae.trainable_variables]
    pictures = tf.constant(digits[:64])
    first = float(vae.objective(pictures, training=False)[0])
    for _ in range(5):
        vae.train_step(pictures)
    for weight, old in zip(vae.trainable_variables, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path
    assert float(vae.objective(pictures, training=False)[0]) < first
    assert any("seed_generator" in v.path for v in vae.variables)  # so a resume is exact


def test_training_reports_means_over_an_epoch_and_validates(nb, digits):
    vae = small(nb)
    history = nb.train_vae(vae, digits[:512], digits[512:768], epochs=2, live=False)
    assert set(history) == {
        *("loss", "reconstruction", "kl", "seconds"),
        *("val_loss", "val_reconstruction", "val_kl"),
    }
    for row in zip(*(history[k] for k in ("loss", "reconstruction", "kl")), strict=True):
        assert row[0] == pytest.approx(row[1] + row[2], rel=1e-4)
    assert history["loss"][1] < history["loss"][0]
    found = nb.measure_map(vae, digits[512:768])
    assert found["reconstruction"] == pytest.approx(history["val_reconstruction"][-1], rel=0.01)


def test_the_mosaic_is_the_map_decoded_place_by_place(nb, maps):
    decoder = maps.get_layer("kl_1").get_layer("decoder")
    found = nb.mosaic(nb.make_draw(decoder), 4)
    grid = samplers.latent_grid(4)
    for i in range(4):
        for j in range(4):
            expected = 1 / (1 + np.exp(-decoder(grid[i, j][None]).numpy()[0, ..., 0]))
            tile = found[28 * i : 28 * (i + 1), 28 * j : 28 * (j + 1)]
            np.testing.assert_allclose(tile, expected, atol=1e-5)


def test_a_walk_begins_and_ends_at_its_places(nb):
    path = nb.walk(lambda z: tf.constant(z), np.float32([0, 1]), np.float32([2, -1]), 5)
    np.testing.assert_allclose(path, [[0, 1], [0.5, 0.5], [1, 0], [1.5, -0.5], [2, -1]])


# --- bounds


class Linear:
    """z ~ N(0, 1), x = a coin for each pixel whose logit is linear in z: integrals by SciPy."""

    slope = np.linspace(-2, 2, 784).reshape(28, 28, 1).astype("float32")

    def encoder(self, pictures):
        ones = tf.ones((len(pictures), 1))
        return 0.3 * ones, -1.0 * ones

    def decoder(self):
        z = keras.Input((1,))
        dense = keras.layers.Dense(784, use_bias=False)
        model = keras.Model(z, keras.layers.Reshape((28, 28, 1))(dense(z)))
        dense.kernel.assign(0.02 * self.slope.reshape(1, 784))
        return model


def test_log_weights_are_those_of_the_definition_and_reach_the_integral(nb, digits):
    linear = Linear()
    decoder = linear.decoder()
    pictures = data.binarise(digits[:2])
    noise = RNG.normal(size=(2, 3, 1)).astype("float32")
    found = nb.make_log_weights(linear.encoder, decoder)(pictures, noise).numpy()
    q = scipy.stats.norm(0.3, np.exp(-0.5))
    for n in range(2):
        for i in range(3):
            z = 0.3 + np.exp(-0.5) * noise[n, i, 0]
            chance = 1 / (1 + np.exp(-0.02 * linear.slope * z))
            likelihood = scipy.stats.bernoulli(chance).logpmf(pictures[n]).sum()
            expected = likelihood + scipy.stats.norm.logpdf(z) - q.logpdf(z)
            assert found[n, i] == pytest.approx(expected, abs=1e-2)
    weights = nb.all_log_weights(linear.encoder, decoder, pictures, k=40_000)
    assert weights.shape == (2, 40_000)
    steps = np.linspace(-8, 8, 4001)
    for n in range(2):
        chance = 1 / (1 + np.exp(-0.02 * linear.slope.reshape(1, 784) * steps[:, None]))
        joint = scipy.stats.bernoulli(chance).logpmf(pictures[n].reshape(1, 784)).sum(axis=1)
        joint += scipy.stats.norm.logpdf(steps)
        truth = scipy.special.logsumexp(joint) + np.log(steps[1] - steps[0])
        assert metrics.importance_weighted_bound(weights[n][None]) == pytest.approx(truth, abs=0.02)


class FixedDraw(layers.Sampling):
    """Draws with noise that is known, (pictures * draws, latent_dim)."""

    noise = RNG.normal(size=(6, 2)).astype("float32")

    def call(self, inputs):
        z_mean, z_log_var = inputs
        return z_mean + keras.ops.exp(0.5 * z_log_var) * self.noise[: z_mean.shape[0]]


def test_the_tight_objective_is_the_bound_of_several_draws(nb, digits):
    """Against SciPy, one draw at a time."""
    vae = small(nb, FixedDraw(name="draw"))
    tight = nb.TightVAE(vae.inputs, vae.outputs)
    tight.draws = 3
    tight.compile()
    pictures = data.binarise(digits[:2])
    means, log_vars = (part.numpy() for part in vae.get_layer("encoder")(pictures))
    bounds = []
    for n, (mean, log_var) in enumerate(zip(means, log_vars, strict=True)):
        q = scipy.stats.norm(mean, np.exp(0.5 * log_var))
        log_weights = []
        for noise in FixedDraw.noise[3 * n : 3 * n + 3]:
            z = mean + np.exp(0.5 * log_var) * noise
            logits = vae.get_layer("decoder")(z[None])[0].numpy().astype("float64")
            likelihood = scipy.stats.bernoulli(1 / (1 + np.exp(-logits))).logpmf(pictures[n]).sum()
            prior = scipy.stats.norm.logpdf(z).sum()
            log_weights.append(likelihood + prior - q.logpdf(z).sum())
        bounds.append(scipy.special.logsumexp(log_weights) - np.log(3))
    loss, _, kl = tight.objective(pictures, training=True)
    assert float(loss) == pytest.approx(-np.mean(bounds), rel=1e-5)
    assert float(kl) == pytest.approx(float(np.mean(losses.kl_divergence(means, log_vars))))


def test_a_tight_step_changes_every_weight(nb, digits):
    vae = small(nb)
    tight = nb.TightVAE(vae.inputs, vae.outputs)
    tight.compile(keras.optimizers.Adam(1e-3))
    before = [w.numpy() for w in tight.trainable_variables]
    for _ in range(2):
        tight.train_step(tf.constant(digits[:16]))
    for weight, old in zip(tight.trainable_variables, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path


def test_log_weights_do_not_depend_on_the_chunk(nb, digits, maps):
    net = maps.get_layer("kl_1")
    parts = net.get_layer("encoder"), net.get_layer("decoder")
    bits = data.binarise(digits[:5])
    whole = nb.all_log_weights(*parts, bits, k=4)
    np.testing.assert_allclose(nb.all_log_weights(*parts, bits, k=4, chunk=8), whole, rtol=1e-4)


def test_the_sum_over_a_grid_does_not_depend_on_the_grid(nb, digits, maps):
    net = maps.get_layer("kl_1")
    parts = net.get_layer("encoder"), net.get_layer("decoder")
    bits = data.binarise(digits[:2])
    for picture in bits:
        coarse, fine = (nb.log_probability(*parts, picture, side=side) for side in (48, 72))
        assert coarse == pytest.approx(fine, abs=0.02)


def test_the_warm_up_follows_the_budget(nb):
    class Budget:
        def progress(self):
            return self.now

    budget, vae = Budget(), small(nb)
    vae.compile()
    warm_up = nb.WarmUp(budget, until=0.2)
    warm_up.set_model(vae)
    for now, expected in ((0.0, 0.0), (0.05, 0.25), (0.2, 1.0), (0.7, 1.0)):
        budget.now = now
        warm_up.on_train_batch_begin(0)
        assert float(vae.kl_weight) == pytest.approx(expected)


# --- the shipped nets


def test_the_shipped_nets_are_those_of_the_notebook(nb, maps, card):
    assert [layer.name for layer in maps.layers if layer.name != "picture"] == [
        f"kl_{weight:g}" for weight in nb.KL_WEIGHTS
    ]
    expected = [w.shape for w in [*nb.build_encoder(2).weights, *nb.build_decoder(2).weights]]
    for weight in nb.KL_WEIGHTS:
        net = maps.get_layer(f"kl_{weight:g}")
        assert [w.shape for w in net.weights] == expected
    large = nb.build_vae(nb.build_large_encoder(nb.LARGE_DIM), nb.build_large_decoder(nb.LARGE_DIM))
    assert large.count_params() == card["parameters"]
    assert len(card["history"]["loss"]) == nb.LARGE_EPOCHS == card["recipe"]["epochs"]
    assert len(card["tight_history"]["loss"]) == nb.TIGHT_EPOCHS == card["recipe"]["tight_epochs"]
    map_card = checkpoints.card("vae-maps")
    for weight in nb.KL_WEIGHTS:
        assert len(map_card["histories"][f"{weight:g}"]["loss"]) == nb.MAP_EPOCHS
    assert [row["latent_dim"] for row in card["rates"]] == list(nb.RATE_DIMS)


def test_the_bounds_on_the_card_are_found_again(nb, card, digits):
    found = nb.measure_large(checkpoints.load("vae"), digits[:150], k=20)
    test = card["test"]
    assert test["digits"] == 10_000 and test["k"] == nb.BOUND_SAMPLES >= 100
    assert test["bound"] < test["elbo"]
    # the bound of fewer draws is a little higher; 150 digits differ from all by chance
    assert test["bound"] - 4 * found["standard_error"] < found["bound"]
    assert found["bound"] < test["elbo"] + 4 * found["standard_error"]
    assert found["bound"] < found["elbo"]


def test_an_untrained_block_of_the_large_net_is_the_identity(nb):
    x = keras.Input((7, 7, 8))
    model = keras.Model(x, nb.residual(x, "block"))
    values = RNG.normal(size=(2, 7, 7, 8)).astype("float32")
    np.testing.assert_array_equal(model(values), values)


# --- the mistakes


def test_the_averaged_divergence_is_no_bound(nb, digits):
    right = small(nb, layers.Sampling(seed=3), latent_dim=4)
    wrong = nb.AveragedVAE(right.inputs, right.outputs)
    pictures = tf.constant(digits[:20])
    for net in (right, wrong):
        net.compile()
    kl = losses.kl_divergence(*right.get_layer("encoder")(pictures))
    assert float(right.objective(pictures, True)[2]) == pytest.approx(float(np.mean(kl)), rel=1e-4)
    assert float(wrong.objective(pictures, True)[2]) == pytest.approx(
        float(np.mean(kl)) / 4, rel=1e-4
    )


def test_wrong_sampling_has_the_wrong_deviation(nb):
    mean, log_var = np.zeros((20_000, 1), "float32"), np.full((20_000, 1), -1.0, "float32")
    right = layers.Sampling(seed=0)([mean, log_var]).numpy().std()
    wrong = nb.WrongSampling()([mean, log_var]).numpy().std()
    assert right == pytest.approx(np.exp(-0.5), rel=0.03) and wrong == pytest.approx(1, rel=0.03)
    assert nb.WrongSampling()([mean, 0 * log_var]).numpy().std() == 0


def test_without_sampling_the_code_is_the_mean(nb, digits):
    vae = small(nb, nb.NoSampling())
    z_mean, _, logits = vae(digits[:2])
    np.testing.assert_allclose(logits, vae.get_layer("decoder")(z_mean), atol=1e-5)


# --- numbers


def test_the_card_is_what_the_readme_says(nb, card):
    text = " ".join((NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8").split())
    test = card["test"]
    said = re.search(r"([\d.]+) nats \(importance-weighted bound, k = (\d+)[;)]", text)
    assert float(said[1]) == pytest.approx(test["bound"], abs=0.006) and int(said[2]) == test["k"]
    assert f"lower bound {test['elbo']:.2f}" in text
    assert f"{card['parameters']:,} weights" in text


def test_the_prose_of_the_notebook_agrees_with_its_parameters(nb, card):
    prose = " ".join(cell.source for cell in read("04_vae").cells if cell.cell_type == "markdown")
    assert f"for {nb.LARGE_EPOCHS} epochs" in prose
    assert f"last {nb.HELD_OUT:,}" in prose
    assert f"{60_000 - nb.HELD_OUT:,} digits" in prose
    rates = {row["latent_dim"]: row["rate"] + row["distortion"] for row in card["rates"]}
    assert "falls by a third" in prose
    assert 1 - rates[16] / rates[2] == pytest.approx(1 / 3, abs=0.03)
    assert abs(rates[64] / rates[32] - 1) < 0.03 and abs(rates[32] / rates[16] - 1) < 0.06


def test_a_nat_is_worth_what_lies_between_the_weights(nb):
    test = checkpoints.card("vae-maps")["test"]
    weights = sorted(nb.KL_WEIGHTS)
    for low, high in itertools.pairwise(weights):
        worth = nb.price(test[f"{high:g}"], test[f"{low:g}"])
        assert low < worth < high, (low, high, worth)
    assert nb.price({"reconstruction": 150.0, "kl": 4.0}, {"reconstruction": 144.0, "kl": 6.0}) == 3
    assert test["25"]["kl"] < 0.5
