"""The API's sentences in the language that a request names."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import coordi
from coordi.serve.sentences import translated

from .conftest import Start, jpeg

API = "/api/v1"
SOURCE = Path(coordi.__file__).parent
TABLE = json.loads((SOURCE / "serve" / "sentences.ko.json").read_text(encoding="utf-8"))
PYDANTIC = ("must ", "is missing")  # test_refused_bodies has these
OUTFIT = {"items": [{"id": "top-2"}, {"id": "bottom-1"}], "language_model": False}


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("ko", "ko"), ("ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en;q=0.5, KO;q=0.6", "ko"), ("fr, ko;q=0.1", "ko"),
     ("en, ko", "en"), ("fr", "en"), ("", "en"), ("*", "en"), ("ko;q=0", "en"), ("ko;q=x", "en"), (";;,q=,", "en")],
)  # fmt: skip
def test_the_best_accepted_language_counts(client: httpx.Client, accepted: str, language: str) -> None:
    answer = client.get(f"{API}/nowhere", headers={"Accept-Language": accepted})
    assert answer.headers["content-language"] == language
    assert "Accept-Language" in answer.headers["vary"]
    assert (answer.json()["error"]["message"][:2] == "이 ") is (language == "ko")


@pytest.mark.parametrize(
    ("path", "body", "place", "expected"),
    [
        ("score", {"items": [{"id": "shoe-1"}, {"id": "shoe-2"}]}, ("cautions", 0), "신발: 2개"),
        ("score", {"items": [{"id": "dress-1"}, {"id": "top-1"}]}, ("cautions", 0),
         "원피스, 상의: 보통 함께 입지 않습니다."),
        ("complete", {"items": [{"id": "shoe-1"}], "rules": {"want": ["shoes"]}}, ("nothing",),
         "맞는 것이 없습니다. 신발: 코디에 이미 신발 있음. 다른 종류를 고르거나 그것을 빼 주세요"),
        ("complete", {**OUTFIT, "rules": {"want": ["bag"], "price_max": 1}}, ("left_out", 0, "rule"), "가격 1 이하"),
        ("complete", {**OUTFIT, "rules": {"want": ["scarf"]}}, ("nothing",),
         "코디에 더할 것이 카탈로그에 없습니다: 스카프. 카탈로그에 있는 것: "),
        ("complete", {**OUTFIT, "rules": {"wish": "without boots"}}, ("left_out", 0, "rule"), "부츠 제외"),
        ("complete", {**OUTFIT, "k": 1}, ("suggestions", 0, "reason", "text"), ": "),
    ],
)  # fmt: skip
def test_answers(client: httpx.Client, path: str, body: Any, place: tuple[str | int, ...], expected: str) -> None:
    english, korean = (
        client.post(f"{API}/{path}", json={**body, "language_model": False}, headers={"Accept-Language": language})
        for language in ("en", "ko")
    )
    assert (english.headers["content-language"], korean.headers["content-language"]) == ("en", "ko")
    in_english, in_korean = english.json(), korean.json()
    for key in place:
        in_english, in_korean = in_english[key], in_korean[key]
    assert in_korean.startswith(expected) or (expected == ": " and expected in in_korean)
    assert re.search("[가-힣]", in_korean)
    assert not re.search("[가-힣]", in_english)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "'items': 꼭 있어야 합니다"),
        ({"items": "shirt"}, "'items': 목록이어야 합니다. 받은 값: 'shirt'"),
        ({"items": [{"text": "x" * 301}]}, "'items[0].text': 300자 이하여야 합니다. 받은 값: 'xxx"),
        ({"items": []}, "'items': 1개 이상이어야 합니다"),
        ({**OUTFIT, "k": 0}, "'k': 1 이상이어야 합니다. 받은 값: 0"),
        ({**OUTFIT, "language_model": "no"}, "'language_model': true 또는 false여야 합니다. 받은 값: 'no'"),
        ({**OUTFIT, "rules": {"gender": "men's"}}, "'rules.gender': 다음 중 하나여야 합니다: 'women'"),
        ({**OUTFIT, "rules": {"occasion": "moon"}}, "'rules.occasion': 모르는 용도입니다: 'moon'. 가능한 것: 출근, "),
        ({**OUTFIT, "rules": {"occasion": "office, gym, beach, home"}}, "'rules.occasion': 용도가 한꺼번에 4개입니다"),
        ({**OUTFIT, "rules": {"weather": "8"}}, "'rules.weather': 기온 '8'에 단위가 없습니다. 8 C 또는 8 F로"),
        ({**OUTFIT, "rules": {"wish": "60 C"}}, "'rules.weather': 기온이 60 C입니다. -50 C (-58 F)부터"),
        ({**OUTFIT, "rules": {"weather": "8 C, 9 C"}}, "'rules.weather': 날씨 '8 C, 9 C'에 수가 2개 있습니다"),
        ({**OUTFIT, "rules": {"features": ["big unicorn"]}}, "'rules.features': 'big unicorn': 모르는 말입니다: "),
        ({**OUTFIT, "rules": {"features": ["blue"]}}, "'rules.features': 'blue': 옷의 종류가 없습니다"),
    ],
)
def test_refused_bodies(client: httpx.Client, body: Any, expected: str) -> None:
    message = client.post(f"{API}/complete", json=body, headers={"Accept-Language": "ko"}).json()["error"]["message"]
    assert message.startswith(expected)


@pytest.mark.parametrize("photo", [b"", b"hello", jpeg()[:300], jpeg(size=(2000, 12))])
def test_refused_photos(client: httpx.Client, photo: bytes) -> None:
    answer = client.post(f"{API}/describe", files={"photo": photo}, headers={"Accept-Language": "ko"})
    assert answer.status_code == 422
    assert answer.headers["content-language"] == "ko"
    assert "사진" in answer.json()["error"]["message"]


def test_refusals_before_the_application(start: Start) -> None:
    loading = start(load=False, token="a" * 30).client
    korean = {"Accept-Language": "ko"}
    without = loading.get(f"{API}/ready", headers=korean)
    assert (without.status_code, without.headers["content-language"]) == (401, "ko")
    early = loading.get(f"{API}/ready", headers={**korean, "Authorization": f"Bearer {'a' * 30}"})
    assert early.json()["error"]["message"].startswith("모델을 불러오는 중입니다")
    assert early.json()["error"]["message"].endswith("2초 뒤에 다시 시도해 주세요")


def test_sentences_without_a_translation_stay_english() -> None:
    assert translated("a sentence that nobody wrote; neither this", "ko") is None


def test_remarks_of_a_reason_are_translated_one_by_one() -> None:
    parts = [
        ("Suits office: black oxfords (business to cocktail, usual)",
         "출근에 어울립니다: black oxfords (비즈니스부터 칵테일까지, 이 종류에 흔함)"),
        ("their colours clash: skirt (red, title), pink top (pink, photo)",
         "색이 부딪칩니다: skirt (빨강, 상품명), pink top (분홍, 사진)"),
        ("but they share a dress code: skirt (casual to smart casual, usual), top (casual, title)",
         "다만 드레스 코드가 같습니다: skirt (캐주얼부터 스마트 캐주얼까지, 이 종류에 흔함), top (캐주얼, 상품명)"),
        ("helped by navy blazer (+0.02), 'cotton' (+0.01)", "어울리는 것: navy blazer (+0.02), '면' (+0.01)"),
    ]  # fmt: skip
    english, korean = ("; ".join(texts) + "." for texts in zip(*parts, strict=True))
    assert translated(english, "ko") == korean


def test_every_english_sentence_is_said_somewhere() -> None:
    texts = list(_texts())
    unsaid = [
        (english, piece)
        for english in TABLE["sentences"]
        for piece in re.split(r"\{\w+\}|[;:()] ?", english.removeprefix("this file"))
        if len(piece) > 8 and not english.startswith(PYDANTIC) and not any(piece.strip() in text for text in texts)
    ]
    assert unsaid == []
    for english, korean in TABLE["sentences"].items():
        assert sorted(re.findall(r"\{\w+\}", korean)) <= sorted(re.findall(r"\{\w+\}", english)), english


def _texts() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
