"""The chart by Helm on a real API server: installed, upgraded, rolled back, and gone without a trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import ControlPlane
from tests.deploy.chart import CHART, NAMESPACE, RELEASE, helm
from tests.deploy.documented import run
from tests.deploy.installed import Installed


@pytest.fixture(scope="module")
def place() -> Iterator[Installed]:
    with ControlPlane(nodes=2) as cluster:
        yield Installed(cluster)


def test_helm_upgrades_rolls_back_and_uninstalls_and_the_ca_stays(place: Installed) -> None:
    """By the commands of docs/upgrade-uninstall.md.

    Installed as by Helm 3, which merges three ways; Helm 4 keeps to that until it is told to apply on the server, which
    is what it does with its own installations.
    """

    def timeouts() -> set[int]:
        return {webhook["timeoutSeconds"] for webhook in place.configuration()["webhooks"]}

    at = (f"--namespace={NAMESPACE}", "--create-namespace", "--server-side=false")
    helm("install", RELEASE, str(CHART), *at, kubeconfig=place.cluster.kubeconfig)
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
