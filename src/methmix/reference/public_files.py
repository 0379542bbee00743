"""The public files that the shipped experiments read: where their authors published them, and what is in them."""

import urllib.parse
from dataclasses import dataclass

BASE_URL = "https://raw.githubusercontent.com"


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
