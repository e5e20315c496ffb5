"""agnhost's subcommands that read and write files: mounttest, test-webserver, logs-generator."""

from __future__ import annotations

import os
import stat
import sys
import time

from seaway.cluster.node.programs import flags
from seaway.cluster.node.programs.http import Answer, Request, serve

NEW_FILES = {"new_file_0644": 0o644, "new_file_0660": 0o660, "new_file_0666": 0o666, "new_file_0777": 0o777}


def test_webserver(arguments: list[str]) -> int:
    """The container's files from / over HTTP, as Go's FileServer gives them."""
    args = flags.parse("agnhost test-webserver", arguments, {"port": 80})

    def handle(request: Request) -> Answer:
        import html
        from urllib.parse import unquote

        path = os.path.normpath("/" + unquote(request.path).lstrip("/"))
        try:
            if os.path.isdir(path):
                names = sorted(n + ("/" if os.path.isdir(os.path.join(path, n)) else "") for n in os.listdir(path))
                rows = "".join(f'<a href="{html.escape(n)}">{html.escape(n)}</a>\n' for n in names)
                return Answer(200, f"<pre>\n{rows}</pre>\n".encode(), "text/html; charset=utf-8")
            with open(path, "rb") as f:
                return Answer(200, f.read(16 << 20), "text/plain; charset=utf-8")
        except PermissionError:
            return Answer(403, b"403 Forbidden\n")
        except OSError:
            return Answer(404, b"404 page not found\n")

    return serve(handle, args["port"])


def logs_generator(arguments: list[str]) -> int:
    """Lines like those of a busy component, spread over a time."""
    defaults = {"log-lines-total": 0, "run-duration": "0s", "t": 0, "d": "0s"}
    args = flags.parse("agnhost logs-generator", arguments, defaults)
    total = args["log-lines-total"] or args["t"] or int(os.environ.get("LOGS_GENERATOR_LINES_TOTAL") or 0)
    spread = args["run-duration"] if args["run-duration"] != "0s" else args["d"]
    seconds = flags.duration(spread if spread != "0s" else os.environ.get("LOGS_GENERATOR_DURATION", "0s"))
    if total <= 0 or seconds <= 0:
        print("log-lines-total and run-duration must be greater than zero", file=sys.stderr)
        return 1
    verbs = ("GET", "PUT", "POST")
    for number in range(total):
        path = f"/api/v1/namespaces/{('kube-system', 'default', 'ns')[number % 3]}/pods/{number * 7919 % 100000:05x}"
        now = time.strftime("%m%d %H:%M:%S")
        print(
            f"I{now}.000000       1 logs_generator.go:76] {number} {verbs[number % 3]} {path} {200 + number % 400}",
            flush=True,
        )
        time.sleep(seconds / total)
    return 0


def mounttest(arguments: list[str]) -> int:
    """Says of mounted files what the flags ask, after making those that they name."""
    asked = ("fs_type", "file_mode", "file_perm", "file_owner", "file_content", "file_content_in_loop")
    defaults = {**dict.fromkeys((*asked, *NEW_FILES), ""), "retry_time": 180, "break_on_expected_content": True}
    args = flags.parse("agnhost mounttest", arguments, defaults)
    try:
        for flag, mode in NEW_FILES.items():
            if args[flag]:
                with open(args[flag], "w") as f:
                    f.write("mount-tester new file\n")
                os.chmod(args[flag], mode)
        for flag in asked[:-1]:
            if args[flag]:
                print(_said(flag, args[flag]), flush=True)
        if args["file_content_in_loop"]:
            end = time.monotonic() + args["retry_time"]
            while time.monotonic() < end:
                print(_said("file_content", args["file_content_in_loop"]), flush=True)
                time.sleep(1)
    except OSError as e:
        print(f"error: {e}", flush=True)
        return 1
    return 0


def _said(flag: str, path: str) -> str:
    if flag == "fs_type":
        with open("/proc/self/mountinfo") as f:
            mounts = [line.split() for line in f]
        inside = [m for m in mounts if os.path.realpath(path).startswith(m[4])]
        kind = max(inside, key=lambda m: len(m[4]))
        return f'mount type of "{path}": {kind[kind.index("-") + 1]}'
    if flag == "file_content":
        with open(path) as f:
            return f'content of file "{path}": {f.read()}'
    found = os.lstat(path)
    if flag == "file_mode":
        return f'mode of file "{path}": {_go_mode(found.st_mode)}'
    if flag == "file_perm":
        return f'perms of file "{path}": {_go_mode(stat.S_IFREG | stat.S_IMODE(os.stat(path).st_mode) & 0o777)}'
    return f'owner UID of "{path}": {found.st_uid}\nowner GID of "{path}": {found.st_gid}'


def _go_mode(mode: int) -> str:
    """fs.FileMode.String: `drwxr-xr-x`, `dtrwxrwxrwx`, `-rw-r--r--`, `Lrwxrwxrwx`."""
    letters = ""
    for test, letter in (
        (stat.S_ISDIR(mode), "d"),
        (stat.S_ISLNK(mode), "L"),
        (mode & stat.S_ISUID, "u"),
        (mode & stat.S_ISGID, "g"),
        (mode & stat.S_ISVTX, "t"),
    ):
        letters += letter if test else ""
    return (letters or "-") + stat.filemode(stat.S_IFREG | mode & 0o777)[1:]
