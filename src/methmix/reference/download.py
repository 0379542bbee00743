"""The public files that the shipped experiments read, fetched from where their authors published them."""

import gzip
import hashlib
import http.client
import logging
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from methmix import cli
from methmix.errors import InputError, RunError
from methmix.files.atomic import atomic_path

logger = logging.getLogger("methmix")

BASE_URL = "https://raw.githubusercontent.com"
_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class PublicFile:
    """One file at a pinned commit.

    Parameters
    ----------
    name
        Path below the data folder. Where it ends in ``.gz``, the published plain file is stored compressed.
    repository, commit, path
        Where it is published: GitHub owner/name, full commit, path inside the repository.
    sha256
        Digest of the published bytes, that is of the uncompressed content.
    """

    name: str
    repository: str
    commit: str
    path: str
    sha256: str

    def url(self, base_url: str = BASE_URL) -> str:
        """Make the address of the file."""
        return f"{base_url.rstrip('/')}/{self.repository}/{self.commit}/{urllib.parse.quote(self.path)}"


_METDECODE = ("JorisVermeeschLab/MetDecode", "b328738fca139e704f1aee9f245055b147794b25")
_UXM = "nloyfer/UXM_deconv"

PUBLIC_FILES = (
    PublicFile(
        "metdecode/atlas_with_replicates.tsv.gz",
        *_METDECODE,
        "data/30_250bp/all-markers/atlas-with-rep.tsv",
        "f28c91002dbde709f103f34b8dbb689cfec12af73440d554d8094a86d54af4ed",
    ),
    PublicFile(
        "metdecode/gdna.tsv.gz",
        *_METDECODE,
        "data/30_250bp/all-markers/gdna-for-cbc-and-too.tsv",
        "dbb42c82f0ba0d2763825c6ba2f551086ba91be8d06aede038574fbac7a264d7",
    ),
    PublicFile(
        "metdecode/atlas_with_replicates_294.tsv",
        *_METDECODE,
        "data/30_250bp/balanced/atlas-with-rep.tsv",
        "8ac2765023b9c3fda65166128e46ae543a0f00720af913f930cb64580615f003",
    ),
    PublicFile(
        "metdecode/cfdna_294.tsv",
        *_METDECODE,
        "data/30_250bp/balanced/cfdna.tsv",
        "94636b49c84020c0def26c75b1eda7a56d1f5b4715535cbae9c7f2e159fa66a8",
    ),
    # Research use only: https://github.com/nloyfer/UXM_deconv has the licence. Each commit is one that has
    # the content which the digest pins.
    PublicFile(
        "loyfer_uxm/Atlas.U250.l4.hg38.full.tsv.gz",
        _UXM,
        "76f726108df13faa9d8a5d85778796c799e37368",
        "supplemental/Atlas.U250.l4.hg38.full.tsv",
        "5cd05666dc1fbf9686b30a022d6178979dd996a91f4d84cf0ffd7c46dba6a18b",
    ),
    PublicFile(
        "loyfer_uxm/Atlas.U25.l4.hg19.tsv.gz",
        _UXM,
        "84e12a537cd6f641e75222afd3a3ca8e057d1370",
        "supplemental/Atlas.U25.l4.hg19.tsv",
        "0f702de1099469fee919f38eea00576a73b547c8760be461e4b3168f12ef5f5d",
    ),
)


def download(
    output: Path,
    base_url: str = BASE_URL,
    public_files: tuple[PublicFile, ...] = PUBLIC_FILES,
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> list[Path]:
    """Fetch the files that are not there yet; one with the right content is kept as it is.

    Parameters
    ----------
    output
        Data folder.
    base_url
        Scheme and host, for a mirror or a test.
    public_files
        What to fetch.
    timeout_seconds
        How long the server may be silent.

    Returns
    -------
    list of Path
        All files, in the order of ``public_files``.

    Raises
    ------
    InputError
        ``base_url`` is not one of http or https; the folder cannot be written.
    RunError
        A file cannot be fetched, or is not the expected one; nothing is left under its final name, and files
        that were fetched before it stay.
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
                logger.info("%d of %d: %s is there", number, len(public_files), path)
                continue
            logger.warning("%s is there with other content (sha256 %s); it is replaced", path, found)
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
    """Digest the content of a file, uncompressed where its name ends in ``.gz``.

    Returns
    -------
    str
        SHA-256 as 64 hexadecimal digits; ``unreadable`` for a damaged file.
    """
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
            n_chunks = math.ceil(expected / _CHUNK)
            content = b"".join(cli.progress(_chunks(response), Path(file.name).name, n_chunks))
    except urllib.error.HTTPError as error:
        raise RunError(
            f"{url}: the server answers {error.code} {error.reason}",
            f"the file may have moved; {_by_hand(file)}",
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise RunError(
            f"{url}: cannot be fetched ({reason})",
            f"check the network and run the command again; or {_by_hand(file)}",
        ) from None
    if expected and len(content) < expected:
        raise RunError(
            f"{url}: the connection ended after {len(content)} of {expected} bytes",
            "run the command again; files that are complete are kept",
        )
    return content


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(_CHUNK):
        yield chunk


def _by_hand(file: PublicFile) -> str:
    stored = f"{file.name} (compressed with gzip)" if file.name.endswith(".gz") else file.name
    return (
        f"get {file.path} of https://github.com/{file.repository} by hand, store it as {stored} in a folder, "
        "and set METHMIX_DATA to that folder"
    )
