"""Runs the command line in this process, and manifests for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner, Result

from webhook.cli.main import cli
from webhook.yamlnodes import read_stream, value_of

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str | Path, stdin: str | bytes | None = None, **environment: str) -> Result:
    """One run of `habitat-webhook`; an exception that is no exit of click's fails the test."""
    result = CliRunner(env=environment).invoke(
        cli, [str(a) for a in arguments], input=stdin, prog_name="habitat-webhook"
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def inject(text: str | bytes, *options: str) -> Result:
    return run("inject", "-f", "-", *options, stdin=text)


def uninject(text: str | bytes, *options: str) -> Result:
    return run("uninject", "-f", "-", *options, stdin=text)


def values(text: str) -> list[Any]:
    """The documents of a YAML stream as Kubernetes reads them."""
    return [value_of(part.root, "test") for part in read_stream(text, "test") if part.root]


def jsons(text: str) -> list[Any]:
    """JSON documents one after the other."""
    decoder, found, position = json.JSONDecoder(), [], 0
    while position < len(text.rstrip()):
        value, position = decoder.raw_decode(text, position + len(text[position:]) - len(text[position:].lstrip()))
        found.append(value)
    return found


def template(name: str = "redis", /, **annotations: str) -> dict[str, Any]:
    """A pod template that is injected, its annotations without prefix, with underscores for dashes."""
    said = {"service": "redis", "license": "accept-no-persist"} | {
        k.replace("_", "-"): v for k, v in annotations.items()
    }
    return {
        "metadata": {"labels": {"app": name}, "annotations": {f"habitat.sh/{k}": v for k, v in said.items()}},
        "spec": {"containers": [{"name": name, "image": "core/redis:7"}]},
    }


DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: redis
  namespace: shop
spec:
  replicas: 3 # three make a quorum
  selector: {matchLabels: {app: redis}}
  template:
    metadata:
      labels:
        app: redis
      annotations:
        # who it is
        habitat.sh/service: redis
        habitat.sh/license: accept-no-persist
    spec:
      containers:
        - name: redis
          image: 'core/redis:7' # pinned
"""

SERVICE = """\
# how to reach it
apiVersion:   v1
kind: Service
metadata: {name: redis, annotations: {released: 2020-01-01}}
"""
