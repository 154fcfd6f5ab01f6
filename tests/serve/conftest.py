"""A small real catalogue with drawn photos, the bundled encoder, and a running application around them."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import httpx
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from coordi.api import Model, load
from coordi.config import DescribeSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import load_vocabulary
from coordi.model.features import GroupSums
from coordi.model.generation import NameRequest, Written
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import CatalogueInfo
from coordi.recommend.items import describe_items
from coordi.serve.app import Service, listen, make_server
from coordi.serve.schemas import ServeSettings
from coordi.types import EmbeddingSort, GarmentCategory, Item

from ..encoders.colours import describe

# id, category, title, colour of its drawn photo, price, columns
ROWS: tuple[tuple[str, GarmentCategory, str, str, float | None, dict[str, str]], ...] = (
    ("shoe-1", "shoes", "Black leather ankle boots", "black", 120.0, {"brand": "Kim", "gender": "Women"}),
    ("shoe-2", "shoes", "White canvas sneakers", "white", 49.9, {"brand": "Anna", "availability": "out of stock"}),
    ("shoe-3", "shoes", "Brown suede loafers", "saddlebrown", 89.0, {"brand": "Kim", "gender": "Men"}),
    ("bag/1 ä", "bag", "Navy tote bag", "navy", 35.0, {"brand": "Tote & Co"}),
    ("bag-2", "bag", "Red leather clutch", "red", None, {}),
    ("top-1", "top", "Striped cotton T-shirt", "lightblue", 15.0, {"gender": "Women", "season": "Summer"}),
    ("top-2", "top", "White silk blouse", "white", 75.5, {"gender": "Women"}),
    ("bottom-1", "bottom", "Blue denim jeans", "steelblue", 60.0, {"gender": "Women"}),
    ("bottom-2", "bottom", "Black wool trousers", "black", 80.0, {"gender": "Men"}),
    ("dress-1", "dress", "Floral midi dress", "pink", 70.0, {"season": "Summer"}),
    ("coat-1", "outerwear", "Camel wool coat", "tan", 210.0, {"season": "Winter"}),
    ("ring-1", "jewellery", "Gold hoop earrings", "gold", 25.0, {}),
)  # fmt: skip


def jpeg(colour: str = "navy", size: tuple[int, int] = (120, 160), kind: str = "JPEG") -> bytes:
    """A drawn photo as a file's bytes."""
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).rectangle((size[0] // 4, size[1] // 8, 3 * size[0] // 4, 7 * size[1] // 8), fill=colour)
    content = io.BytesIO()
    image.save(content, kind)
    return content.getvalue()


def noise(side: int) -> bytes:
    """A sound PNG that takes 3 bytes a pixel."""
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=0)
    return content.getvalue()


class Blocked:
    """Scorers that score nothing until they are let go; both are this object."""

    name = "blocked"
    gives_probabilities = True

    def __init__(self) -> None:
        self.free = threading.Event()
        self.calls = 0

    @property
    def model(self) -> Blocked:
        return self

    @property
    def quick(self) -> Blocked:
        return self

    @property
    def explaining(self) -> Blocked:
        return self

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        self.calls += 1
        assert self.free.wait(60)
        return np.full(len(outfits), 0.5)

    def for_catalogue(self, sums: GroupSums) -> Blocked:
        return self

    def directions(self, outfit: Sequence[Item]) -> dict[EmbeddingSort, NDArray[np.float32]]:
        return {"text": np.zeros(3, dtype=np.float32)}

    def write(self, requests: Sequence[NameRequest]) -> list[Written]:
        return []


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number, (_, _, _, colour, _, _) in enumerate(ROWS):
        (folder / f"{number}.jpg").write_bytes(jpeg(colour))
    return folder


@pytest.fixture(scope="session")
def bare() -> Model:
    """Everything but a catalogue; its language model is loaded by the first question that needs it."""
    return load()


@pytest.fixture(scope="session")
def shop(photos: Path, bare: Model) -> Catalogue:
    encoder, settings = bare.encoder, DescribeSettings()
    items = [
        Item(item_id, title, category, image=photos / f"{number}.jpg", price=price, extra=extra)
        for number, (item_id, category, title, _, price, extra) in enumerate(ROWS)
    ]
    result = describe(items, encoder, bare.vocabulary, settings)
    texts_by = EdgeEncoder.bundled()
    info = _info(bare, texts_by)
    vectors = dict(zip(result.ids, result.embeddings, strict=True))
    prompt = bare.trained.settings.prompt
    described = describe_items(items, result.descriptions, vectors, prompt, load_vocabulary("fashion"), texts_by)
    return Catalogue.in_memory(info, described)


@pytest.fixture(scope="session")
def empty_shop(bare: Model) -> Catalogue:
    return Catalogue.in_memory(_info(bare, EdgeEncoder.bundled()), [])


@pytest.fixture(scope="session")
def model(bare: Model, shop: Catalogue) -> Model:
    return replace(bare, catalogue=shop)


@dataclass(frozen=True)
class Started:
    """A server on a port of its own, in a thread of this process."""

    service: Service
    client: httpx.Client
    port: int
    server: uvicorn.Server


class Start(Protocol):
    def __call__(self, using: Model | None = None, *, load: bool = True, **settings: object) -> Started: ...


@contextmanager
def serving(service: Service) -> Iterator[Started]:
    listening = listen(service.settings)
    port = listening.getsockname()[1]
    server = make_server(service.settings, service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        end = time.monotonic() + 60
        while not server.started and thread.is_alive() and time.monotonic() < end:
            time.sleep(0.01)
        assert server.started
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Started(service, client, port, server)
    finally:
        server.should_exit = True
        thread.join(120)
        service.close()
        assert not thread.is_alive()


@pytest.fixture
def start(model: Model) -> Iterator[Start]:
    """Start a server with another model and other settings than usual; the language model isn't loaded."""
    with ExitStack() as stack:

        def begin(using: Model | None = None, *, load: bool = True, **settings: object) -> Started:
            service = Service(ServeSettings.model_validate({"port": 0, **settings}), lambda: using or model)
            if load:
                service.load(warm=False)
            return stack.enter_context(serving(service))

        yield begin


@pytest.fixture(scope="module")
def client(model: Model) -> Iterator[httpx.Client]:
    """Asks a server with its usual settings."""
    service = Service(ServeSettings(port=0), lambda: model)
    service.load(warm=False)
    with serving(service) as started:
        yield started.client


def _info(bare: Model, texts_by: EdgeEncoder) -> CatalogueInfo:
    return CatalogueInfo(
        name="drawn shop",
        source="drawn",
        encoder=(bare.encoder.name, bare.encoder.identity),
        text_encoder=texts_by.text_identity,
        vocabulary="0" * 64,
        photo_dimension=bare.encoder.dimension,
        text_dimension=texts_by.dimension,
    )
