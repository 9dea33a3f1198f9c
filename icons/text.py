"""Texts as they are compared: one form for spellings that mean the same, and the language of a query."""

import re
import unicodedata
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_FOLDED = "PZC"
"""First letters of Unicode's categories that only separate words: punctuation, spaces, control characters."""
HAN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Chinese characters and Japanese ones, as a range of a regular expression."""
_HAN = re.compile(f"[{HAN}]")


class _Separators(dict[int, str]):
    """A table for ``str.translate`` that looks up each character once."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        self[code] = folded = " " if unicodedata.category(character)[0] in _FOLDED else character
        return folded


_SEPARATORS = _Separators()


def normalize(text: str) -> str:
    """Fold width, case, punctuation and spaces; a text of punctuation alone keeps it.

    >>> normalize(" Shopping-Cart!")
    'shopping cart'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_SEPARATORS).split()) or "".join(folded.split())


def has_words(text: str) -> bool:
    """Whether a text is more than punctuation and spaces."""
    return bool(text.translate(_SEPARATORS).strip())


def language_of(text: str) -> Language:
    """``zh`` for a text with Chinese characters, or Japanese ones, which are compared alike; ``en`` for any other."""
    return "zh" if _HAN.search(text) else "en"
