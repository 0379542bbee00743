"""Configuration files that are laid over others."""

import pytest
from experiments import ROOT

from methmix.config.load import load_arm, load_experiment
from methmix.errors import InputError

DEFAULT = f"base: {ROOT}/config/default.yaml\nname: mine\n"


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return written


def test_sections_merge_and_lists_and_tables_are_replaced(write):
    mine = load_experiment(
        write(
            "mine.yaml",
            DEFAULT
            + """
reference: {tissues: {one: [Blood, Liver]}, n_donors: 10, split: {test: 0.3}}
mixtures: {mean_depths: [7], recipes: {phase3: {background: {Blood: 0.5, Liver: 0.5}, n_others: [1]}}}
arms: {phase2: {sparse: mine.yaml}}
detection: {background: {Liver: 1.0}}
overrides: {training.epochs: 2}
""",
        )
    )
    default = load_experiment(ROOT / "config/default.yaml")
    assert mine.reference.tissues == {"one": ["Blood", "Liver"]}
    assert mine.reference.n_regions == default.reference.n_regions
    assert (mine.reference.split.test, mine.reference.split.validation) == (0.3, 0.2)
    assert (mine.mixtures.mean_depths, mine.mixtures.n_test) == ([7], 1000)
    recipe = mine.mixtures.recipes["phase3"]
    assert (recipe.composition, recipe.n_others) == ({"Blood": 0.5, "Liver": 0.5}, [1])
    assert mine.mixtures.recipes["phase2"] == default.mixtures.recipes["phase2"]
    # Phases merge; the arms of one are a plain table.
    assert mine.arms == {**default.arms, "phase2": {"sparse": "mine.yaml"}}
    assert mine.detection.background == {"Liver": 1.0}
    assert mine.overrides == {"training.epochs": 2}
    assert mine.prediction == default.prediction
    assert load_experiment(write("none.yaml", DEFAULT + "prediction: null\n")).prediction is None


def test_another_alternative_replaces_the_section(write):
    text = "reference: {source: uxm_atlas, file: a.tsv, genome: hg38, donors_per_tissue: 5, pseudo_depth: 50}\n"
    write("atlas.yaml", DEFAULT + text)
    mine = load_experiment(write("mine.yaml", "base: atlas.yaml\nreference: {genome: hg19}\n"))
    assert (mine.reference.source, mine.reference.genome, mine.reference.pseudo_depth) == ("uxm_atlas", "hg19", 50)
    recipe = {"recipes": {"phase3": {"kind": "dirichlet"}}}
    mine = load_experiment(write("mine.yaml", f"base: atlas.yaml\nmixtures: {recipe}\n"))
    assert mine.mixtures.recipes["phase3"].n_tissues == [3, 4, 5]


def test_an_arm_is_laid_over_another(write):
    base = ROOT / "config/phase2_sparse.yaml"
    mine = load_arm(write("mine.yaml", f"base: {base}\nmodel: {{presence_threshold: 0.7}}\n"), expected="sparse")
    assert mine.model.gate_threshold == 0.7 and mine.model.use_two_stage
    assert mine.loss == load_arm(base).loss
    text = f"base: {base}\nmodel: {{backbone: mlp, use_two_stage: true, presence_threshold: 0.5}}\n"
    assert load_arm(write("mine.yaml", text)).model.hidden_sizes == [512, 512, 512, 2048]
    with pytest.raises(InputError, match=r"mine\.yaml, line 2: missing key model\.use_two_stage"):
        load_arm(write("mine.yaml", f"base: {base}\nmodel: {{backbone: mlp}}\n"))


def test_a_base_is_searched_for_beside_the_file_that_names_it(write, monkeypatch, tmp_path):
    write("deep/low.yaml", f"{DEFAULT}seed: 7\n")
    write("middle.yaml", "base: deep/low.yaml\nmixtures: {n_test: 50}\n")
    top = write("top.yaml", "base: middle.yaml\nname: top\n")
    monkeypatch.chdir(ROOT)
    found = load_experiment(top)
    assert (found.name, found.seed, found.mixtures.n_test) == ("top", 7, 50)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("top.yaml", r"top\.yaml, line 2: base: top\.yaml is itself based on this file"),
        ("middle.yaml", r"middle\.yaml, line 1: base: top\.yaml is itself based on this file"),
        ("absent.yaml", r"top\.yaml, line 2: base: expected a YAML file, relative to this one, found 'absent\.yaml'"),
        ("3", r"top\.yaml, line 2: base: expected a YAML file, relative to this one, found 3"),
    ],
)
def test_a_base_that_leads_nowhere(write, base, message):
    write("middle.yaml", "base: top.yaml\n")
    with pytest.raises(InputError, match=message):
        load_experiment(write("top.yaml", f"name: top\nbase: {base}\n"))


def test_a_mistake_in_a_base_is_named_where_it_is(write):
    base = write("low.yaml", f"{DEFAULT}mixtures:\n  # A comment.\n  n_tset: 50\n")
    with pytest.raises(InputError) as caught:
        load_experiment(write("top.yaml", "base: low.yaml\nname: top\n"))
    assert str(caught.value) == f"{base}, line 5: unknown key mixtures.n_tset (did you mean n_test?)"


def test_a_mistake_of_several_keys_is_named_at_one_of_them(write):
    path = write("mine.yaml", f"{DEFAULT}seed: 3\nrepeats:\n  folds: []\n  seeds: [3]\n")
    with pytest.raises(InputError) as caught:
        load_experiment(path)
    assert str(caught.value) == f"{path}, line 6: repeats.seeds: 3 is the seed of the experiment itself"
