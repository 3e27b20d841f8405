"""The bundled sets, the full CIFAR-10 set, the manifest, and batches."""

import hashlib
import importlib.util
import io
import json
import shutil
import socket
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from course_utils import bundle, cifar10, data, downloads, runtime
from course_utils.data import Augment, DataError

DATA = Path(__file__).resolve().parents[1] / "data"
ENTRIES = {e["path"]: e for e in json.loads((DATA / "manifest.json").read_text("utf-8"))["files"]}


def build_script(name):
    """Import a script of data/build/."""
    sys.path.insert(0, str(DATA / "build"))
    try:
        spec = importlib.util.spec_from_file_location(
            f"build_{name}", DATA / "build" / f"{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DATA / "build"))
    return module


@pytest.fixture(scope="module")
def digits():
    return {split: data.load_mnist(split, value_range=(0, 255)) for split in ("train", "test")}


@pytest.fixture(scope="module")
def photos():
    return {split: data.load_cifar10(split, value_range=(0, 255)) for split in ("train", "test")}


@pytest.fixture
def damageable(tmp_path, monkeypatch):
    """Give a function that makes one file of an otherwise sound data folder a copy to damage."""
    folder = tmp_path / "data"
    for name in ["manifest.json", *ENTRIES]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(DATA / name)
    monkeypatch.setenv("COURSE_DATA", str(folder))

    def copy(name):
        (folder / name).unlink()
        return Path(shutil.copy(DATA / name, folder / name))

    return copy


# What is in the bundle


def test_mnist_is_the_original_bit_for_bit(digits):
    """Rebuild the four IDX files from what is loaded: their published MD5s must come out."""
    published = build_script("mnist").FILES
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = digits[split]
        header = b"\x00\x00\x08\x03" + b"".join(n.to_bytes(4, "big") for n in images.shape[:3])
        file = header + images.tobytes()
        assert hashlib.md5(file).hexdigest() == published[f"{prefix}-images-idx3-ubyte"]
        file = b"\x00\x00\x08\x01" + len(labels).to_bytes(4, "big") + labels.astype("u1").tobytes()
        assert hashlib.md5(file).hexdigest() == published[f"{prefix}-labels-idx1-ubyte"]


def test_cifar10_subset_is_balanced_and_begins_like_the_full_set(photos):
    for split, per_class in (("train", 1000), ("test", 200)):
        images, labels = photos[split]
        assert images.shape == (10 * per_class, 32, 32, 3)
        assert np.bincount(labels).tolist() == [per_class] * 10
    # no class is full so soon, so that both begin like the full set
    assert photos["train"][1][:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert photos["test"][1][:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert data.CIFAR10_CLASSES[6] == "frog"


def test_cifar10_colours_are_not_swapped(photos):
    # mean colours of the full set, in the order red, green, blue
    mean = photos["train"][0].mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.005)


def test_train_and_test_share_no_picture(photos, digits):
    for sets in (photos, digits):
        train, test = ({x.tobytes() for x in sets[split][0]} for split in ("train", "test"))
        assert not train & test


@pytest.mark.parametrize("load", [data.load_mnist, data.load_cifar10])
def test_value_ranges(load):
    stored, labels = load("test", value_range=(0, 255))
    assert stored.dtype == np.uint8
    assert labels.dtype == np.int32
    assert labels.shape == stored.shape[:1]
    for value_range, expected in (((0, 1), stored / 255), ((-1, 1), stored / 127.5 - 1)):
        images, _ = load("test", value_range=value_range)
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        assert (images.min(), images.max()) == value_range
        np.testing.assert_allclose(images, expected, atol=1e-6)


def test_defaults_are_the_training_split_from_0_to_1(digits):
    images, labels = data.load_mnist()
    assert images.shape == (60_000, 28, 28, 1)
    assert images.max() == 1
    np.testing.assert_array_equal(labels, digits["train"][1])


def test_full_mnist_is_the_bundled_one(digits):
    images, labels = data.load_mnist("test", value_range=(0, 255), subset="full")
    np.testing.assert_array_equal(images, digits["test"][0])
    np.testing.assert_array_equal(labels, digits["test"][1])


@pytest.mark.parametrize("load", [data.load_mnist, data.load_cifar10])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "val"}, 'split must be "train" or "test"; received \'val\''),
        ({"split": 0}, 'split must be "train" or "test"; received 0'),
        ({"value_range": (0, 2)}, r"value_range must be \(0, 1\), .*; received \(0, 2\)"),
        ({"value_range": None}, "value_range must be .*; received None"),
        ({"subset": "half"}, 'subset must be "bundled" or "full"; received \'half\''),
    ],
)
def test_bad_arguments_are_named(load, options, message):
    with pytest.raises(ValueError, match=message):
        load(**options)


