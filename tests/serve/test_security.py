"""Who may ask what, and what every answer carries."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from coordi.errors import ConfigError
from coordi.serve.schemas import ServeSettings
from coordi.serve.security import check_host, find_token

from .conftest import Start, jpeg

API = "/api/v1"
TOKEN = "a-token-of-many-letters-1234"
BODY = {"items": [{"text": "white shirt"}, {"text": "blue jeans"}], "language_model": False}


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])
def test_a_name_of_this_machine_is_known(client: httpx.Client, host: str) -> None:
    assert client.get(f"{API}/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", f"{API}/health", "/static/x.js", "/nothing"])
@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "192.168.1.5", "x@localhost", "[::1", "a:b"],
)
def test_a_page_that_points_its_own_name_here_gets_nothing(client: httpx.Client, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_page_can_not_ask(client: httpx.Client, headers: dict[str, str]) -> None:
    for answer in (
        client.post(f"{API}/score", json=BODY, headers=headers),
        client.post(f"{API}/describe", files={"photo": ("x", jpeg())}, headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers


def test_the_own_page_can_ask(client: httpx.Client) -> None:
    origin = str(client.base_url).rstrip("/")
    answer = client.post(f"{API}/score", json=BODY, headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", f"{API}/health", f"{API}/nothing", "/static/nothing", f"{API}/catalogue/photos/top-1"]
)
def test_every_answer_has_the_same_guards(client: httpx.Client, path: str) -> None:
    for headers in ({}, {"Host": "evil.example"}):
        result = client.get(path, headers=headers).headers
        policy = dict(part.strip().split(" ", 1) for part in result["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in result["content-security-policy"]
        assert result["x-content-type-options"] == "nosniff"
        assert result["referrer-policy"] == "no-referrer"
        assert result["cross-origin-opener-policy"] == result["cross-origin-resource-policy"] == "same-origin"
        assert "camera=(self)" in result["permissions-policy"]
        assert "server" not in result
        if path.startswith("/api") and "photos" not in path:
            assert result["cache-control"] == "no-store"


def test_with_a_token_nothing_is_told_without_it(start: Start) -> None:
    client = start(token=TOKEN).client
    accepted = client.get(f"{API}/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    for methods in accepted["paths"].values():
        assert all(operation["security"] == [{"token": []}] for operation in methods.values())
    for path, methods in accepted["paths"].items():
        for method in methods:
            answer = client.request(method, path.replace("{id}", "top-1"))
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get(f"{API}/openapi.json").status_code == 401
    assert client.get(f"{API}/nothing").status_code == 401


@pytest.mark.parametrize(
    ("header", "status"),
    [(f"Bearer {TOKEN}", 200), (f"bearer {TOKEN}", 200), (f"Basic {TOKEN}", 401), (TOKEN, 401),
     (f"Bearer {TOKEN}x", 401), ("Bearer", 401), (f"Bearer {TOKEN[:-1]}", 401), ("Bearer \u00e9\u00e9", 401)],
)  # fmt: skip
def test_the_token_must_be_the_very_one(start: Start, header: str, status: int) -> None:
    client = start(token=TOKEN).client
    assert client.get(f"{API}/health", headers=[(b"Authorization", header.encode("latin-1"))]).status_code == status


def test_a_server_for_all_is_asked_by_address_or_a_name_it_was_given(start: Start) -> None:
    client = start(host="0.0.0.0", token=TOKEN, names=("Shop.example",)).client
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    for host, status in (("192.168.1.5:8000", 200), ("shop.example", 200), ("[fe80::1]", 200), ("evil.example", 403)):
        assert client.get(f"{API}/health", headers={"Host": host}).status_code == status


def test_other_machines_only_with_a_token() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_host(ServeSettings(host=host))
    check_host(ServeSettings(host="0.0.0.0", token=SecretStr(TOKEN)))
    for host in ("0.0.0.0", "::", "192.168.1.5", "127.0.0.2"):
        with pytest.raises(ConfigError, match=r"--token-file token\.txt") as caught:
            check_host(ServeSettings(host=host))
        assert host in str(caught.value)


def test_a_token_is_found_where_it_was_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{TOKEN}-of-file\n", encoding="utf-8")
    monkeypatch.delenv("COORDI_TOKEN", raising=False)
    assert find_token(None, None) is None
    monkeypatch.setenv("COORDI_TOKEN", f"{TOKEN}-of-variable")
    for given, path, expected in (
        (f"{TOKEN}-given", file, "-given"),
        (None, file, "-of-file"),
        (None, None, "-of-variable"),
    ):
        result = find_token(given, path)
        assert result is not None
        assert result.get_secret_value() == TOKEN + expected
        assert TOKEN not in repr(ServeSettings(token=result))


@pytest.mark.parametrize("token", ["", "short", "x" * 19, "x" * 30 + " y", "\u00e9" * 30, "x" * 30 + "\n"])
def test_a_weak_token_is_refused_with_the_command_for_a_better_one(token: str) -> None:
    with pytest.raises(ConfigError, match="token_urlsafe"):
        find_token(token, None)


def test_a_token_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.txt can't be read"):
        find_token(None, tmp_path / "none.txt")
