"""Pictures as sequences: alphabets, likelihoods that sum to one, and samplers that agree."""

import itertools

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from keras import layers

from course_utils import pixels
from course_utils.layers import GatedActivation, MaskedConv2D, StackConv2D
from course_utils.pixels import BLOCKS, GREY, INK

RNG = np.random.default_rng(0)


def shaken(model, seed=0, size=0.5):
    """Give a model weights so large that each symbol depends on those before it."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" not in weight.path and "variance" not in weight.path:
            weight.assign(rng.normal(0, size, weight.shape))
    return model


def masked(shape=(4, 5, 1), num_levels=2, channels=6):
    inputs = keras.Input(shape)
    x = MaskedConv2D(channels, 5, "A", activation="relu")(inputs)
    x = MaskedConv2D(channels, 3, "B", activation="relu")(x)
    x = MaskedConv2D(channels, (3, 1), "B", activation="tanh")(x)
    return shaken(keras.Model(inputs, layers.Conv2D(num_levels, 1)(x)))


def gated(shape=(4, 5, 1), num_levels=2, channels=4, classes=3, depth=2):
    """Build the two stacks of van den Oord et al. 2016, told of a class."""
    seen, label = keras.Input(shape), keras.Input((), dtype="int32")
    v = StackConv2D(channels, (2, 5), "vertical", "A")(seen)
    h = layers.Add()([StackConv2D(channels, (1, 3), "horizontal", "A")(seen), v])
    for _ in range(depth):
        told = layers.Embedding(classes, 2 * channels)(label)
        told = layers.Reshape((1, 1, 2 * channels))(told)
        above = StackConv2D(2 * channels, (2, 3), "vertical")(v)
        v = layers.Add()([v, GatedActivation()(layers.Add()([above, told]))])
        left = StackConv2D(2 * channels, (1, 2), "horizontal")(h)
        here = layers.Add()([left, layers.Conv2D(2 * channels, 1)(v), told])
        h = layers.Add()([h, layers.Conv2D(channels, 1)(GatedActivation()(here))])
    return shaken(keras.Model([seen, label], layers.Conv2D(num_levels, 1)(layers.ReLU()(h))))


def pictures_of(alphabet, n, rows, columns, seed=0):
    symbols = np.random.default_rng(seed).integers(0, alphabet.num_levels, (n, rows, columns))
    return alphabet.decode(symbols), symbols


def all_pictures(rows, columns):
    """Return every picture of ink and paper there is, and its symbols."""
    symbols = np.array(list(itertools.product([0, 1], repeat=rows * columns)))
    symbols = symbols.reshape(-1, rows, columns).astype(np.int32)
    return symbols[..., None].astype(np.float32), symbols


# --- alphabets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alphabet", [INK, BLOCKS, GREY])
def test_alphabets_turn_symbols_into_pictures_and_back(alphabet):
    pictures, symbols = pictures_of(alphabet, 3, 4, 5)
    side = alphabet.side
    assert pictures.shape == (3, 4 * side, 5 * side, 1) and pictures.dtype == np.float32
    assert pictures.min() >= 0 and pictures.max() <= 1
    seen, found = alphabet.encode(pictures)
    np.testing.assert_array_equal(found, symbols)
    assert found.dtype == tf.int32 and seen.dtype == tf.float32
    np.testing.assert_allclose(seen, alphabet.look_up(symbols), atol=1e-6)
    assert seen.shape == (3, 4, 5, side * side)


def test_a_block_is_a_number_in_base_two():
    pictures, symbols = pictures_of(BLOCKS, 1, 2, 3)
    for row in range(2):
        for column in range(3):
            block = pictures[0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2, 0]
            bits = "".join(str(int(pixel)) for line in block for pixel in line)
            assert int(bits, 2) == symbols[0, row, column]


def test_levels_are_paper_first_and_ink_last():
    assert (INK.num_levels, BLOCKS.num_levels, GREY.num_levels) == (2, 16, 256)
    ends = np.array([[[0, 255]]])
    np.testing.assert_allclose(GREY.decode(ends)[0, 0, :, 0], [0, 1])
    np.testing.assert_allclose(GREY.look_up(ends)[0, 0, :, 0], [-1, 1])


# --- likelihoods ---------------------------------------------------------------------------------


def test_probabilities_of_all_pictures_sum_to_one():
    pictures, _ = all_pictures(2, 2)
    assert len(pictures) == 2**4
    found = pixels.log_likelihood(masked((2, 2, 1)), INK, pictures, batch_size=7)
    assert found.shape == (16,) and found.dtype == np.float64
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-6)
    assert np.ptp(found) > 1


def test_probabilities_given_a_class_and_without():
    model, (pictures, _) = gated((2, 2, 1)), all_pictures(2, 2)
    each = pixels.class_log_likelihoods(model, INK, pictures)
    assert each.shape == (16, 3)
    np.testing.assert_allclose(np.exp(each).sum(axis=0), 1, atol=1e-6)
    labels = np.arange(16) % 3
    given = pixels.log_likelihood(model, INK, pictures, labels)
    np.testing.assert_allclose(given, each[np.arange(16), labels], atol=1e-6)
    marginal = pixels.log_likelihood(model, INK, pictures)
    np.testing.assert_allclose(np.exp(marginal), np.exp(each).mean(axis=1), rtol=1e-6)
    assert np.exp(marginal).sum() == pytest.approx(1, abs=1e-6)


def test_likelihood_is_the_product_of_the_conditionals():
    """Each factor from a forward pass in which the symbol and all later ones are unknown."""
    model = masked((3, 2, 1))
    pictures, symbols = pictures_of(INK, 1, 3, 2, seed=4)
    total, past = 0.0, np.zeros((1, 3, 2, 1), np.float32)
    for row, column in np.ndindex(3, 2):
        logits = model(past).numpy()[0, row, column].astype(np.float64)
        total += scipy.special.log_softmax(logits)[symbols[0, row, column]]
        past[0, row, column] = pictures[0, row, column]
    assert pixels.log_likelihood(model, INK, pictures)[0] == pytest.approx(total, abs=1e-5)


def test_likelihoods_refuse_labels_that_do_not_fit():
    pictures, _ = pictures_of(INK, 2, 4, 5)
    with pytest.raises(ValueError, match="takes no labels"):
        pixels.log_likelihood(masked(), INK, pictures, [0, 1])
    with pytest.raises(ValueError, match="needs a model that takes labels"):
        pixels.class_log_likelihoods(masked(), INK, pictures)
    with pytest.raises(ValueError, match=r"one for each of 2 pictures; received \(3,\)"):
        pixels.log_likelihood(gated(), INK, pictures, [0, 1, 2])
    with pytest.raises(ValueError, match=r"in \[0, 3\); received 0 to 3"):
        pixels.log_likelihood(gated(), INK, pictures, [0, 3])


# --- samplers ------------------------------------------------------------------------------------


def agree(model, alphabet, **options):
    """Draw with both samplers, assert that every symbol is the same, and return the symbols."""
    found = pixels.PixelSampler(model, alphabet).sample(**options)
    expected = pixels.naive_sample(model, alphabet, **options)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32
    return found


def test_one_symbol_is_the_number_of_cumulative_probabilities_not_above_u():
    """Written out for one picture, with nothing of the package but the model's layers."""
    model, rng = masked(num_levels=2), np.random.default_rng(3)
    uniforms = rng.random((1, 4, 5))
    seen = np.zeros((1, 4, 5, 1), np.float32)
    for row, column in np.ndindex(4, 5):
        p = scipy.special.softmax(model(seen).numpy()[0, row, column].astype(np.float64))
        seen[0, row, column, 0] = sum(1 for c in np.cumsum(p)[:-1] if c <= uniforms[0, row, column])
    found = pixels.PixelSampler(model, INK).sample(uniforms=uniforms)
    np.testing.assert_array_equal(found[..., None], seen)


