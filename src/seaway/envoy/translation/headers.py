"""Edits of headers as Envoy has them."""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.routing.ir import HeaderEdits

# Envoy refuses to edit these in that way (header_parser.cc: ":-prefixed or host headers may not be modified").
FIXED = ("host",)


def literal(text: str) -> str:
    """A text that stands for itself where Envoy expands `%COMMAND%`."""
    return text.replace("%", "%%")


def _editable(name: str) -> bool:
    return bool(name) and not name.startswith(":") and name.lower() not in FIXED


def edit(message: Any, which: str, edits: HeaderEdits) -> None:
    """Writes the edits of a message's `request` or `response` headers. Envoy removes before it adds (header_parser.cc)."""
    added = getattr(message, f"{which}_headers_to_add")
    option = messages.HeaderValueOption
    for pairs, action in (
        (edits.set, option.OVERWRITE_IF_EXISTS_OR_ADD),
        (edits.add, option.APPEND_IF_EXISTS_OR_ADD),
    ):
        for name, value in pairs:
            if _editable(name):
                one = added.add(append_action=action, keep_empty_value=True)
                one.header.key, one.header.value = name, literal(value)
    getattr(message, f"{which}_headers_to_remove").extend(n for n in edits.remove if _editable(n))


# What a header tells of a client's certificate; the certificate itself as URL-encoded PEM, as nginx's $ssl_client_escaped_cert.
PEER = {
    "certificate": "%DOWNSTREAM_PEER_CERT%",
    "subject": "%DOWNSTREAM_PEER_SUBJECT%",
    "issuer": "%DOWNSTREAM_PEER_ISSUER%",
}


def peer(route: Any, told: tuple[tuple[str, str], ...]) -> None:
    """Headers of requests that tell of the client's certificate. Envoy removes first: none is what the client says itself."""
    for name, what in told:
        route.request_headers_to_remove.append(name)
        one = route.request_headers_to_add.add(append_action=messages.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
        one.header.key, one.header.value = name, PEER[what]


def then(first: HeaderEdits, last: HeaderEdits) -> HeaderEdits:
    """Both as one: what `last` sets or removes is as if `first` had not touched it."""
    if last == HeaderEdits():
        return first
    final = {name.lower() for name, _ in last.set} | {name.lower() for name in last.remove}
    return HeaderEdits(
        tuple(p for p in first.set if p[0].lower() not in final) + last.set,
        tuple(p for p in first.add if p[0].lower() not in final) + last.add,
        first.remove + last.remove,
    )


def host_of(edits: HeaderEdits) -> str:
    """The host that edits of a request ask for: it is rewritten, not edited."""
    return next((value for name, value in edits.set if name.lower() == "host"), "")
