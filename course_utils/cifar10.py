"""The full CIFAR-10 set: 60,000 pictures from the archive of binary batches.

Unlike `keras.datasets.cifar10`, which unpickles what it downloads, this reads plain bytes, and only
after checking them. A file that somebody packed anew is as good as the original: what is verified
is its content.
"""

import hashlib
import os
import tarfile
import zlib
from pathlib import Path

import numpy as np

from course_utils import downloads, runtime
from course_utils.bundle import DataError

ARCHIVE = "cifar-10-binary.tar.gz"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
SIZE = 170_052_171
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"

# Each member holds 10,000 records of 1 label byte and 3,072 pixel bytes (red, green, blue planes).
MEMBERS = {
    "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
PREFIXES = {"train": "data_batch_", "test": "test_batch"}
RECORDS, RECORD_BYTES = 10_000, 1 + 3 * 32 * 32

REMEDY = (
    f"put {ARCHIVE} into {{folder}} by hand (from {URL}; KERAS_HOME chooses another folder), "
    'or use the pictures that ship with the course: subset="bundled"'
)


def load(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Load one split of the full set, downloading the archive the first time.

    Args:
        split: "train" (50,000 pictures) or "test" (10,000).

    Returns:
        images: `(n, 32, 32, 3)` uint8, in the order of the original.
        labels: `(n,)` uint8.

    Raises:
        DataError: if the archive cannot be had or is damaged.
    """
    return read_archive(find_or_download(), split)


def cache_folders() -> list[Path]:
    """Return where the archive may lie: the cache folder of Keras, then the course's own."""
    keras_home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return [Path(keras_home) / "datasets", runtime.cache_dir() / "datasets"]


def find_or_download() -> Path:
    """Return the path of the archive, downloading it into the first cache folder that is writable.

    Raises:
        DataError: if it cannot be downloaded.
    """
    folders = cache_folders()
    for folder in folders:
        if (folder / ARCHIVE).is_file():
            return folder / ARCHIVE
    folder = next((folder for folder in folders if downloads.is_writable(folder)), folders[0])
    return downloads.fetch(
        URL, folder / ARCHIVE, size=SIZE, sha256=SHA256, remedy=REMEDY.format(folder=folder)
    )


def read_archive(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one split from the archive, verifying the SHA-256 of every member that is used.

    Nothing is unpacked to disk and nothing is unpickled.

    Args:
        path: the archive.
        split: "train" or "test".

    Returns:
        images: `(n, 32, 32, 3)` uint8.
        labels: `(n,)` uint8.

    Raises:
        DataError: if the archive is truncated, damaged or another file; the message names the
            member, and the expected and found SHA-256.
    """
    path = Path(path)
    wanted = sorted(name for name in MEMBERS if name.startswith(PREFIXES[split]))
    images = np.empty((len(wanted) * RECORDS, 32, 32, 3), np.uint8)
    labels = np.empty(len(wanted) * RECORDS, np.uint8)
    missing = set(wanted)
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = Path(member.name).name
                if name not in missing:
                    continue
                records = _verified(path, name, member.size, archive.extractfile(member))
                part = slice(wanted.index(name) * RECORDS, (wanted.index(name) + 1) * RECORDS)
                labels[part] = records[:, 0]
                # (10000, channel, row, column) -> (10000, row, column, channel)
                planes = records[:, 1:].reshape(RECORDS, 3, 32, 32)
                images[part] = planes.transpose(0, 2, 3, 1)
                missing.remove(name)
                if not missing:
                    break
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise _damaged(path, f"it cannot be unpacked: {error}") from None
    if missing:
        raise _damaged(path, f"it holds no {', '.join(sorted(missing))}")
    return images, labels


def _verified(path, name, size, file):
    if size != RECORDS * RECORD_BYTES or file is None:
        raise _damaged(path, f"{name} has {size} bytes, expected {RECORDS * RECORD_BYTES}")
    content = file.read()
    found = hashlib.sha256(content).hexdigest()
    if found != MEMBERS[name]:
        raise _damaged(path, f"{name} has SHA-256 {found}, expected {MEMBERS[name]}")
    return np.frombuffer(content, np.uint8).reshape(RECORDS, RECORD_BYTES)


def _damaged(path, reason):
    return DataError(
        f"{path} is damaged and was not loaded: {reason}; delete it and run again to download it "
        'anew, or use the pictures that ship with the course: subset="bundled".'
    )
