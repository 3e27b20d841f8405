"""Pictures to work on: those that ship with the course, and those that users bring.

What users bring may be anything. `read_image` makes `(height, width, 3)` uint8 of every picture it
can read and refuses everything else in one sentence.
"""

import io
import os
import warnings
from pathlib import Path

import numpy as np

from course_utils import bundle, data

# Formats whose readers are plain decoders. Pillow knows others that start programs (EPS) or are
# hardly ever what a user means to show.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
MAX_DECODED = 120_000_000

_KINDS = ("content", "style")
_ADVICE = "open a JPEG or PNG picture instead"


class ImageError(ValueError):
    """A user's picture cannot be used; the message says why and what to do, in one sentence."""


def names(kind: str = "content") -> list[str]:
    """Return the names of the bundled pictures of one kind, sorted.

    Args:
        kind: "content" or "style".

    Raises:
        ValueError: if it is neither.
    """
    if kind not in _KINDS:
        raise ValueError(f'kind must be "content" or "style"; received {kind!r}.')
    return sorted(Path(path).stem for path in bundle.entries() if _kind(path) == kind)


def load_picture(
    name: str,
    *,
    size: int | tuple[int, int] | None = None,
    value_range: tuple[int, int] = (0, 1),
) -> np.ndarray:
    """Load a bundled picture.

    Args:
        name: one of `names("content")` or `names("style")`.
        size: None, or what `read_image` makes of it: the longer side, or `(height, width)`.
        value_range: (0, 1) or (-1, 1) for float32, (0, 255) for uint8.

    Returns:
        `(height, width, 3)`.

    Raises:
        ValueError: if there is no such picture or a value is not one of those named above.
        DataError: if the file is missing or damaged.
    """
    return data.to_range(read_image(bundle.read(_path_of(name)), size=size), value_range)


def credit(name: str) -> str:
    """Return who made a bundled picture and under which licence it is, for a caption."""
    entry = bundle.entries()[_path_of(name)]
    return f"{entry['origin']} ({entry['licence']})"


def read_image(
    source: str | os.PathLike | bytes | memoryview | io.IOBase,
    *,
    size: int | tuple[int, int] | None = None,
    max_pixels: int = 4_000_000,
) -> np.ndarray:
    """Read a user's picture as a viewer would show it.

    It is turned as its EXIF data says and laid on white where it is transparent; of an animation,
    the first frame is read. Large pictures are shrunk, JPEG files already while they are decoded.

    Args:
        source: path, content, or a file open for reading bytes.
        size: None to keep the size; a number to bring the longer side to it; `(height, width)` to
            fill exactly that and cut off what stands out on both sides.
        max_pixels: with `size=None`, larger pictures are shrunk to about this many pixels.

    Returns:
        `(height, width, 3)` uint8.

    Raises:
        ImageError: if it is not a picture that can be read.
        ValueError: if `size` or `max_pixels` is not positive.
    """
    _check_size(size)
    if isinstance(max_pixels, bool) or not isinstance(max_pixels, int) or max_pixels < 1:
        raise ValueError(f"max_pixels must be a positive whole number; received {max_pixels!r}.")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(io.BytesIO(source), "The uploaded file", size, max_pixels)
    if hasattr(source, "read"):
        if isinstance(source, io.TextIOBase):
            raise ImageError('The file is open as text; open it with mode "rb".')
        return _decode(source, _quoted(getattr(source, "name", "file")), size, max_pixels)
    if not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            f"A picture must be a path, bytes or an open file; received {type(source).__name__}."
        )
    path = Path(source).expanduser()
    name = _quoted(path)
    if path.is_dir():
        raise ImageError(f"{name} is a folder; name a picture in it.")
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below; only opening it is tried here
    except FileNotFoundError:
        raise ImageError(
            f"{name} does not exist; check the path, seen from {Path.cwd()}."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name} cannot be opened ({reason}); {_ADVICE}.") from None
    with file:
        return _decode(file, name, size, max_pixels)


