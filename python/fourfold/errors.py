"""Exceptions and warnings of fourfold.

Bad arguments raise ``ValueError`` or ``TypeError``. What is named here went wrong later: in the numbers, in a file,
or in the installation.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BlowUpError",
    "CorruptStreamError",
    "DamagedFileError",
    "FourfoldError",
    "ImpossibleEvidenceError",
    "MissingExtraError",
    "ModelMismatchError",
    "OrderWarning",
    "StepSizeError",
]


class FourfoldError(Exception):
    """Base class of all exceptions that are fourfold's own."""


class _InterruptedRun(FourfoldError, ArithmeticError):
    """A computation that stopped before its end, with what it had reached.

    Parameters
    ----------
    message : str
        What happened, where, and what to do about it.
    time : float
        Time reached.
    realisation : int
        Flat index of the realisation, in the batch, that failed.
    solution : object
        The states saved so far, as the function that raised would have returned them, or None.
    """

    def __init__(
        self, message: str, *, time: float, realisation: int = 0, solution: Any = None
    ) -> None:
        super().__init__(message)
        self.time = time
        self.realisation = realisation
        self.solution = solution

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would pickle the positional arguments only and fail to rebuild the keyword ones.
        state = {"time": self.time, "realisation": self.realisation, "solution": self.solution}
        return _rebuild, (type(self), str(self), state)


def _rebuild(kind: type[_InterruptedRun], message: str, state: dict[str, Any]) -> _InterruptedRun:
    return kind(message, **state)


class BlowUpError(_InterruptedRun):
    """The solution stopped being finite.

    Attributes
    ----------
    time : float
        Time reached.
    realisation : int
        Flat index of the realisation, in the batch, that failed.
    solution : object
        The states saved so far, as the function that raised would have returned them, or None.
    """


class StepSizeError(_InterruptedRun):
    """The adaptive step fell to the smallest that the floating-point time allows.

    Attributes
    ----------
    time : float
        Time reached.
    realisation : int
        Flat index of the realisation, in the batch, that failed.
    solution : object
        The states saved so far, as the function that raised would have returned them, or None.
    """


class MissingExtraError(FourfoldError, ImportError):
    """A function needs packages of an extra that is not installed.

    Parameters
    ----------
    extra : str
        The extra of fourfold that brings the package.
    package : str
        The package that could not be imported.
    purpose : str
        What it was needed for, as the subject of a sentence.
    """

    def __init__(self, extra: str, package: str, purpose: str) -> None:
        self.extra = extra
        self.package = package
        self.purpose = purpose
        self.pip_line = f'pip install "fourfold[{extra}]"'
        message = f"{purpose} needs {package}, which is not installed: {self.pip_line}"
        super().__init__(message, name=package)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.extra, self.package, self.purpose)


class DamagedFileError(FourfoldError, OSError):
    """A file does not hold what its format promises."""


class CorruptStreamError(DamagedFileError):
    """A compressed stream is damaged; the message says where."""


class ModelMismatchError(FourfoldError, ValueError):
    """A compressed stream was made with another model than the one it is read with."""


class ImpossibleEvidenceError(FourfoldError, ValueError):
    """Observations have probability 0 under a model, so nothing can be said given them."""


class OrderWarning(UserWarning):
    """A method converges with a lower order on this problem than its name says."""
