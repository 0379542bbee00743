"""The files that methmix ships, such as config/default.yaml: found from any working folder, also when installed."""

from pathlib import Path, PurePath
from typing import Final

# Links to the folders of the checkout, which the built package has copies of.
_FOLDER: Final = Path(__file__).with_name("shipped_files")


def found(name: str | PurePath, folder: Path = Path()) -> Path:
    """Find a file by its path relative to a folder, or else among the shipped ones; as it is written where neither is.

    Examples
    --------
    >>> found("config/tiny.yaml").name, str(found("config/none.yaml"))
    ('tiny.yaml', 'config/none.yaml')
    """
    own, shipped = folder / name, _FOLDER / name
    return own if own.exists() or not shipped.is_file() else shipped.resolve()
