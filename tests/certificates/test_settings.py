from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.cli.running import run
from webhook.controller.settings import Settings
from webhook.settings import SettingError


def test_leaf_is_for_the_service_in_its_namespace_and_for_what_else_is_named() -> None:
    settings = Settings(service="hooks", cluster_domain="k8s.example", tls_names="127.0.0.1, webhook.example.com ,")
    settings.validate()
    policy = settings.policy("habitat")
    assert list(policy.names) == [
        "hooks.habitat.svc",
        "hooks.habitat.svc.k8s.example",
        "127.0.0.1",
        "webhook.example.com",
    ]
    assert (policy.authority, policy.leaf, policy.settle) == (
        timedelta(days=365),
        timedelta(days=30),
        timedelta(seconds=60),
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"service": "a.b"}, "--service is 'a.b'; allowed: at most 63 characters"),
        ({"ca_secret": ""}, "--ca-secret is ''"),
        ({"tls_secret": "A"}, "--tls-secret is 'A'"),
        ({"tls_secret": "habitat-webhook-ca"}, "--ca-secret and --tls-secret are both 'habitat-webhook-ca'"),
        ({"tls_names": "a b"}, "--service, --tls-names: neither a DNS name nor an IP address: 'a b'"),
        ({"cluster_domain": "x_y"}, "--cluster-domain is 'x_y'"),
        ({"ca_days": 89}, "--ca-days 89 and --leaf-days 30: a CA has to live three times as long"),
        ({"leaf_days": 91}, "--leaf-days is 91; allowed: 1 to 90"),
        ({"ca_settle": 0.5}, "--ca-settle is 0.5; allowed: 1 to 3600"),
        ({"lease_retry": 20.0}, "--lease-retry 20"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_setting_that_cannot_work_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings(**values).validate()
    assert str(caught.value).startswith(complaint)


def test_command_line_has_them_with_their_variables() -> None:
    text = " ".join(run("controller", "--help").stdout.split())
    for flag in ("certificates", "service", "tls-names", "ca-secret", "tls-secret", "ca-days", "leaf-days"):
        assert f"--{flag} " in text
        assert f"HABITAT_WEBHOOK_{flag.upper().replace('-', '_')}" in text
    refused = run("controller", "--certificates=some")
    assert refused.exit_code == 2
    assert "'some' is not one of 'managed', 'none'" in refused.stderr
