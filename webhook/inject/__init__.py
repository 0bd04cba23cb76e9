"""The injection engine: a pod as a plain dict in, RFC 6902 operations out. No I/O, no clock, no typed client model."""

from webhook.decide import Reason, Rules, Settings, Situation
from webhook.inject.engine import Outcome, inject
from webhook.inject.patch import Operation, Pod, apply
from webhook.inject.uninject import uninject

__all__ = ["Operation", "Outcome", "Pod", "Reason", "Rules", "Settings", "Situation", "apply", "inject", "uninject"]
