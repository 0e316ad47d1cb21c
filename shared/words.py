"""What people write in a line or two: never nothing, and without the white space around it."""

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

WORDS = r"\S"
"""Not white space alone."""
_Trimmed = AfterValidator(lambda text: text.strip() or text)
"""After the length was looked at: the documents know nothing of trimming."""

Person = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=WORDS), _Trimmed]
"""Who does something."""
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1_000, pattern=WORDS), _Trimmed]
"""Why it is done."""
LongName = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=WORDS), _Trimmed]
"""A person or an office, as others write it."""
