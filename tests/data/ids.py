"""Names of parametrized tests."""


def by_message(value: object) -> str:
    """Test names without the bytes of archives, which contain their time of creation."""
    return value if isinstance(value, str) else "file"
