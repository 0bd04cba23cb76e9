"""The commands of docs/ that tests of the installation run as they stand there, by kubectl and by Helm."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.controlplane.client import Cluster
from tests.deploy.chart import helm
from tests.docs.page import commands
from tests.support.manifests import DEPLOY


def run(cluster: Cluster, page: str, heading: str, *more: str) -> None:
    """Runs the console blocks below a heading, each command with `more` behind it. Raises KubectlError, HelmError."""
    for line in commands(page)[heading]:
        program, *words = shlex.split(line, comments=True)
        arguments = [*(_absolute(word) for word in words), *more]
        if program == "helm":
            helm(*arguments, kubeconfig=cluster.kubeconfig)
        else:
            assert program == "kubectl", f"{page}, {heading}: a test runs kubectl and helm, not {program}"
            cluster.kubectl(*arguments)


def _absolute(word: str) -> str:
    """A path below the project, wherever the test runs."""
    return str(DEPLOY.parent / word) if Path(word).parts[:1] == ("deploy",) else word
