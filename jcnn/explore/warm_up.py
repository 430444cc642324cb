"""Compile beforehand what a page may ask for, so that its controls answer at once."""

import contextlib
import dataclasses
import gc
import os
import threading
from typing import Any

from jcnn.explore import picture
from jcnn.explore.choice import NAMED, options
from jcnn.explore.subject import Subject

# Convolutions that have every shape of a deeper network's: before the pooling and after it.
_DEPTH = 2


def warm_up(subject: Subject) -> None:
    """Run every part once, in the shapes of the subject; for a thread of its own.

    Layers are programs of their own, so the parts need not be tried together. Another number of
    channels is compiled when it is chosen: all of them would take much memory. What cannot be built
    is left for the page, which says why.
    """
    with contextlib.suppress(AttributeError, OSError):  # Linux has priorities for threads
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    shape, outputs = subject.input_shape, len(subject.classes)
    first = dataclasses.replace(subject.start, depth=_DEPTH)
    choices = [first]
    for part in NAMED:
        if part != "optimizer":
            parts: list[dict[str, Any]] = [{part: name} for name in options()[part]]
            choices += [dataclasses.replace(first, **one) for one in parts]
    for choice in choices:
        with contextlib.suppress(Exception):
            model = choice.model(shape, outputs)
            picture.flow(subject, model)
            picture.expected(subject, model)
    # What was compiled stays: to look through all of it for garbage would hold an answer up.
    gc.collect()
    gc.freeze()
