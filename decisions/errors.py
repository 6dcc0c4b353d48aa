"""What can go wrong with the record of decisions."""

from preprocessing.errors import RisklineError


class StoreError(RisklineError):
    """The place where decisions are kept is not what it should be; ends start-up."""

    code = "bad_store"


class StoreAway(RisklineError):
    """The store does not answer, or takes no more for now: it may later."""

    code = "store_away"


class NotRecorded(RisklineError):
    """The decision could not be recorded, so it is not given: the caller may try again."""

    code = "not_recorded"


class Conflict(RisklineError):
    """The id stands for another application's decision."""

    code = "conflict"


class UnknownDecision(RisklineError):
    """There is no decision with this id."""

    code = "unknown_decision"


class Forgotten(RisklineError):
    """The decision's personal data were erased, and with them what the request needs."""

    code = "forgotten"
