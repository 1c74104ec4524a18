"""Downloads from a server on this machine that breaks off, ignores ranges, lies, or isn't there."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mcomp.data.download import fetch, file_sha256

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
WANT = {
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "nbytes": len(CONTENT),
    "progress": False,
    "timeout": 60,
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            said = start + server.shift
            self.send_header("Content-Range", f"bytes {said}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut.pop(0)] if server.cut else body)

    def log_message(self, *_):
        """Nothing on the screen."""


@pytest.fixture
def server():
    """`ranges`: honoured or not; `shift`: by how much Content-Range lies; `cut`: bytes until it breaks."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.content, http.ranges, http.shift, http.cut, http.asked = CONTENT, True, 0, [], []
    http.url = f"http://127.0.0.1:{http.server_port}/file"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


def left(path):
    return sorted(p.name for p in path.parent.iterdir())


def test_a_file_arrives_whole_and_is_not_fetched_again(server, tmp_path):
    path = tmp_path / "new" / "file.gz"
    assert fetch([server.url], path, **WANT) == path
    assert path.read_bytes() == CONTENT
    assert fetch([server.url], path, **WANT) == path
    assert server.asked == [None]
    assert left(path) == ["file.gz"]


def test_an_interrupted_download_goes_on_where_it_broke_off(server, tmp_path):
    server.cut = [100_000, 50_000]
    path = fetch([server.url], tmp_path / "file.gz", **WANT)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=150000-"]


def test_what_arrived_is_kept_for_the_next_call(server, tmp_path):
    server.cut, path = [100_000], tmp_path / "file.gz"
    with pytest.raises(ConnectionError, match="ended 200000 bytes early"):
        fetch([server.url], path, attempts=1, **WANT)
    assert left(path) == ["file.gz.part"]
    fetch([server.url], path, **WANT)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_server_without_ranges_starts_again_and_the_file_is_right(server, tmp_path):
    server.ranges, server.cut = False, [100_000]
    path = fetch([server.url], tmp_path / "file.gz", **WANT)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_content_range_that_was_not_asked_for_is_refused(server, tmp_path):
    server.cut, server.shift, path = [100_000], 7, tmp_path / "file.gz"
    with pytest.raises(ConnectionError, match="Content-Range 'bytes 100007-"):
        fetch([server.url], path, **WANT)
    assert left(path) == ["file.gz.part"]


def test_the_wrong_file_is_refused_and_not_kept(server, tmp_path):
    server.content, path = CONTENT[:-1] + b"?", tmp_path / "file.gz"
    with pytest.raises(ValueError, match=f"SHA-256 is {hashlib.sha256(server.content).hexdigest()}"):
        fetch([server.url], path, **WANT)
    assert left(path) == []


def test_a_part_from_elsewhere_is_thrown_away_and_fetched_anew(server, tmp_path):
    path = tmp_path / "file.gz"
    path.with_name("file.gz.part").write_bytes(b"x" * 1000)
    fetch([server.url], path, **WANT)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_part_that_is_full_but_wrong_is_fetched_anew(server, tmp_path, size):
    path = tmp_path / "file.gz"
    path.with_name("file.gz.part").write_bytes(b"x" * size)
    fetch([server.url], path, **WANT)
    assert path.read_bytes() == CONTENT


def test_a_server_that_sends_too_much_fills_no_disk(server, tmp_path):
    server.content = CONTENT + b"x" * 1_000_000
    path = fetch([server.url], tmp_path / "file.gz", **WANT)
    assert path.read_bytes() == CONTENT


def test_the_next_mirror_is_tried(server, tmp_path):
    mirrors = [server.url.replace("/file", "/missing"), server.url]
    path = fetch(mirrors, tmp_path / "file.gz", **WANT)
    assert path.read_bytes() == CONTENT


def test_offline_says_what_to_do(server, tmp_path):
    path = tmp_path / "file.gz"
    dead = f"http://127.0.0.1:{server.server_port}/missing"
    with pytest.raises(ConnectionError, match="404") as caught:
        fetch([dead], path, **WANT)
    for word in ("file.gz", dead, str(path), "MCOMP_DATA", "call again"):
        assert word in str(caught.value)


def test_a_wrong_file_already_there_is_named_and_replaced(server, tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(b"not it")
    with pytest.raises(ConnectionError, match="the file there has SHA-256"):
        fetch([server.url.replace("/file", "/missing")], path, **WANT)
    assert path.read_bytes() == b"not it"
    fetch([server.url], path, **WANT)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1])
def test_file_sha256_agrees_with_hashlib_in_one_go(tmp_path, size):
    (tmp_path / "f").write_bytes(b"a" * size)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(b"a" * size).hexdigest()
