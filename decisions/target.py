"""Which store decisions go on to from the embedded one."""

import logging

from decisions.errors import StoreAway, StoreError
from decisions.mirror import Target

log = logging.getLogger("riskline")

STORE_VARIABLE = "RISKLINE_STORE"
EMBEDDED, DYNAMODB = "sqlite", "dynamodb:"
SETTING = rf"^({EMBEDDED}|{DYNAMODB}[A-Za-z0-9_.-]{{3,255}})$"


def target(store: str, expire_days: float) -> Target | None:
    """What the setting RISKLINE_STORE names; None for the embedded store alone, StoreError where it cannot be used.

    boto3 is imported here only, since an image without DynamoDB does without it.
    """
    if store == EMBEDDED:
        return None
    try:
        from decisions.dynamodb import DynamoStore
    except ModuleNotFoundError as error:
        if error.name not in ("boto3", "botocore"):
            raise
        raise StoreError(f"{STORE_VARIABLE}={store} needs boto3: pip install -r requirements/dynamodb.txt") from None
    return DynamoStore(store.removeprefix(DYNAMODB), expire_days)


def prove(store: str) -> None:
    """StoreError where what the setting names cannot be used; one that is only away may come back."""
    if (named := target(store, 0)) is None:
        return
    try:
        named.check()
    except StoreAway as error:
        log.warning("%s; decisions wait here for it", error.message)
