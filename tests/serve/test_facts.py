"""What is known of an item, with its source: in every answer that has items, and by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from coordi.data.sample import sample_folder

from ..sample import write_several_garments
from .conftest import jpeg

API = "/api/v1"
BLAZER = "navy wool blazer"


def item_of(client: httpx.Client, given: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"{API}/items", json={"items": [{"text": "white shirt"}, given]})
    assert answer.status_code == 200, answer.text
    (_, item) = answer.json()["items"]
    return dict(item)


def first(item: dict[str, Any]) -> dict[str, tuple[list[str], str]]:
    """The facts that count: values and source by name."""
    return {name: (facts[0]["values"], facts[0]["source"]) for name, facts in item["facts"].items()}


def labelled(
    category: str, title: str = "", corrected: tuple[str, ...] = (), **attributes: list[str]
) -> dict[str, Any]:
    kinds = {"category" if name == "kind" else name: labels for name, labels in attributes.items()}
    return {"seen": {"category": category, "attributes": kinds, "title": title, "corrected": corrected}}


def test_words_say_it_and_the_rest_is_usual_for_the_kind(client: httpx.Client) -> None:
    item = item_of(client, {"text": BLAZER})
    assert (item["id"], item["category"], item["title"]) == (None, "outerwear", BLAZER)
    assert first(item) == {
        "kind": (["blazer"], "user"),
        "category": (["outerwear"], "user"),
        "colour": (["navy blue"], "user"),
        "material": (["wool"], "user"),
        "formality": (["smart casual", "cocktail"], "kind"),
        "seasons": (["autumn", "winter"], "kind"),
    }


def test_a_shops_column_counts_before_the_title_and_the_title_before_the_photo(client: httpx.Client) -> None:
    item = item_of(client, {"id": "top-1"})
    assert item["id"] == "top-1"
    assert first(item)["audience"] == (["women"], "shop")
    assert first(item)["pattern"] == (["striped"], "title")
    boots = first(item_of(client, {"id": "shoe-1"}))
    assert (boots["colour"], boots["material"]) == ((["black"], "title"), (["leather"], "title"))


def test_every_answer_with_items_has_their_facts(client: httpx.Client) -> None:
    quick = {"language_model": False}
    outfit = {"items": [{"text": BLAZER}, {"id": "bottom-1"}], **quick}
    scored = client.post(f"{API}/score", json=outfit).json()["items"]
    suggestions = client.post(f"{API}/complete", json={**outfit, "k": 2}).json()["suggestions"]
    (look,) = client.post(f"{API}/looks", json={"around": {"text": BLAZER}, "k": 1, **quick}).json()["looks"]
    page = client.get(f"{API}/catalogue/items").json()["items"]
    single = client.get(f"{API}/catalogue/items/top-1").json()
    by_id = {item["id"]: item["facts"] for item in page}
    assert [row["item"]["facts"] for row in scored] == [item_of(client, {"text": BLAZER})["facts"], by_id["bottom-1"]]
    for item in [*(row["item"] for row in suggestions), *look["items"][1:], single]:
        assert item["facts"] == by_id[item["id"]]
        assert item["facts"]["category"]


def test_a_described_photo_has_facts_of_the_photo(client: httpx.Client) -> None:
    photo = (sample_folder() / "images" / "i0052.jpg").read_bytes()  # a red top
    described = client.post(f"{API}/describe", files={"photo": ("top.jpg", photo, "image/jpeg")}).json()
    assert described["facts"]["colour"] == [{"values": ["red"], "source": "photo"}]
    assert described["facts"]["category"] == [{"values": [described["category"]], "source": "photo"}]
    nothing = client.post(f"{API}/describe", files={"photo": ("red.jpg", jpeg("red"), "image/jpeg")}).json()
    assert (nothing["category"], nothing["facts"]) == (None, {})
    assert (described["note"], nothing["note"]) == (None, None)


def test_a_photo_of_several_garments_is_noted(client: httpx.Client, tmp_path: Path) -> None:
    photo = write_several_garments(tmp_path / "a.png", 2).read_bytes()
    described = client.post(f"{API}/describe", files={"photo": ("a.png", photo, "image/png")}).json()
    assert described["note"].startswith("the photo shows several garments, which are described as one; send a photo of")


def test_what_the_user_corrected_counts_before_the_title_and_the_photo(client: httpx.Client) -> None:
    of_photo = first(item_of(client, labelled("outerwear", kind=["jacket"], colour=["red"])))
    assert (of_photo["kind"], of_photo["colour"]) == ((["jacket"], "photo"), (["red"], "photo"))
    titled = first(item_of(client, labelled("outerwear", BLAZER, kind=["jacket"], colour=["red"])))
    assert (titled["kind"], titled["colour"]) == ((["blazer"], "user"), (["navy blue"], "user"))
    corrected = item_of(client, labelled("outerwear", BLAZER, ("colour", "category"), kind=["coat"], colour=["red"]))
    assert first(corrected)["kind"] == (["coat"], "user")
    assert first(corrected)["colour"] == (["red"], "user")
    assert corrected["text"] == "outerwear: red wool coat"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (labelled("outerwear", BLAZER, ("colour",)), "outerwear: wool blazer"),
        (labelled("outerwear", BLAZER, ("category",)), "outerwear: navy wool"),
        (labelled("shoes", BLAZER, ("category",), kind=["heels"]), "shoes: navy wool heels"),
        (labelled("outerwear", BLAZER, ("colour",), colour=["navy blue"]), f"outerwear: {BLAZER} (navy blue)"),
        (labelled("top", "White T-shirt, red belt", ("material",), material=["linen"]),
         "top: white t-shirt, red belt (linen)"),
        (labelled("dress", "navy dress with red belt", ("colour",), colour=["pink"]),
         "dress: pink dress with red belt"),
        (labelled("dress", "black and white dress", ("colour",), colour=["white", "pink"]),
         "dress: pink and white dress"),
        (labelled("top", "red shirt", ("colour",), colour=["navy blue", "gold"]), "top: navy blue and gold shirt"),
        (labelled("outerwear", "trench coat", ("category",), kind=["coat"]), "outerwear: trench coat"),
        (labelled("dress", "silk hanbok", ("category",), kind=["dress"]), "dress: silk hanbok"),
    ],
)  # fmt: skip
def test_words_that_a_correction_contradicts_are_replaced(
    client: httpx.Client, given: dict[str, Any], text: str
) -> None:
    item = item_of(client, given)
    assert item["text"] == text
    ((name, labels),) = given["seen"]["attributes"].items() or [(given["seen"]["corrected"][0], [])]
    values, source = first(item).get("kind" if name == "category" else name, ([], "user"))
    assert (values, source) == (labels, "user")


def test_a_correction_moves_the_score(client: httpx.Client) -> None:
    def score(given: dict[str, Any]) -> float:
        body = {"items": [given, {"text": "white shirt"}, {"text": "grey trousers"}], "language_model": False}
        return float(client.post(f"{API}/score", json=body).json()["score"])

    before = score({"text": BLAZER})
    assert score(labelled("outerwear", BLAZER)) == pytest.approx(before)
    assert score(labelled("outerwear", BLAZER, ("colour",), colour=["orange"])) != pytest.approx(before)
    assert score(labelled("outerwear", BLAZER, ("colour",))) != pytest.approx(before)
