"""The page of results is what its command makes of the committed records."""

from __future__ import annotations

from tests import make_results_page as page


def test_the_page_is_what_its_command_makes_today():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text) == text, "run: python tests/make_results_page.py"
