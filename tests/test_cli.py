"""The commands of `python -m course_utils`, as a user types them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from course_utils import __main__ as cli
from course_utils import generators, pictures


def run(*arguments):
    return cli.main([str(one) for one in arguments])


def fails(capsys, *arguments):
    """Return what is said by a command that ends with exit code 2."""
    try:
        code = run(*arguments)
    except SystemExit as error:  # argparse
        code = error.code
    assert code == 2
    return capsys.readouterr().err


def test_sample_writes_what_the_call_returns(tmp_path, capsys):
    out = tmp_path / "digits.npz"
    assert run("sample", "gan", "--n", 12, "--seed", 5, "--out", out) == 0
    assert "12 digits of gan" in capsys.readouterr().out
    expected = generators.generate("gan", 12, seed=5)
    with np.load(out, allow_pickle=False) as arrays:
        assert sorted(arrays) == ["images", "labels"]
        np.testing.assert_array_equal(arrays["images"], expected.images)
        np.testing.assert_array_equal(arrays["labels"], expected.labels)
    assert list(tmp_path.iterdir()) == [out]


def test_sample_leaves_labels_out_where_there_are_none(tmp_path):
    out = tmp_path / "digits.npz"
    assert run("sample", "vae", "--n", 2, "-o", out) == 0
    with np.load(out) as arrays:
        assert sorted(arrays) == ["images"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path):
    run("sample", "vae", "--n", 1, "-o", tmp_path / "a.npz")
    (tmp_path / "b").touch()
    assert (tmp_path / "a.npz").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("name", ["styled.png", "styled.JPG"])
def test_stylize_with_a_style_of_the_course(tmp_path, name):
    content, out = tmp_path / "ein Bild.png", tmp_path / name
    picture = pictures.load_picture("china", size=(90, 121), value_range=(0, 255))
    Image.fromarray(picture).save(content)
    assert run("stylize", content, "woodcut_waves", "--size", 120, "-o", out) == 0
    painted = np.asarray(Image.open(out)).astype(int)
    assert painted.shape[2] == 3 and max(painted.shape) == 120
    shown = pictures.read_image(content, size=120)[: painted.shape[0], : painted.shape[1]]
    assert np.abs(painted - shown).mean() > 20
    along = np.corrcoef(painted.ravel(), shown.ravel())[0, 1]
    run("stylize", content, "woodcut_waves", "--size", 120, "--strength", 0, "-o", out)
    plain = np.asarray(Image.open(out)).astype(int)
    assert np.corrcoef(plain.ravel(), shown.ravel())[0, 1] > max(along + 0.1, 0.8)


@pytest.mark.slow
def test_stylize_with_a_style_of_ones_own(tmp_path):
    style, out = tmp_path / "style.png", tmp_path / "out.png"
    stripes = np.array([[220, 30, 30], [250, 250, 240]], np.uint8)[np.arange(48) // 3 % 2]
    Image.fromarray(np.repeat(stripes[:, None], 48, axis=1)).save(style)
    assert run("stylize", "cat", style, "--size", 48, "-o", out) == 0
    painted = np.asarray(Image.open(out)).astype(float)
    photograph = pictures.load_picture("cat", size=48, value_range=(0, 255)).astype(float)
    red = lambda image: (image[..., 0] - image[..., 2]).mean()  # noqa: E731
    assert red(painted) > red(photograph) + 10


def test_classify_names_the_most_likely_first(tmp_path, capsys):
    from course_utils import data

    images, labels = data.load_cifar10("test", value_range=(0, 255))
    ship = tmp_path / "ship.png"
    Image.fromarray(images[np.flatnonzero(labels == data.CIFAR10_CLASSES.index("ship"))[0]]).save(
        ship
    )
    assert run("classify", ship) == 0
    lines = capsys.readouterr().out.split("\n")[:10]
    assert lines[0].endswith("ship")
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=0.6)
    assert {line.split()[-1] for line in lines} == set(data.CIFAR10_CLASSES)


def test_unusable_input_ends_with_code_2_and_leaves_nothing(tmp_path, capsys):
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    out = tmp_path / "out.png"
    for arguments, words in [
        (("sample", "dalle", "-o", tmp_path / "a.npz"), "invalid choice: 'dalle'"),
        (("sample", "gan", "--n", "0", "-o", tmp_path / "a.npz"), "whole number from 1"),
        (("sample", "gan", "--n", "many", "-o", tmp_path / "a.npz"), "received 'many'"),
        (("sample", "gan", "--seed", "-1", "-o", tmp_path / "a.npz"), "not negative"),
        (("sample", "gan", "-o", tmp_path / "a.png"), "must end in .npz"),
        (("sample", "gan", "-o", tmp_path / "no" / "a.npz"), "does not exist"),
        (("sample", "gan"), "required"),
        (("stylize", "cat", "nothing", "-o", out), "neither a file nor a style of the course"),
        (("stylize", "nothing", "facets", "-o", out), "neither a file nor a content"),
        (("stylize", text, "facets", "-o", out), "notes.txt"),
        (("stylize", "cat", "facets", "-o", tmp_path / "out.gif"), "must end in .png"),
        (("stylize", "cat", "facets", "--size", "7", "-o", out), "from 32 to 2048"),
        (("stylize", "cat", "facets", "--strength", "2", "-o", out), "from 0 to 1"),
        (("classify", tmp_path / "no.png"), "does not exist"),
        (("classify", text), "notes.txt"),
        ((), "required"),
    ]:
        assert words in fails(capsys, *arguments), arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt"]


def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch, capsys):
    out = tmp_path / "digits.npz"
    out.write_bytes(b"old")

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert run("sample", "vae", "--n", 1, "-o", out) == 1
    assert "No space left" in capsys.readouterr().err
    assert out.read_bytes() == b"old" and list(tmp_path.iterdir()) == [out]


def test_a_missing_checkpoint_is_said_in_one_sentence(tmp_path, monkeypatch, capsys):
    from course_utils import bundle

    def missing(name):
        raise bundle.DataError("the file is missing; restore it")

    monkeypatch.setattr(bundle, "read", missing)
    assert run("sample", "vae", "--n", 1, "-o", tmp_path / "a.npz") == 1
    assert "missing; restore it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_help_and_quiet_start_in_a_process_of_its_own(tmp_path):
    command = [sys.executable, "-m", "course_utils"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0 and shown.stderr == ""
    for word in ("sample", "stylize", "classify"):
        assert word in shown.stdout
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(
        [*command, "sample", "vae", "--n", "3", "-o", "ziffern ü.npz"],
        cwd=tmp_path, env=environment, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"TensorFlow" not in done.stderr and b"oneDNN" not in done.stderr
    assert (tmp_path / "ziffern ü.npz").exists()
