"""What the routes work with: the advisor once it is loaded, and a lane for each kind of work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from PIL import Image

from coordi.api import Model
from coordi.data.photos import MAX_PIXELS
from coordi.encoders.photo_embeddings import PixelBudget
from coordi.errors import CoordiError
from coordi.recommend.catalogue import Catalogue
from coordi.serve.batching import (
    BatchingEncoder,
    BatchingScorers,
    MemoryBudget,
    MicroBatcher,
    WorkerPool,
    scorer_batcher,
)
from coordi.serve.bodies import PhotoCache
from coordi.serve.convert import catalogue_of
from coordi.serve.errors import not_ready
from coordi.serve.schemas import ServeSettings

_LOOK_SECONDS = 5.0
_QUICK = 4
_LIGHT, _LIGHT_QUEUE = 4, 256
_PICTURES, _PICTURES_QUEUE = 2, 512
_SMALL = 64
# Of clients' photos decoded at once: two of the largest, 150 MB each and as much again while they are turned upright.
_PIXELS = 2 * MAX_PIXELS
_HELD_BYTES = 256 * 2**20


class Service:
    """A model that may still be on its way.

    Work for the language model, work for the encoder or without either, catalogue pages and photos have a lane each, so
    that a photo is described and a page shows its catalogue while looks are being made.

    Args:
        settings: Of the server.
        load: Loads the model; takes as long as models take to load.

    Attributes:
        catalogue_problem: Why a catalogue that has changed can't be taken up; empty if there is no such.
    """

    def __init__(self, settings: ServeSettings, load: Callable[[], Model]) -> None:
        self.settings = settings
        self._load = load
        self._model: Model | None = None
        self._loading: threading.Thread | None = None
        self._is_renewing = False
        self._closed = threading.Event()
        self.catalogue_problem = ""
        self._batchers: tuple[MicroBatcher[Any, Any], BatchingEncoder] | None = None
        self.heavy = WorkerPool("heavy", settings.workers, settings.queue)
        self.quick = WorkerPool("quick", min(_QUICK, settings.workers), settings.queue)
        self.light = WorkerPool("light", _LIGHT, _LIGHT_QUEUE)
        self.pictures = WorkerPool("pictures", _PICTURES, _PICTURES_QUEUE)
        self.photos = PhotoCache()
        self.room = PixelBudget(_PIXELS)
        self.held = MemoryBudget(max(_HELD_BYTES, settings.photo_bytes))

    @property
    def model(self) -> Model:
        """The model.

        Raises:
            RefusedError: ``not_ready`` while it is being loaded.
        """
        if self._model is None:
            raise not_ready()
        return self._model

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue.

        Raises:
            RefusedError: ``not_ready``; ``no_catalogue`` if the server was started without one.
        """
        return catalogue_of(self.model)

    def lane(self, language_model: bool) -> WorkerPool:
        """Where a question about an outfit is worked on."""
        return self.heavy if language_model else self.quick

    @property
    def model_calls(self) -> int:
        """How often the language model was asked."""
        return 0 if self._batchers is None else self._batchers[0].calls

    def load(self, warm: bool = True) -> None:
        """Load the model and let it answer once, so that the first user doesn't wait for that.

        Args:
            warm: False leaves the language model to be loaded by its first question.

        Raises:
            CoordiError: If a model or the catalogue can't be loaded.
        """
        loaded = self._load()
        batcher, encoder = scorer_batcher(self.settings.together), BatchingEncoder(loaded.encoder)
        model = loaded.with_parts(scorers=BatchingScorers(loaded.scorers, batcher), encoder=encoder)
        model.describe_photos([Image.new("RGB", (_SMALL, _SMALL), "white")])
        if warm:
            model.score(["white shirt", "blue jeans"])
        else:
            _ = model.stylist  # which reads the catalogue
        self._batchers = (batcher, encoder)
        self._model = model

    def load_in_background(self, on_ready: Callable[[], None], on_failure: Callable[[BaseException], None]) -> None:
        """Load in a thread.

        Args:
            on_ready: Called in that thread once requests are answered.
            on_failure: Called in that thread with what went wrong.
        """

        def work() -> None:
            try:
                self.load()
            # Whatever it is, it ends the server, with one line if it is coordi's own.
            except BaseException as error:  # noqa: BLE001
                on_failure(error)
            else:
                on_ready()

        self._loading = threading.Thread(target=work, name="loading", daemon=True)
        self._loading.start()

    def renew(self) -> bool:
        """Take up the catalogue as it is on disk now; what is being answered goes on with the one it began with.

        Returns:
            Whether it was another one.

        Raises:
            CoordiError: If what is there now can't be opened, or wasn't made for this model; the old one stays.
        """
        model = None if self._model is None else self._model.reopened()
        if model is None:
            return False
        self._model = model
        return True

    def renew_in_background(self, say: Callable[[str], None], every: float = _LOOK_SECONDS) -> None:
        """Look for a changed catalogue every few seconds, in a thread that ends when this is closed.

        Args:
            say: Told of each change, and once of each reason why the old one stays.
            every: Seconds between two looks.
        """
        catalogue = self.model.catalogue
        if catalogue is None or catalogue.folder is None:
            return  # nothing on disk could change

        def work() -> None:
            while not self._closed.wait(every):
                with suppress(OSError):  # nobody reads any more what is said
                    self._look(say)

        threading.Thread(target=work, name="renewing", daemon=True).start()

    def _look(self, say: Callable[[str], None]) -> None:
        self._is_renewing = True
        try:
            is_new = self.renew()
        # Whatever it is, such as too little memory: the old one answers on, and the next look may find it mended.
        except Exception as error:  # noqa: BLE001
            problem = str(error) if isinstance(error, CoordiError) else f"{type(error).__name__} {error}".strip()
            if problem != self.catalogue_problem:
                self.catalogue_problem = problem
                say(f"the catalogue has changed but can't be taken up, so the one before stays: {problem}")
            return
        finally:
            self._is_renewing = False
        self.catalogue_problem = ""
        if is_new:
            say(f"the catalogue has changed: {len(self.catalogue):,} items from now on")

    @property
    def is_loading(self) -> bool:
        """Whether the thread that loads is still at it."""
        return self._loading is not None and self._loading.is_alive()

    @property
    def is_at_work(self) -> bool:
        """Whether a model is in the midst of a call, or a catalogue is being opened."""
        return self._is_renewing or any(part.is_at_work for part in self._batchers or ())

    def close(self) -> None:
        """Let nobody wait any more; a call that a model is in the midst of goes on."""
        self._closed.set()
        for lane in (self.heavy, self.quick, self.light, self.pictures):
            lane.close()
        for part in self._batchers or ():
            part.close()
