"""Helm on deploy/chart: what it renders, and the files that are kept of it.

deploy/install.yaml                   the chart with its default values, and the Namespace
tests/deploy/renders/NAME.yaml        the chart with NAME.values.yaml beside it

webhook/admission/shipped.json        the webhook configurations of the first, for `explain` without a cluster

`make install-yaml` writes the first and the last, `pytest tests/deploy --update` all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.controlplane.build import ensure_helm
from tests.support.manifests import DEPLOY, INSTALL, RENDERS, Document
from webhook.admission.entries import KINDS

CHART = DEPLOY / "chart"
SHIPPED = DEPLOY.parent / "webhook" / "admission" / "shipped.json"
NAMESPACE = RELEASE = "habitat-webhook"
HEADER = """\
# habitat-webhook: webhook, ring controller, their rights, and the fence around them. Rendered from deploy/chart with
# its default values by `make install-yaml`: change the chart, not this file.
#
#   kubectl apply -f deploy/install.yaml
#
# Nothing has to be made before: the controller makes the certificate, and the webhook's pods start as soon as it is
# there. The image is habitat-webhook:{version}; deploy/kustomization.yaml says how to name another one. docs/install.md
# has the rest.
"""


class HelmError(RuntimeError):
    """Helm has refused; the message is its own."""


def run_helm(*arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs helm with nothing of the user's: no configuration, plugins, variables or cluster but the one named."""
    with tempfile.TemporaryDirectory(prefix="habitat-helm-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        environment |= {f"HELM_{kind}_HOME": f"{home}/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        environment["KUBECONFIG"] = str(kubeconfig or "/dev/null")
        command = [str(ensure_helm()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment)


def helm(*arguments: str, kubeconfig: Path | None = None) -> str:
    """The same; returns standard output. Raises HelmError."""
    done = run_helm(*arguments, kubeconfig=kubeconfig)
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def template(*arguments: str, namespace: str = NAMESPACE) -> str:
    """What `helm template` makes of the chart. Raises HelmError."""
    return helm("template", RELEASE, str(CHART), f"--namespace={namespace}", *arguments)


@dataclass(frozen=True, slots=True)
class Render:
    """A file that is kept of the chart. name: "install", or a case of tests/deploy/renders."""

    name: str

    @property
    def path(self) -> Path:
        return INSTALL if self.name == "install" else RENDERS / f"{self.name}.yaml"

    @property
    def values(self) -> Path:
        return RENDERS / f"{self.name}.values.yaml"

    def text(self) -> str:
        """What the file should hold. Raises HelmError."""
        if self.name == "install":
            version = helm("show", "chart", str(CHART)).partition("appVersion: ")[2].partition("\n")[0].strip('"')
            return HEADER.format(version=version) + template("--set=namespace.create=true")
        return template(f"--values={self.values}")

    def write(self) -> None:
        self.path.write_text(self.text())
        if self.name == "install":
            SHIPPED.write_text(shipped(yaml.safe_load_all(self.path.read_text())))


def shipped(documents: Iterable[Document]) -> str:
    """What SHIPPED should hold: the webhook configurations among the documents of deploy/install.yaml."""
    configurations = [document for document in documents if document and document["kind"] in KINDS]
    return json.dumps(configurations, indent=1) + "\n"


def cases() -> list[Render]:
    """Every golden render, found by its values."""
    return [Render(path.name.removesuffix(".values.yaml")) for path in sorted(RENDERS.glob("*.values.yaml"))]


def renders() -> list[Render]:
    """Every file that is kept of the chart."""
    return [Render("install"), *cases()]


if __name__ == "__main__":
    try:
        Render("install").write()
    except HelmError as error:
        sys.exit(f"error: {error}")
