"""The chart by Helm on a real API server: installed, upgraded, rolled back, and gone without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.deploy.chart import CHART, NAMESPACE, RELEASE, helm
from tests.deploy.documented import run
from tests.deploy.installed import Installed
from tests.support.controller import QUICK, controller
from tests.support.controller_rights import ACCOUNT

HEALING_SECONDS = 10
AT = (f"--namespace={NAMESPACE}", "--create-namespace", "--server-side=false")
"""As by Helm 3, which merges three ways; Helm 4 keeps to that until it is told to apply on the server, which is what it
does with its own installations."""


@pytest.fixture(scope="module")
def place() -> Iterator[Installed]:
    with ControlPlane(nodes=2) as cluster:
        yield Installed(cluster)


def test_helm_upgrades_rolls_back_and_uninstalls_and_the_ca_stays(place: Installed) -> None:
    """By the commands of docs/upgrade-uninstall.md."""

    def timeouts() -> set[int]:
        return {webhook["timeoutSeconds"] for webhook in place.configuration()["webhooks"]}

    helm("install", RELEASE, str(CHART), *AT, kubeconfig=place.cluster.kubeconfig)
    try:
        place.available()
        place.publish()
        for seconds, more in ((3, ()), (4, ("--server-side=true",))):
            change = f"--set=admission.timeoutSeconds={seconds}"
            run(place.cluster, "upgrade-uninstall.md", "Upgrade by Helm", change, *more)
            assert timeouts() == {seconds}
            assert place.published(), f"the upgrade has taken the CA away: {more}"
        run(place.cluster, "upgrade-uninstall.md", "Go back")
        assert timeouts() == {3}
        assert place.published(), "the rollback has taken the CA away"
    finally:
        run(place.cluster, "upgrade-uninstall.md", "Uninstall by Helm")
        place.gone()


def test_upgrades_of_what_runs_leave_the_ca_or_have_it_back_within_seconds(place: Installed, tmp_path: Path) -> None:
    """With the controller at work. A replaced configuration comes without caBundle, a merged one keeps what it had."""
    helm("install", RELEASE, str(CHART), *AT, kubeconfig=place.cluster.kubeconfig)
    try:
        place.available()
        kubeconfig = place.cluster.kubeconfig_for(NAMESPACE, ACCOUNT)
        with controller(tmp_path, kubeconfig, *QUICK, "--certificates=managed") as process:

            def written() -> str | None:
                found = {w["clientConfig"].get("caBundle") for w in place.configuration()["webhooks"]}
                return found.pop() if len(found) == 1 else None

            running = Installed(place.cluster)
            running.bundle = place.cluster.wait("the CA to be written", written)
            repairs = partial(process.metric, "ca_bundle_repairs_total", result="ok")
            place.cluster.wait("a look", lambda: repairs() > 0 and process.metric("ca_bundles_wrong") == 0)
            before = repairs()
            for seconds, more, replaced in ((3, (), False), (4, ("--force-replace",), True)):
                change = f"--set=admission.timeoutSeconds={seconds}"
                run(place.cluster, "upgrade-uninstall.md", "Upgrade by Helm", change, *more)
                place.cluster.wait("the CA", running.published, seconds=HEALING_SECONDS)
                assert {webhook["timeoutSeconds"] for webhook in running.configuration()["webhooks"]} == {seconds}
                if replaced:
                    place.cluster.wait("the repair to be counted", lambda: repairs() > before)
                assert (repairs() > before) == replaced
    finally:
        run(place.cluster, "upgrade-uninstall.md", "Uninstall by Helm")
        place.gone()
