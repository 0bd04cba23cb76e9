"""The stand-in image: busybox, and two scripts that act as an exported image, its Supervisor and its gateway do."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
SCRIPTS = sorted((Path(__file__).parent / "image").glob("*.sh"))

# As `hab pkg export` makes them (supervisor.md §3): the group of root may write below /hab; the service's user is 42.
FOLDERS = {f"hab/{name}": 0o775 for name in ("sup", "svc", "launcher", "cache")}
FOLDERS |= {"hab": 0o775, ".hab/cache/keys": 0o770, "tmp": 0o1777}
FILES = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nhab:x:42:42:hab:/:/bin/false\n",
    "etc/group": "root:x:0:\nhab:x:42:hab\n",
}


def obstacle() -> str | None:
    """Why the image cannot be made here, None when it can."""
    if BUSYBOX.is_file() and b"/ld-" not in BUSYBOX.read_bytes():
        return None
    return f"the stand-in image is made of a static {BUSYBOX}: apt-get install busybox-static"


def name() -> str:
    """Another content, another tag: a cluster never runs an older image unnoticed."""
    content = b"".join(path.read_bytes() for path in (BUSYBOX, *SCRIPTS, Path(__file__)))
    return f"localhost/habitat-stand-in:{hashlib.sha256(content).hexdigest()[:12]}"


def build(archive: Path, mkimage: Path) -> None:
    """Write the image as an archive that docker, kind, minikube and ctr load."""
    with tempfile.TemporaryDirectory(prefix="habitat-node-") as folder:
        root = Path(folder)
        for path in ("bin", "etc", *FOLDERS):
            (root / path).mkdir(parents=True, exist_ok=True)
            (root / path).chmod(FOLDERS.get(path, 0o755))
        for path, text in FILES.items():
            (root / path).write_text(text)
        for program, copy in ((BUSYBOX, root / "bin/busybox"), *((script, root / script.name) for script in SCRIPTS)):
            shutil.copyfile(program, copy)
            copy.chmod(0o755)
        applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        for applet in set(applets) - {"busybox"}:
            (root / "bin" / applet).symlink_to("busybox")
        # The archive keeps the owners of the files, which have to be root's.
        command = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        command += [sys.executable, str(mkimage), folder, name(), "--out", str(archive), "--env", "PATH=/bin"]
        command += ["--entrypoint", "/init.sh", "--cmd", "run", "acme/web"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
