"""Stored texts as they are, or encrypted with a key that is not in the database.

A sealed text begins with the name of its key, so that a state that is being brought from one
key to another can be read by whoever knows both. Needs ``bidisync[encryption]``.
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import lru_cache
from typing import TYPE_CHECKING

import attrs

from bidisync.errors import Misconfigured
from bidisync.storage import Seal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SIGN = "sealed:1:"
_NONCE = 12


@attrs.frozen
class Plain:
    """Texts are stored as they are."""

    prefix: str = ""

    def seal(self, text: str) -> str:
        """The text itself."""
        return text

    def name(self, text: str) -> str:
        """The text itself."""
        return text

    def unseal(self, text: str) -> str:
        """The text itself; ``Misconfigured`` for one that is sealed."""
        if text.startswith(SIGN):
            raise Misconfigured("the state is encrypted: set state.encryption_key to the key that it was written with")
        return text


@attrs.frozen
class AesSeal:
    """AES-256 in GCM with a key that is derived from a text by scrypt."""

    prefix: str
    _cipher: AESGCM = attrs.field(repr=False, eq=False)
    _names: bytes = attrs.field(repr=False)

    @classmethod
    def of(cls, key: str) -> AesSeal:
        """The seal of that key; ``Misconfigured`` where the package for it is missing."""
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise Misconfigured("state.encryption_key is set: pip install 'bidisync[encryption]'") from error
        secret, name = _derived(key)
        names = hashlib.blake2b(b"names", key=secret, digest_size=32).digest()
        return cls(f"{SIGN}{name}:", AESGCM(secret), names)

    def seal(self, text: str) -> str:
        """The text encrypted, each time differently."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, text.encode(errors="surrogatepass"), self.prefix.encode())
        return self.prefix + base64.b64encode(nonce + sealed).decode()

    def name(self, text: str) -> str:
        """A keyed hash of the text."""
        return hashlib.blake2b(text.encode(errors="surrogatepass"), key=self._names, digest_size=16).hexdigest()

    def unseal(self, text: str) -> str:
        """The text that was sealed."""
        from cryptography.exceptions import InvalidTag

        if not text.startswith(SIGN):
            raise Misconfigured("the state is not encrypted, but state.encryption_key is set: unset it, or encrypt it")
        if not text.startswith(self.prefix):
            raise Misconfigured("state.encryption_key is not the key that the state was written with")
        try:
            raw = base64.b64decode(text[len(self.prefix) :], validate=True)
            plain = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], self.prefix.encode())
        except (InvalidTag, ValueError) as error:
            raise Misconfigured(
                "a stored text was changed by somebody who has not the key: the state is damaged"
            ) from error
        return plain.decode(errors="surrogatepass")


@attrs.frozen
class Rekeyed:
    """Writes with the new seal and reads both: for a state that is brought from one to the other."""

    new: Seal
    old: Seal

    @property
    def prefix(self) -> str:
        """That of the new seal."""
        return self.new.prefix

    def seal(self, text: str) -> str:
        """Sealed by the new one."""
        return self.new.seal(text)

    def name(self, text: str) -> str:
        """That of the new one."""
        return self.new.name(text)

    def unseal(self, text: str) -> str:
        """Whichever sealed it."""
        return (self.new if is_sealed_by(self.new, text) else self.old).unseal(text)


def is_sealed_by(seal: Seal, text: str) -> bool:
    """Whether that seal, or none if it is plain, is on this text."""
    return text.startswith(seal.prefix) if seal.prefix else not text.startswith(SIGN)


@lru_cache(maxsize=8)
def _derived(key: str) -> tuple[bytes, str]:
    """The same on every machine: so the salt is the purpose, and the key ought to be long and random."""
    both = hashlib.scrypt(key.encode(), salt=b"bidisync state", n=2**14, r=8, p=1, dklen=36)
    return both[:32], both[32:].hex()
