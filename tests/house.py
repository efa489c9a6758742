"""The rules of the house, read from the source; the map is in CONTRIBUTING.md.

Each rule is a function from a checkout to the sentences that say what breaks it.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

from typing_extensions import override

STOREY_0 = {"errors", "clock", "ids", "offload"}
STOREY_1 = STOREY_0 | {"wire", "money", "settings"}
STOREY_4 = STOREY_1 | {"models", "db", "providers", "payments"}
MAY_IMPORT = {
    "errors": set(),
    "clock": set(),
    "ids": set(),
    "offload": set(),
    "money": STOREY_0,
    "settings": STOREY_0 | {"money"},  # one setting is an amount; money itself knows no settings
    "wire": STOREY_0,
    "models": STOREY_0 | {"money", "settings"},
    "db": STOREY_0 | {"money", "settings"},
    "providers": STOREY_0 | {"wire", "settings"},
    "payments": STOREY_0 | {"money", "settings"},
    "gateway": STOREY_4,
    "blueprints": {"gateway", "wire", "errors", "settings", "ids"},
    "cli": STOREY_4 | {"gateway", "migrations"},
    "app": STOREY_4 | {"gateway", "blueprints", "cli"},
    "wsgi": {"app"},
    "refusals": {"blueprints", "gateway", "wire", "errors", "ids"},
    "serving": {"wsgi", "refusals"},
}
"""Which of our own modules a module may import, besides its own package."""

FREE = {"tests", "bench", "scripts", "migrations", "gunicorn.conf"}
"""What stands outside the house: nothing imports it, and it may look in everywhere."""

FLASK, DATABASE = (
    {"flask", "flask_login", "werkzeug"},
    {"sqlalchemy", "psycopg", "sqlite3", "alembic"},
)
MAY_NOT_KNOW = {
    **dict.fromkeys(["models", "db", "gateway"], FLASK),
    **dict.fromkeys(["money", "settings", "wire", "providers", "payments"], FLASK | DATABASE),
    "blueprints": DATABASE | {"requests"},
}
STANDARD_LIBRARY_ONLY = {"errors", "clock", "ids"}

FUNCTION_LINES = 60
FILE_LINES = {"models.py": 900, ".html": 120, ".py": 400}

MAY_CATCH_EVERYTHING = {
    ("gateway/ledger/writer.py", "Writer._failure_of"),  # handed to whoever waits for the outcome
    ("app.py", "_render_defect"),  # the renderer: nobody ever sees a traceback
    ("gateway/relay.py", "Relay.close"),  # the server calls it, and nobody is left to tell
    ("gateway/runtime.py", "Runtime._repeat"),  # the job loop: one bad round may not stop the next
}
"""The only functions that may keep any exception; to clean up and raise it again is free."""

MAY_READ_ENVIRONMENT = (
    "settings.py",
    "wsgi.py",
    "gunicorn.conf.py",
    "scripts/",
    "tests/",
    "bench/",
)
EMPTY_WORDS = re.compile(r"(util|helper|manager|handler|service|data)s?")
OTHER_WORDS_FOR_WORKSPACE = re.compile(r"(customer|tenant)s?")
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b")

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
SKIPPED = {".git", ".venv", ".venv-compat", "instance", "__pycache__", "node_modules"}


def files(root: Path, *suffixes: str) -> Iterator[tuple[str, Path]]:
    """Every file of the checkout with one of these suffixes, new ones included."""
    for name in sorted(_names(root)):
        path = root / name
        if path.suffix in suffixes and path.is_file() and "vendor" not in path.parts:
            yield name, path


def _names(root: Path) -> list[str]:
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - fixed words
        if listed.returncode == 0:
            return [name for name in listed.stdout.decode().split("\0") if name]
    names = []
    for folder, folders, here in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED]
        names += [(Path(folder) / name).relative_to(root).as_posix() for name in here]
    return names


def modules(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for name, path in files(root, ".py"):
        yield name, ast.parse(path.read_text(encoding="utf-8"), filename=name)


def top(name: str) -> str:
    """`gateway/ledger.py` lives in `gateway`, `app.py` in `app`."""
    return name.split("/")[0].removesuffix(".py")


def imports(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each name that a module imports, with its line; relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.removesuffix(".py").split("/")[: -node.level] if node.level else []
            base = [*package, *([node.module] if node.module else [])]
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def functions(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Each function and class with its dotted name; what is nested in a function is part of it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from functions(node, f"{inside}{node.name}.")
        elif not isinstance(node, ast.expr):
            yield from functions(node, inside)


def imports_go_downhill(root: Path) -> Iterator[str]:
    for name, tree in modules(root):
        here = top(name)
        if here in FREE:
            continue
        if here not in MAY_IMPORT:
            yield f"{name}: in no storey; give {here} a row in MAY_IMPORT and in CONTRIBUTING.md"
            continue
        for line, imported in imports(name, tree):
            there = imported.split(".")[0]
            if (
                there in MAY_IMPORT.keys() | FREE
                and there != here
                and there not in MAY_IMPORT[here]
            ):
                yield f"{name}:{line}: {here} may not import {there}"


def each_storey_knows_only_its_own_trade(root: Path) -> Iterator[str]:
    for name, tree in modules(root):
        here = top(name)
        for line, imported in imports(name, tree):
            there = imported.split(".")[0]
            if there in MAY_NOT_KNOW.get(here, ()):
                yield f"{name}:{line}: {here} knows no {there}"
            if here in STANDARD_LIBRARY_ONLY and there not in sys.stdlib_module_names:
                yield f"{name}:{line}: {here} is standard library only, not {there}"


def no_blueprint_package_imports_another(root: Path) -> Iterator[str]:
    packages = {path.name for path in (root / "blueprints").glob("*/") if path.is_dir()}
    for name, tree in modules(root):
        if top(name) != "blueprints":
            continue
        own = name.split("/")[1]
        for line, imported in imports(name, tree):
            parts = [*imported.split("."), ""]
            if parts[0] == "blueprints" and parts[1] in packages - {own}:
                yield f"{name}:{line}: a blueprint package may not import blueprints.{parts[1]}"


def nothing_outgrows_its_ceiling(root: Path) -> Iterator[str]:
    for name, path in files(root, ".py", ".html"):
        if name.startswith("migrations/versions/"):
            continue  # history: written once, never edited
        lines = len(path.read_text(encoding="utf-8").splitlines())
        ceiling = FILE_LINES.get(name, FILE_LINES[path.suffix])
        if lines > ceiling:
            yield f"{name}: {lines} lines, {ceiling} at most"
    for name, tree in modules(root):
        for where, node in functions(tree):
            assert isinstance(node, ast.stmt)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            is_history = name.startswith("migrations/versions/")
            if not isinstance(node, ast.ClassDef) and lines > FUNCTION_LINES and not is_history:
                yield f"{name}: {where} has {lines} lines, {FUNCTION_LINES} at most"


def everything_is_caught_in_three_places(root: Path) -> Iterator[str]:
    for name, tree in modules(root):
        if top(name) in FREE:
            continue
        owners = dict(functions(tree))
        for node in ast.walk(tree):
            if not _catches_everything(node):
                continue
            within = [w for w, f in owners.items() if any(child is node for child in ast.walk(f))]
            where = max(within, key=len, default="the module")
            if (name, where) not in MAY_CATCH_EVERYTHING:
                yield f"{name}:{getattr(node, 'lineno', 0)}: {where} catches everything"


def _catches_everything(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        if ast.unparse(node.body[-1]) == "raise":
            return False
        caught = node.type
        names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        names = node.args
    else:
        return False
    return any(n is None or ast.unparse(n) in ("Exception", "BaseException") for n in names)


def module_names_say_something(root: Path) -> Iterator[str]:
    for name, _ in files(root, ".py"):
        for part in name.removesuffix(".py").split("/"):
            if any(EMPTY_WORDS.fullmatch(word) for word in part.split("_")):
                yield f"{name}: {part} says nothing; name the thing that lives there"


def nothing_is_left_unfinished(root: Path) -> Iterator[str]:
    for name, path in files(root, ".py", ".html", ".css", ".js", ".md", ".toml", ".yaml"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if UNFINISHED.search(line):
                yield f"{name}:{number}: {line.strip()}"


def only_settings_reads_the_environment(root: Path) -> Iterator[str]:
    for name, tree in modules(root):
        if name.startswith(MAY_READ_ENVIRONMENT):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv"):
                yield f"{name}:{node.lineno}: {ast.unparse(node)} belongs to settings.py"
        for line, imported in imports(name, tree):
            if imported in ("os.environ", "os.getenv"):
                yield f"{name}:{line}: {imported} belongs to settings.py"


def public_names_are_explained(root: Path) -> Iterator[str]:
    for name, tree in modules(root):
        if top(name) not in STOREY_4 | {"gateway"}:
            continue
        if not ast.get_docstring(tree) and tree.body:
            yield f"{name}: no docstring"
        for where, node in functions(tree):
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            is_inherited = any(
                ast.unparse(decorator).endswith(("override", "overload", ".setter"))
                for decorator in node.decorator_list
            )
            is_private = any(part.startswith("_") for part in where.split("."))
            if not (is_private or is_inherited or ast.get_docstring(node)):
                yield f"{name}:{node.lineno}: {where} has no docstring"


def one_word_for_one_thing(root: Path) -> Iterator[str]:
    for name, tree in modules(root):
        for node in ast.walk(tree):
            for field in ("id", "attr", "name", "arg"):
                word = getattr(node, field, None)
                if isinstance(word, str) and _is_other_word(word):
                    yield f"{name}:{getattr(node, 'lineno', 0)}: {word}; we say workspace"


def _is_other_word(identifier: str) -> bool:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identifier).lower().split("_")
    return any(OTHER_WORDS_FOR_WORKSPACE.fullmatch(word) for word in words)


class Elements(HTMLParser):
    """The elements of one template: those at its root, and every attribute."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.roots: list[dict[str, str | None]] = []
        self.found: list[tuple[int, str, dict[str, str | None]]] = []
        self._depth = 0
        self.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}", "", source, flags=re.DOTALL))

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((self.getpos()[0], tag, dict(attrs)))
        if self._depth == 0:
            self.roots.append(dict(attrs))
        self._depth += tag not in VOID

    @override
    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag not in VOID


