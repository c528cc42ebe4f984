"""An encoder that answers what it was asked before from memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pinrank.student.ranker import Floats

if TYPE_CHECKING:
    from pinrank.precision import Precision
    from pinrank.student.export import Encoder, StudentBundle


class Remembered:
    """For the same texts again, which a student that is cut to several widths asks for once a width."""

    def __init__(self, encoder: "Encoder") -> None:
        self.encoder = encoder
        self.known: dict[tuple[tuple[str, ...], int, Precision], Floats] = {}

    def encode(self, texts: Sequence[str], max_tokens: int, precision: "Precision" = "float32") -> Floats:
        """As the encoder's."""
        asked = (tuple(texts), max_tokens, precision)
        if asked not in self.known:
            self.known[asked] = self.encoder.encode(texts, max_tokens, precision)
        return self.known[asked]


def remembering(student: "StudentBundle") -> "StudentBundle":
    """The same student, whose encoders, and those of its cuts, remember."""
    return student.with_encoders(Remembered(student.encoder), Remembered(student.pin_encoder))