def test_to_range_refuses_what_was_scaled_already():
    with pytest.raises(ValueError, match="pixels must be uint8; received float32"):
        data.to_range(np.zeros(3, np.float32), (0, 1))


def test_loading_needs_neither_tensorflow_nor_a_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a bundled set must not be looked for elsewhere")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(cifar10, "load", refuse)
    data.load_cifar10("test")
    data.load_mnist("test")
    import subprocess

    script = (
        "import sys; from course_utils import data; data.load_mnist('test'); "
        "assert not {'tensorflow', 'keras', 'requests', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_loading_is_quick():
    def seconds(load):
        begin = time.process_time()
        load()
        return time.process_time() - begin

    assert min(seconds(data.load_cifar10) for _ in range(2)) < 1.5
    assert min(seconds(data.load_mnist) for _ in range(2)) < 3


# Damaged files


def spoilt(path):
    """Every way to spoil a file that the tests try: a name and what does it."""

    def flip():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    def swap():
        shutil.copy(path.parent / "train-1.webp", path)

    return {
        "corrupted": flip,
        "truncated": lambda: path.write_bytes(path.read_bytes()[:-100]),
        "emptied": lambda: path.write_bytes(b""),
        "swapped": swap,
        "replaced": lambda: Image.new("RGB", (1600, 1280)).save(path, "WEBP", lossless=True),
    }


WAYS = ["corrupted", "truncated", "emptied", "swapped", "replaced"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["cifar10/test-0.webp", "mnist/test-labels.npy"])
def test_a_spoilt_file_is_named_with_both_checksums_and_never_loaded(damageable, way, name):
    path = damageable(name)
    spoilt(path)[way]()
    load, other = data.load_cifar10, data.load_mnist
    if "mnist" in name:
        load, other = other, load
    with pytest.raises(DataError) as caught:
        load("test")
    message = str(caught.value)
    assert str(path) in message
    assert ENTRIES[name]["sha256"] in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message
    assert "git checkout -- data" in message
    other("test")  # the other files are as good as before


def test_a_missing_file_is_named(damageable):
    damageable("cifar10/test-0.webp").unlink()
    with pytest.raises(DataError, match=r"test-0\.webp cannot be read \(No such file") as caught:
        data.load_cifar10("test")
    assert ENTRIES["cifar10/test-0.webp"]["sha256"] in str(caught.value)


def test_a_missing_or_damaged_manifest_is_named(damageable):
    manifest = damageable("manifest.json")
    for content in ("{", "[]", '{"files": [{}]}', '{"files": 3}'):
        manifest.write_text(content)
        with pytest.raises(DataError, match=r"manifest\.json is damaged"):
            data.load_mnist("test")
    manifest.unlink()
    with pytest.raises(DataError, match=r"manifest\.json cannot be read .*set COURSE_DATA"):
        data.load_mnist("test")


def test_only_listed_files_are_read():
    with pytest.raises(DataError, match=r"'\.\./README\.md' is not a file of the course"):
        bundle.read("../README.md")


# Manifest and scripts


def test_manifest_and_readme_are_up_to_date():
    manifest = build_script("manifest")
    text = manifest.make()
    assert text == (DATA / "manifest.json").read_text("utf-8"), "run data/build/manifest.py"
    readme = (DATA / "README.md").read_text("utf-8")
    assert manifest.fill_in(readme, text) == readme, "run data/build/manifest.py"
    for entry in ENTRIES.values():
        row = next(line for line in readme.splitlines() if f"`{entry['path']}`" in line)
        for cell in (f"{entry['bytes']:,}", entry["origin"], entry["licence"], entry["sha256"]):
            assert cell in row


def test_every_file_has_an_origin_and_its_script_exists():
    for entry in ENTRIES.values():
        assert entry["origin"]
        assert entry["licence"]
        assert not entry["script"] or (DATA / "build" / entry["script"]).is_file()


def test_a_file_of_unknown_origin_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "found.png").write_bytes(b"x")
    with pytest.raises(SystemExit, match=r"images/found\.png: no pattern of origins\.toml"):
        build_script("manifest").make(tmp_path)


