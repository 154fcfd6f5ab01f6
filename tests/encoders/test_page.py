"""The page of descriptions: all inside it, bounded, and nothing of a photo but a small copy."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from coordi.encoders.describe import DescriptionSummary, render_page
from coordi.encoders.photo_embeddings import Unreadable
from coordi.types import Description, Item, Label

NAME = "my <wardrobe>"
LEFT_OUT = [("photo is JPEG XL, which isn't opened", 3)]


@pytest.fixture
def found(tmp_path: Path) -> DescriptionSummary:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    Image.new("RGB", (900, 600), "navy").save(tmp_path / "a.jpg", exif=exif)
    item = Item("a", 'blue "skirt" & <more>', "bottom", image=tmp_path / "a.jpg")
    gone = Item("b/c", "", "top", image=tmp_path / "gone.jpg")
    said = Description("a", {"category": (Label("skirt", 0.914), Label("dress", 0.05))})
    return DescriptionSummary(
        photos=12_345,
        encoded=1,
        labels={"category": {f"label {number}": 20 - number for number in range(11)}},
        unreadable=(Unreadable("x", "it's cut", "photo cut short"),),
        examples=((item, said), (gone, Description("b/c", {}))),
        encoder=("edge", "e" * 64),
        attributes=("category", "colour"),
    )


def test_a_card_has_its_photo_labels_and_probabilities(found: DescriptionSummary) -> None:
    page = render_page(found, NAME, LEFT_OUT)
    first, second = re.findall(r'<article class="card">.*?</article>', page, re.DOTALL)
    assert re.findall(r"--share:(\d+)%\"><span>(.*?)</span><b>(\d+)%", first) == [
        ("91", "skirt", "91"),
        ("5", "dress", "5"),
    ]
    assert "not sure of colour" in first
    assert "blue &#34;skirt&#34; &amp; &lt;more&gt;" in first
    assert "photo gone" in second
    assert "not sure of category, colour" in second
    picture = re.search(r'src="data:image/jpeg;base64,(.*?)"', first)
    assert picture is not None
    content = base64.b64decode(picture[1])
    assert Image.open(io.BytesIO(content)).size == (240, 160)
    assert b"secret" not in content


def test_the_page_says_how_many_it_shows_and_what_it_left_out(found: DescriptionSummary) -> None:
    page = " ".join(render_page(found, NAME, LEFT_OUT).split())
    assert "2 of 12,345 photos, spread evenly" in page
    assert "<b>1</b> photo cut short" in page
    assert "<b>3</b> photo is JPEG XL" in page
    assert "it&#39;s cut" in page
    assert "and 33 of other labels" in page  # 12 + 11 + 10
    assert "my &lt;wardrobe&gt;" in page


def test_a_whole_small_catalogue_needs_no_such_words(found: DescriptionSummary) -> None:
    page = render_page(replace(found, photos=2, unreadable=()), NAME)
    assert "spread evenly" not in page
    assert "Not described" not in page


def test_nothing_is_fetched_or_run_and_the_same_gives_the_same(found: DescriptionSummary) -> None:
    page = render_page(found, NAME, LEFT_OUT)
    assert page == render_page(found, NAME, LEFT_OUT)
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_of_many_unopened_photos_the_first_are_named(found: DescriptionSummary) -> None:
    many = tuple(Unreadable(f"broken-{number}", "why", "photo cut short") for number in range(500))
    page = render_page(replace(found, unreadable=many), NAME)
    assert "broken-199<" in page
    assert "broken-200<" not in page
    assert "The first 200; all are in unreadable.json." in page


def test_what_a_percentage_means_depends_on_the_encoder(found: DescriptionSummary) -> None:
    pages = [" ".join(render_page(replace(found, is_sigmoid=alone), NAME).split()) for alone in (False, True)]
    assert ["probability among the labels of its attribute" in page for page in pages] == [True, False]
    assert ["judges each label by itself" in page for page in pages] == [False, True]
