"""The page of a prediction, made from its record."""

from dataclasses import replace

import pytest

from methmix.prediction.card import model_card
from methmix.prediction.confounding import compare_and_check
from methmix.prediction.output import record_of, render
from methmix.training.checkpoint import load_checkpoint


@pytest.fixture
def page_of(checkpoint):
    """Render the page of a cohort, whose groups are compared, from the line of its groups on."""

    def rendered(cohort):
        groups = compare_and_check(cohort, "Control", ["B", "T"], seed=1)
        page = render(cohort, record_of(cohort, model_card(load_checkpoint(checkpoint)), groups))
        return groups["groups"], page[page.index('id="groups"') :]

    return rendered


def test_estimates_of_groups_stand_with_their_intervals(cohort, page_of):
    (_, cases), page = page_of(cohort({"Control": 9, "Breast": 7}))
    for known, form in ((cases["auc"]["nnls"], ".3f"), (cases["model_minus_nnls"], "+.3f")):
        low, high = (format(end, form) for end in known["ci95"])
        assert f"<td>{known['estimate']:{form}}<small>({low} to {high})</small></td>" in page
    assert f"<td>{100 * cases['mean']['model']:.2f} %</td>" in page and "few: unreliable" not in page


def test_a_group_without_numbers_has_no_area(cohort, page_of):
    made = cohort({"Control": 6, "Breast": 5, "Ovary": 1}, nnls=False)
    made.results[-1] = replace(made.results[-1], prediction=None)
    _, page = page_of(made)
    row = page[page.index("<td>Ovary</td>") :]
    cells = row[: row.index("</tr>")].replace("\n", "")
    assert cells.startswith(
        '<td>Ovary</td><td>0<small class="wrong">few: unreliable</small></td><td></td><td></td><td></td>'
    )
