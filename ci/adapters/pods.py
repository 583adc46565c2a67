"""What a machine can do with a pod, by whatever runs it: containers or processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import signal

    from ci.core.preview.pods import Wanted


class Pod(Protocol):
    """One pod that was started."""

    @property
    def id(self) -> str:
        """How the machine knows it: a container's id, or the number of a process."""

    def ended(self) -> int | None:
        """The exit code of its container, None while it runs."""

    def again(self) -> None:
        """Start its container again, after that has ended."""

    def signal(self, number: signal.Signals) -> None:
        """Send its container a signal; one that has ended does not mind."""

    def last_words(self) -> str:
        """The last line that its container wrote."""

    def remove(self) -> None:
        """Take it away, whatever its container does."""


class Runner(Protocol):
    """Starts pods, and takes away what an earlier, killed preview left."""

    words: str
    """What pods are here."""

    def start(self, name: str, wanted: Wanted, port: int) -> Pod:
        """Start a pod that answers at 127.0.0.1:`port`, with its image fetched first. Raises TrunklineError."""

    def end_leftovers(self) -> int:
        """Take away pods that an earlier preview of the same checkout left; gives their number."""
