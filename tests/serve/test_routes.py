"""Every route, asked as a client should ask it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from PIL import Image

from coordi.api import Model
from coordi.data.sample import sample_folder
from coordi.recommend.catalogue import Catalogue
from coordi.serve.schemas import COMPLETE_EXAMPLES, LOOKS_EXAMPLES, SCORE_EXAMPLES

from .conftest import ROWS, Start, jpeg

API = "/api/v1"
SCORES: list[dict[str, Any]] = [example["value"] or {} for example in SCORE_EXAMPLES.values()]
COMPLETE: dict[str, Any] = COMPLETE_EXAMPLES["words"]["value"] or {}
LOOKS: dict[str, Any] = LOOKS_EXAMPLES["words"]["value"] or {}


def test_health_and_ready_say_what_runs(client: httpx.Client) -> None:
    assert client.get(f"{API}/health").json()["status"] == "ok"
    ready = client.get(f"{API}/ready").json()
    assert ready == {
        "ready": True,
        "model": "fine-tuned",
        "can_write": False,
        "encoder": "edge",
        "catalogue": "drawn shop",
        "catalogue_made": "",
        "catalogue_is_old": False,
        "items": len(ROWS),
    }


def test_the_vocabulary_is_that_of_model_and_catalogue(client: httpx.Client, model: Model) -> None:
    result = client.get(f"{API}/vocabulary").json()
    assert [entry["name"] for entry in result["attributes"]] == list(model.vocabulary.attributes)
    assert result["worn_as"]["jeans"] == "bottom"
    assert result["in_catalogue"]["shoes"] == 3
    assert result["brands"][0] == "Kim"
    assert {"office", "black tie", "gym"} <= set(result["occasions"])
    assert result["price_range"] == [15.0, 210.0]
    assert result["limits"]["photo_bytes"] == 20 * 2**20


def test_a_photo_is_described_as_the_advisor_sees_it(client: httpx.Client, model: Model) -> None:
    photo = (sample_folder() / "images" / "i0052.jpg").read_bytes()  # a red top
    result = client.post(f"{API}/describe", files={"photo": ("någon.jpg", photo, "image/jpeg")}).json()
    (photo_description,) = model.describe_photos([Image.open(io.BytesIO(photo)).convert("RGB")])
    assert result["category"] == photo_description.category
    assert set(result["attributes"]) == set(photo_description.description.attributes)
    assert result["attributes"]["colour"][0]["text"] == "red"
    assert "red" in result["text"]


def test_photos_are_compared_by_the_embeddings_that_describe_gave(client: httpx.Client, model: Model) -> None:
    """The score is that of the same items, described from photos by the library."""
    given, items = [], []
    for name in ("i0052.jpg", "i0004.jpg"):
        photo = (sample_folder() / "images" / name).read_bytes()
        seen = client.post(f"{API}/describe", files={"photo": ("x.jpg", photo, "image/jpeg")}).json()
        labels = {key: [label["text"] for label in row] for key, row in seen["attributes"].items()}
        given.append({"category": seen["category"], "attributes": labels, "embedding": seen["embedding"]})
        (described,) = model.describe_photos([Image.open(io.BytesIO(photo)).convert("RGB")])
        items.append(model.item_of_labels(seen["category"], labels, embedding=described.embedding))

    def score(rows: list[dict[str, Any]]) -> float:
        body = {"items": [{"seen": row} for row in rows], "language_model": False}
        return float(client.post(f"{API}/score", json=body).json()["score"])

    assert score(given) == pytest.approx(model.score(items, language_model=False).score, abs=1e-6)
    without = [{key: value for key, value in row.items() if key != "embedding"} for row in given]
    assert score(given) != score(without)


def test_of_a_photo_of_no_garment_that_alone_is_said(client: httpx.Client) -> None:
    result = client.post(f"{API}/describe", files={"photo": ("x.png", jpeg("black", kind="PNG"), "image/png")}).json()
    assert result["category"] is None
    assert [label["text"] for label in result["attributes"].pop("subject")] == ["no garment"]
    assert not result["attributes"]


def test_the_same_photo_is_most_alike(client: httpx.Client) -> None:
    item, *_, colour, _, _ = ROWS[3]
    result = client.post(f"{API}/catalogue/alike?k=3", files={"photo": ("x", jpeg(colour))}).json()["items"]
    assert len(result) == 3
    assert result[0]["item"]["id"] == item
    assert result[0]["cosine"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("body", SCORES, ids=SCORE_EXAMPLES)
def test_score_names_each_item_and_what_is_left_without_it(client: httpx.Client, body: dict[str, object]) -> None:
    result = client.post(f"{API}/score", json={**body, "language_model": False}).json()
    assert 0 <= result["score"] <= 1
    assert result["judge"] == "without-language-model"
    assert [entry["item"]["id"] for entry in result["items"]] == [None] * len(result["items"])
    assert (result["items"][0]["score_without"] is None) == (len(result["items"]) == 2)


def test_score_cautions_of_two_pairs_of_shoes(client: httpx.Client) -> None:
    items = [{"id": "shoe-1"}, {"id": "shoe-3"}, {"id": "top-1"}]
    result = client.post(f"{API}/score", json={"items": items, "language_model": False}).json()
    assert result["cautions"] == ["2 of category 'shoes'"]
    assert result["items"][0]["item"]["id"] == "shoe-1"


def test_score_remarks_on_facts_that_do_not_agree(client: httpx.Client) -> None:
    items = [{"text": "brown hiking boots"}, {"text": "black evening gown"}]
    (remark,) = client.post(f"{API}/score", json={"items": items, "language_model": False}).json()["remarks"]
    assert (remark["rule"], remark["speaks_for"], remark["fact"]) == ("dress codes apart", False, "formality")
    assert [(row["position"], row["id"]) for row in remark["items"]] == [(0, None), (1, None)]
    assert remark["items"][1]["fact"] == {"values": ["black tie", "ceremonial"], "source": "kind"}


def test_a_reasons_remarks_name_the_suggestion_by_its_id(client: httpx.Client) -> None:
    body = {"items": [{"text": "white dress shirt"}], "k": 20, "language_model": False, "rules": {"far_apart": True}}
    suggestions = client.post(f"{API}/complete", json=body).json()["suggestions"]
    remarks = [(row["item"]["id"], remark) for row in suggestions for remark in row["reason"]["remarks"]]
    assert remarks
    for item_id, remark in remarks:
        assert [(row["position"], row["id"]) for row in remark["items"]] == [(0, None), (None, item_id)]


def test_complete_suggests_what_the_rules_allow_and_says_why(client: httpx.Client) -> None:
    body = {**COMPLETE, "rules": {"want": ["shoes"], "price_max": 100, "in_stock": True}}
    result = client.post(f"{API}/complete", json=body).json()
    assert [entry["item"]["id"] for entry in result["suggestions"]] == ["shoe-3"]
    (reason,) = (entry["reason"] for entry in result["suggestions"])
    assert {entry["position"] for entry in reason["items"]} == {0, 1}
    assert reason["text"].endswith(".")


def test_nothing_that_fits_is_an_answer_with_its_reason(client: httpx.Client) -> None:
    body = {**COMPLETE, "rules": {"want": ["shoes"], "price_max": 1}}
    result = client.post(f"{API}/complete", json=body)
    assert result.status_code == 200
    assert result.json()["suggestions"] == []
    assert "price at most 1" in result.json()["nothing"]


def test_an_item_that_is_there_twice_has_two_positions(client: httpx.Client) -> None:
    items = [{"id": "top-1"}, {"id": "top-1"}, {"id": "bottom-1"}]
    body = {"items": items, "k": 1, "rules": {"want": ["bag"]}, "language_model": False}
    (result,) = client.post(f"{API}/complete", json=body).json()["suggestions"]
    assert sorted(entry["position"] for entry in result["reason"]["items"]) == [0, 1, 2]


def test_an_occasion_and_weather_are_understood_and_said(client: httpx.Client) -> None:
    items = [{"text": "white dress shirt"}, {"text": "blue jeans"}]
    rules = {"occasion": "black tie at the beach", "weather": "27 C, snow"}
    body = {"items": items, "rules": rules, "language_model": False, "k": 50}
    answer = client.post(f"{API}/complete", json=body).json()
    understood = answer["understood"]
    assert (understood["occasions"], understood["weather"]) == (["black tie", "beach"], ["27 C"])
    assert understood["formality"] == ["black tie", "ceremonial"]
    assert understood["gives_way"] == [{"what": "beach", "to": "black tie"}, {"what": "snow", "to": "27 C"}]
    assert {remark["item"] for remark in understood["outfit"]} == {1}
    assert {row["name"] for row in answer["left_out"]} >= {"occasion"}
    free = client.post(f"{API}/complete", json=body | {"rules": {}}).json()
    assert free["understood"] is None
    assert len(free["suggestions"]) > len(answer["suggestions"])
    looks = client.post(f"{API}/looks", json={"around": items[1], "rules": rules, "language_model": False}).json()
    assert looks["understood"]["outfit"][0]["item"] == 0


def test_what_suits_an_occasion_is_in_the_reason(client: httpx.Client) -> None:
    body = {"items": [{"text": "white shirt"}], "rules": {"weather": "winter"}, "language_model": False, "k": 50}
    answer = client.post(f"{API}/complete", json=body).json()
    fits = [remark for row in answer["suggestions"] for remark in row["reason"]["fits"]]
    assert fits
    assert {(remark["guide"], remark["fits"], remark["item"]) for remark in fits} == {("winter", True, 1)}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"occasion": "ofice"}, "no occasion 'ofice'; nearest: office"),
        ({"weather": "60 C"}, "the temperature is 60 C; accepted are -50 C (-58 F) to 50 C (122 F)"),
        ({"weather": "8"}, "the temperature '8' has no unit; write 8 C or 8 F"),
    ],
)
def test_an_occasion_or_weather_that_is_not_understood_is_refused(
    client: httpx.Client, rules: dict[str, str], message: str
) -> None:
    answer = client.post(f"{API}/complete", json={"items": [{"text": "white shirt"}], "rules": rules})
    assert answer.status_code == 422
    assert message in answer.json()["error"]["message"]
    assert answer.json()["error"]["field"] == f"rules.{next(iter(rules))}"


def test_looks_are_built_around_an_item(client: httpx.Client) -> None:
    for body, item_id in (
        (LOOKS, None),
        ({"around": {"id": "coat-1"}, "language_model": False}, "coat-1"),
    ):
        result = client.post(f"{API}/looks", json=body).json()
        first = result["looks"][0]["items"]
        assert len(first) > 2
        assert first[0]["id"] == item_id


def test_a_look_says_what_it_lacks_and_which_rule_took_it(client: httpx.Client) -> None:
    shoes = [row[0] for row in ROWS if row[1] == "shoes"]
    request = {"around": {"id": "coat-1"}, "rules": {"excluded": shoes}, "language_model": False}
    result = client.post(f"{API}/looks", json=request).json()
    assert {tuple(look["lacks"]) for look in result["looks"]} == {("shoes",)}
    assert result["left_out"] == [
        {"name": "excluded", "rule": "items that were excluded", "count": len(shoes), "left": 0}
    ]
    none = client.post(f"{API}/looks", json={**request, "rules": {"price_max": 1}}).json()
    assert none["looks"] == []
    assert [entry["name"] for entry in none["left_out"]] == ["price_max"]
    assert none["nothing"].startswith("no look: nothing of ")


def test_who_an_outfit_is_for_is_a_rule_that_is_named(client: httpx.Client) -> None:
    request = {"items": [{"id": "top-2"}], "rules": {"want": ["bottom"]}, "language_model": False}
    result = client.post(f"{API}/complete", json=request).json()
    assert [entry["item"]["id"] for entry in result["suggestions"]] == ["bottom-1"]
    assert [entry["name"] for entry in result["left_out"]] == ["unwanted_genders"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("q=leather", ["shoe-1", "bag-2"]),
        ("category=shoes&brand=kim", ["shoe-1", "shoe-3"]),
        ("category=shoes&category=bag&price_max=50&in_stock=true", ["bag/1 ä"]),
        ("season=summer&gender=women", ["top-1", "dress-1"]),
        ("colour=gold", ["ring-1"]),
        ("limit=2&offset=1", ["shoe-2", "shoe-3"]),
        ("q=spaceship", []),
    ],
)
def test_the_catalogue_is_searched(client: httpx.Client, query: str, ids: list[str]) -> None:
    result = client.get(f"{API}/catalogue/items?{query}").json()
    assert [entry["id"] for entry in result["items"]] == ids
    assert result["total"] >= len(ids)


def test_an_item_and_its_photo_are_found_under_any_id(client: httpx.Client) -> None:
    for item_id, *_ in ROWS:
        item = client.get(f"{API}/catalogue/items/{quote(item_id, safe='')}").json()
        assert item["id"] == item_id
        photo = client.get(item["photo"], params={"size": 64})
        assert photo.headers["content-type"] == "image/jpeg"
        assert photo.headers["cache-control"] == "private, no-cache"
        assert max(Image.open(io.BytesIO(photo.content)).size) == 64


def test_a_photo_is_sent_again_only_once_it_is_another(
    start: Start, bare: Model, shop: Catalogue, tmp_path: Path
) -> None:
    item = shop.get(["top-1"])["top-1"]
    own = replace(item, image=tmp_path / "top.jpg")
    (tmp_path / "top.jpg").write_bytes(jpeg("red"))
    client = start(replace(bare, catalogue=Catalogue.in_memory(shop.info, [own]))).client
    path = f"{API}/catalogue/photos/top-1"
    first = client.get(path)
    tag = first.headers["etag"]
    for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(path, headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "private, no-cache"
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert client.get(path, params={"size": 64}, headers={"If-None-Match": tag}).status_code == 200
    (tmp_path / "top.jpg").write_bytes(jpeg("blue"))
    other = client.get(path, headers={"If-None-Match": tag})
    assert (other.status_code, other.headers["etag"] == tag, other.content == first.content) == (200, False, False)


def test_what_can_be_got_can_be_asked_for_its_headers_alone(client: httpx.Client) -> None:
    answer = client.head(f"{API}/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 10


def test_scores_are_those_of_the_stylist(client: httpx.Client, model: Model) -> None:
    words = ["navy wool blazer", "white shirt", "red running shoes"]
    result = client.post(
        f"{API}/score", json={"items": [{"text": entry} for entry in words], "language_model": False}
    ).json()
    expected = model.stylist.score([model.item_of_words(entry) for entry in words], language_model=False)
    assert result["score"] == pytest.approx(expected.score)
    assert np.allclose([entry["score_without"] for entry in result["items"]], expected.without)  # type: ignore[arg-type]
