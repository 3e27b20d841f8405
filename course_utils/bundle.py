"""The files that ship with the course: found, verified by SHA-256, read."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

from course_utils import runtime

_REMEDY = "restore it with `git checkout -- data`, or clone the course again"


class DataError(RuntimeError):
    """A data file is missing, damaged or not the one it should be."""


def read(name: str) -> bytes:
    """Read a bundled file, having checked that it is the file the course was made with.

    Args:
        name: path below the data folder as in `data/manifest.json`, `"mnist/train-0.webp"`.

    Returns:
        The verified bytes.

    Raises:
        DataError: if the file is not in the manifest, is missing, or its checksum is wrong. The
            message names the file and the expected and the found SHA-256.
    """
    entry = entries().get(name)
    if entry is None:
        raise DataError(
            f"{name!r} is not a file of the course: data/manifest.json does not list it."
        )
    path = runtime.data_dir() / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): expected {entry['bytes']} bytes with "
            f"SHA-256 {entry['sha256']}, found nothing; {_REMEDY}."
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise DataError(
            f"{path} is damaged and was not loaded: expected {entry['bytes']} bytes with SHA-256 "
            f"{entry['sha256']}, found {len(content)} bytes with SHA-256 {found}; {_REMEDY}."
        )
    return content


def write(name: str, content: bytes, *, origin: str, licence: str) -> Path:
    """Put a file of our own making into the data folder and into the manifest.

    Both are written under a temporary name and then renamed, the manifest last: interrupted at any
    point, `read` either gives the old file, or refuses the new one until it is written again.

    Args:
        name: path below the data folder.
        content: the bytes.
        origin: where the file comes from, for the manifest.
        licence: under which licence it may be shared.

    Returns:
        Where the file lies now.

    Raises:
        DataError: if the manifest is missing or damaged.
        OSError: if the data folder cannot be written.
    """
    entry = {
        "path": name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "origin": origin,
        "licence": licence,
        "script": "",
    }
    manifest = dict(sorted((entries() | {name: entry}).items()))
    text = json.dumps({"files": list(manifest.values())}, indent=1, ensure_ascii=False) + "\n"
    _replace(runtime.data_dir() / name, content)
    _replace(runtime.data_dir() / "manifest.json", text.encode())
    _parse.cache_clear()
    return runtime.data_dir() / name


def _replace(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    scratch.write_bytes(content)
    os.replace(scratch, path)


def entries() -> dict[str, dict]:
    """Return the manifest: for each bundled file, by path, its bytes, sha256, origin and licence.

    Raises:
        DataError: if the manifest is missing or is not what it should be.
    """
    path = runtime.data_dir() / "manifest.json"
    try:
        stat = path.stat()
        return _parse(path, (stat.st_mtime_ns, stat.st_size, stat.st_ino))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); {_REMEDY}, or set COURSE_DATA to the "
            "course's data folder."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error!r}); {_REMEDY}.") from None


@lru_cache(maxsize=4)
def _parse(path: Path, version: tuple[int, ...]) -> dict[str, dict]:
    files = json.loads(path.read_text(encoding="utf-8"))["files"]
    return {entry["path"]: entry for entry in files}
