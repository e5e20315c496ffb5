"""What every process tells of itself, by the names that Prometheus' client libraries use; read from /proc."""

from __future__ import annotations

import os
import resource

from seaway.metrics.families import Registry


def add(registry: Registry) -> None:
    """Families that are measured whenever the registry is read."""
    cpu = registry.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
    resident = registry.gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
    virtual = registry.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.")
    files = registry.gauge("process_open_fds", "Number of open file descriptors.")
    most_files = registry.gauge("process_max_fds", "Maximum number of open file descriptors.")
    start = registry.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
    start.set(started())

    def measure() -> None:
        spent = os.times()
        cpu.add(spent.user + spent.system - cpu.value())
        with open("/proc/self/statm") as f:
            pages = f.read().split()
        size = resource.getpagesize()
        virtual.set(int(pages[0]) * size)
        resident.set(int(pages[1]) * size)
        files.set(len(os.listdir("/proc/self/fd")) - 1)  # but for the one that lists them
        most_files.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    registry.before.append(measure)


def started() -> float:
    """When this process began, in seconds since the epoch."""
    with open("/proc/self/stat") as f:
        ticks = int(f.read().rpartition(")")[2].split()[19])
    with open("/proc/stat") as f:
        boot = next(int(line.split()[1]) for line in f if line.startswith("btime"))
    return boot + ticks / os.sysconf("SC_CLK_TCK")