def test_data_stays_small():
    assert sum(entry["bytes"] for entry in ENTRIES.values()) < 50e6


def same_encoder(name):
    """Skip the comparison of bytes where another library wrote the file."""
    suffix = Path(name).suffix
    here, there = build_script("mosaic").encoder(suffix), ENTRIES[name].get("encoder")
    if here != there:
        pytest.skip(f"{name} was written by {there}, here is {here}: its bytes may differ")


@pytest.mark.parametrize("folder", ["mnist", "cifar10"])
def test_scripts_make_the_same_bytes_from_the_arrays(folder, digits, photos):
    arrays = {"mnist": digits, "cifar10": photos}[folder]
    same_encoder(f"{folder}/test-0.webp")
    script, made = build_script(folder), set()
    for split, (images, labels) in arrays.items():
        images = images[..., 0] if folder == "mnist" else images
        for name, content in script.files(split, images, labels.astype(np.uint8)):
            assert hashlib.sha256(content).hexdigest() == ENTRIES[f"{folder}/{name}"]["sha256"]
            made.add(f"{folder}/{name}")
    assert made == {name for name in ENTRIES if name.startswith(f"{folder}/")}


def test_mosaics_written_here_decode_to_the_same_pixels(photos):
    images = photos["train"][0][:100]
    content = build_script("mosaic").encode(images, 20)
    with Image.open(io.BytesIO(content)) as picture:
        mosaic = np.asarray(picture)
    for number in (0, 1, 20, 57, 99):
        top, left = 32 * (number // 20), 32 * (number % 20)
        np.testing.assert_array_equal(mosaic[top : top + 32, left : left + 32], images[number])


def test_content_script_makes_the_same_pictures():
    pytest.importorskip("skimage", reason="scikit-image holds the original pictures")
    content = build_script("content")
    for name in content.SOURCES:
        made = content.build(name)
        path = f"images/content/{name}.jpg"
        with Image.open(io.BytesIO(made)) as new, Image.open(DATA / path) as old:
            difference = np.asarray(new).astype(int) - np.asarray(old)
        assert np.abs(difference).mean() < 1
        same_encoder(path)
        assert hashlib.sha256(made).hexdigest() == ENTRIES[path]["sha256"]


def test_mnist_script_refuses_other_files(tmp_path):
    import gzip

    script = build_script("mnist")
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"other"))
    with pytest.raises(SystemExit, match=f"expected MD5 {script.FILES['t10k-labels-idx1-ubyte']}"):
        script.read_original(tmp_path, "t10k-labels-idx1-ubyte")


def test_balanced_subset_takes_the_first_of_each_class():
    labels = np.array([3, *range(10), 3, *range(10), 3])
    keep = build_script("cifar10").balanced_subset(labels, 2)
    seen = {label: [i for i, x in enumerate(labels) if x == label][:2] for label in range(10)}
    assert keep.tolist() == sorted(i for indices in seen.values() for i in indices)


# Full CIFAR-10


@pytest.fixture
def small_archive(tmp_path, monkeypatch):
    """An archive with members of 4 records, whose contents `cifar10` takes for the right ones."""
    random = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 20), ("test", 4)):
        images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        arrays[split] = images, random.integers(0, 10, count, dtype=np.uint8)
    monkeypatch.setattr(cifar10, "RECORDS", 4)
    members = {}
    for number, name in enumerate(cifar10.MEMBERS):
        images, labels = arrays["test" if "test" in name else "train"]
        part = slice(0, 4) if "test" in name else slice(4 * number, 4 * number + 4)
        members[name] = b"".join(
            # one byte for the label, then all red, all green, all blue pixels, row by row
            bytes([label]) + b"".join(image[:, :, c].tobytes() for c in range(3))
            for image, label in zip(images[part], labels[part], strict=True)
        )
    monkeypatch.setattr(
        cifar10, "MEMBERS", {n: hashlib.sha256(c).hexdigest() for n, c in members.items()}
    )
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "keras" / "datasets" / cifar10.ARCHIVE
    path.parent.mkdir(parents=True)
    pack(path, members)
    return path, members, arrays


