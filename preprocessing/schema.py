"""The application: the one place, with `features.py`, that knows the fields of the table being served.

The bundled table is consumer credit: 4,454 applications, `status` good or bad. Money is in thousands of the lender's
currency. Bounds say what is possible; what is usual is learned from the training data and only warned about.
"""

from typing import Annotated

from preprocessing.fields import ApplicationModel, Category, Number

LABEL = "status"  # the training table's column with the auditors' verdict …
BAD = "bad"  # … and the verdict that counts as risk
LEFT_OUT: tuple[str, ...] = ()  # columns of the training table that are no part of an application


class Application(ApplicationModel):
    """An application for consumer credit, as a channel collects it."""

    seniority: Annotated[
        float,
        Number(
            label="Time in the current job",
            unit="years",
            low=0,
            high=60,
            whole=True,
            risk=-1,
            adverse="Time in the current job is short",
            favourable="Time in the current job is long",
            also=("years in the job", "job tenure"),
            before={"2.0": "jobYears"},
            example=9,
        ),
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
            also=("home ownership", "residence"),
            words={
                "own": "owner",
                "homeowner": "owner",
                "with parents": "parents",
                "tenant": "rent",
                "renting": "rent",
            },
            example="rent",
        ),
    ] = None
    time: Annotated[
        float,
        Number(
            label="Term of the loan",
            unit="months",
            low=1,
            high=480,
            whole=True,
            change=0,
            adverse="Term of the loan does not suit the amount requested",
            favourable="Term of the loan suits the amount requested",
            also=("term", "loan term", "duration"),
            before={"2.0": "loanMonths"},
            example=60,
        ),
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
            also=("civil status", "family status"),
            words={"unmarried": "single", "widower": "widow"},
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
            adverse="Negative records exist",
            favourable="There are no negative records",
            also=("negative credit records", "has negative records"),
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
            also=("employment", "occupation"),
            words={"permanent": "fixed", "full time": "fixed", "self employed": "freelance", "part time": "partime"},
            example="freelance",
        ),
    ] = None
    expenses: Annotated[
        float,
        Number(
            label="Monthly expenses",
            unit="thousands",
            low=0,
            high=10_000,
            change=-1,
            adverse="Monthly expenses are high for the income",
            favourable="Monthly expenses are low for the income",
            also=("monthly outgoings",),
            example=73,
        ),
    ]
    income: Annotated[
        float | None,
        Number(
            label="Monthly income",
            unit="thousands",
            low=0,
            high=100_000,
            risk=-1,
            adverse="Income is low for the amount requested",
            favourable="Income is high for the amount requested",
            also=("salary", "net income"),
            before={"2.0": "monthlySalary"},
            example=129,
        ),
    ] = None
    assets: Annotated[
        float | None,
        Number(
            label="Assets",
            unit="thousands",
            low=0,
            high=10_000_000,
            risk=-1,
            adverse="Assets are low",
            favourable="Assets are high",
            also=("savings", "total assets"),
            example=0,
        ),
    ] = None
    debt: Annotated[
        float | None,
        Number(
            label="Debt",
            unit="thousands",
            low=0,
            high=10_000_000,
            risk=1,
            change=-1,
            also=("debts", "total debt"),
            example=0,
        ),
    ] = None
    amount: Annotated[
        float,
        Number(
            label="Amount requested",
            unit="thousands",
            low=1,
            high=1_000_000,
            change=-1,
            adverse="Amount requested is high for the price, the term and the income",
            favourable="Amount requested is in proportion to the price, the term and the income",
            also=("loan amount", "amount of the loan"),
            before={"2.0": "creditAmount"},
            example=800,
        ),
    ]
    price: Annotated[
        float,
        Number(
            label="Price of the goods",
            unit="thousands",
            low=1,
            high=1_000_000,
            change=-1,
            adverse="Price of the goods is high for the income",
            favourable="Price of the goods is in proportion to the income",
            also=("purchase price",),
            example=846,
        ),
    ]
