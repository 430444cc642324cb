"""What `jcnn.data` raises."""

from jcnn.errors import UsageError


class DataError(ValueError):
    """Data that cannot be used: one line that names the file, the field and the fix."""


class UnknownDataError(DataError, UsageError):
    """What no data set, file or folder is called."""