def test_cached_and_naive_masked():
    found = agree(masked(), INK, n=6, seed=1)
    assert found.shape == (6, 4, 5) and 0.1 < found.mean() < 0.9


def test_cached_and_naive_many_levels():
    model = masked((3, 4, 1), num_levels=256)
    assert len(np.unique(agree(model, GREY, n=4, seed=2))) > 10


def test_cached_and_naive_gated_with_classes_and_blocks():
    model = gated((4, 5, 4), num_levels=16)
    uniforms = np.repeat(RNG.random((1, 4, 5)), 3, axis=0)
    found = agree(model, BLOCKS, labels=np.arange(3), uniforms=uniforms)
    assert np.any(found[0] != found[1])  # the class alone differs
    assert np.all(agree(model, BLOCKS, labels=1, n=2, seed=0) == agree(
        model, BLOCKS, labels=[1, 1], seed=0))  # fmt: skip
    agree(model, BLOCKS, n=4, seed=0)  # classes are drawn


@pytest.mark.parametrize("temperature", [0, 0.5, 2.0])
def test_cached_and_naive_with_temperature(temperature):
    agree(masked(), INK, n=3, seed=1, temperature=temperature)


def test_cached_and_naive_with_every_kind_of_layer():
    inputs = keras.Input((4, 5, 1))
    x = layers.Rescaling(2.0, -1.0)(inputs)
    x = layers.Dropout(0.5)(MaskedConv2D(4, 3, "A")(x))
    wide = MaskedConv2D(4, 3, "B", activation="silu")(x)
    v = StackConv2D(4, (2, 3), "vertical", "A")(x)  # features of rows above
    v = layers.LeakyReLU()(StackConv2D(4, (2, 1), "vertical", "B")(layers.LayerNormalization()(v)))
    h = StackConv2D(4, (1, 2), "horizontal", "B", use_bias=False)(v)
    x = layers.Concatenate()([wide, layers.BatchNormalization()(v), h])
    x = layers.Activation("elu")(layers.Dense(4)(x))
    x = layers.Multiply()([x, layers.Activation("sigmoid")(MaskedConv2D(4, 1, "B")(x))])
    x = layers.Subtract()([x, MaskedConv2D(4, 1, "A")(x)])  # nothing but a bias
    model = shaken(keras.Model(inputs, layers.Conv2D(2, 1)(layers.ReLU(max_value=2.0)(x))))
    found = agree(model, INK, n=5, seed=3)
    assert 0.05 < found.mean() < 0.95


