"""The key that opens the plots of one run to a reader without an account."""

import hashlib
import hmac


def plot_key(instrument: str, run: str, secret: str) -> str:
    """40 hexadecimal digits; `run` keeps its leading zeros, the case of `instrument` is free."""
    words = f"{instrument.upper()}{secret}{run}"
    # SHA-1 is what the readers in the field compute.
    return hashlib.sha1(words.encode(), usedforsecurity=False).hexdigest()


def opens(key: str, instrument: str, run: str, secret: str) -> bool:
    """Whether `key` is the one of this run. Without a secret no key opens anything."""
    if not secret:
        return False
    expected = plot_key(instrument, run, secret)
    return hmac.compare_digest(key.encode("utf-8", "surrogatepass"), expected.encode())
