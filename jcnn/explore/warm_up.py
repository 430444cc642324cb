"""Compile what the page may ask for ahead of time, so that its controls respond at once."""

import contextlib
import dataclasses
import gc
import os
import threading
from typing import Any

from jcnn.explore import signals
from jcnn.explore.choice import NAMED, options
from jcnn.explore.subject import Subject

# Two convolutions, before and after the pooling, have every shape that a deeper network has.
_DEPTH = 2


def warm_up(subject: Subject) -> None:
    """Run every part once with the subject's shapes; call this in a separate thread.

    Each layer is compiled on its own, so combinations of parts need not be tried. Other widths are
    compiled when they are chosen, because all of them would take much memory. A choice that cannot
    be built is skipped; the page shows its error.
    """
    with contextlib.suppress(AttributeError, OSError):  # only Linux has thread priorities
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    shape, outputs = subject.input_shape, len(subject.classes)
    first = dataclasses.replace(subject.start, depth=_DEPTH)
    choices = [first]
    for part in NAMED:
        if part != "optimizer":
            parts: list[dict[str, Any]] = [{part: name} for name in options()[part]]
            choices += [dataclasses.replace(first, **change) for change in parts]
    for choice in choices:
        with contextlib.suppress(Exception):
            model = choice.model(shape, outputs)
            signals.flow(subject, model)
            signals.expected(subject, model)
    # Compiled programs stay, so exclude them from garbage collection, which would delay answers.
    gc.collect()
    gc.freeze()
