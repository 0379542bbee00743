"""Fetching the public files, from a server on loopback that also misbehaves."""

import gzip
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from methmix.errors import InputError, RunError
from methmix.reference.download import content_sha256, download
from methmix.reference.public_files import BASE_URL, PUBLIC_FILES, PublicFile

PLAIN = b"CHROM\tSTART\tEND\nchr1\t1\t2\n" * 9000
COMMIT = "0123456789" * 4


def _file(name: str, path: str, content: bytes = PLAIN) -> PublicFile:
    return PublicFile(name, "someone/something", COMMIT, path, hashlib.sha256(content).hexdigest())


TABLE = _file("one/table.tsv", "data/table.tsv")
PACKED = _file("two/table.tsv.gz", "data/my table.tsv")


class Server(http.server.ThreadingHTTPServer):
    """Serves what a test puts into ``content``; counts requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = {f"/someone/something/{COMMIT}/data/{name}": PLAIN for name in ("table.tsv", "my%20table.tsv")}
        self.requests: list[str] = []
        self.misbehaviour = ""
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        content = self.server.content.get(self.path)
        if content is None:
            self.send_error(404)
            return
        if self.server.misbehaviour == "silent":
            self.server.released.wait(10)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 3] if self.server.misbehaviour == "truncated" else content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    made.server_close()
    thread.join()


def _files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_good(server, tmp_path):
    paths = download(tmp_path / "data", server.url, (TABLE, PACKED))
    assert paths == [tmp_path / "data/one/table.tsv", tmp_path / "data/two/table.tsv.gz"]
    assert paths[0].read_bytes() == PLAIN
    assert gzip.decompress(paths[1].read_bytes()) == PLAIN
    assert _files_below(tmp_path) == ["data/one/table.tsv", "data/two/table.tsv.gz"]
    expected = f"/someone/something/{COMMIT}/data/"
    assert server.requests == [f"{expected}table.tsv", f"{expected}my%20table.tsv"]


def test_same_content_same_bytes(server, tmp_path):
    paths = [download(tmp_path / name, server.url, (PACKED,))[0] for name in ("a", "b")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_what_is_there_is_kept(server, tmp_path):
    # Compressed by other software: other bytes, the same content.
    packed = tmp_path / PACKED.name
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(PLAIN, compresslevel=1, mtime=77))
    before = packed.read_bytes()
    download(tmp_path, server.url, (TABLE, PACKED))
    download(tmp_path, server.url, (TABLE, PACKED))
    assert len(server.requests) == 1
    assert packed.read_bytes() == before


@pytest.mark.parametrize("content", [b"something else", gzip.compress(b"something else", mtime=0), b""])
def test_other_content_is_replaced(server, tmp_path, content):
    packed = tmp_path / PACKED.name
    packed.parent.mkdir()
    packed.write_bytes(content)
    download(tmp_path, server.url, (PACKED,))
    assert gzip.decompress(packed.read_bytes()) == PLAIN


def _fails(server: Server, tmp_path: Path, file: PublicFile, **options) -> str:
    with pytest.raises(RunError) as caught:
        download(tmp_path, server.url, (file,), **options)
    assert caught.value.exit_code == 1
    assert _files_below(tmp_path) == []
    assert file.url(server.url) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("file", [TABLE, PACKED])
def test_wrong_checksum(server, tmp_path, file):
    server.content = dict.fromkeys(server.content, PLAIN[:-1] + b"x")
    message = _fails(server, tmp_path, file)
    assert "is not the expected file: sha256 " in message
    assert f"expected {file.sha256}" in message
    assert "by hand" in message
    assert "METHMIX_DATA" in message


def test_wrong_checksum_keeps_the_old_file(server, tmp_path):
    server.content = dict.fromkeys(server.content, b"wrong")
    old = tmp_path / TABLE.name
    old.parent.mkdir()
    old.write_bytes(b"old")
    with pytest.raises(RunError):
        download(tmp_path, server.url, (TABLE,))
    assert old.read_bytes() == b"old"
    assert _files_below(tmp_path) == [TABLE.name]


def test_not_found(server, tmp_path):
    message = _fails(server, tmp_path, _file("one/table.tsv", "data/moved.tsv"))
    assert "the server answers 404" in message
    assert "get data/moved.tsv of https://github.com/someone/something by hand" in message


def test_truncated(server, tmp_path):
    server.misbehaviour = "truncated"
    message = _fails(server, tmp_path, TABLE)
    assert f"the connection ended after {len(PLAIN) // 3} of {len(PLAIN)} bytes" in message
    assert "run the command again" in message


def test_silent_server(server, tmp_path):
    server.misbehaviour = "silent"
    message = _fails(server, tmp_path, TABLE, timeout_seconds=0.2)
    assert "cannot be fetched (timed out)" in message
    assert "check the network" in message


def test_no_server(server, tmp_path):
    server.shutdown()
    server.server_close()
    message = _fails(server, tmp_path, TABLE)
    assert "cannot be fetched (" in message
    assert "Connection refused" in message
    assert "METHMIX_DATA" in message


def test_files_before_a_failure_stay(server, tmp_path):
    with pytest.raises(RunError):
        download(tmp_path, server.url, (TABLE, _file("two/absent.tsv", "data/absent.tsv")))
    assert _files_below(tmp_path) == [TABLE.name]


@pytest.mark.parametrize("base_url", ["ftp://example.org", "file:///etc", "example.org"])
def test_address_of_another_kind(tmp_path, base_url):
    with pytest.raises(InputError, match=f"--base-url {base_url}: expected an address that starts with https://"):
        download(tmp_path, base_url, (TABLE,))


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(InputError, match="cannot write here"):
        download(tmp_path / "data", server.url, (TABLE,))


def test_digest_of_content(tmp_path):
    path = tmp_path / "table.tsv.gz"
    path.write_bytes(gzip.compress(PLAIN))
    assert content_sha256(path) == TABLE.sha256
    path.write_bytes(gzip.compress(PLAIN)[:-9])
    assert content_sha256(path) == "unreadable"


def test_pinned_files():
    assert BASE_URL == "https://raw.githubusercontent.com"
    for file in PUBLIC_FILES:
        assert re.fullmatch(r"[0-9a-f]{40}", file.commit)
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.url() == f"{BASE_URL}/{file.repository}/{file.commit}/{file.path}"
    assert len({file.name for file in PUBLIC_FILES}) == len(PUBLIC_FILES)


@pytest.mark.data
@pytest.mark.parametrize("file", PUBLIC_FILES, ids=lambda file: file.name)
def test_pinned_digests_are_those_of_the_real_files(file, data_file):
    assert content_sha256(data_file(file.name)) == file.sha256
