"""The house is in order, and each rule of it can fail: see house.py for the rules."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house import (
    RULES,
    a_partial_is_one_element_named_after_its_file,
    each_storey_knows_only_its_own_trade,
    everything_is_caught_in_three_places,
    imports_go_downhill,
    module_names_say_something,
    no_blueprint_package_imports_another,
    no_template_holds_script_or_style,
    nothing_is_left_unfinished,
    nothing_outgrows_its_ceiling,
    one_word_for_one_thing,
    only_settings_reads_the_environment,
    public_names_are_explained,
)

ROOT = Path(__file__).resolve().parent.parent

SOUND = {
    "gateway/router.py": '"""Routes."""\nimport clock\nfrom gateway import catalog\n',
    "gateway/relay.py": (
        '"""The relay."""\nclass Relay:\n    """A body."""\n'
        '    def close(self):\n        """End."""\n'
        "        try:\n            pass\n        except Exception:\n            log()\n"
    ),
    "blueprints/v1/chat.py": "from flask import g\nfrom . import door\nfrom gateway import keys\n",
    "app.py": "try:\n  f()\nexcept BaseException:\n  undo()\n  raise\n",
    "settings.py": '"""Settings."""\nimport os\nHOME = os.environ\n',
    "templates/console/_keys_table.html": '{# k #}<ul id="keys-table"><li><br></li></ul>',
    "templates/base.html": '<script src="/static/js/x.js"></script><main class="on"></main>',
}
FAULTS: list[tuple[Callable[[Path], Iterator[str]], str, str]] = [
    (imports_go_downhill, "gateway/x.py", "def f():\n    from blueprints import v1"),
    (imports_go_downhill, "wire/x.py", "import money"),
    (imports_go_downhill, "models.py", "import db"),
    (imports_go_downhill, "errors.py", "import clock"),
    (imports_go_downhill, "blueprints/x.py", "from db import transaction"),
    (imports_go_downhill, "blueprints/x.py", "from .. import db"),
    (imports_go_downhill, "gateway/x.py", "import tests.conftest"),
    (imports_go_downhill, "router.py", "X = 1"),
    (each_storey_knows_only_its_own_trade, "gateway/x.py", "from flask import g"),
    (each_storey_knows_only_its_own_trade, "providers/x.py", "import sqlalchemy.orm"),
    (each_storey_knows_only_its_own_trade, "blueprints/x.py", "from sqlalchemy import select"),
    (each_storey_knows_only_its_own_trade, "clock.py", "import gevent"),
    (
        no_blueprint_package_imports_another,
        "blueprints/admin/x.py",
        "from blueprints.v1 import chat",
    ),
    (no_blueprint_package_imports_another, "blueprints/admin/x.py", "from ..v1 import chat"),
    (nothing_outgrows_its_ceiling, "x.py", "X = 1\n" * 401),
    (nothing_outgrows_its_ceiling, "models.py", "X = 1\n" * 901),
    (nothing_outgrows_its_ceiling, "templates/x.html", "<p></p>\n" * 121),
    (nothing_outgrows_its_ceiling, "x.py", "class A:\n  def f():\n" + "    g()\n" * 60),
    (everything_is_caught_in_three_places, "db.py", "try: f()\nexcept Exception: pass"),
    (everything_is_caught_in_three_places, "app.py", "def g():\n  try: f()\n  except: pass"),
    (
        everything_is_caught_in_three_places,
        "db.py",
        "try: f()\nexcept (OSError, BaseException): pass",
    ),
    (everything_is_caught_in_three_places, "db.py", "with contextlib.suppress(Exception): f()"),
    (module_names_say_something, "gateway/utils.py", ""),
    (module_names_say_something, "gateway/key_manager.py", ""),
    (module_names_say_something, "services/keys.py", ""),
    (nothing_is_left_unfinished, "x.py", "# TO" + "DO later"),
    (only_settings_reads_the_environment, "gateway/x.py", "import os\nos.environ['A']"),
    (only_settings_reads_the_environment, "gateway/x.py", "from os import getenv"),
    (public_names_are_explained, "gateway/x.py", '"""X."""\ndef pay(): ...'),
    (public_names_are_explained, "wire/x.py", '"""X."""\nclass Y:\n  """Y."""\n  def z(self): ...'),
    (public_names_are_explained, "money.py", "X = 1"),
    (one_word_for_one_thing, "gateway/x.py", "def f(customer_id): ..."),
    (one_word_for_one_thing, "models.py", "class TenantRow: ..."),
    (a_partial_is_one_element_named_after_its_file, "templates/_a_b.html", '<p id="b"></p>'),
    (a_partial_is_one_element_named_after_its_file, "templates/_a.html", '<p id="a"></p><p></p>'),
    (no_template_holds_script_or_style, "templates/x.html", "<style></style>"),
    (no_template_holds_script_or_style, "templates/x.html", "<script>x</script>"),
    (no_template_holds_script_or_style, "templates/x.html", '<p style="a"></p>'),
    (no_template_holds_script_or_style, "templates/x.html", '<p onclick="a()"></p>'),
]


def plant(root: Path, planted: dict[str, str]) -> None:
    for name, text in planted.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_is_in_order(rule: Callable[[Path], Iterator[str]]) -> None:
    assert list(rule(ROOT)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_house_breaks_no_rule(
    rule: Callable[[Path], Iterator[str]], tmp_path: Path
) -> None:
    plant(tmp_path, SOUND)
    assert list(rule(tmp_path)) == []


@pytest.mark.parametrize(("rule", "name", "text"), FAULTS)
def test_a_planted_fault_is_found(
    rule: Callable[[Path], Iterator[str]], name: str, text: str, tmp_path: Path
) -> None:
    plant(tmp_path, {**SOUND, name: text})
    assert any(name in sentence for sentence in rule(tmp_path))
