"""The application of a second table: machines leased to companies. Laid over `preprocessing/schema.py` by the test.

Differs from the bundled table wherever it can: it opens with a protected number that may be missing, has amounts below
zero and bounds that are no whole numbers, and shares no field and no word with it. Money is in thousands of euros.
"""

from typing import Annotated

from preprocessing.fields import ApplicationModel, Category, Number

LABEL = "course"  # how the lease went …
BAD = "written_off"  # … and the course that counts as risk
LEFT_OUT: tuple[str, ...] = ()  # columns of the training table that are no part of an application


class Application(ApplicationModel):
    """A company's application to lease a machine."""

    director_born: Annotated[
        float | None,
        Number(
            label="Managing director's year of birth",
            unit="calendar year",
            low=1900,
            high=2020,
            whole=True,
            protected=True,
            example=1974,
        ),
    ] = None
    machine: Annotated[
        str,
        Category(
            label="Machine",
            values={
                "forklift": "forklift truck",
                "excavator": "excavator",
                "tractor": "tractor",
                "lathe": "lathe or mill",
                "press": "printing press",
                "scanner": "medical scanner",
            },
            example="excavator",
        ),
    ]
    machine_age: Annotated[
        float,
        Number(label="Age of the machine", unit="years", low=0, high=40, risk=1, example=2.5),
    ]
    list_value: Annotated[
        float,
        Number(label="List value of the machine", unit="thousand euros", low=0.5, high=50_000, example=84.5),
    ]
    deposit: Annotated[
        float,
        Number(label="Deposit", unit="thousand euros", low=0, high=50_000, risk=-1, example=12),
    ]
    lease_months: Annotated[
        float,
        Number(label="Duration of the lease", unit="months", low=6, high=144, whole=True, example=48),
    ]
    sector: Annotated[
        str | None,
        Category(
            label="Sector",
            values={
                "building": "building trade",
                "farming": "farming and forestry",
                "industry": "manufacturing",
                "haulage": "haulage and storage",
                "health": "health care",
            },
            example="building",
        ),
    ] = None
    ownership: Annotated[
        str | None,
        Category(
            label="Ownership of the company",
            values={"women": "mostly women", "men": "mostly men", "mixed": "neither"},
            protected=True,
            example="mixed",
        ),
    ] = None
    payment_history: Annotated[
        str,
        Category(
            label="Payment history",
            values={
                "spotless": "always on the day",
                "late": "late, never more than a month",
                "dunned": "paid after a court's order",
                "insolvent": "has been insolvent",
            },
            risk=1,
            example="late",
        ),
    ]
    employees: Annotated[
        float | None,
        Number(label="Employees", unit="full-time posts", low=0, high=200_000, whole=True, example=14),
    ] = None
    profit: Annotated[
        float | None,
        Number(label="Yearly profit", unit="thousand euros", low=-1_000_000, high=1_000_000, risk=-1, example=-8.5),
    ] = None
    equity_ratio: Annotated[
        float | None,
        Number(label="Equity ratio", unit="share of the balance sheet", low=-1.5, high=1, risk=-1, example=0.22),
    ] = None
