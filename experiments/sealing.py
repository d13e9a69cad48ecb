"""Secrets that must be known again, closed for as long as they lie in the store: by a key of the installation's own.

Fernet (AES-128-CBC with HMAC-SHA256) under a key that HKDF-SHA256 (RFC 5869) derives from the installation's secret.
"""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from experiments.errors import Invalid, OfferlabError

_PURPOSE = b"offerlab: secrets of webhooks"


class Unsealable(OfferlabError):
    """A secret was sealed under a key that nobody here has."""

    code = "unsealable"


class Seal:
    """Closes and opens; by the first of the installation's secrets, opening by the others too, as while one rotates."""

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or not all(secrets):
            raise Invalid.at("OFFERLAB_SECRET_KEY", "must not be empty")
        self._keys = MultiFernet([Fernet(_key(secret)) for secret in secrets])

    def close(self, text: str) -> str:
        """What may lie in the store."""
        return self._keys.encrypt(text.encode()).decode()

    def open(self, closed: str) -> str:
        """What was closed; Unsealable where none of the keys is the one."""
        try:
            return self._keys.decrypt(closed.encode()).decode()
        except (InvalidToken, UnicodeError):
            message = "A secret was sealed under another OFFERLAB_SECRET_KEY: name that in OFFERLAB_OLD_SECRET_KEYS"
            raise Unsealable(message) from None


def _key(secret: str) -> bytes:
    derived = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
    return base64.urlsafe_b64encode(derived)
