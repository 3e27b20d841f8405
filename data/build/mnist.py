"""Build data/mnist/ from the four original IDX files.

    python data/build/mnist.py FOLDER [--to data/mnist]

FOLDER holds `train-images-idx3-ubyte` and its three companions, plain or gzipped. Each is checked
against its published MD5 before it is used.
"""

import argparse
import gzip
import hashlib
from pathlib import Path

import mosaic
import numpy as np

FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
PREFIXES = {"train": "train", "test": "t10k"}
PER_MOSAIC, COLUMNS = 10_000, 100


def read_original(folder, name):
    """The raw bytes of one IDX file, verified."""
    path = Path(folder, name)
    packed = Path(folder, name + ".gz")
    content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    found = hashlib.md5(content).hexdigest()
    if found != FILES[name]:
        raise SystemExit(f"{path}: expected MD5 {FILES[name]}, found {found}")
    return content


def parse_idx(content):
    """The array in an IDX file of unsigned bytes (header: magic number, then one size per axis)."""
    axes = content[3]
    shape = np.frombuffer(content, ">i4", axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def files(split, images, labels):
    """Yield `(file name, bytes)` of the bundle of one split."""
    return mosaic.encode_set(split, images, labels, per_mosaic=PER_MOSAIC, columns=COLUMNS)


def main():
    """Build the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="where the four IDX files are")
    parser.add_argument("--to", type=Path, default=mosaic.DATA / "mnist")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    for split, prefix in PREFIXES.items():
        images = parse_idx(read_original(options.folder, f"{prefix}-images-idx3-ubyte"))
        labels = parse_idx(read_original(options.folder, f"{prefix}-labels-idx1-ubyte"))
        for name, content in files(split, images, labels):
            (options.to / name).write_bytes(content)
            print(f"{len(content):>10,}  {options.to / name}")


if __name__ == "__main__":
    main()
