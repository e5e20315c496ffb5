"""What a refusal says is told without the message that it shows."""

from __future__ import annotations

from seaway.envoy.xds.blame import reason


def test_of_a_message_that_is_shown_only_what_is_wrong_with_it_stays() -> None:
    shown = (
        'goo.gle/debugonly \nname: "x"\nroutes {\n  path_redirect: "/a\\nb"\n}\n: Proto constraint validation failed '
        "(RouteConfigurationValidationError.VirtualHosts[0]: embedded message failed validation | caused by "
        "RedirectActionValidationError.PathRedirect: value does not match regex pattern)"
    )
    assert reason(shown) == "RedirectActionValidationError.PathRedirect: value does not match regex pattern"
    assert reason("regex 'a' RE2 program size of 3 > max") == "regex 'a' RE2 program size of 3 > max"
