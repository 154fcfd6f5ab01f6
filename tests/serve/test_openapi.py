"""The OpenAPI document: complete, with examples that work, and what the API does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import httpx
import pytest

API = "/api/v1"
NAMES = {
    "health", "ready", "vocabulary", "describe", "score", "complete", "looks", "items", "catalogue/items",
    "catalogue/items/{id}", "catalogue/photos/{id}", "catalogue/alike",
}  # fmt: skip


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    result = client.get(f"{API}/openapi.json")
    assert result.status_code == 200
    return dict(result.json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, entry) for path, methods in document["paths"].items() for method, entry in methods.items()]


@pytest.mark.slow
def test_the_routes_of_the_contract_are_there(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == {f"{API}/{name}" for name in NAMES}
    ids = [entry["operationId"] for _, _, entry in operations(document)]
    assert len(ids) == len(set(ids)) == len(NAMES)
    assert {tag for _, _, entry in operations(document) for tag in entry["tags"]} == {
        tag["name"] for tag in document["tags"]
    }
    assert "security" not in document


def test_every_route_says_what_it_does_and_which_errors_it_has(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        assert operation["description"], path
        errors = {status: response for status, response in operation["responses"].items() if status >= "400"}
        assert {"401", "403", "405", "422", "500", "503"} <= set(errors), path
        for status, response in errors.items():
            schema = response["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorResponse"}, (path, status)


def test_every_example_of_a_request_is_answered(document: dict[str, Any], client: httpx.Client) -> None:
    sent = 0
    for path, method, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            quick = {} if path == f"{API}/items" else {"language_model": False}
            answer = client.request(method, path, json=example["value"] | quick)
            assert answer.status_code == 200, answer.text
            sent += 1
    assert sent == 6


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    result = references(document)
    assert len(result) > 15
    for reference in result:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference


@pytest.mark.slow
def test_the_framework_reports_nothing_to_anybody() -> None:
    """FastAPI measures and exports by itself where the environment names a place to send to."""
    code = (
        "from coordi.serve.app import Service, build_api; "
        "from coordi.serve.schemas import ServeSettings; "
        "app = build_api(Service(ServeSettings(), lambda: None)); print(app._native_telemetry.enabled())"
    )
    variables = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