def test_known_pixels_are_kept_and_blocks_drawn_among_what_agrees():
    model = gated((3, 3, 4), num_levels=16)
    pictures, _ = pictures_of(BLOCKS, 4, 3, 3, seed=1)
    known = RNG.random((4, 6, 6, 1)) < 0.4
    found = agree(model, BLOCKS, labels=[0, 1, 2, 0], seed=1, pictures=pictures, known=known)
    drawn = BLOCKS.decode(found)
    np.testing.assert_array_equal(drawn[known], pictures[known])
    assert np.any(drawn[~known] != pictures[~known])
    same = agree(model, BLOCKS, labels=0, n=4, seed=1, pictures=pictures[:1], known=known[:1])
    np.testing.assert_array_equal(
        BLOCKS.decode(same)[:, known[0]], pictures[:1][:, known[0]].repeat(4, 0)
    )


def test_half_known_blocks_follow_the_renormalised_distribution():
    """The first block: its upper left pixel is ink, the others are to be drawn."""
    model = masked((1, 1, 4), num_levels=16)
    logits = model(np.zeros((1, 1, 1, 4), np.float32)).numpy()[0, 0, 0]
    p = scipy.special.softmax(logits.astype(np.float64)) * (np.arange(16) >= 8)
    known = np.zeros((1, 2, 2, 1), bool)
    known[0, 0, 0] = True
    n = 20_000
    found = pixels.PixelSampler(model, BLOCKS).sample(
        n=n, seed=0, pictures=known.astype(np.float32), known=known
    )
    expected = n * p / p.sum()
    counts = np.bincount(found.ravel(), minlength=16)
    assert not counts[:8].any()
    assert np.all(np.abs(counts - expected)[8:] < 5 * np.sqrt(expected[8:]) + 1)


def test_known_pixels_that_the_model_holds_for_impossible():
    model = masked((2, 2, 1))
    model.layers[-1].bias.assign([2000.0, -2000.0])  # ink has probability zero in any precision
    known = np.ones((1, 2, 2, 1), bool)
    found = agree(model, INK, seed=0, pictures=known.astype(np.float32), known=known)
    assert found.all()


def test_frequencies_are_probabilities():
    model, (pictures, symbols) = masked((2, 2, 1)), all_pictures(2, 2)
    p, n = np.exp(pixels.log_likelihood(model, INK, pictures)), 20_000
    found = pixels.PixelSampler(model, INK).sample(n=n, seed=5)
    powers = 2 ** np.arange(3, -1, -1)
    counts = np.bincount(found.reshape(n, 4) @ powers, minlength=16)
    assert np.all(np.abs(counts - n * p) < 5 * np.sqrt(n * p) + 1)
    assert (symbols.reshape(16, 4) @ powers == np.arange(16)).all()


