"""Studies that several sentences rest on: trained once a process."""

from harness.found import Found
from jcnn import strict_json
from jcnn.study import Result, Study

_done: dict[str, tuple[Result, list[str]]] = {}


def run(found: Found, study: Study, name: str) -> Result:
    """`found.run`, but what another sentence has trained is taken from there, with its notes.

    Studies are one where their name and everything that a study file tells of them are.
    """
    key = strict_json.dumps([name, study.describe()])
    if key not in _done:
        known = len(found.notes)
        result = found.run(study, name)
        _done[key] = result, found.notes[known:]
        return result
    result, notes = _done[key]
    found.notes += notes
    return result
