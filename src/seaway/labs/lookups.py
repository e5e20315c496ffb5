"""The client of the ndots lab, standard library only, run in a pod from a ConfigMap.

`lookups.py COUNT PREFIX SUFFIX`: looks PREFIX0SUFFIX, PREFIX1SUFFIX and so on up by the machine's own resolver (glibc), one after
the other, both families at once as most programs do; then one line of JSON: the packets that it has sent by UDP meanwhile, which
are its queries, the milliseconds of each, and the names that were not found.
"""

import json
import socket
import sys
import time


def sent() -> int:
    """UDP packets that this network namespace has sent, both families."""
    with open("/proc/net/snmp") as f:
        names, values = (line.split() for line in f if line.startswith("Udp:"))
    count = int(values[names.index("OutDatagrams")])
    try:
        with open("/proc/net/snmp6") as f:
            count += sum(int(line.split()[1]) for line in f if line.startswith("Udp6OutDatagrams"))
    except FileNotFoundError:
        pass  # a kernel without IPv6
    return count


def main(count: int, prefix: str, suffix: str) -> None:
    before, times, failed = sent(), [], []
    for n in range(count):
        name = f"{prefix}{n}{suffix}"
        began = time.perf_counter()
        try:
            socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
        except socket.gaierror as e:
            failed.append(f"{name}: {e.strerror}")
        times.append(round((time.perf_counter() - began) * 1000, 3))
    print(json.dumps({"queries": sent() - before, "milliseconds": times, "failed": failed}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