def test_temperature_divides_the_logits_and_zero_takes_the_best():
    model = masked()
    uniforms = RNG.random((3, 4, 5))
    found = pixels.PixelSampler(model, INK).sample(uniforms=uniforms, temperature=0.5)
    for weight in model.layers[-1].weights:
        weight.assign(2 * weight)
    np.testing.assert_array_equal(pixels.PixelSampler(model, INK).sample(uniforms=uniforms), found)
    best = pixels.PixelSampler(model, INK).sample(uniforms=uniforms, temperature=0)
    assert np.all(best == best[0])
    logits = model(INK.look_up(best)).numpy()
    np.testing.assert_array_equal(logits.argmax(axis=-1), best)


def test_the_callback_follows_the_rows_and_can_stop():
    sampler, rows = pixels.PixelSampler(masked(), INK), []

    def callback(row, symbols):
        rows.append((row, symbols))
        return row < 2

    found = sampler.sample(n=2, seed=1, callback=callback)
    assert [row for row, _ in rows] == [0, 1, 2]
    whole = sampler.sample(n=2, seed=1)
    for row, symbols in rows:
        np.testing.assert_array_equal(symbols[:, : row + 1], whole[:, : row + 1])
        assert not symbols[:, row + 1 :].any()
    np.testing.assert_array_equal(found, rows[-1][1])


def test_a_sampler_follows_a_model_that_learns_on():
    model = masked()
    sampler = pixels.PixelSampler(model, INK)
    before = sampler.sample(n=4, seed=0)
    shaken(model, seed=9)
    after = sampler.sample(n=4, seed=0)
    assert np.any(before != after)
    np.testing.assert_array_equal(after, pixels.PixelSampler(model, INK).sample(n=4, seed=0))


def test_a_saved_model_draws_the_same(tmp_path):
    model = gated((4, 5, 4), num_levels=16)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    options = {"labels": [2, 0], "seed": 3}
    np.testing.assert_array_equal(
        pixels.PixelSampler(loaded, BLOCKS).sample(**options),
        pixels.PixelSampler(model, BLOCKS).sample(**options),
    )


# --- what a sampler refuses ----------------------------------------------------------------------


def build(make):
    inputs = keras.Input((4, 5, 1))
    return keras.Model(inputs, layers.Conv2D(2, 1)(make(inputs)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (layers.Conv2D(4, 3, padding="same", name="wide"), "'wide' .Conv2D. cannot be computed"),
        (layers.BatchNormalization(axis=1, name="norm"), "'norm'"),
        (MaskedConv2D(4, 3, "B", name="leak"), "'leak' sees what it should predict"),
        (StackConv2D(4, (2, 3), "vertical", "B", name="leak"), "'leak' sees"),
        (StackConv2D(4, (1, 3), "horizontal", "B", name="leak"), "'leak' sees"),
        (layers.ReLU(), "depend on the very place"),
        (
            lambda x: StackConv2D(4, (2, 3), name="right")(MaskedConv2D(4, 3, "A")(x)),
            "'right' sees",  # to the right in its own row, where features know the place's left
        ),
        (
            lambda x: layers.Add()([MaskedConv2D(1, 3, "A")(x), x]),
            "depend on the very place",
        ),
    ],
)
def test_a_sampler_names_the_layer_that_it_cannot_compute(make, message):
    with pytest.raises(ValueError, match=message):
        pixels.PixelSampler(build(make), INK)


def test_what_is_told_of_the_label_must_be_the_same_everywhere():
    seen, label = keras.Input((2, 2, 1)), keras.Input((), dtype="int32")
    told = layers.Reshape((2, 2, 3), name="map")(layers.Embedding(3, 12)(label))
    x = layers.Add(name="sum")([MaskedConv2D(3, 3, "A")(seen), told])
    with pytest.raises(ValueError, match=r"'sum' is told .* 'map' makes another"):
        pixels.PixelSampler(keras.Model([seen, label], layers.Conv2D(2, 1)(x)), INK)


