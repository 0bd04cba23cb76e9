"""Which tests pytest-xdist gives to one worker: those that share something that takes long to make.

Not by the mark xdist_group: `--dist loadgroup` writes it into the tests' ids, which pytest 9.2 no longer allows, and
then spreads them without a word (pytest-xdist issue 1386, open at version 3.8.0).
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

TOGETHER = (
    "tests/ring/live/",  # one installation; first, since the units with most tests begin
    "tests/certificates/live/",  # one installation
    "tests/demo/test_run.py",  # one run of `make run`
    "tests/docs/",  # a control plane, as the next five
    "tests/server/test_namespaces_live.py",
    "tests/server/test_reasons_live.py",
    "tests/server/test_audit_annotations.py",
    "tests/advise/",  # one registration
    "tests/demo/test_install.py",
    "tests/deploy/test_installation.py",
    "tests/kube/test_outage.py",
    "tests/controlplane/test_lifetime.py",
)


class Together(LoadScopeScheduling):
    """The tests below one of these paths are a unit, each of the others is one by itself."""

    def _split_scope(self, nodeid: str) -> str:
        return next((path for path in TOGETHER if nodeid.startswith(path)), nodeid)
