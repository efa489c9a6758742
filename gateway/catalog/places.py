"""Where in the text of a TOML file a value stands, so that an error can name its line."""

import re

Path = tuple[str | int, ...]

HEADER = re.compile(r"\s*\[(\[?)\s*([\w.\"' -]+?)\s*\]\]?\s*(?:#.*)?")
KEY = re.compile(r"\s*([\w\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=")


def line_of(text: str, path: Path) -> int | None:
    """Return the line, counted from 1, of the value at a path, else of what is around it."""
    found: tuple[int, int] | None = None
    here: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.fullmatch(line):
            here = _opened(_parts(header[2]), counts, is_list=bool(header[1]))
            place = here
        elif key := KEY.match(line):
            place = (*here, *_parts(key[1]))
        else:
            continue
        if place == path[: len(place)] and (found is None or len(place) > found[0]):
            found = (len(place), number)
    return found[1] if found else None


def _opened(names: Path, counts: dict[Path, int], *, is_list: bool) -> Path:
    """Return the path of a header: the numbers of the rows of lists are put between its names."""
    path: Path = ()
    for name in names[:-1]:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    path = (*path, names[-1])
    if is_list:
        counts[path] = counts.get(path, -1) + 1
        path = (*path, counts[path])
    return path


def _parts(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
