import pytest
import torch

from attnbook.data.dictionary import KEYS, NAMES, VALUES, dictionaries


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [1, 2, 7, KEYS])
def test_a_python_dict_gives_the_answer(n):
    made = dictionaries(n, 50, seeded())
    assert made.key.shape == made.value.shape == (50, n)
    for key, value, query, answer, place in zip(*(part.tolist() for part in made), strict=True):
        entries = dict(zip(key, value, strict=True))
        assert len(entries) == n  # no key twice
        assert entries[query] == answer
        assert (key[place], value[place]) == (query, answer)


def test_every_symbol_and_every_place_has_the_same_chance():
    made = dictionaries(8, 20_000, seeded())
    for symbols, kinds in ((made.key, KEYS), (made.value, VALUES), (made.place, 8), (made.query, KEYS)):
        counts = torch.bincount(symbols.flatten(), minlength=kinds)
        assert len(counts) == kinds  # none beyond the last
        expected = symbols.numel() / kinds
        assert (counts - expected).abs().max() < 5 * expected**0.5
    first, last = made.key[:, 0], made.key[:, -1]  # keys stand in no order
    assert 0.48 < (first < last).double().mean() < 0.52


def test_values_may_repeat_and_do_not_follow_from_keys():
    made = dictionaries(16, 5_000, seeded())
    distinct = torch.tensor([len(set(row)) for row in made.value.tolist()]).double().mean()
    assert distinct == pytest.approx(VALUES * (1 - (1 - 1 / VALUES) ** 16), abs=0.1)  # as in 16 draws from 32
    pairs = torch.bincount((made.key * VALUES + made.value).flatten(), minlength=KEYS * VALUES)
    assert pairs.min() > 0  # every key meets every value


def test_the_seed_decides():
    one, same, other = (dictionaries(5, 20, seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.key, other.key)


def test_the_caller_s_random_numbers_stay_untouched():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    dictionaries(4, 10, seeded())
    assert torch.equal(torch.rand(4), expected)


def test_each_key_has_a_name_of_its_own():
    assert len(set(NAMES)) == len(NAMES) == KEYS


@pytest.mark.parametrize(
    ("n", "size", "error", "message"),
    [
        (0, 5, ValueError, "n must be at least 1"),
        (KEYS + 1, 5, ValueError, "n must be at most 64, the number of different keys; got 65"),
        (3, 0, ValueError, "size must be at least 1"),
        (2.0, 5, TypeError, "n must be"),
    ],
)
def test_errors_name_the_argument(n, size, error, message, own_errors):
    with pytest.raises(error, match=message):
        dictionaries(n, size, seeded())
