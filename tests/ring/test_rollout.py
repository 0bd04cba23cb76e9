"""Live configuration: a change reaches every pod of a ring, in waves that a bad one does not survive unseen."""

from __future__ import annotations

import copy
import json
import math
import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.ring.rollout import Memory, Pace, Plan, Pod, generation, plan

PACE = Pace()


def a_pod(number: int = 0, **facts: Any) -> Pod:
    """A ready pod that runs the content "old"; a higher number is a younger pod."""
    usual: dict[str, Any] = {"generation": "old", "wanted": "old", "running": True, "ready": True, "leader": False}
    return Pod(f"uid-{number:04}", f"web-{number}", **(usual | {"created": 1000.0 + number} | facts))


@dataclass
class Play:
    """A ring whose patches are seen at once; `unready` is what becomes of a pod that is told."""

    pods: dict[str, Pod]
    now: float = 0.0
    memory: Memory = field(default_factory=Memory)
    unready: bool = False

    @classmethod
    def of(cls, *pods: Pod) -> Play:
        return cls({p.name: p for p in pods})

    def change(self, wanted: str, *names: str) -> None:
        for name in names or self.pods:
            self.become(name, wanted=wanted)

    def become(self, name: str, **facts: Any) -> None:
        self.pods[name] = replace(self.pods[name], **facts)

    def ask(self, now: float | None = None) -> Plan:
        """What is planned, and done, at a time."""
        self.now = self.now if now is None else now
        made = plan(list(self.pods.values()), self.memory, self.now, PACE)
        self.memory = made.memory
        for pod in made.patch:
            ready = pod.ready and not self.unready
            self.become(pod.name, generation=pod.wanted, ready=ready)
        return made

    def told(self, now: float | None = None) -> list[str]:
        return [p.name for p in self.ask(now).patch]

    def waves(self) -> list[tuple[float, list[str]]]:
        """All that follows without anything happening, by time."""
        found = []
        while True:
            made = self.ask()
            if made.patch:
                found.append((self.now, [p.name for p in made.patch]))
            if made.next_at is None:
                return found
            assert made.next_at > self.now
            self.now = made.next_at


def ring(count: int, **facts: Any) -> Play:
    return Play.of(*(a_pod(number, **facts) for number in range(count)))


def test_nothing_is_written_while_nothing_has_changed() -> None:
    made = ring(20).ask()
    assert (made.patch, made.next_at, made.memory) == ((), None, Memory())


def test_change_goes_over_a_ring_in_four_waves_youngest_first() -> None:
    play = ring(8)
    play.change("new")
    assert play.waves() == [
        (0.0, ["web-7", "web-6"]),
        (3.0, ["web-5", "web-4"]),
        (6.0, ["web-3", "web-2"]),
        (9.0, ["web-1", "web-0"]),
    ]


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (2, [1, 1]), (5, [2, 2, 1]), (9, [3, 3, 3]), (100, [25] * 4)])
def test_wave_is_a_quarter_rounded_up(count: int, sizes: list[int]) -> None:
    play = ring(count)
    play.change("new")
    assert [len(names) for _, names in play.waves()] == sizes


def test_asking_again_before_the_time_changes_nothing() -> None:
    play = ring(8)
    play.change("new")
    play.ask(0)
    for now in (0.0, 1.0, 2.9):
        assert play.told(now) == []
    assert len(play.told(3.0)) == 2


def test_new_pod_gets_its_first_generation_at_once_also_between_waves() -> None:
    play = ring(8)
    play.change("new")
    play.ask(0)
    play.pods |= {p.name: p for p in (a_pod(8, generation=None, wanted="new"), a_pod(9, generation=None, ready=False))}
    assert play.told(1.0) == ["web-8", "web-9"]


def test_pod_that_does_not_run_is_told_at_once() -> None:
    play = ring(8)
    play.change("new")
    for name in ("web-0", "web-1", "web-2"):
        play.become(name, running=False, ready=False)
    # Five run, so a wave is two of them.
    assert play.told(0) == ["web-0", "web-1", "web-2", "web-7", "web-6"]


