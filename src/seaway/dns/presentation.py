"""DNS in the form that people write: names as text (RFC 1035 5.1), types, classes and rcodes by their words; pure."""

from __future__ import annotations

from seaway.dns.settings import Name

NAME_LIMIT, LABEL_LIMIT = 255, 63  # RFC 1035 2.3.4
_SPECIAL = frozenset(b". '@;()\"\\")  # what miekg/dns escapes in a label, so that patterns and logs are those of CoreDNS

RCODES = (
    "NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE BADSIG BADKEY BADTIME BADMODE "
    "BADNAME BADALG BADTRUNC BADCOOKIE"
).split()
RCODE_NUMBERS = dict(zip(RCODES, (*range(11), *range(16, 24)), strict=True)) | {"NOTIMPL": 4, "DSOTYPENI": 11}
CLASSES = {"IN": 1, "CS": 2, "CH": 3, "HS": 4, "NONE": 254, "ANY": 255}
TYPES = {
    "A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9, "NULL": 10, "PTR": 12, "HINFO": 13,
    "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20, "RT": 21, "NSAP-PTR": 23, "SIG": 24,
    "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29, "NXT": 30, "EID": 31, "NIMLOC": 32, "SRV": 33, "ATMA": 34,
    "NAPTR": 35, "KX": 36, "CERT": 37, "DNAME": 39, "OPT": 41, "APL": 42, "DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46,
    "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51, "TLSA": 52, "SMIMEA": 53, "HIP": 55, "NINFO": 56,
    "RKEY": 57, "TALINK": 58, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65,
    "SPF": 99, "UINFO": 100, "UID": 101, "GID": 102, "UNSPEC": 103, "NID": 104, "L32": 105, "L64": 106, "LP": 107,
    "EUI48": 108, "EUI64": 109, "NXNAME": 128, "TKEY": 249, "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253,
    "MAILA": 254, "ANY": 255, "URI": 256, "CAA": 257, "AVC": 258, "AMTRELAY": 260, "RESINFO": 261, "TA": 32768, "DLV": 32769,
}  # fmt: skip
RCODE_WORDS = {number: word for word, number in RCODE_NUMBERS.items() if word != "NOTIMPL"}
CLASS_WORDS = {number: word for word, number in CLASSES.items()}
TYPE_WORDS = {number: word for word, number in TYPES.items()}


def rcode_word(number: int) -> str:
    return RCODE_WORDS.get(number) or str(number)


def class_word(number: int) -> str:
    return CLASS_WORDS.get(number) or f"CLASS{number}"


def type_word(number: int) -> str:
    return TYPE_WORDS.get(number) or f"TYPE{number}"


def name(text: str) -> Name:
    """A name in lower case; ValueError says what is wrong with it. `\\.` is a dot in a label, `\\065` an octet."""
    if text == ".":
        return ()
    labels, label, at = [], bytearray(), 0
    data = text.removesuffix(".") if not text.endswith("\\.") else text
    raw = data.encode()
    while at < len(raw):
        c = raw[at : at + 1]
        if c == b"\\" and raw[at + 1 : at + 4].isdigit() and len(raw[at + 1 : at + 4]) == 3:
            label.append(min(int(raw[at + 1 : at + 4]), 255))
            at += 4
            continue
        if c == b"\\" and at + 1 < len(raw):
            label += raw[at + 1 : at + 2]
            at += 2
            continue
        if c == b".":
            labels.append(bytes(label))
            label.clear()
        else:
            label += c
        at += 1
    labels.append(bytes(label))
    if not all(labels):
        raise ValueError(f"{text!r} is not a domain name: it has an empty label")
    if any(len(one) > LABEL_LIMIT for one in labels):
        raise ValueError(f"{text!r} is not a domain name: a label is longer than {LABEL_LIMIT}")
    if sum(len(one) + 1 for one in labels) + 1 > NAME_LIMIT:
        raise ValueError(f"{text!r} is not a domain name: it is longer than {NAME_LIMIT}")
    return tuple(one.lower().decode("latin-1") for one in labels)


def text(name: Name) -> str:
    """A name as text that ends with a dot; octets that are not plain are escaped."""
    if not name:
        return "."
    joined = "".join(name)
    if joined.isascii() and joined.isprintable() and not _SPECIAL.intersection(joined.encode()):
        return ".".join(name) + "."
    return "".join("".join(map(_escaped, label.encode("latin-1"))) + "." for label in name)


def _escaped(octet: int) -> str:
    if octet in _SPECIAL:
        return "\\" + chr(octet)
    return chr(octet) if 0x20 < octet < 0x7F else f"\\{octet:03d}"
