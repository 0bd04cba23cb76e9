"""`python -m tests.image`, for `make image-check`: carry out the Dockerfile's steps, and say what the image holds."""

from __future__ import annotations

import sys

from tests.image import base, dockerfile, jail, sizes
from tests.image.build import DOCKERFILE, PROJECT, StepError, build, store


def main() -> int:
    if reason := jail.obstacle():
        print(f"make image-check cannot run here: {reason}.", file=sys.stderr)
        return 1
    try:
        machine = base.this_machine(store())
        image = build(dockerfile.read(DOCKERFILE), {"${BUILD}": machine, "${BASE}": machine})
    except StepError as error:
        print(f"error: Dockerfile: {error}", file=sys.stderr)
        return 1
    done = image.jail().run(*image.entrypoint, "version", unprivileged=True)
    print(sizes.text(sizes.rows(sizes.site_packages(image.layers[-1]), PROJECT / "requirements.lock")))
    print(f"Their files, beside the base image's own, are below {image.layers[-1]}.")
    print(f"{' '.join(image.entrypoint)} version: {done.stdout.strip() or done.stderr.strip()}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
