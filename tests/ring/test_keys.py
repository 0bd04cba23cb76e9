"""Managed ring keys: the text that Supervisors accept, Secrets that a policy accepts, and no key in any message."""

from __future__ import annotations

import base64
import copy
import re
import traceback
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.supervisor import RING_KEY, ring_key_name
from webhook.inject.env import RING_KEY as INJECTED
from webhook.ring import keys
from webhook.ring.keys import RingKey, Standing
from webhook.rings import Ring

RING = Ring("infra", "shared")
NOON = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)
MATERIAL = bytes(range(32))
KEY = keys.new_key(RING, NOON, MATERIAL)
ENCODED = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
RINGS = st.builds(Ring, NAMES, NAMES)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2999, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- bounds
KEYS = st.builds(keys.new_key, RINGS, TIMES, st.binary(min_size=32, max_size=32))


def with_value(value: str) -> dict[str, Any]:
    return keys.secret(RING, "infra", KEY) | {"data": {"ring-key": value}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_text_has_four_lines_in_habitats_format() -> None:
    assert KEY.text == f"SYM-SEC-1\nshared.infra-20260301120005\n\n{ENCODED}"


def test_revision_is_in_utc_whatever_the_clocks_zone() -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert keys.new_key(RING, tokyo, MATERIAL).revision == "shared.infra-20260301120005"


def test_clock_without_zone_and_wrong_number_of_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        keys.new_key(RING, NOON.replace(tzinfo=None), MATERIAL)
    for length in (0, 31, 33):
        with pytest.raises(ValueError, match=f"32 random bytes, not of {length}"):
            keys.new_key(RING, NOON, bytes(length))


@given(KEYS)
def test_supervisor_accepts_every_new_key_under_its_name(key: RingKey) -> None:
    assert ring_key_name(key.text) == key.name
    assert re.fullmatch(r".+-\d{14}\.sym\.key", f"{key.revision}.sym.key")


@given(RINGS, RINGS, TIMES)
def test_keys_of_different_rings_have_different_names(one: Ring, other: Ring, now: datetime) -> None:
    """Whatever the rings are called, also after a date, and in whatever namespaces."""
    names = [keys.new_key(ring, now, MATERIAL).name for ring in (one, other)]
    assert names == [str(one), str(other)]
    assert (names[0] == names[1]) == (one == other)


def test_ring_that_is_named_after_a_date_keeps_its_name() -> None:
    ring = Ring("shop", "a-20260101000000")
    assert ring_key_name(keys.new_key(ring, NOON, MATERIAL).text) == "a-20260101000000.shop"


@given(KEYS, st.sampled_from(["", "\n", "\r\n", " ", "\nmore"]), st.sampled_from(["\n", "\r\n"]))
def test_key_is_read_back_as_the_supervisor_reads_it(key: RingKey, end: str, line_break: str) -> None:
    assert keys.parse(key.text.replace("\n", line_break) + end) == key


def test_users_own_key_is_read_too() -> None:
    assert keys.parse(RING_KEY).revision == "ring-20260101000000"
    assert keys.parse(RING_KEY).name == "ring"


BROKEN = {
    "": "line 1 is not SYM-SEC-1",
    "SYM-SEC-2\na-20260101000000\n\n" + ENCODED: "line 1 is not SYM-SEC-1",
    " " + KEY.text: "line 1 is not SYM-SEC-1",
    "SYM-SEC-1": "it has fewer than 4 lines",
    KEY.text.replace("\n", "\\n"): "line 1 is not SYM-SEC-1",
    "SYM-SEC-1\na-20260101000000\n" + ENCODED: "it has fewer than 4 lines",
    "SYM-SEC-1\na-2026\n\n" + ENCODED: "line 2 is not NAME-YYYYMMDDhhmmss",
    "SYM-SEC-1\n-20260101000000\n\n" + ENCODED: "line 2 is not NAME-YYYYMMDDhhmmss",
    f"SYM-SEC-1\n{ENCODED}\n\na-20260101000000": "line 2 is not NAME-YYYYMMDDhhmmss",
    "SYM-SEC-1\na-20260101000000\n\n" + ENCODED[:-4]: "line 4 is not 32 bytes in base64",
    "SYM-SEC-1\na-20260101000000\n\n" + ENCODED[:-1]: "line 4 is not 32 bytes in base64",
    "SYM-SEC-1\na-20260101000000\n\n" + ENCODED.replace("h8=", "h9="): "line 4 is not 32 bytes in base64",
    "SYM-SEC-1\na-20260101000000\n\n" + "é" * 44: "line 4 is not 32 bytes in base64",
    "SYM-SEC-1\na-20260101000000\n\n" + ENCODED[:20] + " " + ENCODED[20:]: "line 4 is not 32 bytes in base64",
}


def pieces(text: str) -> set[str]:
    """All of a text that a careless message could quote: any eight characters in a row."""
    return {text[i : i + 8] for i in range(len(text) - 7)}


@pytest.mark.parametrize(("text", "message"), BROKEN.items(), ids=range(len(BROKEN)))
def test_what_is_no_key_is_refused_without_quoting_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        keys.parse(text)
    assert not pieces(ENCODED) & pieces(str(caught.value))
    with pytest.raises(
        ValueError, match=f"the Secret infra/habitat-ring-shared-key, key ring-key: {message}"
    ) as caught:
        keys.read(with_value(encoded(text)))
    assert not pieces(ENCODED) & pieces("".join(traceback.format_exception(caught.value)))


REFUSALS = {*BROKEN.values(), "it is not in base64, as the API has it", "it is no text"}


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: encoded(raw.decode("latin-1"))))
def test_any_value_of_a_secret_is_a_key_or_is_refused_by_one_of_a_few_fixed_sentences(value: str) -> None:
    try:
        keys.read(with_value(value))
    except ValueError as error:
        where, _, what = str(error).partition(", key ring-key: ")
        assert where == "the Secret infra/habitat-ring-shared-key"
        assert what.partition("; a ring key is the whole text of a file")[0] in REFUSALS


