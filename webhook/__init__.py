"""habitat-webhook: plain Deployments under the Chef Habitat Supervisor."""

__version__ = "0.1.0"
