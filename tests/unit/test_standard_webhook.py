"""What we send is signed as Standard Webhooks says, with every secret that is good for a while."""

from __future__ import annotations

import pytest

from oneshelf.core.standard_webhook import headers_for, secret_of

#: The example of the specification's own libraries. Source: standard-webhooks/libraries/python/tests/test_webhooks.py, read 2026-11.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SENT_AT_S = 1_614_265_330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_example_of_the_specification() -> None:
    assert headers_for([SECRET], MESSAGE, SENT_AT_S, BODY) == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": str(SENT_AT_S),
        "webhook-signature": SIGNATURE,
    }


def test_while_a_secret_is_replaced_there_is_a_signature_by_each() -> None:
    new = secret_of(b"n" * 32)
    alone = headers_for([new], MESSAGE, SENT_AT_S, BODY)["webhook-signature"]
    assert headers_for([new, SECRET], MESSAGE, SENT_AT_S, BODY)["webhook-signature"] == f"{alone} {SIGNATURE}"
    assert alone != SIGNATURE


def test_a_bad_secret_or_id_is_refused_with_words() -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        secret_of(b"short")
    with pytest.raises(ValueError, match="whsec_ and base64"):
        headers_for(["whsec_not base64"], MESSAGE, SENT_AT_S, BODY)
    with pytest.raises(ValueError, match="full stop"):
        headers_for([SECRET], "a.b", SENT_AT_S, BODY)
