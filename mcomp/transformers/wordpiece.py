"""WordPiece: text to the ids of known pieces of words, the longest first (Wu et al. 2016, arXiv:1609.08144).

As BERT does it, uncased: accents go, every mark of punctuation is a word, and so is every Chinese character.
"""

import unicodedata
from pathlib import Path

import torch

from mcomp.arrays import bad_value, check_int

__all__ = ["WordPiece", "words_of"]

LONGEST = 100  # characters of a word; a longer one is unknown
HAN = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
       (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))  # fmt: skip


def words_of(text):
    """The words of a text in lower case, without accents.

    Examples
    --------
    >>> words_of("Don't panic: 模型 à la carte!")
    ['don', "'", 't', 'panic', ':', '模', '型', 'a', 'la', 'carte', '!']
    """
    spaced = "".join(_spaced(c) for c in text)
    plain = "".join(c for c in unicodedata.normalize("NFD", spaced) if unicodedata.category(c) != "Mn")
    small = "".join(c.lower() for c in plain)  # one by one: a word's last sigma, too, is a plain one
    return "".join(f" {c} " if _is_mark(c) else c for c in small).split()


def _spaced(c):
    """The character; nothing for a control character, and spaces around a Chinese one."""
    if c in "\t\n\r":
        return " "
    if c in "\0\ufffd" or unicodedata.category(c).startswith("C"):
        return ""
    if unicodedata.category(c) == "Zs":
        return " "
    return f" {c} " if any(low <= ord(c) <= high for low, high in HAN) else c


def _is_mark(c):
    """Punctuation, and whatever of ASCII is neither letter nor digit nor space."""
    return (33 <= ord(c) < 127 and not c.isalnum()) or unicodedata.category(c).startswith("P")


class WordPiece:
    """Turns texts into ids: ``pieces(text)`` as a list, ``batch(texts)`` as a tensor for an `Encoder`.

    Parameters
    ----------
    vocabulary : sequence of str
        The pieces; an id is a place in it. One that continues a word starts with "##".

    Examples
    --------
    >>> pieces = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##known", "known", "?"])
    >>> pieces.pieces("Unknown? known unclear")
    [2, 4, 5, 7, 6, 1, 3]
    """

    def __init__(self, vocabulary):
        self.ids = {piece: i for i, piece in enumerate(vocabulary)}
        if missing := [p for p in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if p not in self.ids]:
            raise bad_value("the vocabulary", f"without {', '.join(missing)}", "with them")

    @classmethod
    def read(cls, path):
        """Of a file with one piece a line."""
        return cls(Path(path).read_text("utf-8").rstrip("\n").split("\n"))

    def pieces(self, text, *, most=256):
        """[CLS], the pieces of the text, [SEP]: a list of at most `most` ids, the rest cut."""
        if not isinstance(text, str):
            raise bad_value("text", text, "a str")
        most = check_int("most", most, 3)
        found = [i for word in words_of(text) for i in self._word(word)]
        return [self.ids["[CLS]"], *found[: most - 2], self.ids["[SEP]"]]

    def batch(self, texts, *, most=256):
        """Ids (texts, longest) int64, the shorter ones filled with [PAD]."""
        if isinstance(texts, str) or not (rows := [self.pieces(text, most=most) for text in texts]):
            raise bad_value("texts", texts, "a list of str, at least one")
        width = max(map(len, rows))
        return torch.tensor([row + [self.ids["[PAD]"]] * (width - len(row)) for row in rows])

    def _word(self, word):
        """The longest known piece, then the longest of the rest; unknown as a whole if some rest isn't."""
        found, start = [], 0
        while start < len(word) <= LONGEST:
            ends = range(len(word), start, -1)
            tries = (("##" if start else "") + word[start:end] for end in ends)
            end, piece = next(((e, p) for e, p in zip(ends, tries, strict=True) if p in self.ids), (0, None))
            if piece is None:
                return [self.ids["[UNK]"]]
            found.append(self.ids[piece])
            start = end
        return found or [self.ids["[UNK]"]]
