import json
import logging

import pytest
import structlog

from towrope.ops import logs

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
SAS = "SharedAccessSignature sr=http%3A%2F%2Fh%2Fp&sig=abc&se=1&skn=r"


@pytest.mark.parametrize(
    "text",
    [
        f"got {JWT} from them",
        f"header {SAS}",
        "GET /$hc/p?sb-hc-action=connect&sb-hc-token=SharedAccess",
        "Authorization: Bearer abcdefghijkl",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    shown = logs.redact(None, "info", {"event": text})["event"]
    assert "[redacted]" in shown
    for secret in (JWT, "sig=abc", "abcdefghijkl", "SharedAccess"):
        assert secret not in shown


def test_a_key_that_names_a_secret_hides_its_value() -> None:
    assert logs.redact(None, "info", {"Token": "x", "path": "/p"}) == {
        "Token": "[redacted]",
        "path": "/p",
    }


def test_lines_are_json_with_facts_as_keys(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(json=True)
    try:
        structlog.get_logger().info("stream ended", bytes=7, token=JWT)
        logging.getLogger("library").warning("trouble with %s", JWT)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    assert lines[0]["event"] == "stream ended"
    assert lines[0]["bytes"] == 7
    assert lines[0]["level"] == "info"
    assert JWT not in json.dumps(lines)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variables_and_no_secrets(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(json=as_json)
    try:
        password = "-".join(["hunter", "2"])
        try:
            raise RuntimeError(f"refused {JWT} {len(password)}")
        except RuntimeError as error:
            structlog.get_logger().error("failed", exc_info=error)
            logging.getLogger("library").error("failed", exc_info=error)
        shown = capsys.readouterr().err
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    assert shown.count("RuntimeError: refused") == 2
    assert "hunter-2" not in shown
    assert JWT not in shown
