"""The agent's keys: made whole, kept whole, shown to nobody."""

import datetime
import ssl

import pytest

from towrope.agent import keys
from towrope.wire import assertion
from towrope.wire.errors import Malformed

NOW = datetime.datetime.now(datetime.UTC)


def test_made_keys_survive_their_secret() -> None:
    made = keys.generate("/subscriptions/s", now=NOW)
    again = keys.from_secret(made.as_secret())
    assert again == made
    assert "PRIVATE" not in repr(made)
    assert set(made.as_secret()) == {"agent.key", "ca.crt", "ca.key"}
    context = ssl.create_default_context(cadata=made.ca_certificate)
    assert context.get_ca_certs()


def test_the_public_half_verifies_what_the_private_signs() -> None:
    made = keys.generate("/subscriptions/s", now=NOW)
    other = keys.generate("/subscriptions/s", now=NOW)
    assert made.public_key != other.public_key
    signed = assertion.mint(made.signing_key(), subject="s", audience="a", now=NOW.timestamp())
    assertion.verify(
        signed,
        assertion.load_key(made.public_key),
        subject="s",
        audience="a",
        now=NOW.timestamp(),
    )


@pytest.mark.parametrize("missing", ["agent.key", "ca.crt", "ca.key"])
@pytest.mark.parametrize("content", [None, b"", b"no key"])
def test_a_broken_secret_is_refused(missing: str, content: bytes | None) -> None:
    data = keys.generate("/subscriptions/s", now=NOW).as_secret()
    if content is None:
        del data[missing]
    else:
        data[missing] = content
    with pytest.raises(Malformed, match="does not hold"):
        keys.from_secret(data)
