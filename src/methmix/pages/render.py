"""Pages: each is one file that opens offline, extends ``base.html`` and writes numbers with the same filters."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from methmix import metrics, provenance
from methmix.arms import ARMS
from methmix.pages import wording


def render(template: str, **content: Any) -> str:
    """Render a template below the package, for example ``report/comparison.html``; it may use no undefined name."""
    return _environment().get_template(template).render(content)


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