def pack(path, members):
    """Write an archive as others would: in another order, with other files in it."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in [*reversed(members.items()), ("readme.html", b"<html>")]:
            info = tarfile.TarInfo(f"./somewhere/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def no_download(*_, **__):
    raise AssertionError("must not download")


def test_full_cifar10_is_read_from_the_cache(small_archive, monkeypatch):
    monkeypatch.setattr(downloads, "fetch", no_download)
    for split in ("train", "test"):
        images, labels = data.load_cifar10(split, value_range=(0, 255), subset="full")
        np.testing.assert_array_equal(images, small_archive[2][split][0])
        np.testing.assert_array_equal(labels, small_archive[2][split][1])
        assert labels.dtype == np.int32


def test_full_cifar10_works_in_a_read_only_cache(small_archive, monkeypatch):
    monkeypatch.setattr(downloads, "fetch", no_download)
    monkeypatch.setattr(downloads, "is_writable", lambda _: False)
    data.load_cifar10("test", subset="full")


def test_full_cifar10_goes_to_the_first_folder_that_is_writable(small_archive, monkeypatch):
    path = small_archive[0]
    path.unlink()
    wanted = []

    def fetch(url, target, **options):
        wanted.append((url, target, options))
        raise downloads.DownloadError("no")

    monkeypatch.setattr(downloads, "fetch", fetch)
    with pytest.raises(DataError):
        data.load_cifar10("test", subset="full")
    url, target, options = wanted.pop()
    assert target == path
    assert url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert options["size"] == 170_052_171
    assert 'subset="bundled"' in options["remedy"]
    assert str(path.parent) in options["remedy"]
    monkeypatch.setattr(downloads, "is_writable", lambda folder: folder != path.parent)
    with pytest.raises(DataError):
        data.load_cifar10("test", subset="full")
    assert wanted.pop()[1] == runtime.cache_dir() / "datasets" / cifar10.ARCHIVE


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path, _: path.write_bytes(path.read_bytes()[:-3000]), "cannot be unpacked"),
        (lambda path, _: path.write_bytes(b"<html>log in</html>"), "cannot be unpacked"),
        (lambda path, _: path.write_bytes(b""), "cannot be unpacked"),
        (lambda path, m: pack(path, {"data_batch_1.bin": m["data_batch_1.bin"]}), "holds no"),
        (
            lambda path, m: pack(path, m | {"data_batch_2.bin": m["data_batch_2.bin"][:-1]}),
            "data_batch_2.bin has 12291 bytes, expected 12292",
        ),
        (
            lambda path, m: pack(path, m | {"data_batch_2.bin": m["data_batch_3.bin"]}),
            "data_batch_2.bin has SHA-256",
        ),
    ],
)
def test_a_damaged_archive_is_named_and_never_loaded(small_archive, monkeypatch, spoil, reason):
    path, members, _ = small_archive
    monkeypatch.setattr(downloads, "fetch", no_download)
    spoil(path, members)
    with pytest.raises(DataError) as caught:
        data.load_cifar10(subset="full")
    message = str(caught.value)
    assert f"{path} is damaged and was not loaded" in message
    assert reason in message
    assert 'subset="bundled"' in message
    if "SHA-256" in reason:
        assert hashlib.sha256(members["data_batch_3.bin"]).hexdigest() in message
        assert cifar10.MEMBERS["data_batch_2.bin"] in message


def test_a_flipped_bit_in_the_archive_is_found(small_archive):
    path = small_archive[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged and was not loaded"):
        data.load_cifar10(subset="full")


def test_packed_archive_is_read_back(small_archive, tmp_path):
    script = build_script("cifar10")
    target = tmp_path / "packed.tar.gz"
    script.pack_archive(target, small_archive[2])
    for split in ("train", "test"):
        images, labels = cifar10.read_archive(target, split)
        np.testing.assert_array_equal(images, small_archive[2][split][0])
        np.testing.assert_array_equal(labels, small_archive[2][split][1])
    assert [p.name for p in tmp_path.iterdir() if "packed" in p.name] == ["packed.tar.gz"]


def test_the_bundled_subset_is_the_beginning_of_the_full_set(photos):
    if not any((folder / cifar10.ARCHIVE).is_file() for folder in cifar10.cache_folders()):
        pytest.skip("the full CIFAR-10 set is not in the cache")
    balanced_subset = build_script("cifar10").balanced_subset
    for split, per_class, count in (("train", 1000, 50_000), ("test", 200, 10_000)):
        images, labels = data.load_cifar10(split, value_range=(0, 255), subset="full")
        assert len(images) == count
        keep = balanced_subset(labels, per_class)
        np.testing.assert_array_equal(images[keep], photos[split][0])
        np.testing.assert_array_equal(labels[keep], photos[split][1])


# Batches


@pytest.fixture(scope="module")
def small():
    """23 pictures whose pixels all differ: `(23, 8, 6, 3)`."""
    images = np.arange(23 * 8 * 6 * 3).reshape(23, 8, 6, 3).astype(np.float32)
    return images, np.arange(23)


def passes(dataset, count=1):
    """The arrays of `count` passes: `[(images, labels), ...]`."""
    result = []
    for _ in range(count):
        parts = [(x.numpy(), y.numpy()) for x, y in dataset]
        result.append(tuple(np.concatenate(part) for part in zip(*parts, strict=True)))
    return result


def test_plain_batches_keep_order_values_and_dtype(small):
    images, labels = small
    for pictures in (images, images.astype(np.uint8)):
        dataset = data.batches(pictures, labels, batch_size=5)
        sizes = [len(x) for x, _ in dataset]
        assert sizes == [5, 5, 5, 5, 3]
        assert len(dataset) == 5
        ((x, y),) = passes(dataset)
        np.testing.assert_array_equal(x, pictures)
        np.testing.assert_array_equal(y, labels)
        assert x.dtype == pictures.dtype
        assert y.dtype == labels.dtype


def test_drop_remainder_gives_full_batches_of_known_shape(small):
    dataset = data.batches(*small, batch_size=5, drop_remainder=True, augment=Augment())
    assert dataset.element_spec[0].shape == (5, 8, 6, 3)
    assert dataset.element_spec[1].shape == (5,)
    assert [len(x) for x, _ in dataset] == [5, 5, 5, 5]
    assert len(dataset) == 4


def test_batches_of_images_alone(small):
    batch = next(iter(data.batches(small[0], batch_size=4)))
    np.testing.assert_array_equal(batch, small[0][:4])


def test_labels_may_have_any_shape(small):
    images, labels = small
    one_hot = np.eye(23)[labels]
    ((_, y),) = passes(data.batches(images, one_hot, batch_size=4, shuffle=True))
    assert sorted(y.argmax(-1)) == labels.tolist()


def test_shuffle_keeps_pairs_and_changes_with_the_epoch(small):
    images, labels = small
    first, second = passes(data.batches(images, labels, batch_size=5, shuffle=True), 2)
    for x, y in (first, second):
        assert sorted(y) == labels.tolist()
        np.testing.assert_array_equal(x, images[y])
    assert first[1].tolist() != second[1].tolist() != labels.tolist()


def test_every_order_is_equally_likely():
    labels = np.arange(3)
    dataset = data.batches(np.zeros((3, 1, 1, 1)), labels, batch_size=3, shuffle=True)
    orders = [tuple(y) for _, y in passes(dataset, 120)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    # chi-squared with 5 degrees of freedom: above 20.5 once in a thousand seeds
    assert sum((count - 20) ** 2 / 20 for count in counts) < 20.5


def crops(image, shift, flip):
    """All augmented versions of a picture: `{bytes: (row shift, column shift, flipped)}`."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)), mode="reflect")
    found = {}
    for down in range(-shift, shift + 1):
        for right in range(-shift, shift + 1):
            window = padded[shift + down :, shift + right :][:height, :width]
            found[window.tobytes()] = (down, right, False)
            if flip:
                found[window[:, ::-1].tobytes()] = (down, right, True)
    return found


