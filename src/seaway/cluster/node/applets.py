"""busybox's applets as folders of links, for images whose programs are busybox's: some lie over the machine's programs,
since people rely on busybox's form of them, the others under, where the machine has none of the name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

# `nc -lk -e`, `httpd -f -h`, `wget --spider`: other programs of these names take other options.
OVER = frozenset("nc wget httpd nslookup telnet traceroute traceroute6 ping ping6 vi ftpget ftpput tftp udhcpd".split())

# Debian 12's busybox ends with a segmentation fault on `wget -T`: there the time is kept from outside.
WGET = """#!/bin/sh
limit=; left=$#
while [ "$left" -gt 0 ]; do
  word=$1; shift; left=$((left - 1))
  case "$word" in
    -T|--timeout) limit=$1; shift; left=$((left - 1)) ;;
    --timeout=*) limit=${word#*=} ;;
    -T*) limit=${word#-T} ;;
    *) set -- "$@" "$word" ;;
  esac
done
[ -n "$limit" ] || exec busybox wget "$@"
busybox timeout "$limit" busybox wget "$@"
code=$?
if [ "$code" = 143 ]; then echo "wget: download timed out" >&2; exit 1; fi
exit "$code"
"""


def _wget(program: str, path: str) -> None:
    try:
        words = [program, "wget", "-q", "-O", "/dev/null", "-T", "1", "http://127.0.0.1:1/"]
        tried = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=5)
    except subprocess.TimeoutExpired:
        return
    if tried.returncode == -signal.SIGSEGV:
        os.unlink(path)
        with open(path, "w") as f:
            f.write(WGET)
        os.chmod(path, 0o755)


def make(folder: str) -> tuple[list[str], list[str]]:
    """The roots that lie over and under the machine's, made once in `folder`; none where there is no busybox."""
    program = shutil.which("busybox", path="/usr/local/bin:/usr/bin:/bin")
    if program is None:
        return [], []
    over, under = os.path.join(folder, "over"), os.path.join(folder, "under")
    if not os.path.isdir(folder):
        listed = subprocess.run([program, "--list"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        fresh = f"{folder}.{os.getpid()}"
        for root in ("over", "under"):
            os.makedirs(os.path.join(fresh, root, "usr/bin"))
        for name in listed.stdout.split():
            if "/" not in name and name != "busybox":
                os.symlink(program, os.path.join(fresh, "over" if name in OVER else "under", "usr/bin", name))
        wget = os.path.join(fresh, "over", "usr/bin", "wget")
        if os.path.lexists(wget):
            _wget(program, wget)
        try:
            os.rename(fresh, folder)
        except OSError:  # another node's agent was quicker
            shutil.rmtree(fresh, ignore_errors=True)
    return [over], [under]
