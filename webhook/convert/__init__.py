"""Habitat objects of the archived operator -> plain workloads with annotations, and a report. No I/O."""

from webhook.convert.conversion import Conversion, convert
from webhook.convert.fields import FIELDS, Fate, Field, Row
from webhook.convert.surroundings import GROUP, KIND, foreign, lost_selectors, owner

__all__ = [
    "FIELDS",
    "GROUP",
    "KIND",
    "Conversion",
    "Fate",
    "Field",
    "Row",
    "convert",
    "foreign",
    "lost_selectors",
    "owner",
]
