"""The page of methods is what its command makes of code and records, and leaves out nothing."""

from __future__ import annotations

import pytest

import methods
from tests import make_methods_page as page


def test_the_page_is_what_its_command_makes_today():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text) == text, "run: python tests/make_methods_page.py"


@pytest.mark.parametrize("name", methods.names())
def test_every_method_is_verified_and_says_what_it_does(name):
    title, *rest = page.paragraphs(name)
    assert methods.declaration(name).family in page.FAMILIES
    assert page.verified(name), "compare it with vectors, or test its formula in tests/methods"
    assert rest and not title.startswith(" ")
