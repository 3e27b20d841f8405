"""Build data/cifar10/: the first 1,000 training and 200 test pictures of each class.

    python data/build/cifar10.py [--to data/cifar10]
    python data/build/cifar10.py --from cifar-10-binary.tar.gz --fill-cache

The pictures come from the full set as `course_utils.data` loads and verifies it, downloaded if it
is not in the Keras cache. `--from` takes them from a file instead: the binary archive, or an .npz
file with `x_train`, `y_train`, `x_test` and `y_test`. `--fill-cache` packs the full set as an
archive into the Keras cache, for machines that cannot reach its origin.
"""

import argparse
import io
import os
import tarfile
from pathlib import Path

import mosaic
import numpy as np

from course_utils import cifar10

PER_CLASS = {"train": 1000, "test": 200}
PER_MOSAIC, COLUMNS = 2_000, 50


def balanced_subset(labels, per_class):
    """Indices of the first `per_class` pictures of each class, in the order of the full set."""
    first = [np.flatnonzero(labels == label)[:per_class] for label in range(10)]
    return np.sort(np.concatenate(first))


def files(split, images, labels):
    """Yield `(file name, bytes)` of the bundle of one split."""
    return mosaic.encode_set(split, images, labels, per_mosaic=PER_MOSAIC, columns=COLUMNS)


def read_original(path, split):
    """Pictures and labels of the full set: from `path`, or from the Keras cache or the network."""
    if path is None:
        path = cifar10.find_or_download()
    if Path(path).suffix != ".npz":
        return cifar10.read_archive(path, split)
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[f"x_{split}"], arrays[f"y_{split}"].ravel().astype(np.uint8)


def pack_archive(path, arrays):
    """Write `{split: (images, labels)}` as an archive like the original."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with tarfile.open(temporary, "w:gz", compresslevel=6) as archive:
        for split, (images, labels) in arrays.items():
            planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
            records = np.concatenate([labels[:, None], planes], axis=1)
            names = [name for name in cifar10.MEMBERS if name.startswith(cifar10.PREFIXES[split])]
            for name, part in zip(names, np.split(records, len(names)), strict=True):
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                info.size = part.nbytes
                archive.addfile(info, io.BytesIO(part.tobytes()))
    for split in arrays:
        cifar10.read_archive(temporary, split)
    os.replace(temporary, path)


def main():
    """Build the bundle, or fill the cache."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--from", dest="source", type=Path, help="binary archive or .npz file")
    parser.add_argument("--to", type=Path, default=mosaic.DATA / "cifar10")
    parser.add_argument("--fill-cache", action="store_true")
    options = parser.parse_args()
    arrays = {split: read_original(options.source, split) for split in PER_CLASS}
    if options.fill_cache:
        target = cifar10.cache_folders()[0] / cifar10.ARCHIVE
        target.parent.mkdir(parents=True, exist_ok=True)
        pack_archive(target, arrays)
        print(target)
        return
    options.to.mkdir(parents=True, exist_ok=True)
    for split, (images, labels) in arrays.items():
        keep = balanced_subset(labels, PER_CLASS[split])
        for name, content in files(split, images[keep], labels[keep]):
            (options.to / name).write_bytes(content)
            print(f"{len(content):>10,}  {options.to / name}")


if __name__ == "__main__":
    main()
