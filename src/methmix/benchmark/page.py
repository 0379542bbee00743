"""The page of the benchmark: one file that opens offline."""

from typing import Any

from methmix.benchmark import figures
from methmix.pages.render import render as render_page
from methmix.pages.style import embed


def render(content: dict[str, Any]) -> str:
    """Render the page from the content of benchmark.json."""
    drawn = {
        name: embed(draw(content))
        for name, draw in {
            "step": figures.step,
            "scaling": figures.scaling,
            "memory": figures.memory,
            "others": figures.others,
            "larger": figures.larger,
        }.items()
    }
    rows = [
        {
            "quantity": check["quantity"],
            "measured": number(check["measured"]),
            "target": f"{'at most' if check['relation'] == '<=' else 'at least'} {number(check['target'])}",
            "met": check["met"],
        }
        for check in content["checks"]
    ]
    return render_page(
        "benchmark/benchmark.html",
        content=content,
        rows=rows,
        figures=drawn,
        n_met=sum(row["met"] for row in rows),
        number=number,
    )


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value and (abs(value) < 1e-3 or abs(value) >= 1e7):
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