def _decode(file, name, size, max_pixels):
    """Read a picture from an open file; every way to fail becomes an ImageError."""
    from PIL import Image

    Image.init()
    try:
        if not file.seekable():
            file = io.BytesIO(file.read())
        file.seek(0)
        start = file.read(16)
    except (OSError, ValueError) as error:
        raise ImageError(f"{name} cannot be read ({error}); {_ADVICE}.") from None
    if not start:
        raise ImageError(f"{name} is empty; {_ADVICE}.")
    try:
        # Pillow warns of large and of slightly odd pictures; both are dealt with here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            formats = [name for name in FORMATS if name in Image.OPEN]
            with Image.open(file, formats=formats) as picture:
                # JPEG: decode at 1/2, 1/4 or 1/8 of the size if that is enough
                picture.draft(None, _target_size(picture, size, max_pixels))
                if picture.width * picture.height > MAX_DECODED:
                    raise ImageError(_too_large(name))
                picture.load()
                turn = _turn(_orientation(picture))
                target = _target_size(picture, size, max_pixels)
                picture = _as_rgb(picture, name)
                picture = picture.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
                if turn is not None:
                    picture = picture.transpose(turn)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise ImageError(_too_large(name)) from None
    except Image.UnidentifiedImageError:
        raise ImageError(f"{name} is {_what_it_is(start)}; {_ADVICE}.") from None
    except MemoryError:
        raise ImageError(f"{name} is too large for this machine's memory; {_ADVICE}.") from None
    except Exception:  # decoders fail in many ways on damaged files
        raise ImageError(
            f"{name} is damaged or incomplete and cannot be decoded; save it anew, or {_ADVICE}."
        ) from None
    return _crop(np.array(picture), size)


def _target_size(picture, size, max_pixels):
    """Width and height to resize to, before the picture is turned upright and cropped."""
    width, height = picture.size
    if size is None:
        scale = min(1, (max_pixels / (width * height)) ** 0.5)
    elif not isinstance(size, tuple):
        scale = size / max(width, height)
    else:
        lying = _orientation(picture) in (5, 6, 7, 8)  # these swap width and height
        upright = (width, height) if lying else (height, width)
        scale = max(size[0] / upright[0], size[1] / upright[1])
    return max(1, round(scale * width)), max(1, round(scale * height))


def _orientation(picture):
    try:
        return picture.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF data says nothing
        return 1


def _turn(orientation):
    """What turns a picture upright that was stored in one of the eight orientations of EXIF."""
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(orientation)


def _as_rgb(picture, name):
    """Convert any mode to RGB, transparent parts on white."""
    from PIL import Image

    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
        # 65535 / 257 = 255; convert("L") would cut off everything above 255.
        grey = np.asarray(picture).astype(np.float32) / 257
        picture = Image.fromarray(np.round(grey).clip(0, 255).astype(np.uint8))
    elif picture.mode in ("I", "F"):
        raise ImageError(
            f"{name} stores measured values of no known range, not colours; {_ADVICE}."
        )
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _crop(pixels, size):
    if not isinstance(size, tuple):
        return np.ascontiguousarray(pixels)
    top, left = (pixels.shape[0] - size[0]) // 2, (pixels.shape[1] - size[1]) // 2
    return np.ascontiguousarray(pixels[top : top + size[0], left : left + size[1]])


def _check_size(size):
    sides = size if isinstance(size, tuple) else (size, size)
    if size is not None and not (len(sides) == 2 and all(map(_is_side, sides))):
        raise ValueError(
            "size must be None, a number of pixels from 1 to 10000, or (height, width); received "
            f"{size!r}."
        )


def _is_side(value):
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and 1 <= value <= 10_000


def _what_it_is(start):
    """Say what kind of file this is that is not a readable picture."""
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "a HEIC picture, which cannot be read here"
    if start[4:12] in (b"ftypavif", b"ftypavis"):
        return "an AVIF picture that cannot be read here"
    kinds = {
        b"%PDF": "a PDF document, not a picture",
        b"PK\x03\x04": "a ZIP archive or an office document, not a picture",
        b"<svg": "an SVG drawing, which cannot be read here",
        b"<?xml": "an XML file, perhaps an SVG drawing, which cannot be read here",
        b"%!PS": "a PostScript document, not a picture",
    }
    for signature, kind in kinds.items():
        if start.startswith(signature):
            return kind
    return "not a picture of a kind that can be read here (JPEG, PNG, WebP, GIF, BMP, TIFF)"


def _too_large(name):
    return (
        f"{name} is too large: at most {MAX_DECODED // 1_000_000} megapixels are read; make it "
        "smaller first."
    )


def _quoted(name):
    return f'"{name}"'


def _kind(path):
    for kind in _KINDS:
        if path.startswith(f"images/{kind}/"):
            return kind
    return None


def _path_of(name):
    paths = {Path(path).stem: path for path in bundle.entries() if _kind(path)}
    if name not in paths:
        raise ValueError(f"name must be one of {', '.join(sorted(paths))}; received {name!r}.")
    return paths[name]
