"""A real Kubernetes control plane for tests, `make run` and benchmarks."""
