"""`habitat-webhook ring graph`: text, DOT and SVG of rings, and the command on a real API server."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.running import run
from tests.controlplane.client import Cluster
from tests.support.ring_on_server import Place
from tests.support.ring_pods import a_member, injected_pod, stored
from webhook.cli.drawing import as_dot, as_svg, as_text
from webhook.ring.diagnosis import build
from webhook.ring.pods import Member, member
from webhook.ring.report import RingStatus, Scope

SVG = "{http://www.w3.org/2000/svg}"
QUOTED = r'"(?:[^"\\]|\\.)*"'
ATTRIBUTES = rf"\[\w+={QUOTED}(?:, \w+={QUOTED})*\]"


def rings(*members: Member, scope: Scope | None = None) -> Sequence[RingStatus]:
    return build(members, [], {}, scope or Scope("shop")).rings


def islands() -> Sequence[RingStatus]:
    """Two rings; in the second there are two groups, one without any list, and an address that nobody has."""
    return rings(
        a_member("cache-0", "10.0.1.1", ring="cache"),
        a_member("web-1", "10.0.0.1", peers=["10.0.0.2", "10.0.0.9"]),
        a_member("web-2", "10.0.0.2", peers=["10.0.0.1"]),
        a_member("web-3", "10.0.0.3", peers=["10.0.0.2"]),
        a_member("other-10", "10.0.0.10", peers=["10.0.0.11"]),
        a_member("other-11", "10.0.0.11"),
        a_member("alone", "10.0.0.12"),
        a_member("starting", running=False),
        a_member("going", "10.0.0.13", peers=["10.0.0.1"], going=True),
    )


def ring_of(size: int) -> Sequence[RingStatus]:
    """Each pod names the next three."""
    addresses = [f"10.1.{n // 250}.{n % 250 + 1}" for n in range(size)]
    return rings(
        *(
            a_member(
                f"web-6d8f7c9b5-{n:05}",
                addresses[n],
                peers=[addresses[(n + step) % size] for step in range(1, min(4, size))],
            )
            for n in range(size)
        )
    )


# text -----------------------------------------------------------------------------------------------------------------


def test_text_has_each_ring_s_groups_and_whom_each_pod_names() -> None:
    assert (
        as_text(islands())
        == """\
ring cache in namespace shop: 1 live pod, 1 group
group 1: 1 pod
  cache-0  10.0.1.1  -> nobody