@pytest.mark.parametrize("value", ["%%%", "A", "é", base64.b64encode(b"SYM-SEC-1\n\xff\xfe").decode()])
def test_secret_whose_value_is_not_base64_of_a_text_is_refused_with_its_name(value: str) -> None:
    with pytest.raises(ValueError, match="the Secret infra/habitat-ring-shared-key, key ring-key: it is no") as caught:
        keys.read(with_value(value))
    assert not isinstance(caught.value.__context__, UnicodeDecodeError)


def test_secret_without_the_key_is_refused_with_its_name() -> None:
    for data in ({}, None, {"key": "x"}):
        with pytest.raises(ValueError, match="the Secret infra/habitat-ring-shared-key has no key ring-key"):
            keys.read(keys.secret(RING, "infra", KEY) | {"data": data})


@given(KEYS)
def test_key_does_not_show_itself(key: RingKey) -> None:
    shown = f"{key} {key!r} {[key]} {(key,)!s}"
    assert key.revision in shown
    secret_part = key.text.rpartition("\n")[2]
    assert secret_part not in shown
    assert repr(key.material) not in shown
    assert key.material.hex() not in shown


def test_secret_is_whole_and_its_value_is_what_the_pod_gets() -> None:
    made = keys.secret(RING, "infra", KEY)
    assert base64.b64decode(made["data"]["ring-key"]).decode() == KEY.text
    assert made | {"data": None} == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "habitat-ring-shared-key",
            "namespace": "infra",
            "labels": {"app.kubernetes.io/managed-by": "habitat-webhook", "habitat.sh/ring": "shared"},
            "annotations": {"habitat.sh/ring-key-revision": "shared.infra-20260301120005"},
        },
        "type": "Opaque",
        "immutable": True,
        "data": None,
    }
    assert list(made["data"]) == [INJECTED[1]]


def test_probe_differs_from_the_secret_in_holding_no_key() -> None:
    made, probe = keys.secret(RING, "shop", KEY), keys.probe(RING, "shop")
    assert probe["data"] == {"ring-key": ""}
    assert ENCODED not in str(probe)
    del made["metadata"]["annotations"]
    assert probe == made | {"data": {"ring-key": ""}}


def test_key_of_a_shared_ring_is_copied_under_the_name_that_its_pods_use() -> None:
    source = keys.secret(RING, "infra", KEY)
    copied = keys.copy_of(source, RING, "shop")
    assert copied["metadata"]["name"] == "habitat-ring-shared.infra-key"
    assert copied["metadata"]["namespace"] == "shop"
    assert copied["metadata"]["labels"]["habitat.sh/ring"] == "shared.infra"
    assert copied["data"] == source["data"]
    assert keys.same(source, copied)


def test_copy_of_what_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="the Secret infra/habitat-ring-shared-key, key ring-key: line 1"):
        keys.copy_of(with_value(encoded("secret words")), RING, "shop")


def test_copy_is_the_same_by_its_key_and_not_by_its_layout() -> None:
    source, copied = keys.secret(RING, "infra", KEY), keys.copy_of(keys.secret(RING, "infra", KEY), RING, "shop")
    copied["data"]["ring-key"] = encoded(KEY.text + "\n")
    assert keys.same(source, copied)
    for other in (
        keys.new_key(RING, NOON, bytes(32)),
        keys.new_key(RING, NOON + timedelta(seconds=1), MATERIAL),
    ):
        assert not keys.same(source, keys.secret(RING, "shop", other))
    unreadable = copy.deepcopy(copied) | {"data": {"ring-key": "%"}}
    assert not keys.same(source, unreadable)
    assert not keys.same(unreadable, unreadable)


@pytest.mark.parametrize("known", [None, KEY.revision])
@pytest.mark.parametrize("started", [False, True])
def test_key_that_is_there_is_never_made(known: str | None, started: bool) -> None:
    assert keys.judge(exists=True, revision_known=known, started=started) is Standing.PRESENT


@pytest.mark.parametrize(
    ("known", "started", "standing"),
    [
        (None, False, Standing.CREATE),
        ("", False, Standing.CREATE),
        (KEY.revision, False, Standing.LOST),
        (None, True, Standing.LOST),
        (KEY.revision, True, Standing.LOST),
    ],
)
def test_key_that_is_gone_is_made_only_when_there_has_been_none(
    known: str | None, started: bool, standing: Standing
) -> None:
    assert keys.judge(exists=False, revision_known=known, started=started) is standing


def test_message_about_a_lost_key_says_what_to_do_and_fits_an_event() -> None:
    said = keys.lost(RING, "shop", KEY.revision)
    for part in (
        "shop/habitat-ring-shared.infra-key",
        KEY.revision,
        "Restore it",
        "HAB_RING_KEY",
        "infra/habitat-ring-shared,",
    ):
        assert part in said
    assert "revision" not in keys.lost(RING, "shop", None)
    longest = Ring("n" * 12, "r" * 50)
    assert len(keys.lost(longest, "x" * 63, f"{longest}-20260101000000")) <= 1024