def test_other_models_and_alphabets_are_refused():
    with pytest.raises(ValueError, match="logits of 2 symbols, the alphabet has 16"):
        pixels.PixelSampler(masked(), BLOCKS)
    vector = keras.Input((3,))
    with pytest.raises(ValueError, match="functional model from pictures"):
        pixels.PixelSampler(keras.Model(vector, layers.Dense(2)(vector)), INK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "must not be negative; received -1.0"),
        ({"uniforms": np.ones((1, 4, 5))}, r"lie in \[0, 1\)"),
        ({"uniforms": np.zeros((1, 5, 4))}, r"shape \(1, 4, 5\)"),
        ({"labels": [0]}, "takes no labels"),
        ({"pictures": np.zeros((1, 4, 5, 1))}, "go together"),
        (
            {"pictures": np.zeros((2, 4, 5, 1)), "known": np.zeros((1, 4, 4, 1), bool)},
            r"known must have the shape \(2, 4, 5, 1\)",
        ),
        ({"pictures": np.zeros((1, 4, 5, 1)), "known": np.zeros((1, 4, 5, 1))}, "must be bool"),
    ],
)
def test_a_sampler_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        pixels.PixelSampler(masked(), INK).sample(**options)


# --- completion ----------------------------------------------------------------------------------


def posterior(model, picture, known, label=None):
    """Return every picture that agrees with what is known, and its probability, by enumeration."""
    pictures, symbols = all_pictures(*picture.shape[:2])
    agrees = (pictures == picture)[:, known].all(axis=1)
    labels = None if label is None else np.full(len(pictures), label)
    p = np.exp(pixels.log_likelihood(model, INK, pictures, labels)) * agrees
    return symbols, p / p.sum()


def frequencies(found):
    places = found.shape[1] * found.shape[2]
    codes = found.reshape(len(found), places) @ 2 ** np.arange(places - 1, -1, -1)
    return np.bincount(codes, minlength=2**places) / len(found)


def distance(p, q):
    return np.abs(p - q).sum() / 2  # total variation


HOLE = np.array([[1, 0, 0], [0, 0, 1], [1, 1, 1]], bool)[..., None]  # True where it is known
GIVEN = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 1]], np.float32)[..., None]


def test_completions_follow_the_posterior():
    model = shaken(masked((3, 3, 1), channels=4), seed=1, size=1.0)
    _, p = posterior(model, GIVEN, HOLE)
    sampler, n = pixels.PixelSampler(model, INK), 1000
    found = pixels.complete(sampler, GIVEN[None], HOLE[None], n=n, seed=0, particles=40)
    assert found.shape == (n, 3, 3) and found.dtype == np.int32
    np.testing.assert_array_equal(found[:, HOLE[..., 0]], np.tile(GIVEN[HOLE], (n, 1)))
    noise = np.sqrt(2 * p * (1 - p) / (np.pi * n)).sum() / 2  # expected distance of exact draws
    blind = sampler.sample(n=n, seed=0, pictures=GIVEN[None], known=HOLE[None])
    assert distance(frequencies(found), p) < 2 * noise + 0.02
    assert distance(frequencies(blind), p) > 0.1  # who does not look ahead is far away


def test_completions_without_a_label_find_the_class():
    model = gated((2, 3, 1), classes=3)
    known = np.array([[0, 0, 1], [1, 0, 1]], bool)[..., None]
    given = np.array([[0, 0, 1], [0, 0, 1]], np.float32)[..., None]
    _, p = posterior(model, given, known)
    sampler, n = pixels.PixelSampler(model, INK), 1000
    found = pixels.complete(sampler, given[None], known[None], n=n, seed=1, particles=40)
    noise = np.sqrt(2 * p * (1 - p) / (np.pi * n)).sum() / 2
    assert distance(frequencies(found), p) < 2 * noise + 0.02
    _, of_class = posterior(model, given, known, label=2)
    found = pixels.complete(sampler, given[None], known[None], 2, n=n, seed=1, particles=40)
    assert distance(frequencies(found), of_class) < 2 * noise + 0.02
    assert distance(of_class, p) > 3 * noise + 0.04  # so the test can tell them apart


