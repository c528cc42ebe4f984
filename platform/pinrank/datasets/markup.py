"""The text of a description that was written for a web page."""

from html.parser import HTMLParser

from pinrank.text import tidy

_UNSEEN = ("script", "style")


class _Text(HTMLParser):
    """Collects what a reader of the page would see; a tag separates words."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)


def without_markup(text: str | None) -> str:
    """A text without HTML tags, scripts and style sheets, entities as characters, tidied; None becomes ''.

    >>> without_markup("<p>Soft &amp; warm</p><style>p {color: red}</style>")
    'Soft & warm'
    """
    if not text or ("<" not in text and "&" not in text):
        return tidy(text)
    parser = _Text()
    parser.feed(text)
    parser.close()
    return tidy("".join(parser.pieces))
