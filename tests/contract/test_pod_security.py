"""The Pod Security checks are held to the published standard, control by control."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pod_security import violations

HARDENED: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
SHARED: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def pod(
    container: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> dict[str, Any]:
    """A pod that passes `restricted` but for what a test adds."""
    made = {"name": "web", "securityContext": HARDENED} | (container or {})
    return {
        "metadata": {"annotations": annotations or {}},
        "spec": {"securityContext": SHARED, "containers": [made]} | spec,
    }


def controls(subject: dict[str, Any], level: Any) -> set[str]:
    return {violation.control for violation in violations(subject, level)}


def secured(**more: Any) -> dict[str, Any]:
    return {"securityContext": HARDENED | more}


def test_a_hardened_pod_passes_both_levels() -> None:
    assert violations(pod(), "restricted") == []


def test_a_plain_pod_passes_baseline_and_breaks_four_controls_of_restricted() -> None:
    plain = {"spec": {"containers": [{"name": "web"}]}}
    assert violations(plain, "baseline") == []
    assert controls(plain, "restricted") == {
        "allowPrivilegeEscalation",
        "capabilities",
        "runAsNonRoot",
        "seccompProfile",
    }


BASELINE = [
    ("hostNamespaces", pod(hostNetwork=True)),
    ("hostNamespaces", pod(hostPID=True)),
    ("hostNamespaces", pod(hostIPC=True)),
    ("hostPathVolumes", pod(volumes=[{"name": "a", "hostPath": {"path": "/"}}])),
    ("sysctls", pod(securityContext=SHARED | {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})),
    ("appArmorProfile", pod(annotations={"container.apparmor.security.beta.kubernetes.io/web": "unconfined"})),
    ("appArmorProfile", pod(secured(appArmorProfile={"type": "Unconfined"}))),
    ("seccompProfile", pod(secured(seccompProfile={"type": "Unconfined"}))),
    ("seccompProfile", pod(securityContext=SHARED | {"seccompProfile": {"type": "Unconfined"}})),
    ("windowsHostProcess", pod(securityContext=SHARED | {"windowsOptions": {"hostProcess": True}})),
    ("seLinuxOptions", pod(secured(seLinuxOptions={"type": "spc_t"}))),
    ("seLinuxOptions", pod(secured(seLinuxOptions={"user": "root"}))),
    ("seLinuxOptions", pod(securityContext=SHARED | {"seLinuxOptions": {"role": "r"}})),
    ("privileged", pod(secured(privileged=True))),
    ("capabilities", pod(secured(capabilities={"drop": ["ALL"], "add": ["NET_RAW"]}))),
    ("procMount", pod(secured(procMount="Unmasked"))),
    ("hostPorts", pod({"ports": [{"containerPort": 80, "hostPort": 80}]})),
    ("hostProbesAndHostLifecycle", pod({"livenessProbe": {"httpGet": {"host": "127.0.0.1", "port": 80}}})),
    ("hostProbesAndHostLifecycle", pod({"readinessProbe": {"tcpSocket": {"host": "a", "port": 80}}})),
    ("hostProbesAndHostLifecycle", pod({"lifecycle": {"preStop": {"httpGet": {"host": "a", "port": 80}}}})),
]
RESTRICTED = [
    ("restrictedVolumes", pod(volumes=[{"name": "a", "nfs": {"server": "s", "path": "/"}}])),
    ("restrictedVolumes", pod(volumes=[{"name": "a"}])),
    ("allowPrivilegeEscalation", pod(secured(allowPrivilegeEscalation=True))),
    ("capabilities", pod(secured(capabilities={"drop": ["NET_RAW"]}))),
    ("capabilities", pod(secured(capabilities={"drop": ["ALL"], "add": ["CHOWN"]}))),
    ("runAsNonRoot", pod(secured(runAsNonRoot=False))),
    ("runAsNonRoot", pod(securityContext=SHARED | {"runAsNonRoot": False})),
    ("runAsUser", pod(secured(runAsUser=0))),
    ("runAsUser", pod(securityContext=SHARED | {"runAsUser": 0})),
    ("seccompProfile", pod(securityContext={"runAsNonRoot": True})),
    ("procMount", pod(secured(procMount="Unmasked"), hostUsers=False)),
]


@pytest.mark.parametrize(("control", "subject"), BASELINE)
def test_baseline_and_so_restricted_forbid(control: str, subject: dict[str, Any]) -> None:
    assert controls(subject, "baseline") == {control}
    assert control in controls(subject, "restricted")


@pytest.mark.parametrize(("control", "subject"), RESTRICTED)
def test_restricted_alone_forbids(control: str, subject: dict[str, Any]) -> None:
    assert controls(subject, "baseline") == set()
    assert controls(subject, "restricted") == {control}


@pytest.mark.parametrize(
    "subject",
    [
        pod(secured(capabilities={"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})),
        pod(secured(runAsUser=1000)),
        pod(secured(seccompProfile={"type": "Localhost", "localhostProfile": "p.json"})),
        pod(securityContext=SHARED | {"runAsUser": 0}, hostUsers=False),
        pod(securityContext={"seccompProfile": {"type": "RuntimeDefault"}}, hostUsers=False),
        pod(volumes=[{"name": "a", "image": {"reference": "r"}}, {"name": "b", "ephemeral": {}}]),
        pod(securityContext=SHARED | {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}),
        pod({"livenessProbe": {"httpGet": {"host": "", "port": 80}}}),
        pod(annotations={"container.apparmor.security.beta.kubernetes.io/web": "localhost/p"}),
    ],
)
def test_restricted_allows(subject: dict[str, Any]) -> None:
    assert violations(subject, "restricted") == []


def test_windows_pods_are_exempt_from_three_controls() -> None:
    windows = {"spec": {"os": {"name": "windows"}, "containers": [{"name": "web"}]}}
    assert controls(windows, "restricted") == {"runAsNonRoot"}


@pytest.mark.parametrize("kind", ["initContainers", "ephemeralContainers"])
def test_every_kind_of_container_is_checked(kind: str) -> None:
    assert "allowPrivilegeEscalation" in controls({"spec": pod()["spec"] | {kind: [{"name": "other"}]}}, "restricted")