def templates(root: Path) -> Iterator[tuple[str, Path, Elements]]:
    for name, path in files(root, ".html"):
        if name.startswith("templates/") and not name.startswith("templates/emails/"):
            yield name, path, Elements(path.read_text(encoding="utf-8"))


def a_partial_is_one_element_named_after_its_file(root: Path) -> Iterator[str]:
    for name, path, elements in templates(root):
        if path.name.startswith("_") and path.name != "_macros.html":
            wanted = path.stem.removeprefix("_").replace("_", "-")
            if [element.get("id") for element in elements.roots] != [wanted]:
                yield f'{name}: one root element with id="{wanted}" is wanted'


def no_template_holds_script_or_style(root: Path) -> Iterator[str]:
    for name, _, elements in templates(root):
        for line, tag, attributes in elements.found:
            if tag == "style" or (tag == "script" and not attributes.get("src")):
                yield f"{name}:{line}: inline <{tag}>"
            for attribute in attributes:
                if attribute == "style" or attribute.startswith(("on", "hx-on")):
                    yield f"{name}:{line}: attribute {attribute}"


RULES: list[Callable[[Path], Iterator[str]]] = [
    imports_go_downhill,
    each_storey_knows_only_its_own_trade,
    no_blueprint_package_imports_another,
    nothing_outgrows_its_ceiling,
    everything_is_caught_in_three_places,
    module_names_say_something,
    nothing_is_left_unfinished,
    only_settings_reads_the_environment,
    public_names_are_explained,
    one_word_for_one_thing,
    a_partial_is_one_element_named_after_its_file,
    no_template_holds_script_or_style,
]
