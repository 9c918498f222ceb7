"""Configuration files from templates: `@name@` is replaced, everything else is the peer's own language.

`@http2@` opens a comment unless HTTP/2 is asked for: all of those languages that need it have the same comments.
"""

import re
from pathlib import Path


def fill(template: Path, values: dict[str, object]) -> str:
    """The text of a template. A name that nobody gave a value is a mistake."""
    return re.sub(r"@([a-z_0-9]+)@", lambda match: str(values[match[1]]), template.read_text())
