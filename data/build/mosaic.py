"""Write pictures as lossless WebP mosaics; `course_utils.data` reads them back."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, features

DATA = Path(__file__).resolve().parents[1]

_LIBRARIES = {".webp": "webp", ".jpg": "jpg", ".png": "zlib"}


def encoder(suffix):
    """Name what writes files of this kind here; the manifest does, for their bytes depend on it."""
    if suffix not in _LIBRARIES:
        return None
    library = _LIBRARIES[suffix]
    return f"Pillow {Image.__version__}, {library} {features.version(library)}"


def tile(images, columns):
    """Lay `(n, h, w[, 3])` pictures out row by row, `columns` to a row; `n` must fill the rows."""
    rows = len(images) // columns
    grid = images.reshape(rows, columns, *images.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * images.shape[1], columns * images.shape[2], *images.shape[3:])


def encode(images, columns):
    """One mosaic as the bytes of a lossless WebP file.

    Quality 75 is the encoder's effort here, not a loss: at 100 the file is 0.5% smaller, takes
    twenty times as long to write and half as long again to read.
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(tile(images, columns)).convert("RGB")
    picture.save(buffer, "WEBP", lossless=True, quality=75, method=6, exact=True)
    return buffer.getvalue()


def encode_set(prefix, images, labels, *, per_mosaic, columns):
    """Yield `(file name, bytes)` of all files of a split: its mosaics, then its labels."""
    for number, start in enumerate(range(0, len(images), per_mosaic)):
        yield f"{prefix}-{number}.webp", encode(images[start : start + per_mosaic], columns)
    buffer = io.BytesIO()
    np.save(buffer, labels.astype(np.uint8), allow_pickle=False)
    yield f"{prefix}-labels.npy", buffer.getvalue()
