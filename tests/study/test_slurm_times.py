"""Time limits are read as sbatch reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.study.slurm_times import minutes_of, text_of


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30", 30),
        ("90:00", 90),
        ("0:30", 1),
        ("12:00:00", 720),
        ("100:00:01", 6001),
        ("1-0", 1440),
        ("1-12", 2160),
        ("1-00:00", 1440),
        ("2-3:4", 3064),
        ("1-00:00:01", 1441),
        (" 30 ", 30),
    ],
)
def test_all_formats_of_sbatch(text, minutes):
    assert minutes_of(text) == minutes


@pytest.mark.parametrize(
    "text",
    ["", "-1", "1-", "1:", ":30", "1-2-3", "1:2:3:4", "1-2:3:4:5", "infinite", "30 min", "1.5",
     "1e2", "1\n2", "٣", "9" * 50],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="not a time"):
        minutes_of(text)


@given(st.integers(0, 1000), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_the_long_format_is_the_sum_of_its_parts_rounded_up(days, hours, minutes, seconds):
    whole = days * 1440 + hours * 60 + minutes + (seconds > 0)
    assert minutes_of(f"{days}-{hours}:{minutes}:{seconds}") == whole
    assert minutes_of(f"{days * 24 + hours}:{minutes:02}:{seconds:02}") == whole


def test_minutes_are_shown_in_days_hours_and_minutes():
    assert [text_of(n) for n in (45, 720, 1560, 1441)] == ["45 min", "12 h", "1 d 2 h", "1 d 1 min"]
