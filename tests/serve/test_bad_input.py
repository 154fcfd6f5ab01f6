"""Whatever is wrong with a request: its status, a code for programs, the place, and a sentence for people."""

from __future__ import annotations

import json
import re
import struct
import zlib
from dataclasses import replace
from typing import Any

import httpx
import pytest

from coordi.api import Model
from coordi.recommend.catalogue import Catalogue

from .conftest import Start, jpeg, noise

API = "/api/v1"
TWO = [{"text": "white shirt"}, {"text": "blue jeans"}]


def problem(answer: httpx.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "field", "accepted"}
    assert error["message"].isprintable()
    return answer.status_code, error["code"], error["field"]


@pytest.mark.parametrize(
    ("path", "body", "field", "code", "expected"),
    [
        ("score", {"items": TWO[:1]}, "items", "invalid", "at least 2 items"),
        ("score", {"items": TWO * 7}, "items", "invalid", "at most 12 items"),
        ("score", {}, "items", "invalid", "'items': is missing"),
        ("score", {"items": "shirt"}, "items", "invalid", "a valid list, got 'shirt'"),
        ("score", [], "", "invalid", "the body: must be a valid dictionary"),
        ("score", {"items": [*TWO, {"id": 5}]}, "items[2].id", "invalid", "a valid string, got 5"),
        ("score", {"items": [*TWO, {}]}, "items[2]", "invalid", "exactly one of 'id', 'text' and 'seen', got none"),
        ("score", {"items": [*TWO, {"id": "top-1", "text": "shirt"}]}, "items[2]", "invalid", "got id, text"),
        ("score", {"items": [*TWO, {"text": "x" * 301}]}, "items[2].text", "invalid", "at most 300 characters"),
        ("score", {"items": [*TWO, {"text": " \n "}]}, "items[2].text", "unknown_words", "must match pattern"),
        ("score", {"items": [*TWO, {"text": "a purple sofa"}]}, "items[2].text", "unknown_words",
         "'a purple sofa' names nothing that is worn; write it like 'navy wool blazer'"),
        ("score", {"items": [*TWO, {"text": "\0\x07"}]}, "items[2].text", "unknown_words", "names nothing"),
        ("score", {"items": TWO, "language_model": "no"}, "language_model", "invalid", "a valid boolean, got 'no'"),
        ("score", {"items": TWO, "colour": 1}, "colour", "invalid", "unknown name; leave it out"),
        ("score", {"items": [*TWO, {"seen": {"category": "hat"}}]}, "items[2].seen.category", "invalid",
         "must be 'top', 'bottom'"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "colour": "red"}}]}, "items[2].seen.colour",
         "invalid", "unknown name; leave it out"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "attributes": {"smell": ["nice"]}}}]},
         "items[2].seen.attributes", "unknown_label", "no attribute 'smell'; accepted are category, colour"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "corrected": ["colour", "smell"]}}]},
         "items[2].seen.corrected", "unknown_label", "no attribute 'smell'; accepted are category, colour"),
        ("items", {"items": [TWO[0], {"seen": {"category": "bag", "corrected": ["smell"]}}]},
         "items[1].seen.corrected", "unknown_label", "no attribute 'smell'"),
        ("items", {"items": []}, "items", "invalid", "at least 1 item"),
        ("items", {"items": TWO * 7}, "items", "invalid", "at most 12 items"),
        ("items", {"items": [*TWO, {"text": "a purple sofa"}]}, "items[2].text", "unknown_words", "names nothing"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "attributes": {"colour": ["red", "blu"]}}}]},
         "items[2].seen.attributes.colour[1]", "unknown_label", "'blu' is no colour; accepted are blue"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "attributes": {"category": ["jeans"]}}}]},
         "items[2].seen", "contradiction", "a 'jeans' is worn as 'bottom', not as 'bag'"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "embedding": "?"}}]}, "items[2].seen.embedding",
         "bad_embedding", "this is no embedding by 'edge' (192 float32 numbers of length 1, in base64)"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "embedding": "AAAA" * 256}}]},
         "items[2].seen.embedding", "bad_embedding", "give what describe answered"),
        ("score", {"items": [*TWO, {"seen": {"category": "bag", "embedding": "A" * 12_001}}]},
         "items[2].seen.embedding", "invalid", "at most 12000 characters"),
        ("score", {"items": [*TWO, {"id": "shoe-9"}]}, "items[2].id", "unknown_item", "no item 'shoe-9'"),
        ("complete", {"items": []}, "items", "invalid", "at least 1 item"),
        ("complete", {"items": TWO, "k": 0}, "k", "invalid", "greater than or equal to 1, got 0"),
        ("complete", {"items": TWO, "k": 51}, "k", "invalid", "less than or equal to 50, got 51"),
        ("complete", {"items": TWO, "k": "5"}, "k", "invalid", "a valid integer, got '5'"),
        ("complete", {"items": TWO, "k": 1.5}, "k", "invalid", "a valid integer, got 1.5"),
        ("complete", {"items": TWO, "k": 10**30}, "k", "invalid", "less than or equal to 50"),
        ("complete", {"items": TWO, "rules": {"want": ["hat"]}}, "rules.want[0]", "invalid", "must be 'top', "),
        ("complete", {"items": TWO, "rules": {"brand": ["Kim"]}}, "rules.brand", "invalid", "unknown name"),
        ("complete", {"items": TWO, "rules": {"price_min": 9, "price_max": 1}}, "rules", "contradiction",
         "price_min 9 is above price_max 1; swap them"),
        ("complete", {"items": TWO, "rules": {"price_max": -1}}, "rules.price_max", "invalid", "or equal to 0, got -1"),
        ("complete", {"items": TWO, "rules": {"pinned": ["shoe-x"]}}, "rules.pinned[0]", "unknown_item",
         "no item 'shoe-x' in the catalogue; the nearest are shoe-1"),
        ("complete", {"items": TWO, "rules": {"colours": ["red", "blurple"]}}, "rules.colours", "unknown_label",
         "no colour 'blurple': accepted are black"),
        ("complete", {"items": TWO, "rules": {"unwanted_colours": ["blurple\n"]}}, "rules.unwanted_colours",
         "unknown_label", "no colour 'blurple"),
        ("looks", {"around": TWO[0], "rules": {"colours": ["blurple"]}}, "rules.colours", "unknown_label",
         "no colour 'blurple'"),
        ("complete", {"items": TWO, "rules": {"pinned": ["dress-1"]}}, "", "contradiction", "can't be pinned"),
        ("complete", {"items": TWO, "rules": {"excluded": ["x"] * 1001}}, "rules.excluded", "invalid", "at most 1000"),
        ("looks", {"around": {"id": ""}}, "around.id", "invalid", "at least 1 character"),
        ("looks", {"around": {"id": "nobody"}}, "around.id", "unknown_item", "no item 'nobody'"),
        ("looks", {"around": TWO[0], "k": 11}, "k", "invalid", "less than or equal to 10"),
    ],
)  # fmt: skip
def test_a_body_that_is_wrong(client: httpx.Client, path: str, body: Any, field: str, code: str, expected: str) -> None:
    if isinstance(body, dict) and "items" in body and path != "items":
        body.setdefault("language_model", False)
    answer = client.post(f"{API}/{path}", json=body)
    assert problem(answer) == (422, code, field)
    assert expected in answer.json()["error"]["message"]
    assert answer.headers["content-language"] == "en"
    korean = client.post(f"{API}/{path}", json=body, headers={"Accept-Language": "ko-KR, en;q=0.5"})
    assert korean.headers["content-language"] == "ko"
    assert problem(korean) == problem(answer)
    assert re.search("[가-힣]", korean.json()["error"]["message"])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body: is missing"),
        (b"   ", "the body: not JSON"),
        (b"{", "the body: not JSON"),
        (b'{"items": [', "the body: not JSON"),
        (b"{'items': []}", "the body: not JSON"),
        (b"\xff\xfe{}", "the body: not JSON"),
        (b"[" * 60_000, "recursion"),
        (b'{"items": ' * 6000, "recursion"),
        (b'{"items": [{"text": "\\ud800"}, {"text": "x"}]}', "'items[0].text': must be a valid string"),
        (b'{"items": [{"text": "white \xed\xa0\x80 shirt"}, {"text": "x"}]}', "'items[0].text': must be"),
        (b'{"items": NaN}', "a valid list, got nan"),
        (b'{"items": [{"id": "top-1"}], "rules": {"price_max": NaN}}', "a finite number, got nan"),
        (b'{"items": [{"id": "top-1"}], "rules": {"price_min": Infinity}}', "a finite number, got inf"),
        (b'{"items": [{"id": "top-1"}], "rules": {"price_min": 1e999}}', "a finite number, got inf"),
        (b'{"items": [{"id": "top-1"}], "k": ' + b"9" * 5000 + b"}", "limit (4300 digits)"),
        (b"null", "must be a valid dictionary"),
        (b'"\\u0000"', "must be a valid dictionary"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_for_it(client: httpx.Client, body: bytes, expected: str) -> None:
    answer = client.post(f"{API}/complete", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer)[:2] == (422, "invalid")
    assert expected in answer.json()["error"]["message"]


def test_a_category_that_is_unknown_lists_those_that_are_known(client: httpx.Client) -> None:
    body = {"items": TWO, "rules": {"want": ["hat"]}}
    error = client.post(f"{API}/complete", json=body).json()["error"]
    assert error["accepted"][:3] == ["top", "bottom", "dress"]
    assert len(error["accepted"]) == 16


def test_other_problems_are_counted(client: httpx.Client) -> None:
    body = {"items": [{"id": 1}], "k": 99, "rules": {"want": ["hat"]}}
    assert "(and 2 more)" in client.post(f"{API}/complete", json=body).json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data", "\u00e9"]
)
def test_json_must_be_called_so(client: httpx.Client, kind: str) -> None:
    headers = [(b"Content-Type", kind.encode("latin-1"))] if kind else []
    answer = client.post(f"{API}/score", content=json.dumps({"items": TWO}), headers=headers)
    assert problem(answer) == (415, "unsupported_media_type", "")
    assert "must be application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ("category=hat", "category[0]", "must be 'top'"),
        ("colour=" + "x" * 101, "colour[0]", "at most 100 characters"),
        ("gender=alien", "gender", "must be 'women', 'men'"),
        ("price_min=abc", "price_min", "a valid number"),
        ("price_min=nan", "price_min", "a finite number"),
        ("price_max=-inf", "price_max", "a finite number"),
        ("price_min=5&price_max=1", "", "swap them"),
        ("in_stock=perhaps", "in_stock", "a valid boolean"),
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=201", "limit", "less than or equal to 200"),
        ("offset=-1", "offset", "greater than or equal to 0"),
        ("offset=" + "9" * 400, "offset", ""),
        ("q=" + "x" * 301, "q", "at most 300 characters"),
        ("colr=red", "colr", "unknown name"),
    ],
)
def test_a_query_that_is_wrong(client: httpx.Client, query: str, field: str, expected: str) -> None:
    answer = client.get(f"{API}/catalogue/items?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert expected in answer.json()["error"]["message"]


def test_a_colour_that_is_unknown_lists_those_that_are_known(client: httpx.Client, model: Model) -> None:
    accepted = [entry.text for entry in model.vocabulary.attributes["colour"].labels]
    wanted = client.get(f"{API}/catalogue/items?colour=red&colour=blurple")
    assert problem(wanted) == (422, "unknown_label", "colour")
    body = {"items": TWO, "rules": {"colours": ["blurple"]}, "language_model": False}
    for answer in (wanted, client.post(f"{API}/complete", json=body)):
        assert answer.json()["error"]["accepted"] == accepted


@pytest.mark.parametrize("query", ["q=%00", "q=%ff%fe", "q=%25%5F'%22;--", "brand=%00", "q=" + "%20" * 200])
def test_a_query_that_finds_nothing_is_no_error(client: httpx.Client, query: str) -> None:
    assert client.get(f"{API}/catalogue/items?{query}").status_code == 200


@pytest.mark.parametrize("path", ["items", "photos"])
@pytest.mark.parametrize(
    "item", ["shoe-7", "..%2f..%2fetc%2fpasswd", "%00", "%ff", "%2e%2e", "a%0a", "x" * 200, "'; DROP TABLE"]
)
def test_an_item_that_is_unknown_is_404_with_near_ids(client: httpx.Client, path: str, item: str) -> None:
    answer = client.get(f"{API}/catalogue/{path}/{item}")
    assert problem(answer) == (404, "unknown_item", "id")
    assert len(answer.json()["error"]["accepted"]) == 3
    if item == "shoe-7":
        assert answer.json()["error"]["accepted"][0] == "shoe-1"


@pytest.mark.parametrize("path", ["items", "photos"])
@pytest.mark.parametrize("item", ["x" * 201, "x" * 20_000, "%C3%A4" * 201], ids=["one more", "many", "not ASCII"])
def test_an_id_that_is_too_long_is_refused_before_it_is_looked_for(client: httpx.Client, path: str, item: str) -> None:
    answer = client.get(f"{API}/catalogue/{path}/{item}")
    assert problem(answer) == (422, "invalid", "id")
    assert "at most 200 characters" in answer.json()["error"]["message"]


@pytest.mark.parametrize("size", ["63", "1025", "big", "1e2", ""])
def test_a_photo_has_a_size_within_limits(client: httpx.Client, size: str) -> None:
    assert problem(client.get(f"{API}/catalogue/photos/shoe-1", params={"size": size})) == (422, "invalid", "size")


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api", "/api/v2/health", "/api/v1/", "/api/v1/health/", "/docs", "/redoc", "/%00", "/static/none.js",
     "/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/%00"],
)  # fmt: skip
def test_there_is_nothing_elsewhere(client: httpx.Client, path: str) -> None:
    assert problem(client.get(path)) == (404, "not_found", "")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "score", "POST"), ("POST", "health", "GET"), ("DELETE", "catalogue/items/top-1", "GET"),
     ("PUT", "describe", "POST"), ("OPTIONS", "complete", "POST"), ("BREW", "ready", "GET")],
)  # fmt: skip
def test_another_method_is_405_and_says_which(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, f"{API}/{path}")
    assert problem(answer) == (405, "method_not_allowed", "")
    assert answer.headers["allow"] == allowed
    assert allowed in answer.json()["error"]["message"]


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("photo", "status", "code", "expected"),
    [
        (b"", 422, "not_an_image", "it has 0 bytes"),
        (b"hello", 422, "not_an_image", "isn't a photo that coordi opens; accepted: JPEG, PNG"),
        (b"%PDF-1.7 etc", 422, "not_an_image", "this file is PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "not_an_image", "this file is SVG"),
        (b"\xff\x0a\0\0", 422, "not_an_image", "this file is JPEG XL"),
        (b"MZ\x90\0", 422, "not_an_image", "isn't a photo"),
        (jpeg()[:900], 422, "not_an_image", "cut short or damaged"),
        (jpeg()[:20], 422, "not_an_image", "damaged"),
        (noise(40)[:-200], 422, "not_an_image", "damaged"),
        (bomb(60_000, 60_000), 413, "too_large", "50 megapixels"),
        (bomb(2**31 - 1, 2**31 - 1), 413, "too_large", "50 megapixels"),
        (bomb(9000, 9000), 413, "too_large", "9000 x 9000 pixels"),
        (bomb(6000, 10), 422, "not_an_image", "sides up to 1 : 50"),
        (bomb(0, 10), 422, "not_an_image", "damaged"),
    ],
)
@pytest.mark.parametrize("path", ["describe", "catalogue/alike"])
def test_a_file_that_is_no_photo(
    client: httpx.Client, path: str, photo: bytes, status: int, code: str, expected: str
) -> None:
    answer = client.post(f"{API}/{path}", files={"photo": ("photo.jpg", photo, "image/jpeg")})
    assert problem(answer) == (status, code, "photo")
    assert expected in answer.json()["error"]["message"]


