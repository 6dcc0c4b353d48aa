"""Decisions in a table of DynamoDB: an item each, under its id, put once and never written over.

Region, credentials and endpoint are what boto3 finds, in AWS_REGION, AWS_ENDPOINT_URL_DYNAMODB and so on.
`deploy/sagemaker/decisions.yaml` makes the table.
"""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError

from decisions.errors import StoreAway, StoreError
from decisions.journal import entry_of
from decisions.record import Entry, Record
from preprocessing.errors import RisklineError

WRITTEN_AT_ONCE, READ_AT_ONCE = 25, 100  # DynamoDB's limits
LOOKED_FOR = Entry._fields[:4]  # of a record's facts these are attributes of their own
CONFLICT = "conflict"  # the attribute of an item whose id stands for another decision
_DAY_S = 86_400
_TRIES, _SHORTEST_S, _LONGEST_S = 8, 0.05, 5.0
_MISSING, _CONDITION_FAILED = "ResourceNotFoundException", "ConditionalCheckFailedException"
_BUSY = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
Item = dict[str, dict[str, Any]]
T = TypeVar("T")


class DynamoStore:
    """The table of that name; with `expire_days` DynamoDB deletes a decision so many days after it was made.

    Whatever is asked of it raises StoreAway where DynamoDB does not answer or takes no more for now, and StoreError
    where it refuses.
    """

    def __init__(self, table: str, expire_days: float = 0.0) -> None:
        self.table, self._expire_s = table, expire_days * _DAY_S
        self.retries = 0  # items and requests that DynamoDB had no room for at first
        self._stopping = threading.Event()
        config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})  # we try again ourselves
        try:
            self._client = boto3.Session().client("dynamodb", config=config)
        except BotoCoreError as error:  # no region, say
            raise self._told(error) from None

    def check(self) -> None:
        """StoreError where the table is missing, is another's, or may not be used."""
        table = self._ask("describe_table", TableName=self.table)["Table"]
        keys = [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]]
        types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
        if keys != [("id", "HASH")] or types["id"] != "S":
            raise StoreError(f"the table {self.table} in DynamoDB is another's: its key is not id, a string, alone")

    def put(self, records: Sequence[Record]) -> list[Record]:
        """Puts the decisions in their order; those that are there already stay.

        Gives back those whose id stands for another decision, of another machine. That one stays, and they are put
        under `<id> <hash>`, which no caller can choose, with the attribute `conflict`.
        """
        conflicts: list[Record] = []
        for named, some in groupby(records, lambda record: record.named):
            if named:
                conflicts += [record for record in some if not self._put_named(record)]
            else:
                self._put_batch([self._item(record) for record in some])
        return conflicts

    def get(self, ids: Sequence[str]) -> dict[str, Record]:
        """Those of the decisions that are here."""
        found: dict[str, Record] = {}
        for left in _parts([{"id": {"S": id_}} for id_ in dict.fromkeys(ids)], READ_AT_ONCE):
            patience = self._patience()
            while left:
                asked = {self.table: {"Keys": left, "ConsistentRead": True}}
                answer = self._ask("batch_get_item", RequestItems=asked)
                found |= {item["id"]["S"]: _record(item) for item in answer["Responses"][self.table]}
                if left := answer["UnprocessedKeys"].get(self.table, {}).get("Keys", []):
                    next(patience)
        return found

    def forget(self, records: Sequence[Record]) -> None:
        """Takes what is personal away from these decisions, where they are here."""
        for record in records:
            if not self._forget(record, record.id):
                self._forget(record, _key_of_conflict(record))

    def stop(self) -> None:
        """Ends all waiting for DynamoDB to take more, now and later."""
        self._stopping.set()

    def _forget(self, record: Record, key: str) -> bool:
        """False where another decision, or none, stands under the key."""
        asked = {"Key": {"id": {"S": key}}, "UpdateExpression": "REMOVE personal"}
        return self._done_if("#hash = :hash", record, "update_item", **asked)

    def _put_named(self, record: Record) -> bool:
        """False where the id stands for another decision."""
        free_or_ours = "attribute_not_exists(id) OR #hash = :hash"
        stands = self._done_if(free_or_ours, record, "put_item", Item=self._item(record))
        if not stands:
            self._put_batch([self._item(record, _key_of_conflict(record))])
        return stands

    def _put_batch(self, items: Sequence[Item]) -> None:
        """Items whose keys nobody else can have."""
        for left in _parts(items, WRITTEN_AT_ONCE):
            patience = self._patience()
            while left:
                requests = {self.table: [{"PutRequest": {"Item": item}} for item in left]}
                unprocessed = self._ask("batch_write_item", RequestItems=requests)["UnprocessedItems"]
                rest = [each["PutRequest"]["Item"] for each in unprocessed.get(self.table, [])]
                if rest:
                    self.retries += len(rest)
                    patience = patience if len(rest) == len(left) else self._patience()
                    next(patience)
                left = rest

    def _item(self, record: Record, key: str | None = None) -> Item:
        entry = entry_of(record.facts.encode(), b"")
        item: Item = {name: {"S": text} for name, text in zip(LOOKED_FOR, entry, strict=False)}
        item |= {"chain": {"S": record.chain}, "number": {"N": str(record.number)}, "hash": {"B": record.hash}}
        item |= {"facts": {"S": record.facts}, "digest": {"B": record.digest}}
        if record.personal is not None:
            item["personal"] = {"S": record.personal}
        if self._expire_s:
            expires = datetime.fromisoformat(entry.time).timestamp() + self._expire_s
            item["expires"] = {"N": str(int(expires))}
        if key is not None:
            item |= {"id": {"S": key}, CONFLICT: {"S": record.id}}
        return item

    def _done_if(self, condition: str, record: Record, operation: str, **arguments: Any) -> bool:
        """Does it if the condition holds, in which `hash` is the record's; whether it did."""
        try:
            self._ask(
                operation,
                TableName=self.table,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#hash": "hash"},
                ExpressionAttributeValues={":hash": {"B": record.hash}},
                **arguments,
            )
        except _ConditionFailed:
            return False
        return True

    def _ask(self, operation: str, **arguments: Any) -> Any:
        """DynamoDB's answer; one that throttles is asked again."""
        patience = self._patience()
        while True:
            try:
                return getattr(self._client, operation)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == _CONDITION_FAILED:
                    raise _ConditionFailed from None
                if code not in _BUSY:
                    raise self._told(error) from None
            except BotoCoreError as error:
                raise self._told(error) from None
            self.retries += 1
            next(patience)

    def _patience(self) -> Iterator[None]:
        """Waits, each time about twice as long, and by chance so that not all come back at once; then StoreAway."""
        for attempt in range(_TRIES):
            if self._stopping.wait(random.uniform(0, min(_LONGEST_S, _SHORTEST_S * 2**attempt))):  # noqa: S311 - no secret
                break
            yield
        raise StoreAway(f"DynamoDB takes no more for {self.table} for now")

    def _told(self, error: Exception) -> RisklineError:
        """What an operator should know of it."""
        if isinstance(error, ClientError):
            told, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if told["Code"] == _MISSING:
                named = f"{self.table} in {self._client.meta.region_name}"
                return StoreError(f"DynamoDB has no table {named}; deploy/sagemaker/decisions.yaml makes it")
            if status < 500:
                return StoreError(f"DynamoDB refuses the table {self.table}: {told['Code']}, {told.get('Message', '')}")
            return StoreAway(f"DynamoDB fails: {told['Code']}")
        if isinstance(error, HTTPClientError | EndpointConnectionError):
            return StoreAway(f"DynamoDB does not answer: {error}")
        return StoreError(f"DynamoDB cannot be asked: {error}")


class _ConditionFailed(Exception):
    """The item that stands there is not what was asked for."""


def _key_of_conflict(record: Record) -> str:
    return f"{record.id} {record.hash.hex()}"


def _record(item: Mapping[str, Mapping[str, Any]]) -> Record:
    return Record(
        item["chain"]["S"],
        int(item["number"]["N"]),
        item["hash"]["B"],
        item["facts"]["S"],
        item["personal"]["S"] if "personal" in item else None,
        item["digest"]["B"],
    )


def _parts(whole: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (whole[start : start + most] for start in range(0, len(whole), most))
