"""Fetching the public files that the shipped experiments read."""

import gzip
import hashlib
import http.client
import logging
import math
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path

from methmix import cli
from methmix.errors import InputError, RunError
from methmix.files.atomic import atomic_path
from methmix.reference.public_files import BASE_URL, PUBLIC_FILES, PublicFile

logger = logging.getLogger("methmix")

_CHUNK = 1 << 16


def download(
    output: Path,
    base_url: str = BASE_URL,
    public_files: tuple[PublicFile, ...] = PUBLIC_FILES,
    timeout_seconds: float = 60.0,
) -> list[Path]:
    """Fetch the files that are not in the data folder yet, and return the paths of all, in order.

    A file with the right content is kept as it is. After a failure, such as another content than expected, nothing is
    left under the final name of the file, and files that were fetched before stay. ``base_url`` is scheme and host, for
    a mirror; ``timeout_seconds`` is how long the server may be silent.
    """
    if urllib.parse.urlsplit(base_url).scheme not in {"http", "https"}:
        raise InputError(f"--base-url {base_url}: expected an address that starts with https:// or http://")
    paths = []
    for number, file in enumerate(public_files, start=1):
        path = output / file.name
        paths.append(path)
        if path.is_file():
            found = content_sha256(path)
            if found == file.sha256:
                logger.info("%d of %d: %s is complete", number, len(public_files), path)
                continue
            logger.warning("%s has other content (sha256 %s) and is replaced", path, found)
        logger.info("%d of %d: %s from %s", number, len(public_files), path, file.url(base_url))
        content = _fetch(file, base_url, timeout_seconds)
        found = hashlib.sha256(content).hexdigest()
        if found != file.sha256:
            raise RunError(
                f"{file.url(base_url)}: is not the expected file: sha256 {found}, expected {file.sha256}",
                _by_hand(file),
            )
        with atomic_path(path) as temporary:
            # Without a time in the header, the same content gives the same bytes.
            temporary.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return paths


def content_sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, uncompressed where its name ends in ``.gz``; ``unreadable`` if it is damaged."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except (OSError, EOFError):
        return "unreadable"


def _fetch(file: PublicFile, base_url: str, timeout_seconds: float) -> bytes:
    url = file.url(base_url)
    try:
        with urllib.request.urlopen(url, timeout=timeout_seconds) as response:
            expected = int(response.headers.get("Content-Length") or 0)
            chunks = iter(partial(response.read, _CHUNK), b"")
            content = b"".join(cli.progress(chunks, Path(file.name).name, math.ceil(expected / _CHUNK)))
    except urllib.error.HTTPError as error:
        raise RunError(
            f"{url}: the server answers {error.code} {error.reason}", f"the file may have moved; {_by_hand(file)}"
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise RunError(
            f"{url}: cannot be fetched ({reason})", f"check the network and run the command again; or {_by_hand(file)}"
        ) from None
    if expected and len(content) < expected:
        raise RunError(
            f"{url}: the connection ended after {len(content)} of {expected} bytes",
            "run the command again; files that are complete are kept",
        )
    return content


def _by_hand(file: PublicFile) -> str:
    stored = f"{file.name} (compressed with gzip)" if file.name.endswith(".gz") else file.name
    return (
        f"get {file.path} of https://github.com/{file.repository} by hand, store it as {stored} in a folder, "
        "and set METHMIX_DATA to that folder"
    )
