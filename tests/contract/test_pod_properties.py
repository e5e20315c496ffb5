"""Random pods and workloads at a running API server: what is valid is taken, what is not is refused by its field."""

from __future__ import annotations

from random import Random

import pytest
from podmaker import KINDS, Made, odd, spoilt, valid
from server import Server

EACH = 250
NOT_A_FIELD = ("", "patch")


def post(server: Server, ns: str, made: Made, connection) -> tuple[int, dict]:
    prefix, resource = KINDS[made.kind]
    return server.request("POST", f"{prefix}/namespaces/{ns}/{resource}", made.tree, {"dryRun": "All"}, connection=connection)


@pytest.mark.parametrize("seed", [1, 2])
def test_valid_pods_and_workloads_are_taken(server: Server, ns: str, seed: int) -> None:
    random, connection = Random(seed), server.connect()
    for number in range(EACH):
        made = valid(random, number)
        status, answer = post(server, ns, made, connection)
        assert status == 201, (made.kind, answer["message"], made.tree)
        again, repeated = post(server, ns, made._replace(tree=_bare(answer)), connection)
        assert again == 201 and repeated["spec" if "spec" in answer else "template"], (made.kind, repeated)


def _bare(answer: dict) -> dict:
    """An answer as a body: what the server gave the pod is taken back as it is."""
    meta = {"name": answer["metadata"]["name"]}
    tree = {k: v for k, v in answer.items() if k not in ("metadata", "status")}
    if answer["kind"] == "Job":  # its selector is its own
        spec = {k: v for k, v in answer["spec"].items() if k != "selector"}
        template = {k: v for k, v in spec["template"].items() if k != "metadata"}
        tree["spec"] = {**spec, "template": template}
    return {**tree, "metadata": meta}


def test_a_mistake_is_named_by_its_field(server: Server, ns: str) -> None:
    random, connection = Random(3), server.connect()
    for number in range(EACH):
        made = spoilt(random, number)
        status, answer = post(server, ns, made, connection)
        assert status in (403, 422), (status, made.field, made.tree)
        if status == 422:
            fields = [cause["field"] for cause in answer["details"]["causes"]]
            assert made.field in fields, (made.field, answer["message"])
            assert all(f"{field}: " in answer["message"] for field in fields)


def test_blindly_drawn_fields_never_break_the_server(server: Server, ns: str) -> None:
    random, connection = Random(4), server.connect()
    seen = set()
    for number in range(EACH):
        made = odd(random, number)
        status, answer = post(server, ns, made, connection)
        assert status < 500, (answer, made.tree)
        seen.add(status)
        if status == 422:
            assert all(cause["field"] not in NOT_A_FIELD for cause in answer["details"]["causes"]), answer
    assert 422 in seen
