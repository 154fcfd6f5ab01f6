from __future__ import annotations

import pytest

from coordi.data.source import clean_title, title_of_file


@pytest.mark.parametrize(
    ("raw", "expected", "repaired"),
    [("hermÃ¨s boot", "hermès boot", True), ("d&amp;g belt", "d&g belt", True),
     ("  red \t dress\n", "red dress", False), ("chloé wedges", "chloé wedges", False),
     ("women’s top", "women’s top", False), ("", "", False), ("a\x00b\x1b[31m", "a b [31m", False)],
)  # fmt: skip
def test_clean_title(raw: str, expected: str, repaired: bool) -> None:
    title = clean_title(raw)
    assert (title.text, title.repaired) == (expected, repaired)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [("red_leather-boots 2", "red leather boots"), ("IMG_2041", ""), ("DSC00012", ""), ("20240112_101010", ""),
     ("navy blazer", "navy blazer"), ("3f9a0c2e", ""), ("IMG_striped shirt", "striped shirt")],
)  # fmt: skip
def test_title_of_file(stem: str, expected: str) -> None:
    assert title_of_file(stem) == expected
