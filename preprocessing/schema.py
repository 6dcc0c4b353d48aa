"""The application: the one place, with `features.py`, that knows the fields of the table being served.

The bundled table is consumer credit: 4,454 applications, `status` good or bad. Money is in thousands of the lender's
currency. Bounds say what is possible; what is usual is learned from the training data and only warned about.
"""

from typing import Annotated

from preprocessing.fields import ApplicationModel, Category, Number

LABEL = "status"  # the training table's column with the auditors' verdict …
BAD = "bad"  # … and the verdict that counts as risk


class Application(ApplicationModel):
    """An application for consumer credit, as a channel collects it."""

    seniority: Annotated[
        float,
        Number(label="Time in the current job", unit="years", low=0, high=60, whole=True, risk=-1, example=9),
    ]
    home: Annotated[
        str | None,
        Category(
            label="Housing",
            values={
                "owner": "owns the home",
                "parents": "lives with the parents",
                "priv": "private contract",
                "rent": "rents the home",
                "other": "another arrangement",
                "ignore": "not stated",
            },
            example="rent",
        ),
    ] = None
    time: Annotated[
        float,
        Number(label="Term of the loan", unit="months", low=1, high=480, whole=True, example=60),
    ]
    age: Annotated[
        float,
        # from 62 an applicant is elderly in the sense of Regulation B (12 CFR 1002.2(o))
        Number(label="Age", unit="years", low=18, high=110, whole=True, groups=(25, 40, 62), example=30),
    ]
    marital: Annotated[
        str | None,
        Category(
            label="Marital status",
            values={
                "single": "single",
                "married": "married",
                "separated": "separated",
                "divorced": "divorced",
                "widow": "widowed",
            },
            protected=True,
            example="married",
        ),
    ] = None
    records: Annotated[
        str,
        Category(
            label="Negative records",
            values={"no": "no negative records", "yes": "negative records exist"},
            risk=1,
            example="no",
        ),
    ]
    job: Annotated[
        str | None,
        Category(
            label="Type of job",
            values={
                "fixed": "permanent position",
                "freelance": "self-employed",
                "partime": "part-time position",
                "others": "another kind of work",
            },
            example="freelance",
        ),
    ] = None
    expenses: Annotated[
        float,
        Number(label="Monthly expenses", unit="thousands", low=0, high=10_000, example=73),
    ]
    income: Annotated[
        float | None,
        Number(label="Monthly income", unit="thousands", low=0, high=100_000, risk=-1, example=129),
    ] = None
    assets: Annotated[
        float | None,
        Number(label="Assets", unit="thousands", low=0, high=10_000_000, risk=-1, example=0),
    ] = None
    debt: Annotated[
        float | None,
        Number(label="Debt", unit="thousands", low=0, high=10_000_000, risk=1, example=0),
    ] = None
    amount: Annotated[
        float,
        Number(label="Amount requested", unit="thousands", low=1, high=1_000_000, example=800),
    ]
    price: Annotated[
        float,
        Number(label="Price of the goods", unit="thousands", low=1, high=1_000_000, example=846),
    ]
