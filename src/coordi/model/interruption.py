"""Holds back Ctrl-C until nothing would be lost by it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """The first Ctrl-C is noted and waits for ``obey``, a second one ends the work at once.

    Only while ``held`` runs, in a program's main thread, and where Ctrl-C does what Python does by default; elsewhere
    it is left as it is.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take what shows a line to the user."""
        self._say = say
        self._at_once = False
        self.asked = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Note Ctrl-C for a while instead of ending the work by it."""
        usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let Ctrl-C end the work at once for a while, as nothing would be lost by it."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def obey(self) -> None:
        """End the work if Ctrl-C was heard.

        Raises:
            KeyboardInterrupt: If so.
        """
        if self.asked:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self._at_once:
            raise KeyboardInterrupt
        self.asked = True
        self._say("stopping after this step, so that nothing of the training is lost; Ctrl-C again stops at once")
