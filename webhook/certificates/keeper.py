"""One look at the certificates: what is kept is read, caBundles are repaired, and the steps of certs/rotation.py taken.

Two leaders for a moment do no harm, by the order of a look. The webhook configurations come first, then the CAs; a
repair names the version of the configuration that was seen. So a bundle without the next CA, which somebody read before
it was published, is refused where the next CA has been written since. And both Secrets are read before each step, whose
write names their versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from certs import authorities as cas
from certs import bundle, leaf, rotation
from certs.authorities import Authorities
from certs.authority import CertificateError
from certs.leaf import Leaf
from certs.observed import Observed
from certs.rotation import OF_THE_LEAF, Action, Policy, Step, View
from certs.stores import Changed, Store, Stored
from webhook.certificates.configurations import Configuration
from webhook.certificates.metrics import STEPS, CertificateMetrics
from webhook.kube.errors import ApiError
from webhook.kube.events import Kind
from webhook.log import Log

LIST_SECONDS = 60.0
"""So often the configurations are asked for, whatever the watches say."""

_MOST_STEPS = 8
"""In one look; the longest way from nothing to well is four."""


class Targets(Protocol):
    """The webhook configurations, as webhook.certificates.configurations.Configurations has them."""

    def seen(self) -> Sequence[Configuration]: ...

    def listed(self) -> Sequence[Configuration]: ...

    def repair(self, seen: Configuration, wrong: Mapping[int, bytes]) -> Configuration: ...


class NotLeadingError(Exception):
    """The look is broken off: somebody else may act by now."""


class RefusedError(Exception):
    """What is kept is not ours, or cannot be read. Its text says what to do. store: whose it is."""

    def __init__(self, text: str, store: Store) -> None:
        super().__init__(text)
        self.store = store


Tell = Callable[[str, Kind, str, str], None]
"""(name of the store, kind, reason, note): an event on one of the Secrets."""


@dataclass(frozen=True, slots=True)
class Clock:
    """now: wall clock, by which certificates live. elapsed: seconds of one that nobody sets."""

    now: Callable[[], datetime]
    elapsed: Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Kept:
    """Both Secrets as they were read. leaf: None also where it cannot be used."""

    authority: Stored | None
    serving: Stored | None
    authorities: Authorities | None
    leaf: Leaf | None


class Keeper:
    """Keeps CA, leaf and caBundles; `look` does all that is to be done now. For one thread.

    authority, serving: where the CAs and the leaf are kept. allowed: whether nobody else acts; asked before each write.
    tell: events on the Secrets; tell_configuration: on webhook configurations.
    """

    def __init__(
        self,
        authority: Store,
        serving: Store,
        targets: Targets,
        policy: Policy,
        *,
        clock: Clock,
        allowed: Callable[[], bool],
        tell: Tell,
        tell_configuration: Callable[[Configuration, Kind, str, str], None],
        metrics: CertificateMetrics,
        log: Log,
    ) -> None:
        self._authority = authority
        self._serving = serving
        self._targets = targets
        self._policy = policy
        self._clock = clock
        self._allowed = allowed
        self._tell = tell
        self._tell_configuration = tell_configuration
        self._metrics = metrics
        self._log = log
        self._observed = Observed()
        self._listed_at = float("-inf")
        self._said: dict[str, str] = {}

    def look(self) -> bool:
        """All that is to be done now. True when it waits for something, so that the next look should come soon.

        Raises NotLeadingError, and whatever the stores and the API raise: nothing is half done then, and the next look
        goes on.
        """
        configurations = self._configurations()
        for _ in range(_MOST_STEPS):
            try:
                kept = self._read()
            except RefusedError as refused:
                self._refuse(refused)
                return not self._repair_for(self._served(), configurations)
            self._say("refused", "")
            configurations, well = self._repair(kept, configurations)
            view = self._view(kept)
            step = self._decide(view)
            if step.action is Action.WAIT:
                return not well or step.why != ""
            if step.settled and not self._everywhere(step.settled):
                return True
            try:
                self._take(step, kept, view)
            except Changed:
                self._log("info", "somebody else has written the certificates, looking again", step=step.action.value)
        return True

    # what is there

    def _configurations(self) -> Sequence[Configuration]:
        """From the watches, and every now and then from the API server, whatever the watches say."""
        now = self._clock.elapsed()
        if now - self._listed_at < LIST_SECONDS:
            return self._targets.seen()
        found = self._targets.listed()
        self._listed_at = now
        return found

    def _read(self) -> _Kept:
        authority, serving = self._authority.read(), self._serving.read()
        kept = None
        if authority is not None:
            self._check_ours(self._authority, authority)
            try:
                kept = cas.decode(authority.data)
            except CertificateError as error:
                raise RefusedError(
                    f"{self._authority.name} cannot be used: {error}. It is left as it is; put back what was there, or "
                    "delete it: a new CA is made then, and the present one stays trusted",
                    self._authority,
                ) from None
        if serving is not None:
            self._check_ours(self._serving, serving)
        return _Kept(authority, serving, kept, self._leaf_of(serving))

    def _check_ours(self, store: Store, found: Stored) -> None:
        if not found.ours:
            raise RefusedError(
                f"{store.name} was not made by this program (it has no label app.kubernetes.io/managed-by="
                "habitat-webhook), and is left as it is. Delete or rename it, or use other names "
                "(--ca-secret, --tls-secret) and grant rights for those; for certificates of your own set "
                "--certificates=none",
                store,
            )

    def _leaf_of(self, serving: Stored | None) -> Leaf | None:
        found = self._usable(serving) if serving is not None else None
        self._metrics.leaf_left(leaf.remaining(found.certificate, self._clock.now()) if found else None)
        return found

    def _usable(self, serving: Stored) -> Leaf | None:
        try:
            found = leaf.decode(serving.data)
        except CertificateError as error:
            self._say("leaf", f"{self._serving.name} holds no usable pair and is made anew: {error}")
            return None
        self._say("leaf", "")
        return found

    # steps

    def _decide(self, view: View) -> Step:
        self._metrics.situation(rotation.state(view.authorities, view.now))
        if view.authorities:
            current = view.authorities.current
            self._metrics.authority(current.certificate.not_valid_before_utc, current.not_after, view.now)
        step = rotation.decide(view, self._policy)
        self._say("wait", step.why if step.action is Action.WAIT else "")
        return step

    def _view(self, kept: _Kept) -> View:
        return View(
            self._clock.now(),
            kept.authorities,
            kept.leaf,
            rotate=kept.authority is not None and kept.authority.requested,
            renew=kept.serving is not None and kept.serving.requested,
            held=self._observed.held(self._clock.elapsed()),
        )

    def _everywhere(self, authority: str) -> bool:
        """Whether every caBundle holds this CA, asked of the API server itself: a watch may hang."""
        found = [entry.bundle for c in self._targets.listed() for entry in c.entries]
        if all(authority in bundle.held(one) for one in found):
            return True
        self._observed = Observed()
        return False

    def _take(self, step: Step, kept: _Kept, view: View) -> None:
        if step.action in OF_THE_LEAF:
            store, read = self._serving, kept.serving
            data = rotation.leaf_after(step, view, self._policy)
            answers = step.action is Action.ISSUE
        else:
            store, read = self._authority, kept.authority
            data = cas.encode(rotation.authorities_after(step, view, self._policy))
            answers = step.action in (Action.CREATE, Action.PUBLISH, Action.SIGN)
        if not self._allowed():
            raise NotLeadingError
        if read is None:
            store.create(data)
        else:
            store.replace(read, data, answers=answers)
        self._metrics.steps[step.action].inc()
        self._log("info", f"certificates: {step.action}", store=store.name, why=step.why)
        if step.action is not Action.BUNDLE:
            self._tell(store.name, "Normal", _REASONS[step.action], f"{STEPS[step.action].rstrip('.')}: {step.why}.")

    # caBundles

    def _repair(self, kept: _Kept, configurations: Sequence[Configuration]) -> tuple[Sequence[Configuration], bool]:
        """Give every entry the bundle that is kept. The configurations as they are then, and whether all have it."""
        if kept.authorities is None:
            return configurations, True
        wanted = kept.authorities.bundle()
        whole = [
            self._repaired(c, {n: wanted for n, entry in enumerate(c.entries) if entry.bundle != wanted})
            for c in configurations
        ]
        bundles = [entry.bundle for c in whole for entry in c.entries]
        wrong = sum(one != wanted for one in bundles)
        self._metrics.wrong.set(wrong)
        fingerprints = [bundle.fingerprint(c) for c in kept.authorities.certificates]
        self._observed.look(bundles, fingerprints, self._clock.elapsed())
        return whole, wrong == 0

    def _served(self) -> Leaf | None:
        """The leaf with its bundle, where it is ours and of use: what can be told while the CA is refused."""
        serving = self._serving.read()
        found = self._leaf_of(serving if serving is not None and serving.ours else None)
        if found is None or not bundle.verifies(found.certificate, found.trusted(), self._clock.now()):
            return None
        return found

    def _repair_for(self, served: Leaf | None, configurations: Sequence[Configuration]) -> bool:
        """While the CA is refused: give the leaf's bundle to the entries that do not verify it, and touch no other."""
        if served is None:
            return True
        now, well = self._clock.now(), True
        for c in configurations:
            wrong = {
                n: served.bundle
                for n, entry in enumerate(c.entries)
                if not bundle.verifies(served.certificate, bundle.readable(entry.bundle), now)
            }
            repaired = self._repaired(c, wrong)
            well = well and all(repaired.entries[n].bundle == served.bundle for n in wrong)
        return well

    def _repaired(self, seen: Configuration, wrong: Mapping[int, bytes]) -> Configuration:
        """The configuration with these bundles; as it was where that is not to be had now."""
        if not wrong:
            return seen
        if not self._allowed():
            raise NotLeadingError
        names = ", ".join(seen.entries[n].name for n in wrong)
        about = {"configuration": f"{seen.kind}/{seen.name}", "entries": names}
        try:
            repaired = self._targets.repair(seen, wrong)
        except ApiError as error:
            conflict = error.status in (404, 409)
            self._metrics.repairs["conflict" if conflict else "error"].inc()
            self._log("debug" if conflict else "warning", "caBundle not repaired", **about, error=str(error))
            if not conflict:
                self._tell_configuration(
                    seen, "Warning", "CaBundleNotRepaired", f"The caBundle of {names} cannot be written: {error}"
                )
            return seen
        self._metrics.repairs["ok"].inc()
        self._log("info", "caBundle repaired", **about)
        self._tell_configuration(
            seen, "Normal", "CaBundleRepaired", f"The caBundle of {names} was not that of the CA, and was written."
        )
        return repaired

    # words

    def _refuse(self, refused: RefusedError) -> None:
        self._metrics.situation(None)
        self._say("refused", str(refused), level="error")
        self._tell(refused.store.name, "Warning", "CertificatesRefused", str(refused))

    def _say(self, topic: str, text: str, *, level: str = "warning") -> None:
        """Once for each time that it becomes so. A state that is only waited for is no warning."""
        if self._said.get(topic, "") != text:
            self._said[topic] = text
            if text:
                self._log("info" if topic == "wait" else level, f"certificates: {text}")


_REASONS = {
    Action.CREATE: "CaCreated",
    Action.KEEP: "CaKept",
    Action.RETIRE: "CaRetired",
    Action.WITHDRAW: "CaWithdrawn",
    Action.SIGN: "CaSigns",
    Action.PUBLISH: "CaPublished",
    Action.ISSUE: "LeafIssued",
}
