"""What somebody else changes in the kernel is found and mended; what is right is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KERNEL = """
import asyncio, random, sys
sys.path.insert(0, %r)
from test_nftables import changing, elements, table
from seaway.proxy.nftables import listing
from seaway.proxy.kernel import Nftables
from seaway.proxy.nftables.plane import NftablesPlane
kernel = Nftables()
def look(family):
    held, digests = listing.read(kernel.list(family))
    return held, digests
def audit(wanted, unchanged=lambda: True):
    return asyncio.run(plane.audit(wanted.family, lambda: wanted, unchanged))
for family, f in ((4, "ip"), (6, "ip6")):
    plane, wanted = NftablesPlane(kernel), table(family, *changing(random.Random(7), family))
    plane.whole(wanted)
    whole = look(family)
    assert audit(wanted) == "" and look(family) == whole
    first = next(k for k in whole[0].elements if k[0] == "service-ips")
    hurts = [
        f"delete element {f} seaway {first[0]} {{ {first[1]} }}",
        f"flush map {f} seaway slot-0",
        f"add element {f} seaway hairpin {{ {'10.9.9.9 . 10.9.9.9' if family == 4 else 'fd09::9 . fd09::9'} }}",
        f"flush chain {f} seaway services",
        f"flush chain {f} seaway n2",
        f"insert rule {f} seaway mark-masquerade accept",
        f"delete table {f} seaway",
        f"flush ruleset",
    ]
    for hurt in hurts:
        kernel.nft(hurt)
        assert audit(wanted, lambda: False) == "", "a change that came meanwhile is no drift"
        told = audit(wanted)
        assert told, hurt
        assert look(family)[0] == whole[0], (hurt, told)
        assert audit(wanted) == "", hurt
    # A rule that was exchanged for another is known by what the chain was before.
    kernel.nft(f"flush chain {f} seaway mark-masquerade; add rule {f} seaway mark-masquerade accept")
    assert "mark-masquerade" in audit(wanted)
    assert audit(wanted) == "" and look(family)[1] == whole[1]
    plane.cleanup()
print("well")
"""


@pytest.mark.kernel
def test_what_is_changed_by_hand_is_mended_by_the_next_audit() -> None:
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    code = KERNEL % str(Path(__file__).parent)
    done = subprocess.run(["unshare", *flags, sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.stdout.strip() == "well", done.stderr
