"""Bytes of strangers, so that nothing in them hides."""


def visible(body: bytes) -> str:
    """The bytes as text in which nothing hides: what is not printable UTF-8 is escaped."""
    text = body.decode("utf-8", "backslashreplace")
    return "".join(letter if _shows(letter) else _escaped(letter) for letter in text)


def _shows(letter: str) -> bool:
    return letter.isprintable() or letter in "\n\t"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
