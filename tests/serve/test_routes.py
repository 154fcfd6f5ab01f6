"""Every route, asked as a client should."""

from __future__ import annotations

import httpx

from coordi.serve.examples import COMPLETE, LOOKS, SCORE

from .conftest import jpeg


def test_all(client: httpx.Client) -> None:
    for path in (
        "health",
        "ready",
        "vocabulary",
        "catalogue/items",
        "catalogue/items/shoe-1",
        "catalogue/photos/shoe-1",
    ):
        answer = client.get(f"/api/v1/{path}")
        print(path, answer.status_code, answer.text[:300], dict(answer.headers))
    for name, bodies in (("score", SCORE), ("complete", COMPLETE), ("looks", LOOKS)):
        for body in bodies.values():
            answer = client.post(f"/api/v1/{name}", json={**body, "language_model": False})
            print(name, answer.status_code, answer.text[:1500])
    for name in ("describe", "catalogue/alike"):
        answer = client.post(f"/api/v1/{name}", files={"photo": ("x.jpg", jpeg(), "image/jpeg")})
        print(name, answer.status_code, answer.text[:800])
