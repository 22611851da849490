"""Encoded: images whose files are kept inside others, such as members of archives or rows of tables."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import PIL

from zoo_eval.digests import digest
from zoo_eval.stimuli import decoding
from zoo_eval.stimuli.ahead import Ahead
from zoo_eval.stimuli.decoding import Exif, opened
from zoo_eval.stimuli.folder import HEADERS_AHEAD, stamp
from zoo_eval.stimuli.identities import Shape
from zoo_eval.stimuli.stimulus_set import Images, Pixels


class Encoded(Images):
    """Images that are decoded from bytes by the rules of files; whoever has the bytes derives from it.

    What is sent to another process is what it was made with, so that no open file is: see `__getstate__`.
    """

    exif: Exif

    @abstractmethod
    def content(self, number: int) -> bytes:
        """The bytes of an image's file; several threads may ask at once.

        Raises:
            BadInput: they are damaged, or not there any more.
        """

    @abstractmethod
    def where(self, number: int) -> str:
        """Where they are, for messages."""

    @property
    @abstractmethod
    def sources(self) -> tuple[Sequence[Path], Any]:
        """The files that they are in, and what else says which bytes of these, as JSON has it."""

    def decode(self, number: int) -> Pixels:
        """An image as uint8 (row, column, RGB), see `decoding.decoded`.

        Raises:
            BadInput: it is no readable image; it is named.
        """
        with opened(self.content(number), self.where(number)) as image:
            return decoding.decoded(image, self.exif)

    def remark(self, number: int) -> str | None:
        return decoding.remark(self.content(number), self.exif, self.where(number))

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        headers = Ahead(self._shape, len(self), HEADERS_AHEAD)
        return tuple(headers[[number]][0] for number in range(len(self)))

    def _shape(self, number: int) -> Shape:
        with opened(self.content(number), self.where(number)) as image:
            return decoding.shape(image, self.exif)

    @cached_property
    def stamp(self) -> str | None:
        files, chosen = self.sources
        known = [PIL.__version__, decoding.VERSION, self.exif]
        return digest([*known, [stamp(path) for path in files], chosen])
