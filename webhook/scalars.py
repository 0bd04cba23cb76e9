"""What an unquoted YAML scalar means to Kubernetes, and how to write a value so that it means the same again.

kubectl and the API server read YAML through sigs.k8s.io/yaml, which resolves plain scalars as go.yaml.in/yaml/v2 does
(`resolve.go`): the booleans of YAML 1.1 (`yes`, `on`, `y`), octal `012`, `0x1F`, `1_000`, but no base 60 and no dates
(a date stays a string). PyYAML resolves differently, so its resolver is not used anywhere in the command line.
`tests/cli/data/scalars.json` holds what the Go library answers, and a test compares.
"""

import math
import re
import struct
from typing import TypeAlias

Scalar: TypeAlias = "str | int | float | bool | None"

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_FRACTION = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?", re.ASCII)
_INTEGERS = (
    (re.compile(r"[-+]?0[xX][0-9a-fA-F]+", re.ASCII), 16),
    (re.compile(r"[-+]?0[oO][0-7]+", re.ASCII), 8),
    (re.compile(r"[-+]?0[bB][01]+|0b[-+][01]+", re.ASCII), 2),
    (re.compile(r"[-+]?0[0-7]+", re.ASCII), 8),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]*)", re.ASCII), 10),
)
_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
_MOST_DIGITS = len(str(_UINT64_MAX)) + len("-")
"""A longer decimal is no integer, and Python refuses to read one of more than 4,300 digits."""

_PLAIN = re.compile(r"(?:[A-Za-z0-9_/.$(+]|-[A-Za-z0-9_/.$(-])[\x20-\x7e]*", re.ASCII)
_NUMBER_LIKE = re.compile(r"[-+.0-9][-+0-9a-fA-FxXoO_.:TtZz ]*", re.ASCII)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def resolve_plain(text: str) -> Scalar:
    """The value of an unquoted scalar, as go-yaml v2 sees it; a date stays the string that it is."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return _float(text) if _FRACTION.fullmatch(text) else text
    if first in "+-0123456789":
        digits = text.replace("_", "")
        integer = _integer(digits)
        if integer is not None:
            return integer
        if _FLOAT.fullmatch(digits):
            number = _float(digits)
            return text if isinstance(number, str) else number
    return text


def _integer(digits: str) -> int | None:
    for pattern, base in _INTEGERS:
        if pattern.fullmatch(digits):
            if base == 10 and len(digits) > _MOST_DIGITS:
                return None
            number = int(_without_prefix(digits), base) if base != 10 else int(digits)
            # ParseUint, which reads what is too large for an int64, knows no sign
            largest = 2**63 - 1 if digits[0] in "+-" else _UINT64_MAX
            return number if _INT64_MIN <= number <= largest else None
    return None


def _without_prefix(digits: str) -> str:
    return re.sub(r"^([-+]?)0[xXoObB]?", r"\1", digits) if len(digits.lstrip("+-")) > 1 else digits


def _float(text: str) -> float | str:
    number = float(text)
    return text if math.isinf(number) else number  # strconv.ParseFloat fails out of range: the text stays


def key_text(key: Scalar) -> str:
    """The JSON key that sigs.k8s.io/yaml makes of a resolved mapping key (`yes:` becomes "true", `012:` becomes "10").

    Raises ValueError for null, which it refuses.
    """
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        if key > 2**63 - 1:
            raise ValueError("is a number too large for a key")
        return str(key)
    if key is None:
        raise ValueError("is null, and a key must be a text")
    return _float32_text(key)


def _float32_text(number: float) -> str:
    """Go's strconv.FormatFloat(number, 'g', -1, 32): the shortest digits that make the same 32-bit float again."""
    if math.isnan(number):
        return ".nan"
    try:
        single = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return ".inf" if number > 0 else "-.inf"
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    mantissa, exponent = "0", 0
    for precision in range(9):
        mantissa, _, power = f"{single:.{precision}e}".partition("e")
        exponent = int(power)
        if struct.unpack("f", struct.pack("f", float(f"{mantissa}e{exponent}")))[0] == single:
            break
    digits = mantissa.replace(".", "").replace("-", "")
    if exponent < -4 or exponent >= 6:
        return f"{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return format(single, f".{max(len(digits) - 1 - exponent, 0)}f")


def render_scalar(value: Scalar) -> str:
    """One line of YAML that means `value` to YAML 1.1 and 1.2 parsers alike; where one may differ, a quoted string."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _is_safe_plain(value) else _quoted(value)
    return repr(value)


def _is_safe_plain(text: str) -> bool:
    return (
        _PLAIN.fullmatch(text) is not None
        and text not in _WORDS
        and not _NUMBER_LIKE.fullmatch(text)
        and isinstance(resolve_plain(text), str)
        and ": " not in text
        and " #" not in text
        and not text.endswith((":", " "))
        and not text.startswith(("---", "..."))
    )


def _quoted(text: str) -> str:
    """Double quotes, which can hold everything; single ones for JSON and the like, which would be all backslashes."""
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02X}"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def literal_lines(text: str) -> tuple[str, list[str]] | None:
    """The header (`|` or `|-`) and lines of a literal block, or None when quoting is the safer form.

    Blocks are left to texts in which no parser can take a space, tab or line break for anything else.
    """
    body = text.removesuffix("\n")
    lines = body.split("\n")
    if len(lines) < 2 and body == text:
        return None
    if not lines[0] or not lines[-1] or lines[0][0] == " ":
        return None
    for line in lines:
        if line[:1] == "\t" or line[-1:] in {" ", "\t"} or not line.replace("\t", "").isprintable():
            return None
    return ("|" if body != text else "|-"), lines
