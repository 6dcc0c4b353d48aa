"""What the service takes. Written by `python -m riskline_client.application_type`; not to be edited."""

from typing import Literal, NotRequired, TypedDict


class Application(TypedDict):
    # An application for consumer credit, as a channel collects it.

    # Time in the current job, in years. 0 to 60.
    seniority: int
    # Housing (owner: owns the home; parents: lives with the parents; priv: private contract; rent: rents the home;
    # other: another arrangement; ignore: not stated). May be left out or null.
    home: NotRequired[Literal["owner", "parents", "priv", "rent", "other", "ignore"] | None]
    # Term of the loan, in months. 1 to 480.
    time: int
    # Age, in years. 18 to 110.
    age: int
    # Marital status (single: single; married: married; separated: separated; divorced: divorced; widow: widowed).
    # May be left out or null. Protected: never given to the model.
    marital: NotRequired[Literal["single", "married", "separated", "divorced", "widow"] | None]
    # Negative records (no: no negative records; yes: negative records exist).
    records: Literal["no", "yes"]
    # Type of job (fixed: permanent position; freelance: self-employed; partime: part-time position; others: another
    # kind of work). May be left out or null.
    job: NotRequired[Literal["fixed", "freelance", "partime", "others"] | None]
    # Monthly expenses, in thousands. 0 to 10000.
    expenses: float
    # Monthly income, in thousands. May be left out or null. 0 to 100000.
    income: NotRequired[float | None]
    # Assets, in thousands. May be left out or null. 0 to 10000000.
    assets: NotRequired[float | None]
    # Debt, in thousands. May be left out or null. 0 to 10000000.
    debt: NotRequired[float | None]
    # Amount requested, in thousands. 1 to 1000000.
    amount: float
    # Price of the goods, in thousands. 1 to 1000000.
    price: float
