"""Certificates and keys are looked at before anything is served."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from seaway.dns.serving.run import BadSettings, with_keys
from seaway.dns.settings import Block, Forward, Settings, Tls, Upstream
from seaway.pki.authority import Authority


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_is_none_is_refused_by_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.crt").write_text(text)
    blocks = (Block(transport="tls", port=853, tls=Tls(str(tmp_path / "a.crt"), str(tmp_path / "none.key"))),)
    with pytest.raises(BadSettings, match=r"a\.crt.*none\.key.*PEM"):
        with_keys(Settings(blocks=blocks))


def test_an_upstreams_authority_that_is_not_there_is_refused() -> None:
    forward = Forward(upstreams=(Upstream("192.0.2.1", 853, True),), tls=Tls(authority="/nowhere/ca.crt"))
    with pytest.raises(BadSettings, match=r"/nowhere/ca\.crt"):
        with_keys(Settings(blocks=(Block(forwards=(forward,)),)))


def test_renewed_certificates_are_other_settings(tmp_path: Path) -> None:
    authority, files = Authority.new("test", time.time()), [str(tmp_path / name) for name in ("a.crt", "a.key")]

    def read() -> Settings:
        forward = Forward(upstreams=(Upstream("192.0.2.1", 853, True),), tls=Tls(*files))
        return with_keys(Settings(blocks=(Block(transport="tls", port=853, tls=Tls(*files), forwards=(forward,)),)))

    def renew() -> None:
        pair = authority.issue("dns.test", time.time(), (), ("dns.test",))
        for path, text in zip(files, (pair.certificate, pair.key), strict=True):
            Path(path).write_bytes(text)

    renew()
    before = read()
    assert read() == before
    renew()
    after = read()
    assert after.blocks[0].tls != before.blocks[0].tls
    assert after.blocks[0].forwards[0].tls != before.blocks[0].forwards[0].tls


def test_settings_without_tls_are_taken_as_they_are() -> None:
    assert with_keys(Settings()) == Settings()
