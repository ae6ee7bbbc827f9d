"""Measures MLflow's registry for ``tests.bench.library``, with the Python of an environment that has MLflow.

Its Flask application is called in process, as ours is; the FastAPI layer that its server puts before it is left out.
100 models are registered and one version is made over REST; the other versions are copies of that row.
"""

import itertools
import json
import os
import statistics
import sys
import time

import sqlalchemy
from mlflow.server import app  # reads where its database is from the environment, when it is imported

MODELS, VERSIONS_EACH = 100, 100
URL = os.environ["_MLFLOW_SERVER_FILE_STORE"]
API = "/api/2.0/mlflow"


def main(rounds):
    client = app.test_client()

    def call(method, path, **body):
        query = {"query_string": body} if method == "GET" else {"json": body}
        answer = client.open(f"{API}/{path}", method=method, **query)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])

    for number in range(MODELS):
        tags = [{"key": "team", "value": "vision"}]
        call("POST", "registered-models/create", name=f"model-{number:03}", description="A model", tags=tags)
    call("POST", "model-versions/create", name="model-000", source="s3://models/a", description="Night run")
    copy_versions()
    calls = {
        "model-versions/get": ("GET", "model-versions/get", {"name": "model-007", "version": "50"}),
        "model-versions/search name max=100": (
            "GET",
            "model-versions/search",
            {"filter": "name='model-007'", "max_results": 100},
        ),
        "registered-models/search max=100": ("GET", "registered-models/search", {"max_results": 100}),
        "model-versions/create": (
            "POST",
            "model-versions/create",
            {"name": "model-007", "source": "s3://models/a"},
        ),
    }
    print(json.dumps({name: measure(lambda c=c: call(c[0], c[1], **c[2]), rounds) for name, c in calls.items()}))


def copy_versions():
    engine = sqlalchemy.create_engine(URL)
    table = sqlalchemy.Table("model_versions", sqlalchemy.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        made = dict(connection.execute(table.select()).mappings().one())
        places = list(itertools.product(range(MODELS), range(1, VERSIONS_EACH + 1)))[1:]
        rows = [{**made, "name": f"model-{model:03}", "version": version} for model, version in places]
        for number, row in enumerate(rows):
            if "storage_location" in row:
                row["storage_location"] = f"s3://models/{number}"
        connection.execute(table.insert(), rows)
    engine.dispose()


def measure(call, rounds):
    """10th, 50th and 99th percentile on the clock and median of work, in milliseconds, after three calls to warm up."""
    walls, works = [], []
    for turn in range(rounds + 3):
        wall, work = time.perf_counter(), time.process_time()
        call()
        if turn >= 3:
            walls.append((time.perf_counter() - wall) * 1000)
            works.append((time.process_time() - work) * 1000)
    shares = statistics.quantiles(walls, n=100)
    return shares[9], statistics.median(walls), shares[98], statistics.median(works)


if __name__ == "__main__":
    main(int(sys.argv[1]))
