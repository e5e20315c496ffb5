"""The only kernel calls of the proxy: nftables transactions through libnftables, in process.

`FakeKernel` records transactions for tests.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Protocol


class KernelError(Exception):
    """The kernel refused a transaction, whole; the text is its own."""


class Kernel(Protocol):
    def nft(self, text: str) -> None: ...


class Nftables:
    """One libnftables context, kept open: a change costs a fraction of starting `nft`."""

    def __init__(self) -> None:
        try:
            self._lib = ctypes.CDLL("libnftables.so.1")
        except OSError as e:
            raise KernelError(f"libnftables is missing ({e}): apt-get install nftables") from None
        self._lib.nft_ctx_new.restype = ctypes.c_void_p
        self._lib.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for name in ("nft_ctx_buffer_error", "nft_ctx_buffer_output", "nft_ctx_get_error_buffer", "nft_ctx_free"):
            getattr(self._lib, name).argtypes = [ctypes.c_void_p]
        self._lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._context = self._lib.nft_ctx_new(0)
        self._lib.nft_ctx_buffer_error(self._context)
        self._lib.nft_ctx_buffer_output(self._context)

    def nft(self, text: str) -> None:
        """Applies a text as one transaction; KernelError where it was refused."""
        if self._lib.nft_run_cmd_from_buffer(self._context, text.encode()) != 0:
            raw = self._lib.nft_ctx_get_error_buffer(self._context) or b""
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
