"""The only kernel calls of the proxy: nftables transactions through libnftables, in process.

`FakeKernel` records transactions for tests.
"""

from __future__ import annotations

import ctypes
import socket
from typing import Protocol


class KernelError(Exception):
    """The kernel refused a transaction, whole; the text is its own."""


NETLINK_NETFILTER, SO_SNDBUFFORCE = 12, 32
TRIM = 1 << 20  # characters
LARGE, SMALL = 50_000, 400  # elements in a transaction, where buffers may grow and where not
JSON, NUMERIC = 1 << 4, 0b11100000  # NFT_CTX_OUTPUT_JSON; _NUMERIC_PROTO, _PRIO, _SYMBOL


_libc = ctypes.CDLL(None)


class Kernel(Protocol):
    def nft(self, text: str) -> None: ...

    def list(self, family: int, table: str = "seaway") -> bytes: ...


def may_force_buffers() -> bool:
    """Whether a netlink socket's buffer may be made as large as a transaction needs: not in a user namespace."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20)
        except PermissionError:
            return False
    return True


class Nftables:
    """One libnftables context, kept open: a change costs a fraction of starting `nft`."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("libnftables.so.1")
        except OSError as e:
            raise KernelError(f"libnftables is missing ({e}): apt-get install nftables") from None
        self._lib.nft_ctx_new.restype = ctypes.c_void_p
        self._lib.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._lib.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
        self._lib.nft_ctx_get_output_buffer.argtypes = [ctypes.c_void_p]
        self._lib.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        for name in ("nft_ctx_buffer_error", "nft_ctx_buffer_output", "nft_ctx_get_error_buffer", "nft_ctx_free"):
            getattr(self._lib, name).argtypes = [ctypes.c_void_p]
        self._lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self.large = LARGE if may_force_buffers() else SMALL
        self._context = self._lib.nft_ctx_new(0)
        self._lib.nft_ctx_buffer_error(self._context)
        self._lib.nft_ctx_buffer_output(self._context)

    def nft(self, text: str) -> None:
        """Applies a text as one transaction; KernelError where it was refused. What the library has needed for a large one is
        given back: it would stay a hundred megabytes of the process."""
        try:
            self._run(self._context, text)
        finally:
            if len(text) > TRIM:
                _libc.malloc_trim(0)

    def lacking(self) -> str:
        """Why this kernel cannot do it; "" where it can. The probe comes and goes in one transaction."""
        probe = "ip seaway-probe"
        chain = f"add chain {probe} c {{ type nat hook output priority -100; }}"
        try:
            self.nft(f"add table {probe}\n{chain}\nadd rule {probe} c dnat to 127.0.0.1\ndelete table {probe}\n")
        except KernelError as e:
            return str(e)
        return ""

    def list(self, family: int, table: str = "seaway") -> bytes:
        """A table as JSON; b"" where there is none. In a context of its own, so that another thread may ask."""
        context = self._lib.nft_ctx_new(0)
        try:
            self._lib.nft_ctx_buffer_error(context)
            self._lib.nft_ctx_buffer_output(context)
            self._lib.nft_ctx_output_set_flags(context, JSON | NUMERIC)
            try:
                self._run(context, f"list table {'ip' if family == 4 else 'ip6'} {table}")
            except KernelError as e:
                if "No such file" in str(e):
                    return b""
                raise
            return bytes(self._lib.nft_ctx_get_output_buffer(context) or b"")
        finally:
            self._lib.nft_ctx_free(context)
            _libc.malloc_trim(0)  # what a listing takes is needed again in half a minute, and many megabytes

    def _run(self, context: int, text: str) -> None:
        if self._lib.nft_run_cmd_from_buffer(context, text.encode()) != 0:
            raw = self._lib.nft_ctx_get_error_buffer(context) or b""
            first = raw.decode("utf-8", "replace").strip().splitlines()
            raise KernelError(first[0] if first else "nft failed without a message")


class FakeKernel:
    """Keeps what it was given; refuses the next transaction where `fail` is set."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fail = ""

    def nft(self, text: str) -> None:
        if self.fail:
            message, self.fail = self.fail, ""
            raise KernelError(message)
        self.texts.append(text)

    def list(self, family: int, table: str = "seaway") -> bytes:
        return b""
