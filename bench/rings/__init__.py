"""(e) Rings at scale: the controller on a real API server, beside one ConfigMap per ring (`make bench-rings`)."""