@pytest.mark.parametrize(("flip", "shift"), [(True, 2), (True, 0), (False, 4)])
def test_augmentation_is_a_flip_and_a_crop_of_the_reflected_picture(small, flip, shift):
    images, labels = np.tile(small[0], (10, 1, 1, 1)), np.tile(small[1], 10)
    augment = Augment(flip=flip, shift=shift)
    dataset = data.batches(images, labels, batch_size=70, shuffle=True, augment=augment)
    seen = []
    for x, y in passes(dataset, 6):
        for image, label in zip(x, y, strict=True):
            seen.append(crops(images[label], shift, flip)[image.tobytes()])
    seen = np.array(seen)
    for axis in (0, 1):  # every shift comes up, all equally often
        counts = np.bincount(seen[:, axis] + shift, minlength=2 * shift + 1)
        expected = len(seen) / (2 * shift + 1)
        assert np.abs(counts - expected).max() < 5 * expected**0.5
    assert abs(seen[:, 2].mean() - 0.5 * flip) < 0.05
    if shift:  # the three choices are independent of each other
        assert np.abs(np.corrcoef(seen[:, :2].T)[0, 1]) < 0.1


def test_no_augmentation_repeats_within_an_epoch_or_between_epochs(small):
    images = np.repeat(small[0][:1], 400, axis=0)
    augment = Augment(flip=False, shift=4)
    dataset = data.batches(images, np.arange(400), batch_size=100, augment=augment)
    options = crops(images[0], 4, False)
    choices = [[options[x.tobytes()] for x in epoch[0]] for epoch in passes(dataset, 2)]
    chunks = [tuple(epoch[i : i + 100]) for epoch in choices for i in range(0, 400, 100)]
    assert len(set(chunks)) == 8


