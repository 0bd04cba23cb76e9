"""The managed key of a ring (`habitat.sh/ring-key: managed`): its text, the Secret it lives in, and whether to make it.

The text is a file of Habitat's key cache (supervisor.md §7): `SYM-SEC-1`, the key's name with its revision, an empty
line, 32 bytes in base64. A pod gets it as HAB_RING_KEY. All pods of a ring need the same one: differently keyed members
never join, and nothing shows it from outside (§0). So a key is made once and never replaced by another.

The key is named after its ring as other namespaces call it, `shared.infra`: two rings of one name have keys of
different names, so that a revision, which events and annotations show, says which ring it is, and a key cache that
has seen both does not mix up two files. A dot is in no DNS label, and a revision ends in exactly 14 digits, so that
name and revision can be told apart even for a ring that is itself named after a date.

Nothing here reads a clock or makes randomness, and no message quotes any part of a text that could be a key.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from webhook.inject.env import RING_KEY
from webhook.ring.service import KEY_REVISION, Object, labels
from webhook.rings import Ring

VERSION = "SYM-SEC-1"
KEY_BYTES = 32
DATA_KEY = RING_KEY[1]

_REVISION = re.compile(r"(?P<name>.+)-(?P<time>[0-9]{14})")
_LINES = 4
_WHOLE = "a ring key is the whole text of a file NAME-REVISION.sym.key, four lines with real line breaks"


@dataclass(frozen=True, slots=True)
class RingKey:
    """A key that does not show itself: repr and str have its revision alone.

    revision: "shared.infra-20260301120000". material: 32 bytes.
    """

    revision: str
    material: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The value of HAB_RING_KEY. It ends with the base64: the Supervisor takes line 4 without the white space
        around it (supervisor.md §7), so a line break at the end would mean nothing.
        """
        return "\n".join((VERSION, self.revision, "", base64.b64encode(self.material).decode()))

    @property
    def name(self) -> str:
        """The revision without its time: "shared.infra"."""
        return self.revision.rpartition("-")[0]


def new_key(ring: Ring, now: datetime, random: bytes) -> RingKey:
    """A key for a ring. now: an aware time, any zone. random: 32 bytes of a generator fit for keys.

    Raises ValueError for a time without a zone and for another number of bytes.
    """
    if now.tzinfo is None:
        raise ValueError("the clock has no time zone: give an aware datetime")
    if len(random) != KEY_BYTES:
        raise ValueError(f"a ring key is made of {KEY_BYTES} random bytes, not of {len(random)}")
    return RingKey(f"{ring}-{now.astimezone(UTC):%Y%m%d%H%M%S}", bytes(random))


