"""bpf(2): maps, programs and what is attached to a cgroup. Raw, by ctypes: a library would be larger than this."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator, Mapping

from seaway.proxy.ebpf.elf import MapSize
from seaway.proxy.kernel import KernelError

SYSCALL = {"x86_64": 321, "aarch64": 280}
MAP_CREATE, LOOKUP, UPDATE, DELETE, NEXT_KEY, PROG_LOAD = 0, 1, 2, 3, 4, 5
ATTACH, DETACH, PROG_BY_ID, MAP_BY_ID, INFO, QUERY = 8, 9, 13, 14, 15, 16
LOOKUP_BATCH, UPDATE_BATCH = 24, 26
CHUNK = 4096  # entries of a map that are read at once
PACKETS, SOCK_ADDR, ALLOW_MULTI = 8, 18, 2  # BPF_PROG_TYPE_CGROUP_SKB and _SOCK_ADDR, BPF_F_ALLOW_MULTI
EGRESS = "cgroup_skb/egress"  # of each family
ATTACH_TYPES = {
    "cgroup/connect4": 10,
    "cgroup/connect6": 11,
    "cgroup/sendmsg4": 14,
    "cgroup/sendmsg6": 15,
    "cgroup/recvmsg4": 19,
    "cgroup/recvmsg6": 20,
    "cgroup/getpeername4": 29,
    "cgroup/getpeername6": 30,
    EGRESS + "4": 1,
    EGRESS + "6": 1,
}
LOG = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes | bytearray, what: str) -> int:
    """The system call; `attributes` is written to where the kernel answers in it."""
    number = SYSCALL.get(os.uname().machine)
    if number is None:
        raise KernelError(f"eBPF mode knows no {os.uname().machine}")
    buffer = (ctypes.c_char * len(attributes)).from_buffer(
        attributes if isinstance(attributes, bytearray) else bytearray(attributes)
    )
    found = int(_libc.syscall(number, command, buffer, len(attributes)))
    if found < 0:
        code = ctypes.get_errno()
        hint = ": it needs CAP_BPF and CAP_NET_ADMIN in the first user namespace" if code == errno.EPERM else ""
        error = KernelError(f"{what}: {os.strerror(code)}{hint}")
        error.__cause__ = OSError(code, os.strerror(code))
        raise error
    return found


def _pointer(data: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(data)


def _is(error: KernelError, code: int) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == code


class Map:
    """A map by its file descriptor; keys and values are bytes."""

    def __init__(self, fd: int, key: int, value: int) -> None:
        self.fd, self._key, self._value = fd, key, value

    def _attributes(self, key: object, value: object = None) -> bytes:
        return struct.pack("=IxxxxQQQ", self.fd, key, value or 0, 0)

    def get(self, key: bytes) -> bytes | None:
        wanted, found = ctypes.create_string_buffer(key, self._key), ctypes.create_string_buffer(self._value)
        try:
            _bpf(LOOKUP, self._attributes(_pointer(wanted), _pointer(found)), "reading a map")
        except KernelError as e:
            if _is(e, errno.ENOENT):
                return None
            raise
        return found.raw

    def put(self, key: bytes, value: bytes) -> None:
        wanted, given = ctypes.create_string_buffer(key, self._key), ctypes.create_string_buffer(value, self._value)
        _bpf(UPDATE, self._attributes(_pointer(wanted), _pointer(given)), "writing to a map")

    def put_all(self, pairs: Mapping[bytes, bytes]) -> None:
        """Many at once."""
        if not pairs:
            return
        keys = ctypes.create_string_buffer(b"".join(pairs), self._key * len(pairs))
        values = ctypes.create_string_buffer(b"".join(pairs.values()), self._value * len(pairs))
        attributes = struct.pack("=QQQQIIQQ", 0, 0, _pointer(keys), _pointer(values), len(pairs), self.fd, 0, 0)
        _bpf(UPDATE_BATCH, attributes, "writing to a map")

    def remove(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            wanted = ctypes.create_string_buffer(key, self._key)
            try:
                _bpf(DELETE, self._attributes(_pointer(wanted)), "deleting from a map")
            except KernelError as e:
                if not _is(e, errno.ENOENT):
                    raise

    def all(self) -> dict[bytes, bytes]:
        """Every entry of a hash."""
        found: dict[bytes, bytes] = {}
        room, place, more = CHUNK, ctypes.create_string_buffer(8), False
        while True:
            keys, values = (
                ctypes.create_string_buffer(self._key * room),
                ctypes.create_string_buffer(self._value * room),
            )
            following = ctypes.create_string_buffer(8)
            attributes = bytearray(
                struct.pack(
                    "=QQQQIIQQ",
                    _pointer(place) if more else 0,
                    _pointer(following),
                    _pointer(keys),
                    _pointer(values),
                    room,
                    self.fd,
                    0,
                    0,
                )
            )
            ended = False
            try:
                _bpf(LOOKUP_BATCH, attributes, "reading a map")
            except KernelError as e:
                if _is(e, errno.ENOSPC):  # a bucket of the hash has more
                    room *= 2
                    continue
                if not _is(e, errno.ENOENT):
                    raise
                ended = True
            (count,) = struct.unpack_from("=I", attributes, 32)
            k, v = keys.raw, values.raw
            for i in range(count):
                found[k[i * self._key : (i + 1) * self._key]] = v[i * self._value : (i + 1) * self._value]
            if ended:
                return found
            place, more = following, True

    def keys(self) -> Iterator[bytes]:
        """All keys that there are."""
        last: ctypes.Array[ctypes.c_char] | None = None
        while True:
            following = ctypes.create_string_buffer(self._key)
            try:
                _bpf(
                    NEXT_KEY,
                    self._attributes(_pointer(last) if last is not None else 0, _pointer(following)),
                    "listing a map",
                )
            except KernelError as e:
                if _is(e, errno.ENOENT):
                    return
                raise
            yield following.raw
            last = following


def create(name: str, size: MapSize) -> Map:
    """A new map."""
    attributes = struct.pack("=IIIIIII", *size, 0, 0) + name.encode()[:15].ljust(16, b"\0") + bytes(32)
    return Map(_bpf(MAP_CREATE, attributes, f"creating the map {name}"), size.key, size.value)


def load(name: str, section: str, code: bytes) -> int:
    """A program's file descriptor; KernelError with the verifier's last word where it is refused."""
    instructions = ctypes.create_string_buffer(code, len(code))
    license_text = ctypes.create_string_buffer(b"GPL")

    def attributes(log: ctypes.Array[ctypes.c_char] | None) -> bytes:
        return struct.pack(
            "=IIQQIIQII16sII",
            PACKETS if section.startswith(EGRESS) else SOCK_ADDR,
            len(code) // 8,
            _pointer(instructions),
            _pointer(license_text),
            1 if log is not None else 0,
            len(log) if log is not None else 0,
            _pointer(log) if log is not None else 0,
            0,
            0,
            name.encode()[:15].ljust(16, b"\0"),
            0,
            ATTACH_TYPES[section],
        )

    try:
        return _bpf(PROG_LOAD, attributes(None), f"loading {section}")
    except KernelError as refused:
        log = ctypes.create_string_buffer(LOG)
        try:
            return _bpf(PROG_LOAD, attributes(log), f"loading {section}")
        except KernelError:
            lines = [line for line in log.value.decode("utf-8", "replace").splitlines() if line.strip()]
            raise KernelError(f"{refused}{': ' + lines[-1] if lines else ''}") from refused


def attach(cgroup: int, program: int, section: str) -> None:
    """Beside whatever others have attached."""
    _bpf(ATTACH, struct.pack("=IIIII", cgroup, program, ATTACH_TYPES[section], ALLOW_MULTI, 0), f"attaching {section}")


def detach(cgroup: int, program: int, section: str) -> None:
    _bpf(DETACH, struct.pack("=IIIII", cgroup, program, ATTACH_TYPES[section], 0, 0), f"detaching {section}")


def attached(cgroup: int, section: str) -> list[int]:
    """File descriptors of the programs at a cgroup."""
    ids = (ctypes.c_uint32 * 64)()
    attributes = bytearray(
        struct.pack("=IIIIQIIQQQI", cgroup, ATTACH_TYPES[section], 0, 0, ctypes.addressof(ids), 64, 0, 0, 0, 0, 0)
    )
    _bpf(QUERY, attributes, f"asking what is attached for {section}")
    (count,) = struct.unpack_from("=I", attributes, 24)
    return [_bpf(PROG_BY_ID, struct.pack("=III", ids[i], 0, 0), "opening a program") for i in range(count)]


def program_info(program: int) -> tuple[str, list[int]]:
    """(name, ids of its maps)."""
    maps = (ctypes.c_uint32 * 64)()
    info = bytearray(232)
    struct.pack_into("=I", info, 52, 64)  # nr_map_ids
    struct.pack_into("=Q", info, 56, ctypes.addressof(maps))
    _info(program, info)
    (count,) = struct.unpack_from("=I", info, 52)
    return info[64:80].split(b"\0", 1)[0].decode(), [maps[i] for i in range(min(count, 64))]


def map_of(number: int) -> tuple[str, MapSize, Map]:
    """A map by its id."""
    fd = _bpf(MAP_BY_ID, struct.pack("=III", number, 0, 0), "opening a map")
    info = bytearray(80)
    _info(fd, info)
    kind, _, key, value, entries, flags = struct.unpack_from("=6I", info)
    return info[24:40].split(b"\0", 1)[0].decode(), MapSize(kind, key, value, entries, flags), Map(fd, key, value)


def _info(fd: int, info: bytearray) -> None:
    view = (ctypes.c_char * len(info)).from_buffer(info)
    _bpf(INFO, struct.pack("=IIQ", fd, len(info), ctypes.addressof(view)), "asking about a program or map")
