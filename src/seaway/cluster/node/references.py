"""Image names as the container world writes them: `nginx`, `localhost:5000/team/shop:1.2@sha256:...`; pure.

The grammar is distribution/reference's; the defaults are Docker's: `docker.io`, `library/`, `:latest`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE = re.compile(
    rf"(?:({_DOMAIN})/)?({_COMPONENT}(?:/{_COMPONENT})*)(?::([\w][\w.-]{{0,127}}))?(?:@([a-z0-9]+:[a-f0-9]{{32,}}))?\Z",
    re.ASCII,
)
NAME_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A whole name: nothing is left to defaults but a tag where there is a digest."""

    domain: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        return self.repository + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(text: str) -> Reference:
    """The reference that `text` means; ValueError in the words of the reference library."""
    if re.fullmatch(r"[a-f0-9]{64}", text):
        raise ValueError(f'couldn\'t parse image name "{text}": cannot specify 64-byte hexadecimal strings')
    found = _REFERENCE.match(text)
    if not found:
        if text and text != text.lower() and _REFERENCE.match(text.lower()):
            raise ValueError(
                f'couldn\'t parse image name "{text}": invalid reference format: repository name must be lowercase'
            )
        raise ValueError(f'couldn\'t parse image name "{text}": invalid reference format')
    domain, path, tag, digest = found[1] or "", found[2], found[3] or "", found[4] or ""
    if domain and "." not in domain and ":" not in domain and domain != "localhost" and domain == domain.lower():
        domain, path = "", f"{domain}/{path}"  # `traefik/whoami`: the first part is no host
    if domain in ("", "index.docker.io"):
        domain = "docker.io"
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    if len(domain) + len(path) + 1 > NAME_LIMIT:
        raise ValueError(
            f'couldn\'t parse image name "{text}": repository name must not be more than {NAME_LIMIT} characters'
        )
    return Reference(domain, path, tag or ("" if digest else "latest"), digest)


def spellings(text: str) -> tuple[str, ...]:
    """The whole names under which a store may hold what `text` means, the most exact first."""
    found = parse(text)
    if found.digest:
        return (f"{found.repository}@{found.digest}",)
    return (str(replace(found, digest="")),)
