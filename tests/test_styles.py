"""The style pictures: all there, fit to be styles, and drawn by the script in the repository."""

import importlib.metadata
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="module")
def styles():
    sys.path.insert(0, str(DATA / "build"))
    try:
        import styles
    finally:
        sys.path.remove(str(DATA / "build"))
    return styles


NAMES = sorted(path.stem for path in (DATA / "images" / "style").glob("*.webp"))


def read(name):
    return np.asarray(Image.open(DATA / "images" / "style" / f"{name}.webp"))


def built_with():
    found = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "pillow")}
    return found | {"libwebp": features.version("webp")}


def test_the_folder_holds_exactly_the_pictures_of_the_script(styles):
    assert sorted(styles.STYLES) == NAMES
    assert len(NAMES) >= 6


def test_the_files_are_small():
    sizes = [path.stat().st_size for path in (DATA / "images" / "style").iterdir()]
    assert max(sizes) < 350_000
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_rich_enough_to_be_a_style(name):
    picture = read(name)
    assert picture.shape == (512, 512, 3)
    assert picture.dtype == np.uint8
    blocks = picture.astype(float).mean(-1).reshape(16, 32, 16, 32).std((1, 3))
    assert np.median(blocks) > 10, "the typical 32-pixel block has texture"
    assert (blocks > 3).mean() > 0.95, "hardly a block is empty"
    colours = np.unique(picture.reshape(-1, 3) // 32, axis=0)
    assert len(colours) > 40, "the palette is more than a few flat colours"


def test_pictures_differ_from_each_other():
    means = np.stack([read(name)[::4, ::4].astype(float) for name in NAMES])
    for i in range(len(NAMES)):
        for j in range(i):
            assert np.abs(means[i] - means[j]).mean() > 30, (NAMES[i], NAMES[j])


@pytest.mark.parametrize("name", ["stained_glass", "ink_mountains"])
def test_redrawing_gives_the_committed_picture(styles, name):
    drawn = np.asarray(Image.open(io.BytesIO(styles.encode(styles.draw(name)))))
    difference = np.abs(drawn.astype(int) - read(name))
    if built_with() == styles.VERSIONS:
        assert difference.max() == 0
    else:  # other versions may round or encode a little differently, but draw the same picture
        assert difference.mean() < 2


def test_the_sheet_shows_all_pictures(styles):
    sheet = styles.contact_sheet(NAMES, DATA / "images" / "style")
    assert sheet.size == (4 * 256, -(-len(NAMES) // 4) * 256)


def test_an_unknown_style_is_named(styles):
    with pytest.raises(ValueError, match=r"style must be one of facets.*got 'fresco'"):
        styles.draw("fresco")