def form(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


PART = b'Content-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' + jpeg()
OTHER = b'Content-Disposition: form-data; name="other"\r\n\r\nhello'


@pytest.mark.parametrize(
    ("body", "field", "expected"),
    [
        (b"", "photo", "cut short"),
        (b"--x--\r\n", "photo", "form"),
        (b"not a form", "photo", "broken or cut short"),
        (form(OTHER), "other", "the form's field 'other' is unknown; accepted is 'photo', once"),
        (form(PART, OTHER), "other", "is unknown"),
        (form(PART, PART), "photo", "more than one 'photo'"),
        (form(PART, end=b""), "photo", "cut short"),
        (form(PART)[:600], "photo", "cut short"),
        (form(b"\r\n" + jpeg()), "photo", "broken"),
        (form(b'Content-Disposition: form-data; name="' + b"x" * 9000 + b'"\r\n\r\nhello'), "photo", "broken"),
        (form(b"".join(b"A%d: b\r\n" % n for n in range(500)) + b"\r\nx"), "photo", "broken"),
        (form(b'Content-Disposition: form-data; name="ph\0to\xff"\r\n\r\nx'), "ph\ufffdto\xff", "is unknown"),
    ],
)  # fmt: skip
def test_a_form_that_is_wrong(client: httpx.Client, body: bytes, field: str, expected: str) -> None:
    answer = client.post(f"{API}/describe", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert problem(answer) == (422, "invalid", field)
    assert expected in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "kind", ["", "image/jpeg", "multipart/form-data", "multipart/mixed; boundary=x", "application/json", "multipart/"]
)
def test_a_photo_comes_in_a_form(client: httpx.Client, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post(f"{API}/describe", content=form(PART), headers=headers)
    assert problem(answer) == (415, "unsupported_media_type", "")


def test_a_boundary_that_is_too_long_is_a_broken_form(client: httpx.Client) -> None:
    headers = {"Content-Type": f"multipart/form-data; boundary={'x' * 3000}"}
    assert problem(client.post(f"{API}/describe", content=b"x", headers=headers)) == (422, "invalid", "photo")


def test_without_a_catalogue_outfits_are_scored_and_nothing_else(start: Start, bare: Model) -> None:
    client = start(bare).client
    assert client.post(f"{API}/score", json={"items": TWO, "language_model": False}).status_code == 200
    assert client.get(f"{API}/ready").json()["catalogue"] is None
    assert client.get(f"{API}/vocabulary").json()["price_range"] is None
    for answer in (
        client.post(f"{API}/complete", json={"items": TWO}),
        client.post(f"{API}/looks", json={"around": TWO[0]}),
        client.post(f"{API}/score", json={"items": [*TWO, {"id": "top-1"}]}),
        client.post(f"{API}/catalogue/alike", files={"photo": ("x", jpeg())}),
        client.get(f"{API}/catalogue/items"),
        client.get(f"{API}/catalogue/items/top-1"),
        client.get(f"{API}/catalogue/photos/top-1"),
    ):
        assert problem(answer) == (409, "no_catalogue", "")
        assert "coordi serve --catalogue DIR" in answer.json()["error"]["message"]


def test_an_empty_catalogue_says_how_to_fill_it(start: Start, bare: Model, empty_shop: Catalogue) -> None:
    client = start(replace(bare, catalogue=empty_shop)).client
    assert client.get(f"{API}/catalogue/items").json()["total"] == 0
    for answer in (
        client.post(f"{API}/complete", json={"items": TWO}),
        client.post(f"{API}/looks", json={"around": TWO[0]}),
    ):
        assert problem(answer) == (409, "empty_catalogue", "")
        assert "coordi catalogue add" in answer.json()["error"]["message"]
    answer = client.get(f"{API}/catalogue/items/top-1")
    assert problem(answer) == (404, "unknown_item", "id")


def test_a_photo_that_is_gone_is_404(start: Start, bare: Model, shop: Catalogue) -> None:
    item = shop.get(["top-1"])["top-1"]
    assert item.image is not None
    lost = replace(item, image=item.image.with_name("gone.jpg"))
    without = replace(item, id="plain", image=None)
    client = start(replace(bare, catalogue=Catalogue.in_memory(shop.info, [lost, without]))).client
    answer = client.get(f"{API}/catalogue/photos/top-1")
    assert problem(answer) == (404, "not_found", "id")
    assert str(lost.image) not in answer.text
    assert "has no photo" in client.get(f"{API}/catalogue/photos/plain").json()["error"]["message"]


def test_a_model_that_cannot_write_says_what_to_do(client: httpx.Client) -> None:
    answer = client.post(f"{API}/complete", json={"items": TWO, "generate": True})
    assert problem(answer) == (409, "cannot_write", "generate")
    assert "finetune.head=answer" in answer.json()["error"]["message"]
    answer = client.post(f"{API}/complete", json={"items": TWO, "generate": True, "language_model": False})
    assert problem(answer)[:2] == (422, "contradiction")
    assert "only the language model writes" in answer.json()["error"]["message"]