def test_everything_is_decided_by_seed_and_epoch(small):
    def make(**options):
        arguments = {"batch_size": 4, "shuffle": True, "augment": Augment(), "seed": 1} | options
        return data.batches(*small, **arguments)

    reference = passes(make(), 5)
    for one, other in zip(reference, passes(make(), 5), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    for epoch in range(5):
        ((x, y),) = passes(make(first_epoch=epoch))
        np.testing.assert_array_equal(x, reference[epoch][0])
        np.testing.assert_array_equal(y, reference[epoch][1])
    assert passes(make(seed=2))[0][1].tolist() != reference[0][1].tolist()
    assert len({x.tobytes() for x, _ in reference}) == 5


def test_seeds_do_not_overlap_with_epochs(small):
    orders = set()
    for seed in range(5):
        dataset = data.batches(*small, batch_size=23, shuffle=True, seed=seed)
        orders |= {y.tobytes() for _, y in passes(dataset, 5)}
    assert len(orders) == 25


def test_set_epoch_undoes_a_glance(small):
    dataset = data.batches(*small, batch_size=4, shuffle=True)
    reference = passes(data.batches(*small, batch_size=4, shuffle=True), 3)
    next(iter(dataset))
    dataset.set_epoch(2)
    np.testing.assert_array_equal(passes(dataset)[0][1], reference[2][1])
    dataset.set_epoch(0)
    np.testing.assert_array_equal(passes(dataset)[0][1], reference[0][1])


def test_batches_do_not_depend_on_the_global_seed(small):
    import keras

    orders = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        orders.append(passes(data.batches(*small, batch_size=4, shuffle=True))[0][1].tolist())
    assert orders[0] == orders[1]


def test_keras_trains_on_batches(small):
    import keras

    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    dataset = data.batches(
        small[0] / 4000, small[1] / 23, batch_size=4, shuffle=True, augment=Augment()
    )
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 2
    assert history.history["loss"][-1] < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1; received 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number of at least 1; received 2.5"),
        ({"batch_size": True}, "batch_size must be a whole number of at least 1; received True"),
        ({"batch_size": 24, "drop_remainder": True}, "received batch_size 24 for 23 images"),
        ({"seed": -1}, "seed must be a whole number of at least 0; received -1"),
        ({"seed": None}, "seed must be a whole number of at least 0; received None"),
        ({"first_epoch": -1}, "first_epoch must be a whole number of at least 0"),
        ({"augment": Augment(shift=6)}, "received shift 6 for images of 8 x 6"),
        ({"augment": True}, "augment must be None or an Augment; received True"),
        ({"labels": np.zeros(5)}, r"received labels of shape \(5,\) for 23 images"),
        ({"labels": 3}, r"received labels of shape \(\) for 23 images"),
        ({"images": np.zeros((3, 8, 8))}, r"images must have the shape .* received \(3, 8, 8\)"),
        ({"images": np.zeros((0, 8, 8, 1))}, r"n > 0; received \(0, 8, 8, 1\)"),
    ],
)
def test_bad_arguments_of_batches_are_named(small, options, message):
    arguments = {"images": small[0], "labels": small[1], "batch_size": 4} | options
    images, labels = arguments.pop("images"), arguments.pop("labels")
    with pytest.raises(ValueError, match=message):
        data.batches(images, labels, **arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": -1}, "shift must be a whole number of at least 0; received -1"),
        ({"shift": 0.5}, "shift must be a whole number of at least 0; received 0.5"),
        ({"flip": 1}, "flip must be True or False; received 1"),
    ],
)
def test_bad_augmentation_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        Augment(**options)


