"""Pods that slipped through: they ask for an injection, run, and have none. Counted and told of, never changed."""
