"""`python -m jcnn` is `jcnn`."""

from jcnn.cli.main import entry

if __name__ == "__main__":
    entry()
