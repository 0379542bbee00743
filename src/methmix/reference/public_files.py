"""The public files that the shipped experiments read: where their authors published them, and what is in them."""

import json
import urllib.parse
from dataclasses import dataclass
from importlib.resources import files

BASE_URL = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class PublicFile:
    """One file at a pinned commit of a GitHub repository (owner/name), ``path`` in it.

    ``name`` is its path below the data folder; where it ends in ``.gz``, the published plain file is stored compressed.
    ``sha256`` is the digest of the published bytes, that is of the uncompressed content.
    """

    name: str
    repository: str
    commit: str
    path: str
    sha256: str

    def url(self, base_url: str = BASE_URL) -> str:
        """Make the address of the file."""
        return f"{base_url.rstrip('/')}/{self.repository}/{self.commit}/{urllib.parse.quote(self.path)}"


# Those of loyfer_uxm/ are for research use only: https://github.com/nloyfer/UXM_deconv has the licence. Each commit is
# one that has the content which the digest pins.
PUBLIC_FILES = tuple(
    PublicFile(**file) for file in json.loads(files("methmix.reference").joinpath("public_files.json").read_text())
)
