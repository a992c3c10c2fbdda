"""What can go wrong while building the surroundings of the worker.

InfraError
  EmbeddedAwsError   the emulator is missing, or did not start
  StackError         CloudFormation refused, failed, or took too long
"""


class InfraError(Exception):
    """Root of this package's errors: says what failed, where, and what to do."""


class EmbeddedAwsError(InfraError):
    """The embedded AWS is not installed or did not come up."""


class StackError(InfraError):
    """A stack could not be brought to what its template says."""
