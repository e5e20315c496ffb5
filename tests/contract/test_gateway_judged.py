"""Our own Gateway API kinds judge the objects under published/ as the published ones do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from published_objects import Case, cases, changes
from test_gateway_kinds import GROUP, born
from test_published import CHECKS, Client

from seaway.api.gateway.definitions import definitions

CASES = [c for c in cases() if c.gvk[0].startswith(f"{GROUP}/")]
# Where the text of a refusal is another: a rule takes what either channel takes (src/seaway/api/gateway/references.py), and a
# list of choices is shorter.
TEXTS = {
    "sectionName must be specified when parentRefs": "sectionName or port must be specified when parentRefs",
    "sectionName must be unique when parentRefs": "sectionName or port must be unique when parentRefs",
    '"CORS", "ExternalAuth"': '"CORS"',
}
# What the experimental channel has and we do not: nothing that says it is taken.
LEFT_OUT = ("ExternalAuth", "externalAuth", "useDefaultGateways")
# Where the experimental channel is stricter than the standard one: what breaks only that is taken.
TAKEN = {("HTTPRoute", "spec.rules[0].matches[0].headers[0].value"), ("GRPCRoute", "spec.rules")}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = born(tmp_path_factory.mktemp("judged") / "api")
    found = Client(server)
    for definition in definitions():
        spec = definition["spec"]
        for version in spec["versions"]:
            found.plurals[(f"{GROUP}/{version['name']}", spec["names"]["kind"])] = spec["names"]["plural"]
    yield found
    server.close()


def told(case: Case) -> Case:
    """A case with the texts that are ours."""
    for theirs, ours in TEXTS.items():
        case = replace(case, says=case.says.replace(theirs, ours))
    return case


def is_left_out(case: Case) -> bool:
    return case.channel == "experimental" and any(f'"{word}"' in json.dumps(case.tree) for word in LEFT_OUT)


def is_taken(case: Case) -> bool:
    return case.channel == "experimental" and bool(case.breaks) and (case.gvk[1], case.field) in TAKEN


def test_published_objects_are_judged_by_ours_as_by_the_published_definitions(client: Client) -> None:
    alike = [told(c) for c in CASES if not is_left_out(c) and not is_taken(c)]
    assert sum(c.channel == "standard" for c in alike) > 290 and sum(c.channel == "experimental" for c in alike) > 15
    wrong = [f"{case.channel} {case}: {why}" for case in alike if (why := client.judge(case))]
    assert not wrong, "\n".join(wrong)


def test_only_what_the_table_of_differences_names_is_judged_otherwise(client: Client) -> None:
    refused = [c for c in CASES if is_left_out(c)]
    taken = [c for c in CASES if is_taken(c)]
    assert refused and len(taken) == len(TAKEN)
    for case in refused:
        code, answer = client.ask("POST", client.collection(case.tree), case.tree, dryRun="All", fieldValidation="Strict")
        assert code in (400, 422), (str(case), answer)
    for case in taken:
        code, answer = client.ask("POST", client.collection(case.tree), case.tree, dryRun="All", fieldValidation="Strict")
        assert code == 201, (str(case), answer)


def test_defaults_changes_and_unknown_fields_are_as_with_the_published_definitions(client: Client) -> None:
    wrong, total = [], 0
    for what, check in CHECKS.items():
        for entry in changes()[what]:
            if entry["object"]["apiVersion"].startswith(f"{GROUP}/"):
                total += 1
                wrong += [f"{what}: {entry.get('why') or entry['object']['kind']}: {why}" for why in check(client, entry)]
    assert total > 5 and not wrong, "\n".join(wrong)
