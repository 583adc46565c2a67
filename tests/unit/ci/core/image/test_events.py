"""What the daemon tells, message by message, as both builders, pulls and pushes tell it."""

from __future__ import annotations

from typing import Any

import pytest

from ci.core.image.events import Event, Failed, Made, Moved, Said, Step, events


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"stream": 'Step 5/17 : RUN ["python3", "-m", "pip"]\n'}, [Step(5, 17, 'RUN ["python3", "-m", "pip"]')]),
        ({"stream": "\x1b[91mWARNING: slow\n\x1b[0m"}, [Said("WARNING: slow")]),
        ({"stream": "\n"}, []),
        ({"stream": "one\ntwo\n"}, [Said("one"), Said("two")]),
        ({"aux": {"ID": "sha256:0a"}}, [Made("sha256:0a")]),
        ({"progressDetail": {}, "aux": {"Tag": "a", "Digest": "sha256:0b", "Size": 951}}, [Made("sha256:0b")]),
        ({"status": "Preparing", "progressDetail": {}, "id": "7f86"}, [Moved("7f86", "Preparing", 0, 0)]),
        (
            {"status": "Pushing", "progressDetail": {"current": 5, "total": 9}, "progress": "[=>]", "id": "7f86"},
            [Moved("7f86", "Pushing", 5, 9)],
        ),
        ({"status": "The push refers to repository [x]"}, [Said("The push refers to repository [x]")]),
        ({"errorDetail": {"message": "denied"}, "error": "denied\n"}, [Failed("denied")]),
        ({}, []),
    ],
)
def test_messages(message: dict[str, Any], told: list[Event]) -> None:
    assert events(message) == told
