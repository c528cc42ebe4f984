"""Engines for tests of the job itself: no model, so that a process starts soon; a pair's logits are a hash of it."""

import os
import time
import zlib
from collections.abc import Sequence

import numpy as np

from pinrank.labeling.job import Opening
from pinrank.teacher.card import TeacherCard, read_card
from pinrank.teacher.engine import EngineSettings, Logits
from pinrank.teacher.tokens import Prompt

POISON = "poison"
"""A query that none of the engines likes."""


class Words:
    """A token a byte."""

    def prompts(self, pairs: Sequence[tuple[str, str]]) -> list[Prompt]:
        return [Prompt(list(f"{query}\n{pin}".encode()), len(query)) for query, pin in pairs]


def words(folder: str) -> Words:
    return Words()


class Hashing:
    """Grades by hash, so many seconds a call; what it does with POISON is its name."""

    def __init__(
        self, folder: str, settings: EngineSettings, poison: str = "", call_s: float = 0.0, shift: float = 0.0
    ) -> None:
        self.card: TeacherCard = read_card(folder)
        self.poison = poison
        self.call_s = call_s
        self.shift = shift

    def grade(self, prompts: Sequence[Prompt]) -> Logits:
        time.sleep(self.call_s)
        texts = [bytes(prompt.token_ids) for prompt in prompts]
        if any(text.startswith(POISON.encode()) for text in texts):
            self._suffer()
        hashed_NL = [[zlib.crc32(text, level) / 2**32 for level in range(5)] for text in texts]
        return np.asarray(hashed_NL, np.float32) + np.float32(self.shift)

    def _suffer(self) -> None:
        if self.poison == "raises":
            raise RuntimeError("no kernel for this shape")
        if self.poison == "dies":
            os._exit(1)
        if self.poison == "hangs":
            time.sleep(3_600)


def raising(folder: str, settings: EngineSettings) -> Hashing:
    return Hashing(folder, settings, "raises")


def dying(folder: str, settings: EngineSettings) -> Hashing:
    return Hashing(folder, settings, "dies")


def hanging(folder: str, settings: EngineSettings) -> Hashing:
    return Hashing(folder, settings, "hangs")


def slow(folder: str, settings: EngineSettings) -> Hashing:
    return Hashing(folder, settings, call_s=0.05)


def shifted(folder: str, settings: EngineSettings) -> Hashing:
    return Hashing(folder, settings, shift=1.0)


def never(folder: str, settings: EngineSettings) -> Hashing:
    raise AssertionError("nothing is to be graded")


HASHING = Opening(Hashing, words)
RAISING = Opening(raising, words)
DYING = Opening(dying, words)
HANGING = Opening(hanging, words)
SLOW = Opening(slow, words)
SHIFTED = Opening(shifted, words)
