"""The profile RuntimeDefault of seccomp (`securityContext.seccompProfile`) as a classic BPF program; pure.

What it refuses is what the default profile of Docker and containerd does not allow (moby profiles/seccomp/default.json):
calls that only some capability makes sense of, those of the whole machine, and those the kernel has had its troubles with.
"""

from __future__ import annotations

import base64
import errno
import functools
import os
import struct
from collections.abc import Callable
from typing import Any

Tree = dict[str, Any]
# Call -> (x86_64, aarch64; -1: not there), and the capabilities of which one is enough; without any it is refused to all.
_TABLE = """
acct 163 89 SYS_PACCT
add_key 248 217
bpf 321 280 SYS_ADMIN BPF
chroot 161 51 SYS_CHROOT
clock_settime 227 112 SYS_TIME
delete_module 176 106 SYS_MODULE
fanotify_init 300 262 SYS_ADMIN
finit_module 313 273 SYS_MODULE
fsconfig 431 431 SYS_ADMIN
fsmount 432 432 SYS_ADMIN
fsopen 430 430 SYS_ADMIN
fspick 433 433 SYS_ADMIN
get_mempolicy 239 236 SYS_NICE
init_module 175 105 SYS_MODULE
io_uring_enter 426 426
io_uring_register 427 427
io_uring_setup 425 425
ioperm 173 -1 SYS_RAWIO
iopl 172 -1 SYS_RAWIO
kcmp 312 272 SYS_PTRACE
kexec_file_load 320 294
kexec_load 246 104
keyctl 250 219
listmount 458 458 SYS_ADMIN
lookup_dcookie 212 18 SYS_ADMIN
mbind 237 235 SYS_NICE
migrate_pages 256 238
mount 165 40 SYS_ADMIN
mount_setattr 442 442 SYS_ADMIN
move_mount 429 429 SYS_ADMIN
move_pages 279 239
nfsservctl 180 42
open_by_handle_at 304 265 DAC_READ_SEARCH
open_tree 428 428 SYS_ADMIN
perf_event_open 298 241 SYS_ADMIN PERFMON
pidfd_getfd 438 438 SYS_PTRACE
pivot_root 155 41
process_madvise 440 440 SYS_PTRACE
process_vm_readv 310 270 SYS_PTRACE
process_vm_writev 311 271 SYS_PTRACE
quotactl 179 60 SYS_ADMIN
quotactl_fd 443 443 SYS_ADMIN
reboot 169 142 SYS_BOOT
request_key 249 218
set_mempolicy 238 237 SYS_NICE
set_mempolicy_home_node 450 450 SYS_NICE
setdomainname 171 162 SYS_ADMIN
sethostname 170 161 SYS_ADMIN
setns 308 268 SYS_ADMIN
settimeofday 164 170 SYS_TIME
statmount 457 457 SYS_ADMIN
swapoff 168 225
swapon 167 224
sysfs 139 -1
syslog 103 116 SYS_ADMIN SYSLOG
umount2 166 39 SYS_ADMIN
unshare 272 97 SYS_ADMIN
uselib 134 -1
userfaultfd 323 282
ustat 136 -1
vhangup 153 58 SYS_TTY_CONFIG
_sysctl 156 -1
"""
# clone, clone3, personality, socket: looked at more closely.
_CLOSER = {"x86_64": (56, 435, 135, 41), "aarch64": (220, 435, 92, 198)}
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# mseal. What came later is not known here, and a program is to find that it is not there; nor are calls of the x32 form.
NEWEST = 462
NAMESPACES = 0x7E020000  # CLONE_NEW*
PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)
AF_VSOCK = 40

_LOAD, _EQUAL, _ABOVE, _ANY, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENT = 0, 4, 16  # struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
Instruction = tuple[int, int, int, int]


def refused(capabilities: frozenset[str], machine: str) -> list[int]:
    """Numbers of calls that are refused to who has these capabilities."""
    column = 1 if machine == "x86_64" else 2
    rows = (line.split() for line in _TABLE.strip().splitlines())
    return sorted({int(r[column]) for r in rows if int(r[column]) >= 0 and not capabilities & set(r[3:])})


@functools.lru_cache(64)
def program(capabilities: frozenset[str], machine: str) -> bytes:
    """The filter as an array of struct sock_filter; empty where the machine is not known."""
    if machine not in _ARCHITECTURES:
        return b""
    clone, clone3, personality, socket = _CLOSER[machine]

    def no(error: int) -> Instruction:
        return (_RETURN, 0, 0, _ERRNO | error)

    def load(at: int) -> Instruction:
        return (_LOAD, 0, 0, at)

    yes: Instruction = (_RETURN, 0, 0, _ALLOW)
    found: list[Instruction] = [load(_ARCHITECTURE), (_EQUAL, 1, 0, _ARCHITECTURES[machine]), no(errno.EPERM), load(_NUMBER)]
    found += [(_ABOVE, 0, 1, NEWEST), no(errno.ENOSYS)]
    for number in refused(capabilities, machine):
        found += [(_EQUAL, 0, 1, number), no(errno.EPERM)]
    if "SYS_ADMIN" not in capabilities:
        # Flags of clone3 lie in memory, where no filter looks: without it, libraries use clone.
        found += [(_EQUAL, 0, 1, clone3), no(errno.ENOSYS)]
        found += [(_EQUAL, 0, 4, clone), load(_ARGUMENT), (_ANY, 0, 1, NAMESPACES), no(errno.EPERM), yes]
    known = [(_EQUAL, len(PERSONALITIES) - at, 0, value) for at, value in enumerate(PERSONALITIES)]
    found += [(_EQUAL, 0, len(known) + 3, personality), load(_ARGUMENT), *known, no(errno.EPERM), yes]
    found += [(_EQUAL, 0, 3, socket), load(_ARGUMENT), (_EQUAL, 0, 1, AF_VSOCK), no(errno.EPERM), yes]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in found)


def _profile(pod: Tree, container: Tree) -> Tree:
    own = (container.get("securityContext") or {}).get("seccompProfile")
    return own or (pod["spec"].get("securityContext") or {}).get("seccompProfile") or {}


def of(pod: Tree, container: Tree, capabilities: frozenset[str], fail: Callable[[str], Exception]) -> str:
    """A container's filter in base64, empty where it has none. There are no profiles of a node's own."""
    profile = _profile(pod, container)
    if profile.get("type") == "Localhost":
        path = f"/var/lib/kubelet/seccomp/{profile.get('localhostProfile', '')}"
        problem = f'cannot load seccomp profile "{path}": open {path}: no such file or directory'
        raise fail(f"failed to create seccomp profile: {problem}")
    if profile.get("type") != "RuntimeDefault" or (container.get("securityContext") or {}).get("privileged"):
        return ""
    return base64.b64encode(program(capabilities, os.uname().machine)).decode()
