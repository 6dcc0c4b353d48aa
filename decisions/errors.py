"""What can go wrong with the record of decisions."""

from preprocessing.errors import RisklineError


class StoreError(RisklineError):
    """The place where decisions are kept is not what it should be; ends start-up."""

    code = "bad_store"


class NotRecorded(RisklineError):
    """The decision could not be recorded, so it is not given: the caller may try again."""

    code = "not_recorded"


class Conflict(RisklineError):
    """The id stands for another application's decision."""

    code = "conflict"


class UnknownDecision(RisklineError):
    """There is no decision with this id."""

    code = "unknown_decision"


class UnreadableRecord(RisklineError):
    """What the store has of the decision is no longer what was written: somebody or something has damaged it."""

    code = "unreadable_record"


class Outdated(RisklineError):
    """The decision has got reviews that the reviewer has not seen."""

    code = "outdated"


class StoreAway(RisklineError):
    """The store of decisions cannot be asked or written to at the moment: the caller may try again."""

    code = "store_away"


class Forgotten(RisklineError):
    """The decision's personal data were erased, and with them what the request needs."""

    code = "forgotten"
