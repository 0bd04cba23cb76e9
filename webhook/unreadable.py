"""Input that is not what it should be, and where."""

from __future__ import annotations


class Unreadable(Exception):  # noqa: N818 - it says what the input is
    """`file:line:column: what; advice`; the command line ends with status 2 on it.

    line and column count from 0 here and from 1 in the message; line None: the place is not known.
    """

    def __init__(
        self, source: str, what: str, *, line: int | None = None, column: int | None = None, advice: str = ""
    ) -> None:
        self.source, self.what, self.line, self.column, self.advice = source, what, line, column, advice
        place = source
        if line is not None:
            place += f":{line + 1}:{(column or 0) + 1}"
        super().__init__(f"{place}: {what}" + (f"; {advice}" if advice else ""))
