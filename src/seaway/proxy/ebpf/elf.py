"""What is in the object that clang has made of sockets.c: programs, their uses of maps, and the maps' sizes; pure."""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELOCATION = struct.Struct("<QQ")
MAP = struct.Struct("<5I")
LOAD64, MAP_FD = 0x18, 1  # the instruction that loads a map, and its source register's meaning (BPF_PSEUDO_MAP_FD)


class MapSize(NamedTuple):
    kind: int
    key: int
    value: int
    entries: int
    flags: int


class Program(NamedTuple):
    """`uses`: byte offset of an instruction -> the map that it loads."""

    code: bytes
    uses: dict[int, str]


class Object(NamedTuple):
    """`programs` by section, such as `cgroup/connect4`. `digest` names this version."""

    programs: dict[str, Program]
    maps: dict[str, MapSize]
    digest: str


def _name(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode()


def read(data: bytes) -> Object:
    """The parts of an ELF object for BPF."""
    header = HEADER.unpack_from(data)
    offset, size, count, names_at = header[6], header[11], header[12], header[13]
    sections = [SECTION.unpack_from(data, offset + i * size) for i in range(count)]
    names = data[sections[names_at][4] : sections[names_at][4] + sections[names_at][5]]
    named = {_name(names, s[0]): s for s in sections}

    def body(section: tuple[int, ...]) -> bytes:
        return data[section[4] : section[4] + section[5]]

    table = named[".symtab"]
    texts = body(sections[table[6]])
    symbols = [SYMBOL.unpack_from(body(table), i) for i in range(0, table[5], SYMBOL.size)]
    maps_index = sections.index(named["maps"])
    maps = {
        _name(texts, s[0]): MapSize(*MAP.unpack_from(body(named["maps"]), s[4]))
        for s in symbols
        if s[3] == maps_index and s[0]
    }
    programs = {}
    for name, section in named.items():
        if not name.startswith(("cgroup/", "cgroup_skb/")):
            continue
        uses = {}
        relocations = named.get(f".rel{name}")
        if relocations is not None:
            raw = body(relocations)
            for at in range(0, len(raw), RELOCATION.size):
                where, info = RELOCATION.unpack_from(raw, at)
                uses[where] = _name(texts, symbols[info >> 32][0])
        programs[name] = Program(body(section), uses)
    return Object(programs, maps, hashlib.sha256(data).hexdigest()[:8])


def linked(program: Program, maps: dict[str, int]) -> bytes:
    """A program's code with the file descriptors of its maps in it."""
    code = bytearray(program.code)
    for where, name in program.uses.items():
        operation, registers = code[where], code[where + 1]
        if operation != LOAD64:
            raise ValueError(f"no load of a map at {where}")
        code[where + 1] = registers & 0x0F | MAP_FD << 4
        struct.pack_into("<i", code, where + 4, maps[name])
    return bytes(code)
