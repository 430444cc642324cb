"""The one exception of `jcnn.data`."""


class DataError(ValueError):
    """Data that cannot be used: one line that names the file, the field and the fix."""
