"""The floor: the least that Flask on gunicorn can do with a review. Decodes it, answers one fixed patch."""

from __future__ import annotations

from base64 import b64encode

import orjson
from flask import Flask, Response, request

PATCH = b64encode(
    orjson.dumps([{"op": "add", "path": "/metadata/labels/bench.habitat.sh~1fixed", "value": "true"}])
).decode()

app = Flask(__name__, static_folder=None)


@app.post("/mutate")
def mutate() -> Response:
    review = orjson.loads(request.get_data())
    answer = {
        "apiVersion": review["apiVersion"],
        "kind": review["kind"],
        "response": {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": PATCH},
    }
    return Response(orjson.dumps(answer), content_type="application/json")
