"""Naming: which letters a person means by an id, or the beginning of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.dead_letters.errors import AmbiguousLetter, UnknownLetter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from worker.dead_letters.letter import Letter

_SHORTEST_ID = 4
_NAMED = 5


class Naming:
    """Collects the letters that fit some texts.

    Args:
        texts: message ids, original ids, or the beginning of one.

    Raises:
        UnknownLetter: a text is shorter than four characters.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        for text in texts:
            if len(text) < _SHORTEST_ID:
                raise UnknownLetter(
                    f"{text!r} is too short: give {_SHORTEST_ID} characters or more"
                )
        self._found: dict[str, list[Letter]] = {text: [] for text in texts}

    def look_at(self, letters: Iterable[Letter]) -> None:
        """Keep those that are meant."""
        for letter in letters:
            for text, found in self._found.items():
                if letter.is_named(text):
                    found.append(letter)

    @property
    def complete(self) -> bool:
        """Whether each text is a whole message id that was found: it fits no other letter."""
        return all(_exact(text, found) for text, found in self._found.items())

    def letters(self) -> list[Letter]:
        """The letter of each text.

        Raises:
            UnknownLetter: a text names none.
            AmbiguousLetter: a text names several.
        """
        return [_the_one(text, found) for text, found in self._found.items()]


def _exact(text: str, found: Sequence[Letter]) -> list[Letter]:
    return [letter for letter in found if letter.message_id == text]


def _the_one(text: str, found: Sequence[Letter]) -> Letter:
    exact = _exact(text, found) or found
    if not exact:
        raise UnknownLetter(
            f"no letter {text!r} can be seen: `dlq list` says what there is; one that somebody "
            "else looks at shows again within minutes"
        )
    if len(exact) > 1:
        ids = ", ".join(sorted(letter.message_id for letter in exact)[:_NAMED])
        raise AmbiguousLetter(f"{text!r} fits {len(exact)} letters: {ids}; write more of the id")
    return exact[0]
