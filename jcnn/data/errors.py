"""The errors that `jcnn.data` raises."""

from jcnn.errors import UsageError


class DataError(ValueError):
    """Raised for unusable data; the message is one line with the file, the field and the fix."""


class UnknownDataError(DataError, UsageError):
    """Raised when a name is neither a registered data set nor an existing path."""
