"""Exceptions and warnings of fourfold.

Bad arguments raise ``ValueError`` or ``TypeError``. What is named here went wrong later: in the numbers, in a file,
or in the installation.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BlowUpError",
    "ConvergenceError",
    "ConvergenceWarning",
    "CorruptStreamError",
    "DamagedFileError",
    "FourfoldError",
    "ImpossibleEvidenceError",
    "MissingExtraError",
    "MissingProgramError",
    "ModelMismatchError",
    "NotPositiveDefiniteError",
    "NotSavableError",
    "OrderWarning",
    "ReconstructionError",
    "ResumeWarning",
    "RunInterrupted",
    "StepSizeError",
    "TrainingError",
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


def _rebuild(kind: type[Any], message: str, state: dict[str, Any]) -> Any:
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


class ReconstructionError(_InterruptedRun):
    """The states that a gradient needs could not be had back by running the steps backwards.

    Attributes
    ----------
    time : float
        The saved time at which the way back should have arrived.
    realisation : int
        Flat index of the realisation, in the batch, that failed.
    solution : None
        Of no use here.
    """


class ConvergenceError(FourfoldError, ArithmeticError):
    """An iteration did not come as near to its aim as it was asked to.

    Attributes
    ----------
    residual : float
        How near it came, in the terms of the function that raised.
    iterations : int or None
        Steps made, where they are counted.
    state : object
        What had been reached, as the function that raised would have returned it, or None.
    """

    def __init__(
        self, message: str, *, residual: float, iterations: int | None = None, state: Any = None
    ) -> None:
        super().__init__(message)
        self.residual = residual
        self.iterations = iterations
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), dict(vars(self)))


class NotPositiveDefiniteError(FourfoldError, ArithmeticError):
    """A matrix that has to be positive definite is not.

    Parameters
    ----------
    message : str
        Which matrix, what was found, and what to do about it.
    factor : int or None
        Index of the Kronecker factor; None if it is the whole matrix with its noise.
    batch : int
        Flat index in the batch.
    pivot : int or None
        Row at which the Cholesky decomposition stopped, counted from 0; None if it was not by Cholesky.
    smallest_eigenvalue : float
        The smallest eigenvalue of that matrix.
    """

    def __init__(
        self,
        message: str,
        *,
        factor: int | None = None,
        batch: int = 0,
        pivot: int | None = None,
        smallest_eigenvalue: float,
    ) -> None:
        super().__init__(message)
        self.factor = factor
        self.batch = batch
        self.pivot = pivot
        self.smallest_eigenvalue = smallest_eigenvalue

    def __reduce__(self) -> tuple[Any, ...]:
        state = {key: value for key, value in vars(self).items() if not key.startswith("__")}
        return _rebuild, (type(self), str(self), state)


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C stopped a computation that can tell what it had reached.

    Attributes
    ----------
    solution : object
        The states saved so far, as the function that raised would have returned them.
    path : str or None
        The file in which they are too, if they are saved to one.
    """

    def __init__(self, message: str, *, solution: Any = None, path: str | None = None) -> None:
        super().__init__(message)
        self.solution = solution
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), {"solution": self.solution, "path": self.path})


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


class MissingProgramError(FourfoldError, OSError):
    """A function needs a program that is not on this machine's path.

    Parameters
    ----------
    program : str
        Its name.
    purpose : str
        What it was needed for, as the subject of a sentence.
    remedy : str
        What to do about it.
    """

    def __init__(self, program: str, purpose: str, remedy: str) -> None:
        self.program = program
        self.purpose = purpose
        self.remedy = remedy
        super().__init__(f"{purpose} needs {program}, which was not found: {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.program, self.purpose, self.remedy)


class NotSavableError(FourfoldError, ValueError):
    """Something holds what no file can hold, a function say."""


class DamagedFileError(FourfoldError, OSError):
    """A file does not hold what its format promises."""


class CorruptStreamError(DamagedFileError):
    """A compressed stream is damaged; the message says where."""


class ModelMismatchError(FourfoldError, ValueError):
    """A compressed stream was made with another model than the one it is read with."""


class ImpossibleEvidenceError(FourfoldError, ValueError):
    """Observations have probability 0 under a model, so nothing can be said given them."""


class ConvergenceWarning(UserWarning):
    """An iteration ended at its largest number of steps; what it had reached is returned."""


class OrderWarning(UserWarning):
    """A method converges with a lower order on this problem than its name says."""


class ResumeWarning(UserWarning):
    """A run goes on where it cannot be promised to give the bits of an unbroken one."""


class TrainingError(FourfoldError, ArithmeticError):
    """Training stopped because the loss was no longer finite."""
