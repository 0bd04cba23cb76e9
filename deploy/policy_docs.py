"""docs/policy.md with its generated part anew, and deploy/policy.schema.json; `--check` says when one is stale."""

from __future__ import annotations

import sys
from pathlib import Path

from webhook.cli.jsonstream import dump_json
from webhook.cli.policydocs import BEGIN, markdown
from webhook.policy.schema import schema

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "policy.md"
SCHEMA = ROOT / "deploy" / "policy.schema.json"


def wanted() -> dict[Path, str]:
    """Each file and what has to be in it."""
    written = PAGE.read_text().partition(BEGIN)[0]
    return {PAGE: written + markdown() + "\n", SCHEMA: dump_json(schema()) + "\n"}


def main() -> int:
    stale = [file for file, text in wanted().items() if not file.exists() or file.read_text() != text]
    if "--check" not in sys.argv[1:]:
        for file, text in wanted().items():
            file.write_text(text)
        return 0
    for file in stale:
        print(f"{file.relative_to(ROOT)} is stale: run make docs", file=sys.stderr)
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
