"""Injected pods on a real kubelet: `make test-node`."""
