"""What a person should know about the certificates: what is kept, who trusts it, and in words what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509

from certs import authorities as cas
from certs import bundle, leaf, rotation
from certs.authorities import Authorities
from certs.authority import CertificateError
from certs.leaf import Leaf
from certs.rotation import State
from certs.stores import Stored
from webhook.certificates.configurations import SELECTOR, Configuration

VERSION = 1
"""Of the JSON. Raised when something that is there changes its meaning or goes; not when something is added."""

_PATIENCE = timedelta(hours=1)
_SHORT = 16


class Severity(StrEnum):
    """error: somebody has to do something. note: good to know."""

    ERROR = "error"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know. advice: what to do, "" for nothing."""

    severity: Severity
    code: str
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What was looked at. authority, serving: None for none; ca_secret, tls_secret: their names, with the namespace."""

    now: datetime
    authority: Stored | None
    serving: Stored | None
    configurations: Sequence[Configuration]
    ca_secret: str
    tls_secret: str


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """An entry of a webhook configuration. verifies: a client that trusts its caBundle accepts the leaf. complete:
    whether it is exactly the bundle that is kept; None where none can be read.
    """

    configuration: Configuration
    entry: str
    verifies: bool
    complete: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """authorities, leaf: None where there is none that can be read."""

    found: Found
    authorities: Authorities | None
    leaf: Leaf | None
    entries: Sequence[EntryStatus]
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def well(self) -> bool:
        """Whether nobody has to do anything."""
        return all(f.severity is not Severity.ERROR for f in self.findings)


_LOOK = (
    "does the controller run, and what does it say? kubectl -n {namespace} logs deployment/habitat-webhook-controller, "
    "kubectl -n {namespace} get events"
)


def report(found: Found) -> Report:
    """What it means."""
    if _kept_elsewhere(found):
        return _elsewhere(found)
    wrong: list[Finding] = []
    kept = _authorities(found, wrong)
    serving = _leaf(found, kept, wrong)
    entries = list(_entries(found, kept, serving))
    wrong += _untrusted(found, entries, serving)
    return Report(found, kept, serving, entries, tuple(wrong))


def _kept_elsewhere(found: Found) -> bool:
    """Whether it is as --certificates=none leaves it: nothing here is ours but the place of the certificate."""
    return not found.configurations and found.authority is None and found.serving is not None and not found.serving.ours


def _elsewhere(found: Found) -> Report:
    name = f"Secret {found.tls_secret}"
    message = (
        f"Certificates are not kept here: no webhook configuration has the label {SELECTOR}, and {name} was made by "
        "somebody else, such as cert-manager"
    )
    findings, serving = [Finding(Severity.NOTE, "NothingManaged", message)], None
    advice = "Whoever makes it has to put it right; habitat-webhook leaves it alone."
    try:
        serving = leaf.decode(found.serving.data if found.serving else {})
    except CertificateError as caught:
        findings.append(Finding(Severity.ERROR, "LeafDamaged", f"{name} cannot be used: {caught}", advice))
    if serving and found.now >= serving.certificate.not_valid_after_utc:
        findings.append(Finding(Severity.ERROR, "LeafExpired", "The webhook's certificate has expired", advice))
    return Report(found, None, serving, (), tuple(findings))


def _look(found: Found) -> str:
    return _LOOK.format(namespace=found.ca_secret.partition("/")[0])


def _authorities(found: Found, wrong: list[Finding]) -> Authorities | None:
    def error(code: str, message: str, advice: str) -> None:
        wrong.append(Finding(Severity.ERROR, code, message, advice))

    name = f"Secret {found.ca_secret}"
    if found.authority is None:
        error("NoCa", f"{name} is not there: there is no CA", f"The controller makes it; {_look(found)}")
        return None
    if not found.authority.ours:
        wrong.append(_foreign(name))
        return None
    try:
        kept = cas.decode(found.authority.data)
    except CertificateError as caught:
        error(
            "CaDamaged",
            f"{name} cannot be used: {caught}",
            "Put back what was there, or delete it: a new CA is made then, and the present one stays trusted.",
        )
        return None
    state = rotation.state(kept, found.now)
    if state is State.EARLY:
        error("ClockBehind", "The CA is not valid yet", "A clock is wrong, here or where it was made: set it right.")
    elif state is State.EXPIRED:
        error("CaExpired", "The CA has expired", f"The controller makes a new one at once; {_look(found)}")
    elif state is State.PUBLISHED:
        message = "A rotation is under way: the next CA is published, and signs once every caBundle has held it a while"
        wrong.append(Finding(Severity.NOTE, "Rotating", message))
    elif found.now >= leaf.due(kept.current.certificate) + _PATIENCE:
        error("CaOverdue", "The next CA should have been published", _look(found))
    if found.authority.requested:
        wrong.append(Finding(Severity.NOTE, "RotationRequested", "Somebody asked for a new CA, and waits for it"))
    return kept


def _leaf(found: Found, kept: Authorities | None, wrong: list[Finding]) -> Leaf | None:
    def error(code: str, message: str, advice: str = "") -> None:
        wrong.append(Finding(Severity.ERROR, code, message, advice or f"The controller renews it; {_look(found)}"))

    name = f"Secret {found.tls_secret}"
    if found.serving is None:
        error("NoLeaf", f"{name} is not there: the webhook has no certificate to serve")
        return None
    if not found.serving.ours:
        wrong.append(_foreign(name))
        return None
    try:
        serving = leaf.decode(found.serving.data)
    except CertificateError as caught:
        error("LeafDamaged", f"{name} cannot be used: {caught}")
        return None
    if found.now >= serving.certificate.not_valid_after_utc:
        error("LeafExpired", "The webhook's certificate has expired")
    elif found.now < serving.certificate.not_valid_before_utc:
        error("ClockBehind", "The webhook's certificate is not valid yet", "A clock is wrong: set it right.")
    elif found.now >= leaf.due(serving.certificate) + _PATIENCE:
        error("LeafOverdue", "The webhook's certificate should have been renewed")
    if kept and signer(serving, kept) == "unknown":
        error("LeafUnknown", "The webhook's certificate was signed by none of the CAs that are kept")
    if found.serving.requested:
        wrong.append(
            Finding(Severity.NOTE, "RenewalRequested", "Somebody asked for a new certificate, and waits for it")
        )
    return serving


def _foreign(name: str) -> Finding:
    message = f"{name} was not made by habitat-webhook, which leaves it alone"
    return Finding(Severity.ERROR, "Foreign", message, "Delete or rename it.")


def signer(serving: Leaf, kept: Authorities) -> str:
    """Who has signed the leaf: "current", "old" or "unknown"."""
    if bundle.issuer(serving.certificate, [kept.current.certificate]):
        return "current"
    return "old" if bundle.issuer(serving.certificate, kept.certificates) else "unknown"


def _entries(found: Found, kept: Authorities | None, serving: Leaf | None) -> Iterator[EntryStatus]:
    wanted = kept.bundle() if kept else None
    for configuration in found.configurations:
        for entry in configuration.entries:
            verifies = (
                serving is not None
                and bool(names(serving))
                and bundle.verifies(serving.certificate, bundle.readable(entry.bundle), found.now)
            )
            yield EntryStatus(configuration, entry.name, verifies, None if wanted is None else entry.bundle == wanted)


def _untrusted(found: Found, entries: Sequence[EntryStatus], serving: Leaf | None) -> Iterator[Finding]:
    if not entries:
        message = f"No webhook configuration has the label {SELECTOR}: no caBundle is kept here"
        yield Finding(Severity.NOTE, "NothingManaged", message)
    for entry in entries:
        about = f"{entry.configuration.kind} {entry.configuration.name}, entry {entry.entry}"
        if serving and not entry.verifies:
            message = f"{about}: the API server does not accept the webhook's certificate by this caBundle"
            advice = f"The controller repairs it within seconds; if it does not: {_look(found)}"
            yield Finding(Severity.ERROR, "NotTrusted", message, advice)
        elif entry.complete is False:
            yield Finding(Severity.NOTE, "BundleDiffers", f"{about}: its caBundle is not the one that is kept")


def as_json(made: Report) -> dict[str, Any]:
    """The report as JSON values; nothing of it is secret."""
    kept, serving, now = made.authorities, made.leaf, made.found.now
    return {
        "version": VERSION,
        "time": _time(now),
        "ok": made.well,
        "state": rotation.state(kept, now).value if kept else None,
        "ca": _certificate(kept.current.certificate, now) if kept else None,
        "next": _certificate(kept.next.certificate, now) if kept and kept.next else None,
        "old": [_certificate(o.certificate, now) | {"keptUntil": _time(o.until)} for o in kept.old] if kept else [],
        "leaf": _certificate(serving.certificate, now)
        | {"names": names(serving), "signer": signer(serving, kept) if kept else None}
        if serving
        else None,
        "entries": [
            {
                "kind": e.configuration.kind,
                "configuration": e.configuration.name,
                "entry": e.entry,
                "verifies": e.verifies,
                "complete": e.complete,
            }
            for e in made.entries
        ],
        "findings": [
            {"severity": f.severity.value, "code": f.code, "message": f.message, "advice": f.advice}
            for f in made.findings
        ],
    }


def names(serving: Leaf) -> list[str]:
    """DNS names and IP addresses of the leaf; [] where somebody has put a certificate there that has none."""
    try:
        extension = serving.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]


def _certificate(certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    return {
        "fingerprint": bundle.fingerprint(certificate),
        "notBefore": _time(certificate.not_valid_before_utc),
        "notAfter": _time(certificate.not_valid_after_utc),
        "renewedFrom": _time(leaf.due(certificate)),
        "secondsLeft": int(leaf.remaining(certificate, now).total_seconds()),
    }


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def as_text(made: Report) -> str:
    """The report for a person, without a newline at the end."""
    kept, serving, now = made.authorities, made.leaf, made.found.now
    lines = []
    if kept:
        lines.append(_line("CA", kept.current.certificate, now, "signs"))
        if kept.next:
            lines.append(_line("next CA", kept.next.certificate, now, "published, does not sign yet"))
        lines += [_line("old CA", o.certificate, now, f"trusted until {_day(o.until)}") for o in kept.old]
    if serving:
        by = f", signed by the {signer(serving, kept)} CA" if kept else ""
        lines.append(
            _line("certificate", serving.certificate, now, f"for {', '.join(names(serving)) or 'no name'}{by}")
        )
    for e in made.entries:
        verdict = "trusted" if e.verifies else "NOT TRUSTED"
        lines.append(f"{'caBundle':<12} {verdict:<17} {e.configuration.kind}/{e.configuration.name} {e.entry}")
    for finding in made.findings:
        lines += ["", f"{finding.severity.value}: {finding.message} ({finding.code})"]
        if finding.advice:
            lines.append(f"  {finding.advice}")
    lines += ["", "nothing is wrong" if made.well else "something is wrong"]
    return "\n".join(lines)


def _line(what: str, certificate: x509.Certificate, now: datetime, more: str) -> str:
    left = leaf.remaining(certificate, now)
    days = f"{left.days} days left" if left > timedelta(days=2) else f"{left.total_seconds() / 3600:.1f} hours left"
    valid = days if left > timedelta(0) else "EXPIRED"
    return f"{what:<12} {valid:<17} until {_day(certificate.not_valid_after_utc)}, {more}  [{_short(certificate)}]"


def _day(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _short(certificate: x509.Certificate) -> str:
    return bundle.fingerprint(certificate)[:_SHORT]
