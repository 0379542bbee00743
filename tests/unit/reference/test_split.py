"""Division of donors: no donor in two splits, and what happens where there are few."""

from dataclasses import replace

import numpy as np
import pytest

from methmix.config.sources import SplitSettings
from methmix.errors import InputError
from methmix.files.reference import SPLITS
from methmix.reference.split import check_given_split, split_donors


def _settings(**changes) -> SplitSettings:
    return SplitSettings(**{"validation": 0.2, "test": 0.2, "allow_single_donor": False, **changes})


def _split(numbers: dict[str, int], seed: int = 0, **changes) -> dict[str, list[str]]:
    tissues = [name for name, number in numbers.items() for _ in range(number)]
    donors = [f"donor{i}" for i in range(len(tissues))]
    split = split_donors(donors, tissues, _settings(**changes), np.random.default_rng(seed))
    return {name: sorted(s for s, t in zip(split, tissues, strict=True) if t == name) for name in numbers}


@pytest.mark.parametrize(
    ("number", "train", "validation", "test"),
    [(2, 1, 0, 1), (3, 1, 1, 1), (4, 2, 1, 1), (5, 3, 1, 1), (10, 6, 2, 2), (20, 12, 4, 4)],
)
def test_sizes(number, train, validation, test):
    split = _split({"A": number, "B": 3})["A"]
    assert [split.count(name) for name in SPLITS] == [train, validation, test]


@pytest.mark.parametrize("share", [0.01, 0.49])
def test_every_split_has_a_donor_from_three_on(share):
    for number in range(3, 12):
        split = _split({"A": number}, validation=share, test=share)["A"]
        assert set(split) == set(SPLITS), number


def test_one_donor_is_refused():
    with pytest.raises(InputError) as caught:
        _split({"A": 3, "Rare": 1})
    assert "tissue Rare has one donor (donor3)" in str(caught.value)
    assert "allow_single_donor" in str(caught.value)


def test_one_donor_on_request_is_for_training():
    assert _split({"A": 3, "Rare": 1}, allow_single_donor=True)["Rare"] == ["train"]


def test_which_donor_is_where_is_drawn():
    tissues = ["A"] * 3
    drawn = {
        tuple(split_donors(["x", "y", "z"], tissues, _settings(), np.random.default_rng(seed))) for seed in range(60)
    }
    assert len(drawn) == 6


@pytest.mark.parametrize(("number", "train"), [(2, 1), (3, 1), (9, 1), (2, 2), (3, 2), (9, 4)])
def test_so_many_donors_train_and_all_others_test(number, train):
    numbers = {"A": number, "B": 5}
    split = _split(numbers, training_donors=train)["A"]
    expected = min(train, number - 1)
    assert [split.count(name) for name in SPLITS] == [expected, 0, number - expected]


def test_folds_train_with_other_single_donors():
    tissues = ["A"] * 4 + ["B"] * 2
    folds = [
        split_donors([*"abcdef"], tissues, _settings(training_donors=1, fold=fold), np.random.default_rng(0))
        for fold in range(4)
    ]
    trained = [{donor for donor, s in zip("abcdef", split, strict=True) if s == "train"} for split in folds]
    assert all(len(donors) == 2 for donors in trained)
    assert set().union(*trained) == set("abcdef")


def test_same_seed_same_split():
    assert _split({"A": 9, "B": 5}, seed=4) == _split({"A": 9, "B": 5}, seed=4)


def test_splits_of_a_reference_are_disjoint(reference):
    pools = {split: {row for rows in reference.pool(split).values() for row in rows} for split in SPLITS}
    assert all(pools.values())
    assert sum(len(pool) for pool in pools.values()) == len(set().union(*pools.values())) == len(reference.donors)
    for split, pool in pools.items():
        assert {reference.split[row] for row in pool} == {split}
        assert {reference.tissues[row] for row in pool} == set(reference.tissue_names)
        assert reference.shared_tissues(split) == []


def test_tissue_without_a_donor_of_a_split_lends_its_training_donors(reference):
    split = [
        "train" if tissue == "Liver" and own == "validation" else own
        for tissue, own in zip(reference.tissues, reference.split, strict=True)
    ]
    borrowing = replace(reference, split=split)
    assert borrowing.shared_tissues("validation") == ["Liver"]
    assert borrowing.shared_tissues("test") == borrowing.shared_tissues("train") == []
    assert borrowing.pool("validation")["Liver"] == borrowing.pool("train")["Liver"]
    assert not set(borrowing.pool("validation")["Liver"]) & set(borrowing.pool("test")["Liver"])
    np.testing.assert_array_equal(
        borrowing.profiles("validation")[borrowing.tissue_names.index("Liver")],
        borrowing.profiles("train")[borrowing.tissue_names.index("Liver")],
    )


def test_given_split_needs_training_donors():
    check_given_split(["a", "b", "c", "d"], ["A", "A", "B", "B"], ["train", "test", "train", "test"], _settings())
    with pytest.raises(InputError, match="tissue B has no donor in split train"):
        check_given_split(["a", "b", "c"], ["A", "A", "B"], ["train", "test", "test"], _settings())


def test_given_split_needs_test_donors_unless_allowed():
    donors, tissues, split = ["a", "b", "c"], ["A", "A", "B"], ["train", "test", "train"]
    with pytest.raises(InputError, match="tissue B has no donor in split test"):
        check_given_split(donors, tissues, split, _settings())
    check_given_split(donors, tissues, split, _settings(allow_single_donor=True))
