"""The errors of probe, each with the exit code of the command line.

ProbeError                        1  a bug of ours, when nothing more precise is raised
  UsageError (ValueError)         2  an argument that cannot be used
    LabelError                    2  a label that the service does not offer
    ProfileError                  2  a profile that cannot be used, or a variable it needs
    MissingExtra                  2  a part that is not installed
  ImageError                      6  a picture that cannot be used
  BackendError                    4  the service refused, or its answer cannot be used
    ContractError                 4  it answered, but not in the agreed form
    Rejected                      4  every request alike is turned away: address, model
      AuthError                   4  the key is wrong, or may not do this
    Unreachable                   4  no connection could be made
  LimitReached                    5  a cap on calls, cost or time; the same command goes on
    QuotaExhausted                5  the service's own: no calls are left
    RateLimited                   5  it asks for a longer wait than one waits for
  StorageError                    7  the disk
    LedgerError                   7  the database of answers
    OutputError                   7  the folder or file for results
Interrupted (KeyboardInterrupt) 130  Ctrl-C; 143 for SIGTERM and SIGHUP

A run that is stopped carries what is known so far in ``.partial``, a Result or None.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probe.result import Result


class ProbeError(Exception):
    exit_code = 1
    partial: Result | None = None


class UsageError(ProbeError, ValueError):
    exit_code = 2


class LabelError(UsageError):
    pass


class ProfileError(UsageError):
    pass


class MissingExtra(UsageError, ImportError):
    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed: pip install 'image-api-probe[{extra}]'")


class ImageError(ProbeError):
    exit_code = 6


class BackendError(ProbeError):
    exit_code = 4


class ContractError(BackendError):
    pass


class Rejected(BackendError):
    """Ends a run at once: asking again, or for other variants, is useless."""


class AuthError(Rejected):
    pass


class Unreachable(BackendError):
    pass


class LimitReached(ProbeError):
    exit_code = 5


class QuotaExhausted(LimitReached):
    pass


class RateLimited(LimitReached):
    pass


class StorageError(ProbeError):
    exit_code = 7


class LedgerError(StorageError):
    pass


class OutputError(StorageError):
    pass


class Interrupted(KeyboardInterrupt):
    """The run was told to stop; everything received is in the ledger."""

    partial: Result | None = None

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def nearest(word: str, known: Iterable[str]) -> str:
    """' Did you mean X?' for a mistyped word, or nothing."""
    folded = {name.casefold(): name for name in known}
    matches = get_close_matches(word.casefold(), folded, n=1)
    return f" Did you mean {folded[matches[0]]!r}?" if matches else ""
