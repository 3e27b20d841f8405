"""Download a file so that a bad network cannot spoil anything.

Data goes to `<name>.part`, is verified there, and only then gets its name, so that half a file is
never taken for a whole one. A stopped download goes on where it stopped. Processes that want the
same file wait for the first one. Whatever fails is said in one sentence with a remedy.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from course_utils.bundle import DataError

CHUNK = 1 << 18
ATTEMPTS = 4
LABELS = {"sha256": "SHA-256", "md5": "MD5"}


class DownloadError(DataError):
    """A file could not be downloaded; the message says why and what to do."""


def reachable(url: str, timeout: float = 4.0) -> bool:
    """Whether the server of `url` answers at all within `timeout` seconds, in every case.

    A request's own timeout does not cover a name look-up that hangs, as it does on many a bad
    network, so the question is asked in a thread that is left behind.

    Args:
        url: what is to be downloaded.
        timeout: seconds to wait for the answer.
    """
    import requests

    answers = []

    def ask():
        with contextlib.suppress(requests.RequestException, OSError):
            requests.head(url, timeout=timeout, allow_redirects=True).close()
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return bool(answers)


def is_writable(folder: Path) -> bool:
    """Whether files can be written into `folder`, which is created if it does not exist."""
    folder = Path(folder)
    probe = folder / f".writable-{os.getpid()}-{threading.get_ident()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int,
    remedy: str,
    timeout: float = 20.0,
    probe_timeout: float = 4.0,
    quiet: bool | None = None,
) -> Path:
    """Download `url` to `path` unless it is there, and verify it.

    Args:
        url: where the file is.
        path: where it shall be.
        sha256: checksum of the whole file, 64 hexadecimal digits.
        md5: instead of it, 32 digits, for files whose publisher gives no other.
        size: its length in bytes.
        remedy: what to do without a network: the end of the sentence of an error.
        timeout: seconds without any data after which a connection is given up.
        probe_timeout: seconds in which the server must answer at all.
        quiet: whether to show no progress; None shows it in notebooks and terminals only.

    Returns:
        `path`.

    Raises:
        ValueError: if not exactly one checksum is given.
        DownloadError: if it cannot be had; `path` then does not exist, and the part that came is
            kept for the next try unless it is wrong.
    """
    if (sha256 is None) == (md5 is None):
        raise ValueError("fetch needs exactly one checksum, sha256 or md5.")
    kind, expected = ("sha256", sha256) if md5 is None else ("md5", md5)
    path = Path(path)
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    with _explained(path, size, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock(path.with_name(path.name + ".lock"), path.name, remedy):
            if path.exists():  # another process was faster
                return path
            missing = size - (part.stat().st_size if part.exists() else 0)
            if shutil.disk_usage(path.parent).free < missing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if not reachable(url, probe_timeout):
                raise DownloadError(
                    f"{url} cannot be reached (no answer within {probe_timeout:g} s): connect to "
                    f"the internet and run again, or {remedy}."
                )
            resumed = part.exists()
            _transfer(url, part, size, timeout, remedy, quiet)
            if (found := _digest(part, kind)) != expected and resumed:
                # What lay there from an earlier time may have been wrong: once more, from nothing.
                _discard(part)
                _transfer(url, part, size, timeout, remedy, quiet)
                found = _digest(part, kind)
            if found != expected:
                length = part.stat().st_size
                _discard(part)
                raise DownloadError(
                    f"{url} did not give the right file: expected {size} bytes with "
                    f"{LABELS[kind]} {expected}, found {length} bytes with {LABELS[kind]} {found}; "
                    "a log-in page of the network may be in the way, so check it and run again, "
                    f"or {remedy}."
                )
            os.replace(part, path)
            _discard(part)
    return path


def _transfer(url, part, size, timeout, remedy, quiet):
    """Bring `part` to its full length, going on after interruptions as long as data comes."""
    import requests

    failures, furthest = 0, 0
    with _progress_bar(part, size, quiet) as bar:
        while True:
            try:
                _request(url, part, size, timeout, bar)
                return
            except (requests.RequestException, _Stopped) as error:
                reason = error
            length = part.stat().st_size if part.exists() else 0
            failures = 0 if length > furthest else failures + 1
            furthest = max(length, furthest)
            refused = isinstance(reason, requests.HTTPError) and reason.response.status_code < 500
            if failures >= ATTEMPTS or refused:
                raise DownloadError(
                    f"The download of {url} stopped after {length} of {size} bytes "
                    f"({_in_short(reason)}): run again to go on from there, or {remedy}."
                ) from None
            time.sleep(min(0.2 * 2**failures, 3))


class _Stopped(Exception):
    """The connection ended before the file did."""


def _request(url, part, size, timeout, bar):
    """Ask once for what is missing of `part` and append it."""
    import requests
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    have = part.stat().st_size if part.exists() else 0
    if have >= size:
        return
    # As stored, not compressed for the way: only then do byte positions mean the same twice.
    headers = {"Accept-Encoding": "identity"}
    tag_file = _tag_file(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag_file.exists():  # the server sends all of it if the file is no longer the same
            headers["If-Range"] = tag_file.read_text(encoding="utf-8")
    with requests.get(url, headers=headers, stream=True, timeout=(timeout, timeout)) as response:
        if response.status_code == 416:  # the server's file is shorter than what is here
            _discard(part)
            raise _Stopped("the file at the server has changed")
        response.raise_for_status()
        goes_on = response.status_code == 206 and response.headers.get(
            "Content-Range", ""
        ).startswith(f"bytes {have}-")
        if response.status_code == 206 and not goes_on:
            _discard(part)
            raise _Stopped("the server sent another part than it was asked for")
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if tag and not tag.startswith("W/"):
            tag_file.write_text(tag, encoding="utf-8")
        else:
            tag_file.unlink(missing_ok=True)
        have = have if goes_on else 0
        bar.reset(have)
        with open(part, "ab" if goes_on else "wb") as file:
            try:
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)
                    bar.update(len(chunk))
                    have += len(chunk)
                    if have > size:  # another file: its checksum will tell
                        break
            except HTTPError as error:
                silent = isinstance(error, ReadTimeoutError)
                raise _Stopped(
                    "no data came in time" if silent else "the connection broke"
                ) from None
    if have < size:
        raise _Stopped("the connection broke")


@contextlib.contextmanager
def _lock(path: Path, name: str, remedy: str, patience: float = 1800.0) -> Iterator[None]:
    """Hold a lock between processes; the system frees it when a process dies.

    The lock file stays: to delete it would let two processes hold a lock on two files of one name.
    """
    with open(path, "a+b") as file:
        deadline, told = time.monotonic() + patience, False
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise DownloadError(
                    f"Another process has been downloading {name} for {patience / 60:.0f} minutes: "
                    f"stop it and run again, or {remedy}."
                )
            if not told:
                print(f"Another process is downloading {name}; waiting for it.")
                told = True
            time.sleep(0.1)
        yield  # closing the file frees the lock


def _try_lock(file):
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        # A file system without locks: go on without one rather than not at all.
    return True


@contextlib.contextmanager
def _explained(path, size, remedy):
    """Turn errors of the file system into one sentence with a remedy."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"There is no space left for {path.name} in {path.parent}: free "
                f"{size / 1e6:.0f} MB and run again, or {remedy}."
            ) from None
        raise DownloadError(
            f"{path.parent} cannot be written ({error.strerror or error}): allow writing there "
            f"and run again, or {remedy}."
        ) from None


class _Bar:
    """A tqdm bar, or nothing."""

    def __init__(self, bar=None):
        self.bar = bar

    def reset(self, length):
        if self.bar is not None:
            self.bar.n = length
            self.bar.refresh()

    def update(self, amount):
        if self.bar is not None:
            self.bar.update(amount)


@contextlib.contextmanager
def _progress_bar(part, size, quiet):
    if quiet is None:
        quiet = not (_in_notebook() or sys.stderr.isatty())
    if quiet:
        yield _Bar()
        return
    from tqdm.auto import tqdm

    name = part.name.removesuffix(".part")
    with tqdm(total=size, unit="B", unit_scale=True, desc=name) as bar:
        yield _Bar(bar)


def _in_notebook():
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def _tag_file(part):
    return part.with_name(part.name + ".etag")


def _discard(part):
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def _digest(path, kind):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _in_short(error):
    """What went wrong, without the addresses of objects that requests puts into its messages."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no data came in time"
    if isinstance(error, requests.ConnectionError):
        return "the connection broke"
    return str(error).partition("\n")[0]
