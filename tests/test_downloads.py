"""Downloads against a server on this machine that misbehaves in every way we could think of."""

import errno
import hashlib
import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from course_utils import downloads
from course_utils.bundle import DataError
from course_utils.downloads import DownloadError

CONTENT = np.random.default_rng(0).bytes(1_500_000)
OTHER = np.random.default_rng(1).bytes(1_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REMEDY = "bring the file by hand"


class Handler(BaseHTTPRequestHandler):
    """Serves `server.content`; the fields of `server` say what goes wrong."""

    def do_HEAD(self):
        time.sleep(self.server.slow_answer)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.status != 200:
            self.send_error(server.status)
            return
        content, start = server.content, 0
        fresh = self.headers.get("If-Range") in (None, server.etag)
        if wanted and server.ranges and fresh:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(content):
                self.send_error(416)
                return
            start += server.range_offset
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop = server.stops.pop(0) if server.stops else len(content)
        for at in range(start, min(len(content), start + stop), 50_000):
            self.wfile.write(content[at : min(at + 50_000, start + stop)])
            time.sleep(server.pause)
        if stop < len(content) - start:
            time.sleep(server.hang)
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server whose file is all right."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.content, server.etag, server.ranges, server.range_offset = CONTENT, '"one"', True, 0
    server.requests, server.stops, server.status = [], [], 200
    server.pause = server.hang = server.slow_answer = 0
    server.url = f"http://127.0.0.1:{server.server_port}/file.bin"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """No pauses between attempts, other than in the server."""
    monkeypatch.setattr(downloads, "ATTEMPTS", 2)
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def fetch(server, path, **options):
    arguments = {"sha256": SHA256, "size": len(CONTENT), "remedy": REMEDY} | options
    return downloads.fetch(server.url, path, **arguments)


def failure(server, path, **options):
    """The message of the failure, which must be one sentence that ends in the remedy."""
    with pytest.raises(DownloadError) as caught:
        fetch(server, path, **options)
    message = str(caught.value)
    assert message.endswith(f"or {REMEDY}.")
    assert "\n" not in message
    assert isinstance(caught.value, DataError)
    assert not path.exists()
    return message


def leave_part(path, content, etag='"one"'):
    path.with_name(path.name + ".part").write_bytes(content)
    if etag:
        path.with_name(path.name + ".part.etag").write_text(etag)


def leftovers(path):
    return sorted(p.name for p in path.parent.iterdir() if p.suffix != ".lock")


def test_brings_the_file_and_leaves_nothing_else(server, tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    assert fetch(server, path) == path
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == ["file.bin"]
    assert server.requests == [None]


def test_a_file_that_is_there_is_not_asked_for(server, tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"mine")
    fetch(server, path)
    assert path.read_bytes() == b"mine"
    assert server.requests == []


def test_goes_on_where_it_stopped(server, tmp_path):
    path = tmp_path / "file.bin"
    leave_part(path, CONTENT[:700_000])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == ["bytes=700000-"]
    assert leftovers(path) == ["file.bin"]


def test_goes_on_by_itself_when_the_connection_breaks(server, tmp_path):
    server.stops = [400_000, 400_000, 400_000]
    path = fetch(server, tmp_path / "file.bin")
    assert path.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=400000-", "bytes=800000-", "bytes=1200000-"]


def test_starts_again_when_the_server_ignores_range(server, tmp_path):
    server.ranges = False
    path = tmp_path / "file.bin"
    leave_part(path, CONTENT[:700_000])
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_starts_again_when_the_server_sends_another_range(server, tmp_path):
    server.range_offset = 10
    path = tmp_path / "file.bin"
    leave_part(path, CONTENT[:700_000])
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == ["bytes=700000-", None]


def test_starts_again_when_the_file_has_changed(server, tmp_path):
    path = tmp_path / "file.bin"
    leave_part(path, OTHER[:700_000], etag='"zero"')
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == ["bytes=700000-"]  # If-Range made the server send all of it


def test_starts_again_when_an_old_part_without_a_tag_was_wrong(server, tmp_path):
    path = tmp_path / "file.bin"
    leave_part(path, OTHER[:700_000], etag=None)
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == ["bytes=700000-", None]


@pytest.mark.parametrize("length", [1_500_000, 1_600_000])
def test_starts_again_when_a_part_is_whole_but_wrong(server, tmp_path, length):
    path = tmp_path / "file.bin"
    leave_part(path, (OTHER + OTHER)[:length])
    fetch(server, path)
    assert path.read_bytes() == CONTENT


def test_starts_again_when_the_server_has_less_than_the_part(server, tmp_path):
    path = tmp_path / "file.bin"
    leave_part(path, CONTENT[:700_000])
    server.content = CONTENT[:600_000]
    message = failure(server, path)
    assert "stopped after 600000 of 1500000 bytes" in message


def test_a_finished_part_is_used(server, tmp_path):
    path = tmp_path / "file.bin"
    leave_part(path, CONTENT)
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests == []


def test_a_wrong_file_is_named_with_both_checksums_and_not_kept(server, tmp_path):
    server.content = OTHER
    path = tmp_path / "file.bin"
    message = failure(server, path)
    assert SHA256 in message
    assert hashlib.sha256(OTHER).hexdigest() in message
    assert leftovers(path) == []


def test_an_md5_will_do_where_there_is_no_other_checksum(server, tmp_path):
    md5 = {"sha256": None, "md5": hashlib.md5(CONTENT).hexdigest()}
    assert fetch(server, tmp_path / "right.bin", **md5).read_bytes() == CONTENT
    server.content = OTHER
    message = failure(server, tmp_path / "wrong.bin", **md5)
    assert f"MD5 {md5['md5']}" in message
    assert f"MD5 {hashlib.md5(OTHER).hexdigest()}" in message
    assert leftovers(tmp_path / "wrong.bin") == ["right.bin"]


@pytest.mark.parametrize("checksums", [{"sha256": None}, {"md5": "0" * 32}])
def test_exactly_one_checksum_is_needed(server, tmp_path, checksums):
    with pytest.raises(ValueError, match="exactly one checksum"):
        fetch(server, tmp_path / "file.bin", **checksums)
    assert server.requests == []


def test_a_log_in_page_is_not_taken_for_the_file(server, tmp_path):
    server.content = b"<html>please log in</html>"
    assert "stopped after 26 of 1500000 bytes" in failure(server, tmp_path / "file.bin")


def test_a_file_that_is_too_long_is_refused(server, tmp_path):
    server.content = CONTENT * 30
    message = failure(server, tmp_path / "file.bin")
    assert "did not give the right file" in message
    assert leftovers(tmp_path / "file.bin") == []


def test_a_truncated_download_keeps_its_part_for_the_next_run(server, tmp_path):
    path = tmp_path / "file.bin"
    server.stops = [300_000, 0, 0, 0, 0]
    assert "stopped after 300000 of 1500000 bytes (the connection" in failure(server, path)
    assert leftovers(path) == ["file.bin.part", "file.bin.part.etag"]
    server.stops = []
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=300000-"


def test_a_server_that_falls_silent_is_given_up(server, tmp_path):
    server.stops, server.hang = [100_000, 0, 0, 0, 0], 8
    begin = time.monotonic()
    message = failure(server, tmp_path / "file.bin", timeout=0.2)
    assert "no data came in time" in message
    assert time.monotonic() - begin < 7


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 2)])
def test_a_refusal_is_named_and_only_repeated_if_that_can_help(server, tmp_path, status, tries):
    server.status = status
    assert f"(HTTP status {status})" in failure(server, tmp_path / "file.bin")
    assert len(server.requests) == tries