def test_a_known_half_of_a_block_tells_of_the_block_before():
    """Two blocks whose upper pixels are known: the second's tell of the first's lower ones."""
    inputs = keras.Input((1, 2, 4))
    model = shaken(keras.Model(inputs, MaskedConv2D(16, 3, "A")(inputs)), size=2.0)
    known = np.zeros((1, 2, 4, 1), bool)
    known[:, 0] = True
    given = np.zeros((1, 2, 4, 1), np.float32)
    given[0, 0, 1:3] = 1
    pictures, _ = all_pictures(2, 4)
    p = np.exp(pixels.log_likelihood(model, BLOCKS, pictures))
    p *= (pictures == given)[:, known[0]].all(axis=1)
    p, n = p / p.sum(), 1000
    sampler = pixels.PixelSampler(model, BLOCKS)
    options = {"n": n, "seed": 0}
    found = BLOCKS.decode(pixels.complete(sampler, given, known, **options, particles=40))
    blind = BLOCKS.decode(sampler.sample(pictures=given, known=known, **options))
    noise = np.sqrt(2 * p * (1 - p) / (np.pi * n)).sum() / 2
    assert distance(frequencies(found[..., 0].astype(int)), p) < 2 * noise + 0.02
    assert distance(frequencies(blind[..., 0].astype(int)), p) > 3 * noise + 0.05


def test_particles_are_used_only_where_they_can_help():
    plain, told = pixels.PixelSampler(masked(), INK), pixels.PixelSampler(gated(), INK)
    known = np.ones((1, 4, 5, 1), bool)
    known[:, 2:] = False
    assert not pixels._needs_weights(plain, known, None)
    assert not pixels._needs_weights(told, known, 1) and pixels._needs_weights(told, known, None)
    assert not pixels._needs_weights(told, np.zeros_like(known), None)
    known[0, 3, 4] = True
    assert pixels._needs_weights(plain, known, None) and pixels._needs_weights(told, known, 1)
    blocks = pixels.PixelSampler(masked((4, 5, 4), 16), BLOCKS)
    known = np.ones((1, 8, 10, 1), bool)
    known[:, 4:] = False
    assert not pixels._needs_weights(blocks, known, None)
    known[:, 4] = True  # a half of each block, told after the block on its left is drawn
    assert pixels._needs_weights(blocks, known, None)


def test_resampling_keeps_particles_in_proportion_and_in_their_group():
    weights = np.log([[0.7, 0.1, 0.1, 0.1], [0.25] * 4, [0.97, 0.01, 0.01, 0.01]])
    before = weights.copy()
    wanted = np.array([True, True, False])
    kept = pixels._resample(weights, np.random.default_rng(0), wanted).reshape(3, 4)
    assert np.count_nonzero(kept[0] == 0) in (2, 3) and kept[0].max() < 4
    np.testing.assert_array_equal(kept[1:], [[4, 5, 6, 7], [8, 9, 10, 11]])
    np.testing.assert_array_equal(weights[0], 0)
    np.testing.assert_array_equal(weights[1:], before[1:])
    many = [
        pixels._resample(before.copy(), np.random.default_rng(seed), wanted)[:4]
        for seed in range(4000)
    ]
    share = np.bincount(np.concatenate(many), minlength=4) / 16_000
    np.testing.assert_allclose(share, [0.7, 0.1, 0.1, 0.1], atol=0.01)


def test_completion_of_several_pictures_shows_rows_and_can_stop():
    model = gated((3, 3, 4), num_levels=16)
    sampler = pixels.PixelSampler(model, BLOCKS)
    pictures, _ = pictures_of(BLOCKS, 3, 3, 3, seed=2)
    known = RNG.random((3, 6, 6, 1)) < 0.6
    rows = []
    found = pixels.complete(
        sampler, pictures, known, [0, 1, 2], n=3, seed=4, particles=7,
        callback=lambda row, symbols: rows.append((row, symbols)),
    )  # fmt: skip
    assert [row for row, _ in rows] == [0, 1, 2]
    np.testing.assert_array_equal(BLOCKS.decode(found)[known], pictures[known])
    np.testing.assert_array_equal(rows[-1][1], found)
    again = pixels.complete(sampler, pictures, known, [0, 1, 2], n=3, seed=4, particles=7)
    np.testing.assert_array_equal(again, found)
    rows.clear()
    pixels.complete(
        sampler, pictures, known, n=3, seed=4, particles=7,
        callback=lambda row, symbols: rows.append(row) or row < 1,
    )  # fmt: skip
    assert rows == [0, 1]
    with pytest.raises(ValueError, match="received n=3 and particles=0"):
        pixels.complete(sampler, pictures, known, n=3, particles=0)
