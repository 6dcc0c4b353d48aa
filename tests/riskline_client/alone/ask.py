"""The client without the service: asked in an environment that has its wheel and what that requires.

python ask.py URL KEY < application.json      # prints what it saw, as JSON
"""

import asyncio
import json
import sys
from importlib.metadata import requires, version
from pathlib import Path

import riskline_client
from riskline_client import AsyncClient, Client

URL, KEY = sys.argv[1:]
APPLICATION = json.load(sys.stdin)


async def probability() -> float:
    async with AsyncClient(URL, KEY) as riskline:
        return (await riskline.predict(APPLICATION)).probability


with Client(URL, KEY) as client:
    decision = client.predict(APPLICATION)
    try:
        client.predict_table(None)
    except ImportError as error:
        without_pyarrow = str(error)

folder = Path(riskline_client.__file__).parent
sys.stdout.write(
    json.dumps(
        {
            "probabilities": [decision.probability, asyncio.run(probability())],
            "columns": without_pyarrow,
            "version": version("riskline-client"),
            "requires": requires("riskline-client"),
            "files": sorted(path.name for path in folder.iterdir() if path.is_file()),
            "loaded": sorted(
                {name.split(".")[0] for name in sys.modules} & {"serving", "bentoml", "numpy", "pydantic"}
            ),
            "where": str(folder),
        }
    )
)