ring default in namespace shop: 6 live pods, 3 groups
group 1: 3 pods
  web-1     10.0.0.1   -> web-2, 10.0.0.9 (nobody's)
  web-2     10.0.0.2   -> web-1
  web-3     10.0.0.3   -> web-2
group 2: 2 pods
  other-10  10.0.0.10  -> other-11
  other-11  10.0.0.11  -> nobody
group 3: 1 pod
  alone     10.0.0.12  -> nobody"""
    )


def test_text_does_not_call_an_address_nobody_s_that_may_be_in_another_namespace() -> None:
    text = as_text(rings(a_member("guest", "10.0.0.1", ring="shared.infra", peers=["10.0.0.2"])))
    assert text.splitlines() == [
        "ring shared in namespace infra: 1 live pod, 1 group",
        "group 1: 1 pod",
        "  shop/guest  10.0.0.1  -> 10.0.0.2 (not seen)",
    ]


# DOT ------------------------------------------------------------------------------------------------------------------


def test_dot_has_a_cluster_for_each_ring_and_an_edge_for_each_entry() -> None:
    lines = as_dot(islands()).splitlines()
    assert lines[0] == "digraph rings {"
    assert lines[-1] == "}"
    assert [line for line in lines if "subgraph" in line] == [
        '  subgraph "cluster_0" {',
        '  subgraph "cluster_1" {',
    ]
    edges = {tuple(re.findall(QUOTED, line)) for line in lines if "->" in line}
    assert edges == {
        ('"shop/web-1"', '"shop/web-2"'),
        ('"shop/web-1"', '"default.shop/10.0.0.9"'),
        ('"shop/web-2"', '"shop/web-1"'),
        ('"shop/web-3"', '"shop/web-2"'),
        ('"shop/other-10"', '"shop/other-11"'),
    }
    assert '    "shop/web-1" [label="web-1\\n10.0.0.1", color="#2e7d32", tooltip="seeded, ready"];' in lines
    (stranger,) = [line for line in lines if line.startswith('    "default.shop/10.0.0.9" [')]
    assert stranger.endswith('tooltip="nobody\'s", style="rounded,dashed"];')


@pytest.mark.parametrize("name", ["web-1", 'a"b', "a\\", "a\\nb", "</svg>&"])
def test_dot_is_what_the_language_allows_whatever_a_pod_is_called(name: str) -> None:
    """The grammar of https://graphviz.org/doc/info/lang.html, as far as it is used."""
    pod = injected_pod("x")
    pod["metadata"]["name"] = name
    drawn = as_dot(rings(member(stored(pod, "10.0.0.1", peers=["10.0.0.9"]))))
    statement = re.compile(
        rf"digraph rings {{|  subgraph {QUOTED} {{|  }}|}}"
        rf"|  rankdir=LR;|    label={QUOTED};|  node \[shape=box, style={QUOTED}, fillcolor=white, fontname={QUOTED}\];"
        rf"|    {QUOTED} {ATTRIBUTES};|    {QUOTED} -> {QUOTED};"
    )
    assert [line for line in drawn.splitlines() if not statement.fullmatch(line)] == []
    assert drawn.count("{") == drawn.count("}")


# SVG ------------------------------------------------------------------------------------------------------------------


def texts(root: ET.Element) -> list[str]:
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def circles(root: ET.Element) -> list[tuple[float, float, str]]:
    """Those of pods and addresses, without the legend's, which have no outline."""
    found = [c for c in root.iter(f"{SVG}circle") if c.get("stroke")]
    return [(float(c.get("cx", "")), float(c.get("cy", "")), c.get("stroke", "")) for c in found]


def test_svg_has_a_dot_for_each_pod_an_arrow_for_each_entry_and_a_title_for_each_ring() -> None:
    root = ET.fromstring(as_svg(islands()))
    said = texts(root)
    assert "ring cache in namespace shop: 1 live pod, 1 group" in said
    assert "ring default in namespace shop: 6 live pods, 3 groups" in said
    assert {"web-1 10.0.0.1", "alone 10.0.0.12", "10.0.0.9", "cache-0 10.0.1.1"} <= set(said)
    assert len(circles(root)) == 6 + 1 + 1
    arrows = [path for path in root.iter(f"{SVG}path") if path.get("marker-end") == "url(#arrow)"]
    assert len(arrows) == 5
    tips = [node.text for node in root.iter(f"{SVG}title")]
    assert "shop/web-1: seeded, ready" in tips
    assert "shop/alone: not seeded, ready" in tips
    assert "default.shop/10.0.0.9: nobody's" in tips


def test_svg_colours_tell_who_is_seeded() -> None:
    root = ET.fromstring(as_svg(islands()))
    groups = {group[0].text: group[1].get("stroke") for group in root.iter(f"{SVG}g") if group[0].tag == f"{SVG}title"}
    colours = {str(tip).partition(":")[0]: colour for tip, colour in groups.items()}
    green, red, grey = "#2e7d32", "#c62828", "#9e9e9e"
    assert colours["shop/web-1"] == colours["shop/other-10"] == colours["shop/cache-0"] == green
    assert colours["shop/alone"] == red
    assert colours["default.shop/10.0.0.9"] == grey


def test_svg_escapes_what_xml_would_read() -> None:
    pod = injected_pod("x")
    pod["metadata"]["name"] = '<&">'
    root = ET.fromstring(as_svg(rings(member(stored(pod, "10.0.0.1")))))
    assert '<&"> 10.0.0.1' in texts(root)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 13, 16, 17, 500])
