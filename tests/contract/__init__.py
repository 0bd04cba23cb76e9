"""Contracts: what is injected, held against a model of the Supervisor that was written from its source."""