def test_pod_that_was_told_at_once_does_not_hold_a_wave() -> None:
    play = ring(8)
    play.change("new")
    play.become("web-0", running=False, ready=False)
    assert play.told(0) == ["web-0", "web-7", "web-6"]
    play.become("web-0", running=True)
    assert play.told(3.0) == ["web-5", "web-4"]


def test_pod_whose_config_map_is_not_there_is_left_alone() -> None:
    assert Play.of(a_pod(wanted=None), a_pod(1, wanted=None, generation=None)).waves() == []


def test_pods_of_a_leader_ring_are_told_one_at_a_time() -> None:
    play = ring(8, leader=True)
    play.change("new")
    assert [names for _, names in play.waves()] == [[f"web-{number}"] for number in reversed(range(8))]


def test_wave_takes_a_quarter_of_every_set_of_pods_and_not_one_of_them_whole() -> None:
    """Twenty pods, ten workloads of two: five at once, but never both pods of one workload."""
    play = Play.of(*(a_pod(number, wanted=f"new-{number // 2}") for number in range(20)))
    waves = [names for _, names in play.waves()]
    assert max(map(len, waves)) <= 5
    for names in waves:
        workloads = [int(name.removeprefix("web-")) // 2 for name in names]
        assert len(set(workloads)) == len(workloads)
    assert sorted(name for names in waves for name in names) == sorted(play.pods)


def test_pods_whose_own_content_did_not_change_make_no_wave_bigger() -> None:
    play = ring(100)
    play.change("new", *(f"web-{number}" for number in range(4)))
    assert [len(names) for _, names in play.waves()] == [1, 1, 1, 1]


def test_pods_that_do_not_become_ready_hold_the_next_wave_and_then_it_goes_on_and_says_so() -> None:
    play = ring(8)
    play.change("new")
    play.unready = True
    assert play.told(0) == ["web-7", "web-6"]
    held = play.ask(3.0)
    assert (held.patch, held.holding, held.next_at) == ((), ("web-6", "web-7"), 30.0)
    assert play.told(29.9) == []
    after = play.ask(30.0)
    assert [p.name for p in after.patch] == ["web-5", "web-4"]
    broken = "not ready, 30 s or more after their configuration changed: web-6, web-7"
    assert after.notes == (f"{broken}; the change goes on to the other pods of the ring",)
    last = play.ask(60.0)
    assert "changed: web-4, web-5;" in last.notes[0], "those of the first wave have been named"


def test_note_names_three_pods_at_most() -> None:
    play = ring(40)
    play.change("new")
    play.unready = True
    play.ask(0)
    [note] = play.ask(30.0).notes
    assert "web-30, web-31, web-32 and 7 more;" in note


def test_wave_goes_on_as_soon_as_the_last_one_is_ready() -> None:
    play = ring(8)
    play.change("new")
    play.unready = True
    play.ask(0)
    play.become("web-7", ready=True)
    assert play.ask(5.0).holding == ("web-6",)
    play.become("web-6", ready=True)
    made = play.ask(6.0)
    assert len(made.patch) == 2
    assert made.notes == ()


def test_pod_that_fails_late_holds_the_wave_after_the_next() -> None:
    """Readiness takes some failures to change, so three seconds after its patch a broken pod may look well."""
    play = ring(8)
    play.change("new")
    play.ask(0)
    play.ask(3.0)
    play.become("web-7", ready=False)
    assert play.told(6.0) == []
    assert len(play.told(30.0)) == 2


def test_next_look_is_when_the_first_thing_can_change_by_time_alone() -> None:
    play = ring(8)
    play.change("new")
    play.become("web-0", running=False, ready=False)
    play.ask(0)
    play.become("web-0", generation="old")
    play.ask(3.0)
    for name in ("web-7", "web-4"):
        play.become(name, ready=False)
    assert play.ask(4.0).next_at == 30.0, "the patch of web-0 counts as lost"
    play.become("web-0", generation="new")
    assert play.ask(5.0).next_at == 33.0, "web-4 holds longest"
    play.become("web-4", ready=True)
    assert play.ask(6.0).next_at == 30.0, "web-7 does"
    play.become("web-7", ready=True)
    play.ask(28.0)
    play.become("web-7", ready=False)
    assert play.ask(29.0).next_at == 31.0, "the pace does"


def test_bad_content_that_is_taken_back_in_time_never_leaves_its_quarter() -> None:
    play = ring(8)
    play.change("bad")
    play.unready = True
    assert play.told(0) == ["web-7", "web-6"]
    assert play.told(10.0) == []
    play.change("old")
    play.unready = False
    assert sorted(play.told(11.0)) == ["web-6", "web-7"]
    assert play.told(60.0) == []


def test_correction_goes_first_to_the_pods_that_are_broken() -> None:
    play = ring(8)
    play.change("bad")
    play.unready = True
    play.ask(0)
    play.change("better")
    play.unready = False
    assert sorted(play.told(10.0)) == ["web-6", "web-7"]


def test_pods_that_are_corrected_are_not_complained_of() -> None:
    play = ring(8)
    play.change("bad")
    play.unready = True
    play.ask(0)
    play.change("better")
    made = play.ask(31.0)
    assert len(made.patch) == 2
    assert made.notes == ()


def test_last_wave_holds_nobody() -> None:
    play = ring(1)
    play.change("bad")
    play.unready = True
    play.ask(0)
    assert (play.ask(1.0).holding, play.ask(1.0).next_at) == ((), None)


def test_pod_that_was_not_ready_before_does_not_hold_the_others() -> None:
    play = ring(4, leader=True)
    play.become("web-0", ready=False)
    play.change("new")
    assert play.told(0) == ["web-0"]
    assert play.told(3.0) == ["web-3"]


def test_waves_go_on_with_the_newest_content_when_it_changes_again() -> None:
    play = ring(8)
    play.change("new")
    play.ask(0)
    play.change("newer")
    assert play.told(1.0) == []
    assert play.told(3.0) == ["web-5", "web-4"]
    assert {play.pods[n].generation for n in ("web-5", "web-4")} == {"newer"}
    assert [names for _, names in play.waves()] == [["web-3", "web-2"], ["web-1", "web-0"], ["web-7", "web-6"]]


def test_content_that_changes_all_the_time_starves_no_pod() -> None:
    play = ring(8)
    for number in range(12):
        play.change(f"version-{number}")
        play.ask(number * 3.0)
    told = {int(str(pod.generation).removeprefix("version-")) for pod in play.pods.values()}
    assert told == {8, 9, 10, 11}


def test_content_that_changes_all_the_time_starves_no_pod_of_a_long_rollout() -> None:
    """Longer than the patience, after which a pod would be forgotten at other times."""
    play = ring(14, leader=True)
    for number in range(28):
        play.change(f"version-{number}")
        play.ask(number * 3.0)
    told = {int(str(pod.generation).removeprefix("version-")) for pod in play.pods.values()}
    assert told == set(range(14, 28))


def test_patch_that_failed_is_planned_again() -> None:
    play = ring(2)
    play.change("new")
    [pod] = play.ask(0).patch
    play.become(pod.name, generation="old")
    play.memory = play.memory.without(pod.uid)
    assert play.told(1.0) == [], "a failure does not quicken the pace"
    assert play.told(3.0) == [pod.name]


def test_patch_that_is_not_seen_yet_is_not_repeated_and_holds_the_next_wave() -> None:
    play = ring(2)
    play.change("new")
    [pod] = play.ask(0).patch
    play.become(pod.name, generation="old")
    unseen = play.ask(3.0)
    assert (unseen.patch, unseen.holding, unseen.next_at) == ((), (pod.name,), 30.0)
    play.change("newer")
    assert play.told(20.0) == [], "its old value is not known, so another patch would fail"
    play.become(pod.name, generation="new")
    assert play.told(21.0) == ["web-0"]
    assert play.told(24.0) == [pod.name]


def test_patch_that_is_not_seen_yet_counts_though_its_content_has_been_taken_back() -> None:
    play = Play.of(a_pod(0), a_pod(1), a_pod(2, wanted="x"))
    play.change("bad", "web-0", "web-1")
    play.memory = Memory(-3.0)
    play.become("web-2", running=False, ready=False)
    assert play.told(0) == ["web-2", "web-1"]
    play.become("web-2", running=True, ready=True, wanted="y")
    play.become("web-1", generation="old")
    play.change("old", "web-0", "web-1")
    held = play.ask(3.0)
    assert (held.patch, held.holding) == ((), ("web-1",))


def test_patch_that_is_never_seen_is_repeated_in_the_end() -> None:
    play = Play.of(a_pod(generation=None, wanted="new"))
    for now in (0.0, 30.0):
        assert play.told(now) == ["web-0"]
        play.become("web-0", generation=None)
        assert play.ask(now + 1).next_at == now + 30.0


def test_controller_that_starts_afresh_repeats_no_patch_and_begins_one_wave_early_at_most() -> None:
    play = ring(8)
    play.change("new")
    first = play.told(0)
    play.memory = Memory()
    second = play.told(1.0)
    assert not set(first) & set(second)
    assert len(second) == 2
    assert play.told(2.0) == play.told(3.9) == []
    assert len(play.told(4.0)) == 2


def test_pods_that_are_gone_are_forgotten_and_the_pace_is_not() -> None:
    play = ring(8)
    play.change("new")
    for name in play.told(0):
        del play.pods[name]
    made = play.ask(1.0)
    assert made.patch == ()
    assert made.memory == Memory(0.0)


def test_memory_is_empty_of_pods_once_a_change_is_over() -> None:
    play = ring(8)
    play.change("new")
    play.waves()
    assert play.ask(100.0).memory.sent == {}


@pytest.mark.parametrize(
    "facts",
    [{"parts": 0}, {"seconds": 0}, {"seconds": -1}, {"seconds": 31}, {"patience": math.inf}, {"seconds": math.nan}],
)
def test_pace_that_makes_no_sense_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="allowed: parts ≥ 1, 0 < seconds ≤ patience"):
        Pace(**facts)


