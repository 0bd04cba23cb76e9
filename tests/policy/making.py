"""Policies for tests: a few lines of YAML, and what they say of a pod."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from webhook.inject import Outcome, Situation, inject
from webhook.policy.policy import Policy
from webhook.policy.reader import PolicyError

HEADER = "apiVersion: policy.habitat.sh/v1\nkind: Policy\n"


def text_of(rules: str, *, more: str = "") -> str:
    """A policy of these rules, each `- name: …`."""
    return HEADER + more + "rules:\n" + textwrap.indent(textwrap.dedent(rules).strip("\n"), "  ") + "\n"


def policy(rules: str, *, more: str = "") -> Policy:
    return Policy.of(text_of(rules, more=more).encode())


def refused(content: str | bytes) -> list[str]:
    """The mistakes of a policy that is none: "line:column: text"."""
    with pytest.raises(PolicyError) as caught:
        Policy.of(content.encode() if isinstance(content, str) else content)
    return [str(issue) for issue in caught.value.issues]


def warned(rules: str) -> list[str]:
    return [issue.text for issue in policy(rules).warnings]


def decided(
    rules: str, pod: dict[str, Any], *, namespace: str = "shop", labels: dict[str, str] | None = None
) -> Outcome:
    """What becomes of a pod under a policy of these rules."""
    return inject(pod, policy(rules).about(Situation(namespace=namespace, namespace_labels=labels), pod))
