"""Paths inside volumes: relative, without `..`, and not in the names that the kubelet keeps for itself."""

from __future__ import annotations

from seaway.cluster.apiserver.status import Cause, wrong


def without_backsteps(path: str, value: str) -> list[Cause]:
    """No step leaves the folder; one error says so, however many do."""
    return [wrong(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def descending(path: str, value: str) -> list[Cause]:
    """A relative path that stays below where it starts."""
    found = [wrong(path, value, "must be a relative path")] if value.startswith("/") else []
    return found + without_backsteps(path, value)


def not_reserved(path: str, value: str) -> list[Cause]:
    """As `descending`; names that begin with `..` belong to the kubelet's atomic writer."""
    found = descending(path, value)
    if value.startswith("..") and not value.startswith("../"):
        found.append(wrong(path, value, "must not start with '..'"))
    return found
