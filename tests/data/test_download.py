"""Downloads from a local server that breaks off, lies and stalls."""

import hashlib
import io
import re
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from scripts.download_coco import download_all

from cfm.data.download import download
from cfm.errors import DownloadError

BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers the n-th request as the n-th word of `script` says, further ones as the last word does."""

    protocol_version = "HTTP/1.1"
    body: ClassVar[bytes]
    etag: ClassVar[str | None]
    script: ClassVar[list[str]]
    requests: ClassVar[list[dict[str, str]]]
    released: ClassVar[threading.Event]

    def do_GET(self):
        word = self.script[min(len(self.requests), len(self.script) - 1)]
        self.requests.append(dict(self.headers))
        self.close_connection = True
        if word.isdigit():
            self.send_response(int(word))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = self.first_byte() if word != "ignore-range" else 0
        getattr(self, "send_" + word.replace("-", "_"))(start)

    def first_byte(self) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        changed = "If-Range" in self.headers and self.headers["If-Range"] != self.etag
        return int(asked[1]) if asked and not changed else 0

    def begin(self, start: int, total: int | None = None, claimed_start: int | None = None, length: int | None = None):
        total = len(self.body) if total is None else total
        self.send_response(206 if start else 200)
        if start:
            claimed = start if claimed_start is None else claimed_start
            self.send_header("Content-Range", f"bytes {claimed}-{total - 1}/{total}")
        if self.etag:
            self.send_header("ETag", self.etag)
        self.send_header("Content-Length", str(total - start if length is None else length))
        self.end_headers()

    def send_whole(self, start):
        self.begin(start)
        self.wfile.write(self.body[start:])

    send_ignore_range = send_whole

    def send_break(self, start):
        self.begin(start)
        self.wfile.write(self.body[start : start + 100_000])

    def send_break_early(self, start):
        self.begin(start)

    def send_ignore_range_break(self, start):
        self.begin(0)
        self.wfile.write(self.body[:100_000])

    def send_stall(self, start):
        self.begin(start)
        self.wfile.write(self.body[start:1000])
        self.released.wait(10)

    def send_silence(self, start):
        self.released.wait(10)

    def send_wrong_start(self, start):
        if start:
            self.begin(start, claimed_start=start - 10, length=len(self.body) - start + 10)
            self.wfile.write(self.body[start - 10 :])
        else:
            self.send_whole(0)

    def send_wrong_length(self, start):
        self.begin(start, length=len(self.body) - start + (7 if start else 0))
        self.wfile.write(self.body[start:] + b"padding" * bool(start))

    def send_other_total(self, start):
        self.begin(0, total=len(self.body) - 1)
        self.wfile.write(self.body[:-1])

    def send_corrupt(self, start):
        self.begin(start)
        spoilt = bytearray(self.body)
        spoilt[-5] ^= 1
        self.wfile.write(spoilt[start:])

    def send_chunked(self, start):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for first in range(0, len(self.body), 70_000):
            piece = self.body[first : first + 70_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def send_chunked_too_much(self, start):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(self.body) + 3, self.body + b"abc"))

    def send_chunked_break(self, start):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (1000, self.body[:1000]))

    def send_unsized(self, start):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


class Server:
    """A server on 127.0.0.1 that follows a script."""

    def __init__(self):
        self.handler = type("Scripted", (Handler,), {"released": threading.Event()})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/zips/val2017.zip"
        self.answer("whole")
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, *script: str, body: bytes = BODY, etag: str | None = '"first"') -> None:
        self.handler.script, self.handler.body, self.handler.etag = list(script), body, etag
        self.handler.requests = []

    @property
    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.handler.requests]

    def close(self) -> None:
        self.handler.released.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def fetch(server, tmp_path):
    def run(**options):
        quick = {"timeout_s": 5.0, "pause_s": 0.01, "progress": False, "retries": 3}
        return download(server.url, tmp_path / "cache" / "val2017.zip", **(quick | options))

    return run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "val2017.zip"


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir()) if path.parent.exists() else []


def refused(fetch, **options) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(**options)
    message = str(caught.value)
    assert "\n" not in message
    assert "val2017.zip" in message
    assert "http://127.0.0.1" in message
    return message


def test_whole_file_and_nothing_fetched_again(server, fetch, path):
    result = fetch(size_bytes=len(BODY), sha256=SHA256.upper(), md5=MD5)
    assert path.read_bytes() == BODY
    assert result == (path, len(BODY), SHA256, True)
    assert names(path) == ["val2017.zip"]
    again = fetch(size_bytes=len(BODY), sha256=SHA256, md5=MD5)
    assert again == (path, len(BODY), SHA256, False)
    assert server.ranges == [None]


def test_sha256_is_reported_where_nothing_is_published(server, fetch):
    assert fetch().sha256 == SHA256
    assert fetch() == (fetch().path, len(BODY), SHA256, False)


def test_a_wrong_file_in_its_place_is_replaced(fetch, path, capsys):
    path.parent.mkdir()
    path.write_bytes(BODY[:-1])
    assert fetch(sha256=SHA256).fetched
    assert path.read_bytes() == BODY
    assert "not the published file" in capsys.readouterr().err


def test_breaks_are_resumed_where_they_happened(server, fetch, path):
    server.answer("break", "break", "whole")
    assert fetch().sha256 == SHA256
    assert server.ranges == [None, "bytes=100000-", "bytes=200000-"]
    assert [request.get("If-Range") for request in server.handler.requests] == [None, '"first"', '"first"']
    assert names(path) == ["val2017.zip"]


def test_a_later_call_resumes(server, fetch, path):
    server.answer("break", "503")
    message = refused(fetch, sha256=SHA256)
    assert "answered 503" in message
    assert "run again: it resumes after 100000 bytes" in message
    assert names(path) == ["val2017.zip.part", "val2017.zip.part.json"]
    server.answer("whole")
    assert fetch(sha256=SHA256).fetched
    assert server.ranges == ["bytes=100000-"]


def test_a_file_that_changed_meanwhile_is_fetched_from_its_start(server, fetch, path):
    server.answer("break", "503")
    refused(fetch)
    other = BODY[::-1]
    server.answer("whole", body=other, etag='"second"')
    assert fetch().sha256 == hashlib.sha256(other).hexdigest()
    assert server.ranges == ["bytes=100000-"]


def test_without_mark_and_checksum_nothing_is_resumed_later(server, fetch, path):
    server.answer("break", "503", etag=None)
    refused(fetch)
    server.answer("whole", etag=None)
    assert fetch().sha256 == SHA256
    assert server.ranges == [None]


def test_a_part_of_another_address_is_not_marked_as_of_this_one(server, fetch, path):
    path.parent.mkdir()
    path.with_name("val2017.zip.part").write_bytes(BODY[:5000])
    path.with_name("val2017.zip.part.json").write_text('{"url": "http://127.0.0.1/other", "mark": "\\"first\\""}')
    assert fetch(sha256=SHA256).fetched
    assert server.handler.requests[0].get("Range") == "bytes=5000-"
    assert "If-Range" not in server.handler.requests[0]


def test_a_server_that_ignores_ranges(server, fetch, path):
    server.answer("break", "ignore-range")
    assert fetch().sha256 == SHA256
    assert server.ranges == [None, "bytes=100000-"]


def test_a_server_that_ignores_ranges_and_always_breaks(server, fetch, path):
    server.answer("ignore-range-break")
    assert "after 100000 of 300000 bytes" in refused(fetch, sha256=SHA256)
    assert len(server.ranges) == 4


@pytest.mark.parametrize("lie", ["wrong-start", "wrong-length"])
def test_lies_about_ranges_start_over(server, fetch, path, lie):
    server.answer("break", lie)
    assert fetch().sha256 == SHA256
    assert server.ranges == [None, "bytes=100000-", None]


def test_another_size_than_published(server, fetch, path):
    server.answer("other-total")
    message = refused(fetch, size_bytes=len(BODY))
    assert "has 299999 bytes where 300000 are published" in message
    assert names(path) == []


def test_more_than_announced(server, fetch, path):
    server.answer("chunked-too-much")
    assert "sent more than the 300000 bytes" in refused(fetch, size_bytes=len(BODY))
    assert names(path) == []


def test_damaged_bytes_are_removed_and_both_sums_named(server, fetch, path):
    server.answer("corrupt")
    spoilt = bytearray(BODY)
    spoilt[-5] ^= 1
    message = refused(fetch, sha256=SHA256)
    assert f"sha256 {hashlib.sha256(spoilt).hexdigest()} where {SHA256} is published" in message
    assert names(path) == []
    assert "md5" in refused(fetch, md5=MD5)
    server.answer("whole")
    assert fetch(md5=MD5).fetched


def test_a_damaged_resumption_is_removed(server, fetch, path):
    server.answer("break", "corrupt")
    assert "sha256" in refused(fetch, sha256=SHA256)
    assert names(path) == []


@pytest.mark.parametrize("word", ["stall", "silence"])
def test_stalls_are_left_after_the_timeout(server, fetch, path, word):
    server.answer(word)
    message = refused(fetch, timeout_s=0.2, retries=1)
    assert "no byte for 0.2 s" in message
    server.answer(word, "whole")
    assert fetch(timeout_s=0.2).sha256 == SHA256


@pytest.mark.parametrize("status", ["403", "404", "410"])
def test_refusals_are_not_repeated(server, fetch, path, status):
    server.answer(status)
    assert f"answered {status}" in refused(fetch)
    assert len(server.ranges) == 1
    assert names(path) == []


@pytest.mark.parametrize("status", ["500", "503", "429"])
def test_passing_trouble_is_waited_out(server, fetch, status):
    server.answer(status, status, "whole")
    assert fetch().sha256 == SHA256
    server.answer(status)
    assert f"failed 4 times in a row (the server answered {status})" in refused(fetch, sha256="0" * 64)


def test_range_not_satisfiable_starts_over(server, fetch, path):
    path.parent.mkdir()
    path.with_name("val2017.zip.part").write_bytes(BODY + b"more")
    server.answer("416", "whole")
    assert fetch(sha256=SHA256).fetched
    assert server.ranges == [f"bytes={len(BODY) + 4}-", None]


def test_a_part_that_is_already_whole_or_too_long(server, fetch, path):
    path.parent.mkdir()
    part = path.with_name("val2017.zip.part")
    part.write_bytes(BODY)
    assert fetch(size_bytes=len(BODY), sha256=SHA256).fetched
    assert server.ranges == []
    path.unlink()
    part.write_bytes(BODY + b"more")
    assert fetch(size_bytes=len(BODY), sha256=SHA256).fetched
    assert server.ranges == [None]


def test_chunked_bodies(server, fetch):
    server.answer("chunked-break", "chunked")
    assert fetch().sha256 == SHA256


def test_a_body_of_unknown_length_needs_a_published_size(server, fetch, path):
    server.answer("unsized")
    assert "does not say how long it is; give its size" in refused(fetch)
    assert fetch(size_bytes=len(BODY)).sha256 == SHA256


def test_nobody_listens(tmp_path):
    closed = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = closed.server_port
    closed.server_close()
    with pytest.raises(DownloadError, match=r"ConnectionRefusedError.*run again"):
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a", pause_s=0.01, retries=1)


def test_other_schemes_are_refused(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(DownloadError, match="give an http or https address"):
        download(f"file://{tmp_path}/secret", tmp_path / "a")


def test_full_disk_is_seen_before_the_first_byte(server, fetch, path, monkeypatch):
    monkeypatch.setattr("cfm.data.download.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DownloadError, match=r"val2017.zip: \d+ bytes are needed and 1 are free; make room"):
        fetch()
    assert not path.exists()


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DownloadError, match="cannot be written"):
        download(server.url, tmp_path / "file" / "a.zip")


def test_progress_is_shown(server, fetch, capsys):
    fetch(progress=True)
    assert "fetching val2017.zip: 300000/300000 bytes" in capsys.readouterr().err


def test_archives_are_fetched_and_unpacked_into_the_layout(server, tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("val2017/000000000001.jpg", b"picture")
    server.answer("whole", body=whole.getvalue())
    manifest = download_all({"val2017": {"url": server.url, "size_bytes": len(whole.getvalue())}}, tmp_path)
    assert (tmp_path / "val2017" / "000000000001.jpg").read_bytes() == b"picture"
    sha256 = hashlib.sha256(whole.getvalue()).hexdigest()
    assert manifest == {"val2017": {"url": server.url, "size_bytes": len(whole.getvalue()), "sha256": sha256}}
