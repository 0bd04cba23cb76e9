"""One pod with one container and some annotations, injected, and what the model says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.supervisor import Image, Ready, Running, World, container_named, judge, start
from tests.support.supervisor.verdict import Verdict
from webhook.inject import Outcome, Pod, Reason, apply, inject

IMAGE = Image(ident="core/web")


@dataclass(frozen=True)
class Injected:
    """The outcome, the pod after it, and the target container in it."""

    before: Pod
    outcome: Outcome
    pod: Pod
    image: Image

    @property
    def container(self) -> dict[str, Any]:
        return dict(container_named(self.pod, self.outcome.container))

    @property
    def verdict(self) -> Verdict:
        return judge(self.pod, self.outcome.container, self.image)

    @property
    def supervisor(self) -> Running:
        started = start(self.container, self.pod, self.image, World())
        assert isinstance(started, Running), started
        return started

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.pod["metadata"]["labels"])

    def env(self, name: str) -> str:
        return self.supervisor.env[name]


def pod_of(container: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> Pod:
    """A pod of service `web`; annotations are named without prefix, one set to "" is left out."""
    chosen = {"service": "web", "license": "accept-no-persist"} | (annotations or {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-",
            "annotations": {f"habitat.sh/{name}": value for name, value in chosen.items() if value},
        },
        "spec": {"containers": [{"name": "web", "image": "example/web:1"} | (container or {})]} | spec,
    }


def outcome_of(
    container: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> Outcome:
    return inject(pod_of(container, annotations, **spec))


def injected(
    container: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    *,
    image: Image = IMAGE,
    **spec: Any,
) -> Injected:
    """Inject, and insist that it was done."""
    pod = pod_of(container, annotations, **spec)
    outcome = inject(pod)
    assert outcome.reason is Reason.INJECTED, outcome.message()
    return Injected(pod, outcome, apply(pod, outcome.operations), image)


def ready(
    container: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
    *,
    image: Image = IMAGE,
    **spec: Any,
) -> Injected:
    """Inject, and insist that the model sees a healthy service afterwards."""
    made = injected(container, annotations, image=image, **spec)
    assert isinstance(made.verdict, Ready), (made.verdict, made.outcome.warnings)
    return made


def args(*words: str) -> dict[str, Any]:
    return {"args": list(words)}


def env(**values: str) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}