def test_svg_keeps_dots_apart_and_everything_inside_at_every_size(size: int) -> None:
    root = ET.fromstring(as_svg(ring_of(size)))
    _, _, width, height = map(float, root.get("viewBox", "").split())
    places = circles(root)
    assert len(places) == size
    for (x1, y1, _), (x2, y2, _) in itertools.combinations(places, 2):
        assert math.dist((x1, y1), (x2, y2)) > 14
    for node in root.iter(f"{SVG}text"):
        turned = re.fullmatch(r"translate\((\S+) (\S+)\) rotate\((\S+)\)", node.get("transform", ""))
        if turned is None:
            continue
        x, y, degrees = map(float, turned.groups())
        # A letter of a 12 px monospaced font is 7.2 px wide at the most.
        length = 14 + 6.8 * len("".join(node.itertext()))
        away = math.radians(degrees) + (math.pi if node.get("text-anchor") == "end" else 0.0)
        end_x, end_y = x + length * math.cos(away), y + length * math.sin(away)
        assert 0 < end_x < width
        assert 0 < end_y < height


@pytest.mark.parametrize("size", range(2, 17))
def test_level_labels_of_small_rings_do_not_touch(size: int) -> None:
    places = circles(ET.fromstring(as_svg(ring_of(size))))
    middle = sum(x for x, _, _ in places) / len(places)
    for side in (lambda x: x > middle - 1, lambda x: x < middle - 1):
        heights = sorted(y for x, y, _ in places if side(x))
        assert all(low - high > 14 for high, low in itertools.pairwise(heights))


# the command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(cluster: Cluster, namespace: str) -> Place:
    return Place(cluster, namespace)


def test_command_draws_the_rings_of_a_namespace_or_one_of_them(place: Place, tmp_path: Path) -> None:
    web, cache = place.pods("web-0", "web-1"), place.pods("cache-0", "cache-1", ring="cache")
    place.tell_everybody(web)
    place.tell_everybody(cache)
    where = ["--kubeconfig", str(place.cluster.kubeconfig), "-n", place.namespace]

    both = run("ring", "graph", *where)
    assert both.exit_code == 0, both.stderr
    assert both.stdout.split("\n\n")[1].splitlines() == [
        f"ring default in namespace {place.namespace}: 2 live pods, 1 group",
        "group 1: 2 pods",
        f"  web-0  {web['web-0']:{max(map(len, web.values()))}}  -> web-1",
        f"  web-1  {web['web-1']:{max(map(len, web.values()))}}  -> web-0",
    ]
    for name in ("cache", f"cache.{place.namespace}"):
        one = run("ring", "graph", *where, name)
        assert one.stdout == both.stdout.partition("\n\n")[0] + "\n"
    everywhere = run("ring", "graph", "-A", "--kubeconfig", str(place.cluster.kubeconfig), f"cache.{place.namespace}")
    assert f"ring cache in namespace {place.namespace}: 2 live pods" in everywhere.stdout

    dot = run("ring", "graph", *where, "-o", "dot").stdout
    assert f'"{place.namespace}/web-0" -> "{place.namespace}/web-1";' in dot
    drawing = tmp_path / "rings.svg"
    drawing.write_text(run("ring", "graph", *where, "-o", "svg").stdout)
    assert len(circles(ET.parse(drawing).getroot())) == 4

    unknown = run("ring", "graph", *where, "other")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert (
        f"no ring other in namespace {place.namespace}; there are: cache.{place.namespace}, default." in unknown.stderr
    )


def test_command_without_any_ring_says_where_to_look(place: Place) -> None:
    result = run("ring", "graph", "--kubeconfig", str(place.cluster.kubeconfig), "-n", place.namespace)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no ring in namespace {place.namespace}; -n NAME looks into another namespace" in result.stderr
