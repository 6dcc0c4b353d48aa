"""What a column's header tells: a name for its field, a label, a unit, and whether a law may speak of it."""

import keyword
import re
import unicodedata
from collections.abc import Iterator, Sequence

from preprocessing.fields import ApplicationModel

LONGEST_NAME = 50  # characters; codes of reasons are made of it and may have 64
LONGEST_LABEL = 70
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_IN_BRACKETS = re.compile(r"\s*(\([^()]*\)|\[[^\[\]]*\])\s*$")
_NO_WORD = re.compile(r"[\W_]+")
_SHADOWING = {"float", "str"}  # a schema needs them
_PYDANTIC = ("model_validate", "model_dump")
# what an answer says of an application: in the file that travels, no input can have an output's name
ANSWERS = {"probability", "tier", "contributions"}
_UNITS = {
    **{word: word for word in ("days", "weeks", "months", "years", "hours", "minutes", "km", "kg")},
    **dict.fromkeys(("percent", "pct", "prozent"), "percent"),
    "tage": "days",
    "tagen": "days",
    "wochen": "weeks",
    "monate": "months",
    "monaten": "months",
    "jahre": "years",
    "jahren": "years",
    **{word: word.upper() for word in ("eur", "usd", "gbp", "chf", "pln", "sek", "nok", "dkk", "inr", "brl")},
}
_SIGNS = {"%": "%", "€": "EUR", "£": "GBP"}
# characteristics of which the European charter (article 21) or Regulation B (12 CFR 1002.2) speak, and their neighbours
_PROTECTED = re.compile(
    r"sex|gender|race|racial|ethnic\w*|colou?r|religio\w*|belief|confession|marital|married|marriage|divorced|civil|"
    r"spouse|nationality|national|citizen\w*|foreign\w*|origin|birth\w*|born|disab\w*|handicap\w*|pregnan\w*|children|"
    r"child|kids|dependents?|dependants?|language|orientation|politic\w*|union|veteran|caste|tribe|skin|genetic|"
    r"geschlecht|familienstand|konfession|staatsangeh\w*|kinder|sexe|sexo|genero|etnia|edad|alter|estado"
)
_AGE = re.compile(r"age|ages")
_WHOSE_AGE = re.compile(
    r"applicants?|customers?|clients?|borrowers?|persons?|in|years|at|application|current|now|of|the|group"
)
_PROXY = re.compile(r"zip|zipcode|postal|postcode|plz|district|neighbou?rhood|county|surname|region")


def words_of(header: str) -> list[str]:
    """The words of a header, `monthlyIncome (EUR)` and `monthly_income_eur` alike."""
    return [word for word in _NO_WORD.split(_CAMEL.sub(" ", header)) if word]


def names_of(headers: Sequence[str]) -> dict[str, str]:
    """Each header → a field's name: itself where it may be one, else what is nearest to it. No two get the same."""
    names = {header: header for header in headers if _may_be_name(header)}
    taken = set(names.values())
    for place, header in enumerate(headers, start=1):
        if header not in names:
            names[header] = next(name for name in _candidates(header, place) if name not in taken)
            taken.add(names[header])
    return names


def _may_be_name(header: str) -> bool:
    return bool(header) and header == _name(header) and len(header) <= LONGEST_NAME


def _candidates(header: str, place: int) -> Iterator[str]:
    name = _name(header)[:LONGEST_NAME].rstrip("_") or f"column_{place}"
    yield _name(name)
    for number in range(2, 10_000):
        yield f"{name[: LONGEST_NAME - 5]}_{number}"


def _name(header: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", header.replace("ß", "ss")).encode("ascii", "ignore").decode()
    name = "_".join(words_of(ascii_only)).lower()
    if name[:1].isdigit() or name.startswith(_PYDANTIC):
        name = f"n_{name}"
    reserved = keyword.iskeyword(name) or name in _SHADOWING | ANSWERS or hasattr(ApplicationModel, name)
    return f"{name}_" if reserved else name


def label_of(header: str) -> str:
    """The header as a caption: `monthly_income` → "Monthly income", `Price (EUR)` → "Price"."""
    header = _IN_BRACKETS.sub("", header) or header
    words = words_of(header)
    if _CAMEL.search(header):
        words = [word if word.isupper() else word.lower() for word in words]
    label = " ".join(words)[:LONGEST_LABEL].strip()
    return label[:1].upper() + label[1:] if label else "Column without a name"


def unit_of(header: str) -> str:
    """The unit that the header ends in; "" where it names none."""
    if sign := _SIGNS.get(header.rstrip(" )]")[-1:]):
        return sign
    words = words_of(header)
    return _UNITS.get(words[-1].lower(), "") if words else ""


def is_protected(header: str) -> bool:
    """Whether the header sounds like what a lender may not decide by."""
    return any(_PROTECTED.fullmatch(word.lower()) for word in words_of(header))


def is_age(header: str) -> bool:
    """Whether it is the age of a person, not of anything else."""
    words = [word.lower() for word in words_of(header)]
    return any(map(_AGE.fullmatch, words)) and all(_AGE.fullmatch(word) or _WHOSE_AGE.fullmatch(word) for word in words)


def is_proxy(header: str) -> bool:
    """Whether the values may tell origin by way of where one lives or what one is called."""
    return any(_PROXY.fullmatch(word.lower()) for word in words_of(header))


def is_identifier(header: str) -> bool:
    """Whether the header sounds like a number that names a person, a contract or a row."""
    words = [word.lower() for word in words_of(header)]
    return bool({"id", "uuid", "guid", "key", "iban", "ssn", "rowid", "index"} & set(words)) or words[-1:] in (
        ["number"], ["no"], ["nr"], ["unnamed"],
    )  # fmt: skip