def test_binarise_gives_each_pixel_its_chance():
    grey = np.repeat(np.array([0.0, 0.2, 0.7, 1.0], "float32")[:, None], 40_000, axis=1)
    bits = data.binarise(grey, seed=3)
    assert bits.dtype == np.float32 and set(np.unique(bits)) == {0, 1}
    np.testing.assert_allclose(bits.mean(axis=1), grey[:, 0], atol=4 * 0.5 / 200)
    assert not bits[0].any() and bits[3].all()
    np.testing.assert_array_equal(bits, data.binarise(grey, seed=3))
    assert (bits[1] != data.binarise(grey, seed=4)[1]).any()
    with pytest.raises(ValueError, match=r"grey levels in \[0, 1\]; received values from 0 to 255"):
        data.binarise(np.array([0, 255]))


@pytest.mark.parametrize("augment", [None, Augment(flip=True, shift=2)])
def test_binarised_batches_are_drawn_anew_and_repeat_with_the_seed(augment):
    images = np.full((64, 8, 8, 1), 0.3, "float32")
    images[:, :4] = 1

    def draw(**options):
        made = data.batches(
            images, np.arange(64), batch_size=16, binarise=True, augment=augment, **options
        )
        return passes(made, 2)

    (first, _), (second, _) = draw(seed=1)
    assert first.dtype == np.float32 and set(np.unique(first)) == {0, 1}
    assert abs(first[:, 6:].mean() - 0.3) < 4 * 0.46 / np.sqrt(64 * 16)  # beyond any shift
    assert first[:, 1].all()
    assert (first != second).mean() > 0.1 and (first[:16] != first[16:32]).mean() > 0.1
    np.testing.assert_array_equal(draw(seed=1)[1][0], second)
    np.testing.assert_array_equal(draw(seed=1, first_epoch=1)[0][0], second)


def test_binarise_refuses_other_ranges():
    with pytest.raises(ValueError, match=r"float32 images in .0, 1.; received uint8"):
        data.batches(np.zeros((2, 4, 4, 1), np.uint8), batch_size=1, binarise=True)
    with pytest.raises(ValueError, match="from -1 to -1"):
        data.batches(-np.ones((2, 4, 4, 1), np.float32), batch_size=1, binarise=True)


def test_augmented_batches_come_fast_enough_to_keep_training_busy():
    images = np.zeros((20_000, 32, 32, 3), np.float32)
    dataset = data.batches(images, batch_size=500, shuffle=True, augment=Augment())
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        for _batch in dataset:
            pass
        seconds.append(time.process_time() - begin)
    # 20,000 pictures a second on two cores; counted in CPU time, which other programs do not change
    assert min(seconds) < 2 * len(images) / 20_000


def test_no_tuning_thread_outlives_a_pass_that_was_given_up():
    images = np.zeros((8, 4, 4, 1), "float32")
    assert data.batches(images, batch_size=2).options().autotune.enabled is False
