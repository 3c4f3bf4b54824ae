"""Ctrl-C and polite kills: the first one asks to stop at the next safe point, the second stops at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class StopNow(BaseException):
    """Raised inside a change by the second signal; whatever was logged is enough to continue or undo."""


class Interrupt:
    """Watches for signals while it is entered, in the main thread; elsewhere it watches nothing.

    Attributes:
        asked: Name of the signal that asked to stop, None so far.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:  # noqa: PYI034 - Self needs Python 3.11
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:
                number = getattr(signal, name, None)
                # A signal that is ignored stays ignored: so works nohup.
                if number is not None and signal.getsignal(number) not in {signal.SIG_IGN, None}:
                    self._previous[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.asked is not None:
            raise StopNow
        self.asked = signal.Signals(number).name