def parse(text: str) -> RingKey:
    """The key in a text, read as the Supervisor does (supervisor.md §7): line 3 and what follows line 4 are ignored.

    Raises ValueError, which says what is wrong and quotes nothing.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[0] != VERSION:
        raise ValueError(f"line 1 is not {VERSION}; {_WHOLE}")
    if len(lines) < _LINES:
        raise ValueError(f"it has fewer than {_LINES} lines; {_WHOLE}")
    if not _REVISION.fullmatch(lines[1]):
        raise ValueError(f"line 2 is not NAME-YYYYMMDDhhmmss; {_WHOLE}")
    encoded = lines[3].strip()
    try:
        material = base64.b64decode(encoded, validate=True)
    except ValueError:
        material = b""
    # Encoded again, since Python ignores stray bits behind the last byte and the Supervisor's decoder does not.
    if len(material) != KEY_BYTES or base64.b64encode(material).decode() != encoded:
        raise ValueError(f"line 4 is not {KEY_BYTES} bytes in base64; {_WHOLE}")
    return RingKey(lines[1], material)


def secret(ring: Ring, namespace: str, key: RingKey) -> Object:
    """The Secret for the pods of a namespace: the key itself in the ring's own, a copy of it elsewhere.

    Immutable, so that no update can split the ring, and the kubelet does not watch it. The dict holds the key: it goes
    to the API server and nowhere else, and neither does what the API server answers to it.
    """
    made = _empty(ring, namespace)
    made["metadata"]["annotations"] = {KEY_REVISION: key.revision}
    made["data"][DATA_KEY] = base64.b64encode(key.text.encode()).decode()
    return made


def probe(ring: Ring, namespace: str) -> Object:
    """What to create with dryRun=All to learn, without the right to read Secrets, whether the key is there: 409 says
    yes, 201 says no. Any other answer says nothing: a quota or a policy refuses before the API server looks.

    It is like `secret` in everything that a policy may ask for, the fence of deploy/chart above all, and has an
    empty value: never create it in earnest, since an empty key ends a Supervisor with exit code 86 (supervisor.md §0).
    """
    return _empty(ring, namespace)


def read(source: Mapping[str, Any]) -> RingKey:
    """The key in a Secret as the API server sends it. Raises ValueError, which names the Secret and quotes nothing."""
    metadata = source.get("metadata") or {}
    where = f"the Secret {metadata.get('namespace')}/{metadata.get('name')}"
    data = source.get("data") or {}
    if DATA_KEY not in data:
        raise ValueError(f"{where} has no key {DATA_KEY}")
    try:
        # Not strict: a UnicodeDecodeError would carry the bytes along.
        text = base64.b64decode(str(data[DATA_KEY]), validate=True).decode(errors="replace")
    except ValueError:
        raise ValueError(f"{where}, key {DATA_KEY}: it is not in base64, as the API has it") from None
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise ValueError(f"{where}, key {DATA_KEY}: it is no text; {_WHOLE}")
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{where}, key {DATA_KEY}: {error}") from None


def copy_of(source: Mapping[str, Any], ring: Ring, namespace: str) -> Object:
    """The Secret that brings a shared ring's key to the pods of another namespace. Raises ValueError as `read` does."""
    return secret(ring, namespace, read(source))


def same(source: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two Secrets hold one key: the revision counts, the layout of the text does not. An unreadable one is
    like none. A copy that differs has split the ring already; it is reported, not replaced.
    """
    try:
        return read(source) == read(other)
    except ValueError:
        return False


class Standing(enum.Enum):
    """What to do about a ring's key."""

    PRESENT = "present"
    CREATE = "create"
    LOST = "lost"


def judge(*, exists: bool, revision_known: str | None, started: bool) -> Standing:
    """Whether to make the key of a ring.

    exists: the Secret is there, by `probe`. revision_known: `service.key_revision` of the ring's Service. started: the
    container of a live member that takes the key from this Secret has started once, be it that it waits again now;
    none can start without the key (supervisor.md §0).

    LOST when the Secret is gone although there has been a key: a new one would keep every new pod out of the ring that
    runs, where nobody sees it. Nothing is created until somebody has restored the Secret or emptied the ring. After a
    crash between making the Secret and annotating the Service, `started` still knows.
    """
    if exists:
        return Standing.PRESENT
    return Standing.LOST if revision_known or started else Standing.CREATE


def lost(ring: Ring, namespace: str, revision: str | None) -> str:
    """What to tell the user of a key that is LOST; it holds no part of the key."""
    name = f"{namespace}/{ring.key_secret_in(namespace)}"
    known = f" (revision {revision})" if revision else ""
    return (
        f"the Secret {name} with the ring's key{known} is gone, and pods of the ring have used it: new pods wait for "
        f"it, and no other key is made, since that would split the ring. Restore it from a pod that still runs: its "
        f"HAB_RING_KEY is the value of the key {DATA_KEY}. Or begin with a new key: scale the ring's workloads to 0, "
        f"delete the Service {ring.namespace}/{ring.service}, and scale up again"
    )


def _empty(ring: Ring, namespace: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": ring.key_secret_in(namespace),
            "namespace": namespace,
            "labels": labels(ring.label_in(namespace)),
        },
        "type": "Opaque",
        "immutable": True,
        "data": {DATA_KEY: ""},
    }
