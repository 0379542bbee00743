import pytest
from experiments import tiny_experiment

from methmix.mixtures.recipes import check_recipe
from methmix.robustness.situations import GROUPS, all_situations

RECIPE = tiny_experiment().mixtures.recipes["phase2"]


@pytest.mark.parametrize("n_tissues", [2, 5, 8, 20, 22, 40])
def test_a_reference_of_any_number_of_tissues_has_situations_of_every_group(n_tissues):
    situations = all_situations(RECIPE, n_tissues)
    names = [(situation.kind, situation.name) for situation in situations]
    assert len(set(names)) == len(names)
    assert list(dict.fromkeys(kind for kind, _ in names)) == list(GROUPS)
    for situation in situations:
        if situation.kind == "composition":
            check_recipe(situation.recipe, [f"tissue {number}" for number in range(n_tissues)])
    whole = [situation for situation in situations if situation.all_tissues]
    assert [situation.recipe.n_tissues for situation in whole] == [[n_tissues]] * 2


def test_what_the_suite_is_about():
    situations = all_situations(RECIPE, 22)
    assert {s.observed for s in situations} == {0.1, 0.27, 0.5, 1}
    assert {(s.shift, s.rank) for s in situations} == {(0, 0), (0.1, 0), (0.3, 0), (0.1, 2), (0.3, 2)}
    assert {s.depth for s in situations if s.kind == "depth"} == {1, 3, 10, 30, 100, 500}
    assert {s.depth for s in situations if s.foreign == 0.1} == {30, 100, 500}
    assert {s.methylation for s in situations if s.kind == "nothing"} == {0, 0.8, 1, None}
    assert not any(s.usual for s in situations if s.foreign or s.shift or s.depth < 10 or s.observed < 1)
