"""Spellings that mean the same whatever the table: of names, of yes and no, of nothing. Knows no schema."""

import re
import unicodedata

_NO_LETTERS = re.compile(r"[^a-z0-9]+")
NOTHING = frozenset({
    "", "-", "\u2013", "\u2014", "n/a", "?", "unknown", "don't know", "i don't know", "not sure", "i'm not sure",
    "k.a.", "k. a.", "keine angabe", "unbekannt", "weiss nicht",
})  # fmt: skip
_SAID = {
    True: (
        "yes", "yeah", "yep", "yup", "y", "true", "1", "on", "x", "checked", "selected", "correct", "sure", "ok",
        "okay", "of course", "yes please", "yes I do", "yes I have", "yes there are", "ja", "jawohl", "j", "si", "sí",
        "sì", "s", "oui", "sim", "tak", "kyllä", "t",
    ),
    False: (
        "no", "nope", "nah", "n", "false", "0", "off", "unchecked", "none", "no thanks", "no thank you", "no I don't",
        "no I do not", "no I haven't", "no I have not", "no there are none", "not at all", "nein", "nö", "nee", "nej",
        "nei", "non", "nao", "não", "nie", "ei", "f",
    ),
}  # fmt: skip


def plain(text: str) -> str:
    """Letters and digits alone, without case, so that spellings of one name are equal."""
    if text.isascii():
        return _NO_LETTERS.sub("", text.casefold())
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


MEANS = {plain(way): yes for yes, ways in _SAID.items() for way in ways}
