"""Why a sign-in did not happen.

SignInFailure
├── ProviderUnreachable   the identity provider did not answer, or not as the protocol asks
├── InvalidAssertion      what it said does not hold: signature, audience, time, nonce, seen before
├── Declined              it said no, or the person turned back
└── NotAdmitted           it is all true, and the organization does not let this person in
"""


class SignInFailure(Exception):
    """No sign-in. code: for logs and tests; the message: for people, without secrets."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ProviderUnreachable(SignInFailure):
    """Nothing that could be judged came from the identity provider."""


class InvalidAssertion(SignInFailure):
    """The answer is forged, stale, meant for somebody else or used before."""


class Declined(SignInFailure):
    """The identity provider refused, or the person cancelled."""


class NotAdmitted(SignInFailure):
    """The person is who they say, and may not enter."""
