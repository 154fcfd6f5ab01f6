"""``coordi mcp`` as a process of its own, asked by the SDK's own client."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent

from coordi.api import Model
from coordi.artifacts import show_no_progress
from coordi.recommend.build import CatalogueJob, DescriptionPipeline, build_catalogue
from coordi.serve import schemas

from .conftest import ROWS, jpeg

pytestmark = pytest.mark.slow


def build(folder: Path, model: Model, rows: int) -> Path:
    source = folder / "shop.csv"
    lines = [f'"{item_id}","{title}",{category}' for item_id, category, title, *_ in ROWS[:rows]]
    source.write_text("\n".join(["id,title,category", *lines]), encoding="utf-8")
    job = CatalogueJob(folder / "catalogue", "coordi catalogue build", show_no_progress, may_shrink=True)
    settings = model.trained.settings
    build_catalogue(source, DescriptionPipeline.of(settings.describe, settings.prompt), job)
    return job.folder


async def ask(session: ClientSession, tool: str, **arguments: Any) -> Any:
    answer = await session.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


async def refusal(session: ClientSession, tool: str, **arguments: Any) -> str:
    answer = await session.call_tool(tool, arguments)
    assert answer.is_error
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


def test_an_assistant_gets_what_the_api_answers(tmp_path: Path, bare: Model) -> None:
    catalogue = build(tmp_path, bare, len(ROWS) - 1)
    photo = tmp_path / "tote.jpg"
    photo.write_bytes(jpeg())
    arguments = ["-c", "from coordi.cli.main import main; main()", "mcp", "--catalogue", str(catalogue)]

    async def talk() -> None:
        async with (
            stdio_client(StdioServerParameters(command=sys.executable, args=arguments)) as streams,
            ClientSession(*streams) as session,
        ):
            await session.initialize()
            listed = await session.list_tools()
            assert {tool.name for tool in listed.tools} == {"describe", "score", "complete", "looks", "search"}
            assert all(tool.annotations and tool.annotations.read_only_hint for tool in listed.tools)
            accepted = next(tool.input_schema for tool in listed.tools if tool.name == "looks")["properties"]["rules"]
            assert {"occasion", "wish"} <= accepted["anyOf"][0]["properties"].keys()

            outfit = ["navy wool blazer", "shoe-3"]
            score = await ask(session, "score", items=outfit)
            assert score["score"] == pytest.approx(bare.score(outfit, catalogue).score, abs=1e-6)
            assert score["items"][1]["item"]["id"] == "shoe-3"
            assert "id" not in score["items"][0]["item"]

            rules = {"unwanted_colours": ["white", "black"]}
            outfit = ["navy wool blazer", "bottom-2"]
            completion = await ask(session, "complete", outfit=outfit, want="shoes", k=2, rules=rules)
            expected = schemas.CompleteResponse.of(bare.complete(outfit, catalogue, want="shoes", k=2, rules=rules))
            assert completion == expected.model_dump(mode="json", by_alias=True, exclude_none=True)
            assert [row["item"]["id"] for row in completion["suggestions"]] == ["shoe-3"]
            looks = await ask(session, "looks", around="dress-1", k=1)
            assert looks["looks"][0]["items"][0]["id"] == "dress-1"
            looks = await ask(session, "looks", rules={"wish": "office, no jeans, comfy"})
            assert looks["understood"]["not_understood"] == ["comfy"]
            assert looks["understood"]["wishes"] == ["without jeans"]

            described = await ask(session, "describe", items=[str(photo), "하늘색 셔츠"])
            assert described["items"][1]["category"] == "top"
            assert described["items"][0]["attributes"]

            assert (await ask(session, "search", words="leather"))["total"] == 2
            assert (await ask(session, "search", words="earrings"))["total"] == 0
            build(tmp_path, bare, len(ROWS))
            assert (await ask(session, "search", words="earrings"))["total"] == 1

            assert "'sofa' names nothing that is worn" in await refusal(session, "score", items=["sofa", "jeans"])
            assert "at most 12" in await refusal(session, "score", items=["jeans"] * 13)
            assert "colour 'rot'" in await refusal(session, "complete", outfit=["jeans"], rules={"colours": ["rot"]})
            unknown = await refusal(session, "looks", rules={"occasion": "moon landing", "colour": 1})
            assert "no occasion 'moon landing'; nearest: hiking; accepted are office" in unknown
            assert "colour: " in unknown
            assert "\n" not in unknown
            missing = await refusal(session, "describe", items=[str(tmp_path / "gone.jpg")])
            assert "gone.jpg" in missing
            assert "\n" not in missing

    anyio.run(talk)


def test_without_a_catalogue_what_needs_none_works(tmp_path: Path) -> None:
    async def talk() -> None:
        server = StdioServerParameters(
            command=sys.executable, args=["-c", "from coordi.cli.main import main; main()", "mcp"]
        )
        async with stdio_client(server) as streams, ClientSession(*streams) as session:
            await session.initialize()
            assert (await ask(session, "describe", items=["black silk dress"]))["items"][0]["category"] == "dress"
            assert "coordi mcp --catalogue" in await refusal(session, "search", words="jeans")

    anyio.run(talk)
