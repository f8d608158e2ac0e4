"""What pages say of the committed studies is what its command makes of their records."""

from __future__ import annotations

import pytest

from tests.make_results_page import PAGES, ROOT, filled


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_its_command_makes_today(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(page, text) == text, "run: python tests/make_results_page.py"
