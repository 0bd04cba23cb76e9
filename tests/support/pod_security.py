"""The Pod Security Standards `baseline` and `restricted` as code: which controls a pod breaks, and where.

Written from the published standard in the form of Kubernetes 1.37 (admission.md §0.12 names what changed when); it
judges a pod as the API server's PodSecurity admission would: init, regular and ephemeral containers alike. Values of
the wrong JSON type count as absent, since the API server has refused them before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

Level = Literal["baseline", "restricted"]


class Violation(NamedTuple):
    """control: the standard's name of it. where: "pod", "container web" or "volume data". detail: the value."""

    control: str
    where: str
    detail: str


CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_slow_start_after_idle",
        "net.ipv4.tcp_notsent_lowat",
    ]
)
SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
PROFILES = ("RuntimeDefault", "Localhost")
APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


def violations(pod: Mapping[str, Any], level: Level = "restricted") -> list[Violation]:
    """Every control of a level that a pod breaks; restricted includes baseline."""
    found = list(_baseline(pod))
    if level == "restricted":
        if _is_windows(pod):
            # Restricted's own checks of these two replace baseline's, and leave Windows pods alone.
            found = [violation for violation in found if violation.control not in ("seccompProfile", "capabilities")]
        found.extend(_restricted(pod))
    return found


def _is_windows(pod: Mapping[str, Any]) -> bool:
    return _dict(_spec(pod).get("os")).get("name") == "windows"


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _spec(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    return _dict(pod.get("spec"))


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from (container for container in _list(_spec(pod).get(kind)) if isinstance(container, Mapping))


def _contexts(pod: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every securityContext with its place, the pod's own first; {} where there is none."""
    yield "pod", _dict(_spec(pod).get("securityContext"))
    for container in _containers(pod):
        yield f"container {container.get('name')}", _dict(container.get("securityContext"))


def _volume_kind(volume: Mapping[str, Any]) -> str:
    return next((key for key, value in volume.items() if key != "name" and value is not None), "unknown")


def _baseline(pod: Mapping[str, Any]) -> Iterator[Violation]:
    spec = _spec(pod)
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield Violation("hostNamespaces", "pod", name)
    for volume in _list(spec.get("volumes")):
        if _dict(volume).get("hostPath") is not None:
            yield Violation("hostPathVolumes", f"volume {volume.get('name')}", "hostPath")
    for sysctl in _list(_dict(spec.get("securityContext")).get("sysctls")):
        if _dict(sysctl).get("name") not in SYSCTLS:
            yield Violation("sysctls", "pod", str(_dict(sysctl).get("name")))
    for key, value in _dict(_dict(pod.get("metadata")).get("annotations")).items():
        allowed = value in ("", "runtime/default") or str(value).startswith("localhost/")
        if key.startswith(APPARMOR_ANNOTATION) and not allowed:
            yield Violation("appArmorProfile", "pod", f"{key}={value}")
    for where, context in _contexts(pod):
        yield from _baseline_context(where, context, user_namespace=spec.get("hostUsers") is False)
    for container in _containers(pod):
        yield from _baseline_container(container)


def _baseline_context(where: str, context: Mapping[str, Any], *, user_namespace: bool) -> Iterator[Violation]:
    if _dict(context.get("windowsOptions")).get("hostProcess"):
        yield Violation("windowsHostProcess", where, "true")
    selinux = _dict(context.get("seLinuxOptions"))
    if (selinux.get("type") or "") not in SELINUX_TYPES:
        yield Violation("seLinuxOptions", where, f"type {selinux['type']}")
    for name in ("user", "role"):
        if selinux.get(name):
            yield Violation("seLinuxOptions", where, name)
    apparmor = context.get("appArmorProfile")
    if apparmor is not None and _dict(apparmor).get("type") not in PROFILES:
        yield Violation("appArmorProfile", where, str(_dict(apparmor).get("type")))
    seccomp = context.get("seccompProfile")
    if seccomp is not None and _dict(seccomp).get("type") not in PROFILES:
        yield Violation("seccompProfile", where, str(_dict(seccomp).get("type")))
    if where == "pod":
        return
    if context.get("privileged"):
        yield Violation("privileged", where, "true")
    for capability in _list(_dict(context.get("capabilities")).get("add")):
        if capability not in CAPABILITIES:
            yield Violation("capabilities", where, f"add {capability}")
    if context.get("procMount") not in (None, "Default") and not user_namespace:
        yield Violation("procMount", where, str(context["procMount"]))


def _baseline_container(container: Mapping[str, Any]) -> Iterator[Violation]:
    where = f"container {container.get('name')}"
    for port in _list(container.get("ports")):
        if _dict(port).get("hostPort"):
            yield Violation("hostPorts", where, str(port["hostPort"]))
    lifecycle = _dict(container.get("lifecycle"))
    handlers = {name: container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")}
    handlers |= {name: lifecycle.get(name) for name in ("postStart", "preStop")}
    for name, handler in handlers.items():
        for kind in ("httpGet", "tcpSocket"):
            if host := _dict(_dict(handler).get(kind)).get("host"):
                yield Violation("hostProbesAndHostLifecycle", where, f"{name} {host}")


def _restricted(pod: Mapping[str, Any]) -> Iterator[Violation]:
    spec = _spec(pod)
    for volume in _list(spec.get("volumes")):
        if not any(_dict(volume).get(kind) is not None for kind in VOLUMES):
            yield Violation("restrictedVolumes", f"volume {_dict(volume).get('name')}", _volume_kind(_dict(volume)))
    if spec.get("hostUsers") is not False:
        yield from _run_as(pod)
    else:
        for where, context in _contexts(pod):
            # The waiver for user namespaces is baseline's alone.
            if where != "pod" and context.get("procMount") not in (None, "Default"):
                yield Violation("procMount", where, str(context["procMount"]))
    if _is_windows(pod):
        return
    shared = _dict(spec.get("securityContext"))
    for where, context in _contexts(pod):
        if where != "pod":
            yield from _restricted_container(where, context, shared)


def _run_as(pod: Mapping[str, Any]) -> Iterator[Violation]:
    shared = _dict(_spec(pod).get("securityContext"))
    for where, context in _contexts(pod):
        # Other numbers than the integer 0 pass, as an unset one does.
        if context.get("runAsUser") == 0 and context.get("runAsUser") is not False:
            yield Violation("runAsUser", where, "0")
        chosen = context.get("runAsNonRoot")
        inherits = where == "pod" or shared.get("runAsNonRoot") is True
        if chosen is False or (chosen is None and not inherits):
            yield Violation("runAsNonRoot", where, str(chosen))


def _restricted_container(where: str, context: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[Violation]:
    if context.get("allowPrivilegeEscalation") is not False:
        yield Violation("allowPrivilegeEscalation", where, str(context.get("allowPrivilegeEscalation")))
    capabilities = _dict(context.get("capabilities"))
    if "ALL" not in _list(capabilities.get("drop")):
        yield Violation("capabilities", where, "drop lacks ALL")
    for capability in _list(capabilities.get("add")):
        if capability != "NET_BIND_SERVICE" and capability in CAPABILITIES:
            yield Violation("capabilities", where, f"add {capability}")
    if context.get("seccompProfile") is None and shared.get("seccompProfile") is None:
        yield Violation("seccompProfile", where, "unset")
