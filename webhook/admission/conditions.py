"""matchConditions, evaluated by a CEL library (the extra `explain`: common-expression-language).

It knows the language and its standard functions, and not what Kubernetes adds to it (`authorizer`, optional fields
`.?`, `quantity()` …). What it does not know is said to be unknown, and never guessed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

INSTALL = "pip install 'habitat-webhook[explain]'"


class NotEvaluatedError(Exception):
    """Whether the condition holds is not known here; the text says why."""


class FailedError(Exception):
    """The API server cannot evaluate the condition for this request either, so that failurePolicy decides."""


def holds(expression: str, variables: Mapping[str, Any]) -> bool:
    """Whether a condition holds. Raises NotEvaluatedError, FailedError."""
    try:
        # By its name, so that mypy and the layers do not need what is optional.
        cel = importlib.import_module("cel")
    except ImportError:
        raise NotEvaluatedError(f"conditions need a CEL library: {INSTALL}") from None
    try:
        result = cel.evaluate(expression, dict(variables))
    except (KeyError, IndexError) as error:
        raise FailedError(f"nothing at {error}") from None
    except Exception as error:  # noqa: BLE001 - of the library's own kinds; whatever it is, the condition is not known
        raise NotEvaluatedError(f"not understood here: {_sayable(error)}") from None
    if not isinstance(result, bool):
        raise NotEvaluatedError("it gives no true or false")
    return result


def _sayable(error: Exception) -> str:
    """The library's own sentence, without the source that it quotes."""
    text = str(error).partition("\n")[0]
    return text.rpartition("ERROR: <input>:")[2].partition(". ")[0]
