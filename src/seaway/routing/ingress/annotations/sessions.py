"""Session affinity (ingress-nginx, annotations/sessionaffinity)."""

from __future__ import annotations

from seaway.routing.ingress.annotations.reading import Reader
from seaway.routing.ingress.annotations.values import flag, host, one_of, path, token, whole
from seaway.routing.ir import Session

NAME = "INGRESSCOOKIE"


def session(reader: Reader) -> Session | None:
    """The session of an Ingress's rules; its path is empty where each rule's own is meant."""
    kind = reader.get("affinity", one_of("cookie"), "", "there is no affinity")
    reader.get("affinity-mode", one_of("balanced", "persistent"), "")
    behavior = reader.get("affinity-canary-behavior", one_of("sticky", "legacy"), "sticky", "sticky is taken")
    if behavior == "legacy":
        reader.ignore("affinity-canary-behavior", "ignored: clients always stay with whoever has served them")
    if not reader.get("session-cookie-change-on-failure", flag, True, "true is taken"):
        reader.ignore(
            "session-cookie-change-on-failure", "ignored: who loses its endpoint gets another one, and its cookie"
        )
    name = reader.get("session-cookie-name", token, NAME, f"{NAME} is taken")
    where = reader.get("session-cookie-path", path, "", "the path of each rule is taken")
    domain = reader.get("session-cookie-domain", host, "")
    same_site = reader.get("session-cookie-samesite", one_of("None", "Lax", "Strict", caseless=True), "")
    secure = reader.get("session-cookie-secure", flag, False, "false is taken")
    expires = reader.get("session-cookie-expires", whole(0), 0)
    seconds = reader.get("session-cookie-max-age", whole(0), expires)
    if not kind:
        return None
    attributes = [("Domain", domain)] if domain else []
    attributes += [("SameSite", same_site)] if same_site else []
    attributes += [("Secure", "")] if secure else []
    return Session("cookie", name, seconds, where, seconds > 0, tuple(attributes))
