"""The dates are parsed back by rules written here, with the calendar of the standard library."""

import calendar
import datetime
import re

import pytest

from attnbook.data import dates

MONTHS = [name.lower() for name in calendar.month_name]
CHINESE_DAYS = "一二三四五六日"


@pytest.fixture(scope="module")
def chinese():
    return dates.english_to_chinese(train=600, test=200)


def english_day(text):
    weekday, month, day, year = re.fullmatch(r"(\w+), (\w+) (\d+), (\d{4})", text).groups()
    date = datetime.date(int(year), MONTHS.index(month), int(day))
    assert weekday == calendar.day_name[date.weekday()].lower()
    return date


def chinese_day(text):
    year, month, day, weekday = re.fullmatch(r"(\d{4})年(\d{1,2})月(\d{1,2})日星期(.)", text).groups()
    date = datetime.date(int(year), int(month), int(day))
    assert weekday == CHINESE_DAYS[date.weekday()]
    return date


def test_both_sides_name_the_same_day(chinese):
    for source, target in chinese[0] + chinese[1]:
        assert english_day(source) == chinese_day(target)


def test_no_day_is_in_both_sets(chinese):
    train, test = chinese
    days = [target for _, target in train + test]
    assert len(train) == 600 and len(test) == 200
    assert len(set(days)) == len(days)
    assert not {source for source, _ in train} & {source for source, _ in test}


def test_the_split_depends_on_the_seed_alone():
    assert dates.english_to_chinese(train=5, test=5) == dates.english_to_chinese(train=5, test=5)
    assert dates.english_to_chinese(train=5, test=5) != dates.english_to_chinese(train=5, test=5, seed=1)


def test_bad_counts(own_errors):
    with pytest.raises(ValueError, match="train must be at least 1; got 0"):
        dates.english_to_chinese(train=0)
    with pytest.raises(ValueError, match=r"train \+ test must be at most 73049"):
        dates.english_to_chinese(train=73_000, test=50)
    with pytest.raises(TypeError, match="test must be an integer; got float"):
        dates.english_to_chinese(test=1e3)