def config_map(name: str = "web", **facts: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": "1"}, "data": {"user.toml": "a = 1", "b": "c"}} | facts


def test_generation_is_sixteen_hexadecimal_digits_and_does_not_change_between_releases() -> None:
    """Another value for the same content would send a wave over every ring when the controller is upgraded."""
    assert generation([config_map()]) == "0c6f559d058443a2"
    assert re.fullmatch(r"[0-9a-f]{16}", generation([]))


def test_generation_knows_content_and_nothing_else() -> None:
    same = config_map() | {
        "kind": "ConfigMap",
        "metadata": {"name": "web", "resourceVersion": "2", "labels": {"a": "b"}},
    }
    same["data"] = dict(reversed(same["data"].items()))
    assert generation([same | {"binaryData": None}]) == generation([config_map()])
    assert generation([config_map("a"), config_map("b")]) == generation([config_map("b"), config_map("a")])
    different = [
        [],
        [config_map("other")],
        [config_map(data={"user.toml": "a = 2", "b": "c"})],
        [config_map(data={"user.toml": "a = 1"})],
        [config_map(data=None)],
        [config_map(data={}, binaryData={"user.toml": "YSA9IDE="})],
        [config_map(), config_map("other")],
    ]
    values = [generation([config_map()]), *map(generation, different)]
    assert len(set(values)) == len(values)


def test_generation_of_a_secret_cannot_be_computed_without_its_uid() -> None:
    def a_secret(uid: str) -> dict[str, Any]:
        return {"metadata": {"name": "web", "uid": uid, "resourceVersion": uid}, "data": {"user.toml": "cA=="}}

    values = {generation([], [a_secret("1")]), generation([], [a_secret("2")]), generation([a_secret("1")])}
    assert len(values) == 3
    relabelled = copy.deepcopy(a_secret("1"))
    relabelled["metadata"] |= {"resourceVersion": "9", "labels": {"a": "b"}}
    assert generation([], [relabelled]) == generation([], [a_secret("1")])


NAMES = st.text("ab", min_size=1, max_size=2)
CONTENTS = st.dictionaries(
    NAMES, st.fixed_dictionaries({"data": st.dictionaries(NAMES, st.text(max_size=3))}), max_size=3
)


@given(CONTENTS, CONTENTS)
def test_generations_are_equal_exactly_when_contents_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    def of(contents: dict[str, Any]) -> str:
        return generation([{"metadata": {"name": name}} | content for name, content in contents.items()])

    assert (of(one) == of(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))