def test_an_unreachable_server_fails_soon(tmp_path, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        server.url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        message = failure(server, tmp_path / "file.bin")
    assert "cannot be reached" in message
    assert "connect to the internet" in message


def test_a_server_that_does_not_answer_fails_within_the_probe_time(tmp_path, server):
    server.slow_answer = 8
    begin = time.monotonic()
    assert "no answer within 0.3 s" in failure(server, tmp_path / "file.bin", probe_timeout=0.3)
    assert time.monotonic() - begin < 6


def test_a_name_look_up_that_hangs_fails_within_the_probe_time(monkeypatch, tmp_path, server):
    def hang(*_, **__):
        time.sleep(8)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    begin = time.monotonic()
    assert not downloads.reachable("http://course.invalid/file", timeout=0.3)
    assert time.monotonic() - begin < 6


def test_reachable(server):
    assert downloads.reachable(server.url)
    server.status = 404  # it answers, which is all that is asked
    assert downloads.reachable(server.url)


def test_a_full_disk_is_foreseen(monkeypatch, tmp_path, server):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))
    message = failure(server, tmp_path / "file.bin")
    assert "no space left for file.bin" in message
    assert str(tmp_path) in message
    assert server.requests == []


def test_a_disk_that_fills_up_is_explained(monkeypatch, tmp_path, server):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads._Bar, "update", full)
    assert "no space left" in failure(server, tmp_path / "file.bin")


