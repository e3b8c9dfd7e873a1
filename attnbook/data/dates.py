"""Dates in words, made by rule with Babel's locale data: an alignment that anyone can check by eye.

Each pair is a day from 1900-01-01 to 2099-12-31, every day at most once, so that no date of a test set was seen in
training. Rule-made text has no noise and no exceptions: it shows that a model can learn a rule, not that it
can translate.
"""

import datetime

from babel.dates import format_date

from attnbook._validation import check_size
from attnbook.data.order import hash_order

FIRST_DAY = datetime.date(1900, 1, 1)
DAYS = (datetime.date(2100, 1, 1) - FIRST_DAY).days  # 73,049

Pairs = list[tuple[str, str]]


def english_to_chinese(*, train: int = 10_000, test: int = 1_000, seed: int = 0) -> tuple[Pairs, Pairs]:
    """(train, test) pairs of a full English date and the same in Chinese, where the order of the parts is another.

    ("sunday, march 21, 1948", "1948年3月21日星期日"): the year comes first and the day of the week last.
    Raises: TypeError or ValueError for counts below 1 or above 73,049 days in all.
    """
    check_size("train", train, least=1)
    check_size("test", test, least=1)
    if train + test > DAYS:
        raise ValueError(f"train + test must be at most {DAYS} (the days from 1900 to 2099); got {train + test}")
    days = hash_order(((FIRST_DAY + datetime.timedelta(n)).isoformat() for n in range(DAYS)), seed=seed)
    pairs = [_pair(datetime.date.fromisoformat(day)) for day in days[: train + test]]
    return pairs[:train], pairs[train:]


def _pair(day: datetime.date) -> tuple[str, str]:
    return format_date(day, "full", locale="en_US").lower(), format_date(day, "full", locale="zh")
