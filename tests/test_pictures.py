"""Pictures of users: every kind that can be thought of is read as a viewer shows it, or refused."""

import io
import time
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from course_utils import bundle, data, pictures, runtime
from course_utils.pictures import ImageError, read_image


@pytest.fixture(autouse=True)
def no_warning():
    """Nothing that Pillow warns of reaches a student."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def scene():
    """A small picture without any symmetry: `(24, 36, 3)`."""
    rows, columns = np.mgrid[0:24, 0:36]
    channels = [rows * 10, columns * 7, (rows * columns) % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def refusal(source, **options):
    """The message of the refusal, which must be a single sentence."""
    with pytest.raises(ImageError) as caught:
        read_image(source, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)
    return message


# Sources


def test_reads_paths_bytes_and_files_alike(scene, tmp_path):
    content = encoded(scene)
    path = tmp_path / "my picture.png"
    path.write_bytes(content)

    class Stream(io.BytesIO):
        def seekable(self):
            return False

    sources = [path, str(path), content, bytearray(content), memoryview(content)]
    for source in [*sources, io.BytesIO(content), Stream(content)]:
        pixels = read_image(source)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, scene)
    with open(path, "rb") as file:
        file.read(5)
        np.testing.assert_array_equal(read_image(file), scene)
        assert not file.closed


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "WEBP"])
def test_reads_all_usual_formats(scene, kind):
    flat = np.zeros_like(scene) + np.array([255, 0, 51], np.uint8)  # exact in a palette, too
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(read_image(encoded(flat, kind, **options)), flat)


def test_result_can_be_written_to(scene):
    read_image(encoded(scene))[0, 0] = 7


# Modes


def test_greyscale_becomes_three_equal_channels(scene):
    grey = scene[..., 0]
    np.testing.assert_array_equal(read_image(encoded(grey)), np.stack([grey] * 3, -1))


def test_one_bit_pictures():
    bits = Image.fromarray(np.eye(8, dtype=bool))
    np.testing.assert_array_equal(read_image(encoded(bits))[..., 1], np.eye(8) * 255)


def test_transparency_is_laid_on_white(scene):
    alpha = np.linspace(0, 255, 36).astype(np.uint8) * np.ones((24, 1), np.uint8)
    expected = scene * (alpha[..., None] / 255) + 255 * (1 - alpha[..., None] / 255)
    pixels = read_image(encoded(np.dstack([scene, alpha])))
    np.testing.assert_allclose(pixels, expected, atol=1)
    grey_alpha = Image.merge("LA", [Image.fromarray(scene[..., 0]), Image.fromarray(alpha)])
    np.testing.assert_allclose(read_image(encoded(grey_alpha))[..., 2], expected[..., 0], atol=1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_transparency(kind):
    picture = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 255])
    pixels = read_image(encoded(picture, kind, transparency=1))
    assert pixels[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    assert pixels[1].tolist() == [[0, 0, 255], [10, 20, 30]]


def test_palette_with_partial_transparency():
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    picture.putpalette([0, 0, 0, 0, 0, 0])
    pixels = read_image(encoded(picture, transparency=bytes([255, 51])))
    assert pixels[0].tolist() == [[0, 0, 0], [204, 204, 204]]


def test_rgb_with_a_transparent_colour():
    pixels = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    assert read_image(encoded(pixels, transparency=(4, 5, 6))).tolist() == [
        [[1, 2, 3], [255, 255, 255]]
    ]


def test_sixteen_bit_grey_keeps_its_shades():
    values = np.array([[0, 128, 257, 33_000, 65_535]], np.uint16)
    pixels = read_image(encoded(Image.fromarray(values)))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_cmyk_jpeg(scene):
    flat = np.zeros_like(scene) + np.array([200, 60, 30], np.uint8)
    content = encoded(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=95)
    np.testing.assert_allclose(read_image(content).astype(int), flat, atol=6)


def test_measured_values_are_refused():
    content = encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    assert "no known range" in refusal(content)


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_all_eight_orientations(scene, orientation, kind):
    picture = Image.fromarray(scene)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(picture, kind, exif=exif, **options)
    # the definition: rows and columns of the stored picture, seen from the viewer's top left
    expected = {
        1: scene,
        2: scene[:, ::-1],
        3: scene[::-1, ::-1],
        4: scene[::-1],
        5: scene.swapaxes(0, 1),
        6: scene[::-1].swapaxes(0, 1),
        7: scene[::-1, ::-1].swapaxes(0, 1),
        8: scene[:, ::-1].swapaxes(0, 1),
    }[orientation]
    np.testing.assert_array_equal(read_image(content), expected)
    fitted = read_image(content, size=(12, 30))
    assert fitted.shape == (12, 30, 3)
    resized = Image.fromarray(expected)
    fit = ImageOps.fit(resized, (30, 12), Image.Resampling.LANCZOS)
    assert np.abs(fitted.astype(int) - np.asarray(fit)).mean() < 12


def test_orientation_of_a_shrunk_jpeg():
    left_bright = np.zeros((800, 1600, 3), np.uint8)
    left_bright[:, :800] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left side comes to the top
    pixels = read_image(encoded(left_bright, "JPEG", exif=exif), size=100)
    assert pixels.shape == (100, 50, 3)
    assert pixels[:45].min() > 240
    assert pixels[55:].max() < 15


def test_damaged_exif_data_is_ignored(scene):
    content = encoded(scene, "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff broken")
    assert read_image(content).shape == scene.shape


# Sizes


def test_size_is_the_longer_side(scene):
    assert read_image(encoded(scene), size=18).shape == (12, 18, 3)
    assert read_image(encoded(scene.swapaxes(0, 1)), size=18).shape == (18, 12, 3)
    assert read_image(encoded(scene), size=72).shape == (48, 72, 3)


def test_height_and_width_crop_the_middle():
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, 10:20] = 255
    np.testing.assert_array_equal(read_image(encoded(stripes), size=(10, 10)), 255)
    np.testing.assert_array_equal(read_image(encoded(stripes.swapaxes(0, 1)), size=(10, 10)), 255)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(shape):
    content = encoded(np.full((*shape, 3), 90, np.uint8))
    assert read_image(content).shape == (*shape, 3)
    assert read_image(content, size=(32, 32)).shape == (32, 32, 3)
    assert max(read_image(content, size=64).shape) == 64
    np.testing.assert_array_equal(read_image(content, size=(32, 32)), 90)


def test_max_pixels_shrinks_but_never_enlarges(scene):
    pixels = read_image(encoded(scene), max_pixels=216)
    assert pixels.shape == (12, 18, 3)
    assert read_image(encoded(scene), max_pixels=10**6).shape == scene.shape


@pytest.mark.parametrize(
    "size", [0, -1, 1.5, True, "big", (10,), (10, 0), (1, 2, 3), 10_001, [9, 9]]
)
def test_a_bad_size_is_named(scene, size):
    with pytest.raises(ValueError, match="size must be None, a number of pixels from 1 to 10000"):
        read_image(encoded(scene), size=size)


@pytest.mark.parametrize("max_pixels", [0, -5, 1.5, None, True])
def test_a_bad_max_pixels_is_named(scene, max_pixels):
    with pytest.raises(ValueError, match="max_pixels must be a positive whole number; received"):
        read_image(encoded(scene), max_pixels=max_pixels)


def test_a_hundred_megapixel_jpeg_is_shrunk_while_decoding():
    content = encoded(Image.new("RGB", (10_000, 10_000), (250, 120, 10)), "JPEG")
    begin = time.perf_counter()
    pixels = read_image(content, size=512)
    elapsed = time.perf_counter() - begin
    assert pixels.shape == (512, 512, 3)
    np.testing.assert_allclose(pixels.mean(axis=(0, 1)), [250, 120, 10], atol=3)
    assert elapsed < 10  # 0.3 s on an idle machine


def test_a_hundred_megapixel_png_is_read():
    content = encoded(Image.new("L", (10_000, 10_000), 77))
    assert read_image(content, size=64).shape == (64, 64, 3)
    assert read_image(content).shape == (2000, 2000, 3)


@pytest.mark.parametrize("side", [11_000, 14_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side):
    small = encoded(Image.new("1", (100, 100)))
    # claim another size in the header: width and height are bytes 16 to 24 of a PNG file
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + small[24:29]
    bomb = small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]
    assert "too large: at most 120 megapixels" in refusal(bomb)


# Not pictures


def zip_file():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("picture.png", b"no")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7\n...", "a PDF document"),
        (zip_file(), "a ZIP archive"),
        (b"dear diary", "not a picture of a kind"),
        (b"\x00" * 100, "not a picture of a kind"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><svg/>", "perhaps an SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript document"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a HEIC picture"),
        (b"\x89PNG\r\n\x1a\n", "JPEG or PNG picture instead"),
    ],
)
def test_other_files_are_refused_by_name(content, reason, tmp_path):
    assert reason in refusal(content)
    path = tmp_path / "thing.jpg"
    path.write_bytes(content)
    message = refusal(path)
    assert reason in message
    assert "thing.jpg" in message


def test_a_missing_avif_decoder_is_said(scene, monkeypatch):
    monkeypatch.setattr(pictures, "FORMATS", ("JPEG", "NO SUCH FORMAT"))
    assert "an AVIF picture" in refusal(b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00")


def test_what_is_not_a_file_is_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nothing.png")
    assert "is a folder" in refusal(tmp_path)
    assert "received int" in refusal(3)
    assert "received NoneType" in refusal(None)
    assert "opened (" in refusal("a\0b.png") or "does not exist" in refusal("a\0b.png")
    assert 'open it with mode "rb"' in refusal(io.StringIO("text"))
    closed = io.BytesIO(b"abc")
    closed.close()
    assert "cannot be read" in refusal(closed)


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "cannot be opened (Permission denied)" in refusal(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_pictures_are_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    content = encoded(noise, kind)
    message = refusal(content[: int(len(content) * share)])
    assert "damaged or incomplete" in message or "not a picture of a kind" in message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_damaged_pictures_are_read_or_refused_but_never_crash(kind):
    random = np.random.default_rng(1)
    content = encoded(random.integers(0, 256, (20, 30, 3), dtype=np.uint8), kind)
    for _ in range(60):
        damaged = bytearray(content)
        for position in random.integers(0, len(content), 4):
            damaged[position] = random.integers(256)
        try:
            pixels = read_image(bytes(damaged), size=16)
        except ImageError:
            continue
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3


def test_an_animation_shows_its_first_frame():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (8, 6), colour) for colour in colours]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {})):
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(
            read_image(content), np.full((6, 8, 3), (255, 0, 0), np.uint8)
        )


# Bundled pictures


def test_there_are_content_pictures_of_half_a_thousand_pixels():
    assert {"astronaut", "cat", "china", "coffee", "flower", "rocket"} <= set(pictures.names())
    for name in pictures.names("content"):
        pixels = pictures.load_picture(name, value_range=(0, 255))
        assert max(pixels.shape) == 512
        assert pixels.std() > 20


def test_there_are_six_different_style_pictures():
    names = pictures.names("style")
    if not names:
        pytest.skip("no style pictures are bundled yet")
    assert len(names) >= 6
    for name in names:
        assert min(pictures.load_picture(name).shape[:2]) >= 512


def test_load_picture_sizes_and_ranges():
    stored = pictures.load_picture("china", value_range=(0, 255))
    assert stored.dtype == np.uint8
    np.testing.assert_allclose(pictures.load_picture("china"), stored / 255, atol=1e-6)
    np.testing.assert_allclose(
        pictures.load_picture("china", value_range=(-1, 1)), stored / 127.5 - 1, atol=1e-6
    )
    assert pictures.load_picture("china", size=256).shape == (171, 256, 3)
    assert pictures.load_picture("china", size=(128, 128)).shape == (128, 128, 3)


def test_load_picture_names_what_there_is():
    with pytest.raises(ValueError, match=r"name must be one of .*china.*; received 'paris'\."):
        pictures.load_picture("paris")
    with pytest.raises(ValueError, match="value_range must be"):
        pictures.load_picture("china", value_range=(0, 2))
    with pytest.raises(ValueError, match='kind must be "content" or "style"; received'):
        pictures.names("photo")


def test_credit_names_author_and_licence():
    assert "danielbuechele" in pictures.credit("china")
    assert "CC BY 2.0" in pictures.credit("china")


def test_names_are_unique_over_both_kinds():
    names = pictures.names("content") + pictures.names("style")
    assert len(names) == len(set(names))


def test_a_damaged_bundled_picture_is_not_loaded(monkeypatch, tmp_path):
    (tmp_path / "images" / "content").mkdir(parents=True)
    source = runtime.data_dir()
    (tmp_path / "manifest.json").write_bytes((source / "manifest.json").read_bytes())
    content = bytearray((source / "images/content/china.jpg").read_bytes())
    content[5000] ^= 1
    (tmp_path / "images/content/china.jpg").write_bytes(content)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match=r"china\.jpg is damaged and was not loaded"):
        pictures.load_picture("china")
    assert bundle.DataError is data.DataError