def test_a_folder_that_cannot_be_made_is_explained(tmp_path, server):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in failure(server, tmp_path / "file" / "sub" / "file.bin")


def test_a_read_only_folder_is_explained(monkeypatch, tmp_path, server):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(downloads.Path, "mkdir", refuse)
    message = failure(server, tmp_path / "file.bin")
    assert "cannot be written (Permission denied)" in message
    assert not downloads.is_writable(tmp_path)


def test_is_writable_leaves_nothing(tmp_path):
    assert downloads.is_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_an_interrupt_keeps_the_part(monkeypatch, tmp_path, server):
    def interrupt(*_):
        raise KeyboardInterrupt

    path = tmp_path / "file.bin"
    with monkeypatch.context() as patch:
        patch.setattr(downloads._Bar, "update", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch(server, path)
    assert not path.exists()
    fetch(server, path)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1].startswith("bytes=")


def _fetch_in_child(url, path, results):
    options = {"sha256": SHA256, "size": len(CONTENT), "remedy": REMEDY, "quiet": True}
    results.put(downloads.fetch(url, path, **options).read_bytes() == CONTENT)


def test_processes_that_want_the_same_file_download_it_once(server, tmp_path, capfd):
    server.pause = 0.02
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    arguments = (server.url, tmp_path / "file.bin", results)
    processes = [context.Process(target=_fetch_in_child, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [True] * 3
    for process in processes:
        process.join(timeout=60)
    assert server.requests == [None]
    assert leftovers(tmp_path / "file.bin") == ["file.bin"]


def test_waiting_for_another_process_ends(tmp_path, monkeypatch):
    lock = tmp_path / "file.lock"
    with (
        downloads._lock(lock, "file", REMEDY),
        pytest.raises(DownloadError, match="Another process has been downloading file"),
        downloads._lock(lock, "file", REMEDY, patience=0.1),
    ):
        pass
    with downloads._lock(lock, "file", REMEDY, patience=0):
        pass  # free again


def test_a_killed_process_leaves_no_lock(tmp_path):
    lock = tmp_path / "file.lock"
    script = (
        "import time; from pathlib import Path; from course_utils import downloads\n"
        f"with downloads._lock(Path({str(lock)!r}), 'file', ''): print('held', flush=True); "
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"held"
        with open(lock, "a+b") as file:
            assert not downloads._try_lock(file)
        holder.kill()
    with downloads._lock(lock, "file", REMEDY, patience=0):
        pass


def test_progress_is_shown_on_demand_only(server, tmp_path, capsys):
    fetch(server, tmp_path / "quiet.bin")
    assert capsys.readouterr() == ("", "")
    fetch(server, tmp_path / "loud.bin", quiet=False)
    assert "loud.bin: 100%" in capsys.readouterr().err


def test_the_network_is_blocked_in_tests():
    with pytest.raises(AssertionError, match="must not use the network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(AssertionError, match="must not use the network"):
        socket.getaddrinfo("example.org", 80)
