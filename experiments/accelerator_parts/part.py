"""What every part of accelerator.py is given."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Part = Callable[["Setting"], Iterator[tuple[str, Any]]]


@dataclass
class Setting:
    """The sizes and options of a run; `left_out` lists what the part does not measure."""

    smoke: bool
    deadline: float
    torch_python: str | None
    cifar10: Path | None
    left_out: list[str] = field(default_factory=list)

    def start(self, part: str) -> list[str]:
        """Return the list of what `part` leaves out, which `in_time` adds to."""
        self.left_out = []
        return self.left_out

    @property
    def rounds(self) -> int:
        """Samples per side."""
        return 1 if self.smoke else 7

    def in_time(self, name: str) -> bool:
        """Whether there is time to start `name`; adds it to `left_out` if not."""
        if time.monotonic() < self.deadline:
            return True
        self.left_out.append(name)
        return False
