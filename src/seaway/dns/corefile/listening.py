"""The lines that say where and how a block is served: bind, tls, bufsize, root; pure."""

from __future__ import annotations

from collections.abc import Sequence

from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import is_address, one_of, whole
from seaway.dns.corefile.scope import Scope
from seaway.dns.settings import Tls

CLIENT_AUTH = ("nocert", "request", "require", "verify_if_given", "require_and_verify")
BUFSIZE_DEFAULT = 1232  # DNS flag day 2020
_FORM = "tls CERT KEY [CA]"


def root(found: Sequence[Directive]) -> str:
    """Where relative paths of the block begin."""
    for directive in found:
        directive.line.takes(1, None, "root PATH")
    return found[-1].args[0]


def binds(found: Sequence[Directive], scope: Scope) -> tuple[str, ...]:
    """The addresses to listen on; an interface is all of its own."""
    gathered: list[str] = []
    for directive in found:
        if not directive.args:
            raise directive.line.error("write bind ADDRESS|INTERFACE...")
        wanted = _addresses(directive.line, directive.args, scope)
        refused: list[str] = []
        for line in directive.properties:
            if line.word != "except":
                raise line.unknown(("except",))
            refused += _addresses(line, line.takes(1, None, "except ADDRESS|INTERFACE..."), scope)
        gathered += [a for a in wanted if a not in refused]
    if not gathered:
        raise found[-1].line.error("no address is left to listen on")
    return tuple(dict.fromkeys(gathered))


def _addresses(line: Line, texts: tuple[str, ...], scope: Scope) -> list[str]:
    gathered: list[str] = []
    for text in texts:
        found = [text] if is_address(text) else list(scope.outside.interface(text))
        if not found:
            raise line.error(f"{text!r} is neither an address nor an interface of this machine")
        gathered += found
    return gathered


def tls(found: Sequence[Directive], scope: Scope) -> Tls:
    directive = found[-1]
    if not directive.args:
        raise directive.line.error(f"certificates are not requested by ACME here; write {_FORM}")
    files = [scope.path(a) for a in directive.line.takes(2, 3, _FORM)]
    auth = "nocert"
    for line in directive.properties:
        if line.word == "client_auth":
            (text,) = line.takes(1, 1, "client_auth " + "|".join(CLIENT_AUTH))
            auth = one_of(line, text, CLIENT_AUTH)
        elif line.word == "keylog":
            line.takes(1, 1, "keylog FILE")
            scope.ignore(line, "keylog has no effect: the keys of connections are not written to a file")
        else:
            raise line.unknown(("client_auth", "keylog"))
    return Tls(files[0], files[1], files[2] if len(files) > 2 else "", client_auth=auth)


def bufsize(found: Sequence[Directive]) -> int:
    line = found[0].line
    found[0].no_properties()
    args = line.takes(0, 1, "bufsize [OCTETS]")
    return whole(line, args[0], 512, 4096) if args else BUFSIZE_DEFAULT
