"""A model of how an exported Habitat image starts in a pod, written from supervisor.md and not from the product.

`start` parses one container's words and variables; `judge` says whether its service comes up. §0 of supervisor.md,
which was observed on real binaries, holds wherever it differs from a later section;
tests/contract/test_supervisor_model.py holds the model to every row of it.
"""

from tests.support.supervisor.configuration import env_name, file_at, read_env_config, ring_key_name, user_toml_path
from tests.support.supervisor.expansion import environment, expand
from tests.support.supervisor.filesystem import FIVE, key_cache, mount_is_writable, place_of, writable
from tests.support.supervisor.gateway import Request, answer, probe_passes
from tests.support.supervisor.judge import container_named, judge, watched_peers
from tests.support.supervisor.peers import Peers, read_peers
from tests.support.supervisor.start import start
from tests.support.supervisor.verdict import Exit, Foreign, NeverReady, Ready, Running
from tests.support.supervisor.world import RING_KEY, Image, World

__all__ = [
    "FIVE",
    "RING_KEY",
    "Exit",
    "Foreign",
    "Image",
    "NeverReady",
    "Peers",
    "Ready",
    "Request",
    "Running",
    "World",
    "answer",
    "container_named",
    "env_name",
    "environment",
    "expand",
    "file_at",
    "judge",
    "key_cache",
    "mount_is_writable",
    "place_of",
    "probe_passes",
    "read_env_config",
    "read_peers",
    "ring_key_name",
    "start",
    "user_toml_path",
    "watched_peers",
    "writable",
]
