"""The King James text of Debian's `bible-kjv`, without verse references: a verse a line, a blank line between chapters."""

import re
import subprocess
from functools import cache

OLD_TESTAMENT = "gen1:1-mal4:6"
GOSPELS = "mat1:1-john21:25"
NEW_TESTAMENT_BEFORE_REVELATION = "mat1:1-jude1:25"
REVELATION = "rev1:1-rev22:21"

_VERSE = re.compile(r"([0-9]?[A-Za-z]+)([0-9]+):[0-9]+ (.*)")


@cache
def verses(span: str) -> tuple[tuple[str, str, str], ...]:
    """The verses of a span, each as (book, chapter, text)."""
    lines = subprocess.run(["bible", "-f", span], check=True, capture_output=True, text=True).stdout.splitlines()
    return tuple(_VERSE.fullmatch(line).groups() for line in lines)


def books(span: str) -> list[str]:
    """The text of each book in a span."""
    texts: dict[str, list[str]] = {}
    chapter_before = None
    for book, chapter, verse in verses(span):
        lines = texts.setdefault(book, [])
        if lines and (book, chapter) != chapter_before:
            lines.append("")
        lines.append(verse)
        chapter_before = (book, chapter)
    return ["\n".join(lines) + "\n" for lines in texts.values()]


def text(span: str) -> str:
    """The whole text of a span, a blank line between chapters and between books."""
    return "\n".join(books(span))
