"""What a ring is called: its label, its Service and its key, in its own namespace and in others.

One ring is (namespace, name). A pod of its namespace calls it `shared`, a pod of another one `shared.infra`; both texts
are values of the label and the annotation habitat.sh/ring. The webhook, which writes labels, and the ring controller,
which reads them, agree by this module alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from webhook.kinds import RING
from webhook.problems import shown

_SERVICE = "habitat-ring-{}"
_KEY_SECRET = "habitat-ring-{}-key"  # noqa: S105 -- the name of a Secret


@dataclass(frozen=True, slots=True, order=True)
class Ring:
    """namespace: where the ring's Service and its key are. name: a DNS label of at most 50 characters."""

    namespace: str
    name: str

    @classmethod
    def of(cls, label: str, pod_namespace: str) -> Self:
        """The ring that a label's value means on a pod of that namespace. Raises ValueError for no ring's name."""
        name, _, namespace = RING.parse(label).partition(".")
        return cls(namespace or pod_namespace, name)

    def __str__(self) -> str:
        """`name.namespace`, as the setting --shared-rings has it."""
        return f"{self.name}.{self.namespace}"

    def label_in(self, namespace: str) -> str:
        """The label's value on the pods of a namespace: "shared" in the ring's own, "shared.infra" elsewhere."""
        return self.name if namespace == self.namespace else str(self)

    @property
    def service(self) -> str:
        """The name of the ring's headless Service, which is in the ring's own namespace only."""
        return _SERVICE.format(self.name)

    def service_dns(self, cluster_domain: str) -> str:
        """The Service's DNS name, full: `hab` and `hab-sup` search differently (supervisor.md §15)."""
        return f"{self.service}.{self.namespace}.svc.{cluster_domain}"

    def key_secret_in(self, namespace: str) -> str:
        """The Secret with the ring's managed key for the pods of a namespace: a pod reads Secrets of its own only."""
        return _KEY_SECRET.format(self.label_in(namespace))


def shared_rings(text: str) -> frozenset[str]:
    """The setting --shared-rings: "shared.infra,logs.platform" -> those two; "" -> none.

    Raises ValueError, whose text says which is wrong and what is allowed.
    """
    found = set()
    for word in text.replace(",", " ").split():
        try:
            RING.parse(word)
        except ValueError:
            namespace = ""
        else:
            namespace = word.partition(".")[2]
        if not namespace:
            raise ValueError(
                f"{shown(word)} is no ring with its namespace; allowed: name.namespace of each ring, such as"
                " shared.infra, with commas between, both parts DNS labels, together at most 63 characters"
            )
        found.add(word)
    return frozenset(found)
