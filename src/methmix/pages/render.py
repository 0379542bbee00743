"""Render the pages: each is one file that opens offline, extends ``base.html`` and writes numbers alike."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from methmix import metrics, provenance
from methmix.arms import ARMS
from methmix.pages import wording


def render(template: str, **content: Any) -> str:
    """Render a page.

    Parameters
    ----------
    template
        Its path below the package, for example ``report/comparison.html``.
    **content
        What it shows; a name that the template uses and that is not given is an error.
    """
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
    return environment.get_template(template).render(content)
