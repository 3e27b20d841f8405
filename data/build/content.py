"""Build data/images/content/ from the sample pictures of scikit-learn and scikit-image.

    python data/build/content.py [--to data/images/content]

Needs both packages (`pip install -e ".[build]"`); the pictures lie in their wheels. Each is checked
against its SHA-256 and brought to 512 pixels on the longer side.
"""

import argparse
import hashlib
import importlib.resources
import io
from pathlib import Path

import mosaic
from PIL import Image

SIDE = 512
SKLEARN, SKIMAGE = "sklearn.datasets.images", "skimage.data"
SOURCES = {
    "china": (
        SKLEARN,
        "china.jpg",
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    ),
    "flower": (
        SKLEARN,
        "flower.jpg",
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
    ),
    "astronaut": (
        SKIMAGE,
        "astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "cat": (
        SKIMAGE,
        "chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    ),
    "coffee": (
        SKIMAGE,
        "coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    ),
    "rocket": (
        SKIMAGE,
        "rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    ),
}


def read_original(name):
    """The bytes of the picture in the package it comes from, verified."""
    package, file, expected = SOURCES[name]
    content = importlib.resources.files(package).joinpath(file).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise SystemExit(f"{file} of {package}: expected SHA-256 {expected}, found {found}")
    return content


def build(name):
    """The bytes of the finished JPEG file."""
    with Image.open(io.BytesIO(read_original(name))) as picture:
        scale = SIDE / max(picture.size)
        size = tuple(round(scale * side) for side in picture.size)
        picture = picture.convert("RGB")
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92, subsampling=0, optimize=True)
    return buffer.getvalue()


def main():
    """Build all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=mosaic.DATA / "images" / "content")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        content = build(name)
        (options.to / f"{name}.jpg").write_bytes(content)
        print(f"{len(content):>10,}  {options.to / name}.jpg")


if __name__ == "__main__":
    main()
