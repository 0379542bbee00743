"""Pages: each is one file that opens offline, extends ``base.html`` and writes numbers with the same filters."""

import hashlib
import secrets
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from methmix import metrics, provenance
from methmix.arms import ARMS
from methmix.pages import wording


def render(template: str, **content: Any) -> str:
    """Render a template below the package, for example ``report/comparison.html``; it may use no undefined name.

    A page runs the scripts of its template and no others, and asks no server for anything: its content security policy
    names them by ``nonce``, a digest of the whole page, which no text in the page can foresee.
    """
    # Unknown to what is rendered; the same content makes the same page all the same.
    nonce = secrets.token_hex(16)
    page = _environment().get_template(template).render(content, nonce=nonce)
    return page.replace(nonce, hashlib.sha256(page.replace(nonce, "").encode()).hexdigest()[:32])


@cache
def _environment() -> Environment:
    """Make what templates have in common; it compiles each of them once."""
    environment = Environment(
        loader=PackageLoader("methmix", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({f.__name__: f for f in (wording.percent, wording.in_unit, wording.between)})
    environment.globals.update(ARMS=ARMS, metrics=metrics, plural=wording.plural)
    environment.globals.update(commit=provenance.commit, versions=provenance.versions)
    return environment
