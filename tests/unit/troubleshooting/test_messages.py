"""What is collected from the code that emits messages."""

import ast

import pytest

from methmix.provenance import PACKAGE
from methmix.troubleshooting.messages import messages

CODE = '''
"""Read things."""
from methmix.errors import InputError, RunError

_AGAIN = "make it again"
WHERE, _N = "in the house", 3

def read(path, lines, strict):
    """Read a file.

    At length.
    """
    hint = f"close {path.name}" if strict else ""
    if not lines:
        raise InputError(f"{path}: has {len(lines)} lines, " f"expected {_N}", _AGAIN)
    message = f"{path}: is {'bad' if strict else 'very bad'}"
    raise RunError(message, hint)

def _far(path):
    return "copy " + f"{path} again"

class Reader:
    """Reads."""

    def close(self, notes):
        logger.warning("%s: %d of %.3f files %s", self.path, number, len(self.files), WHERE)
        notes.append(f"no {self.kind}")
        logger.warning("%s", notes[0])
        refuse(1, "the first is wrong", "mend the first")
        refuse(2, "the second is wrong", remedy=_far("x"))
        raise ValueError("only the author of a call sees this")

def refuse(number, what, remedy):
    raise InputError(f"line {number}: {what}", remedy)
'''


@pytest.fixture
def found(tmp_path):
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage/module.py").write_text(CODE)
    return {message.text: message for message in messages(tmp_path)}


def test_messages_of_errors_with_exit_code_remedy_and_purpose(found):
    message = found["<path>: has <number of lines> lines, expected <n>"]
    assert (message.package, message.exit_code, message.remedy) == ("stage", "2", "make it again")
    assert message.purpose == "Read a file."
    other = found["<path>: is (bad or very bad)"]
    assert (other.exit_code, other.remedy) == ("1", "(close <name>)")


def test_messages_of_warnings(found):
    assert found["<path>: <number> of <number of files> files in the house"].exit_code == ""
    assert found["<path>: <number> of <number of files> files in the house"].purpose == "Reads."
    assert found["no <kind>"].exit_code == ""
    assert not any("<notes>" in text for text in found)


def test_a_function_that_is_given_parts_of_a_message_has_one_for_each_call(found):
    assert found["line <number>: the first is wrong"].remedy == "mend the first"
    assert "line <number>: the second is wrong" in found


def test_what_only_programmers_see_is_left_out(found):
    assert len(found) == 6


def test_every_place_that_raises_an_error_is_on_the_page():
    """But for those that only repeat what another place or pydantic says."""
    listed = messages(PACKAGE)
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name in ("troubleshooting", "") or path.name == "errors.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("InputError", "RunError"):
                parts = [c.value for c in ast.walk(node.args[0]) if isinstance(c, ast.Constant)]
                longest = max((part for part in parts if isinstance(part, str)), key=len, default="")
                # Of a conditional, or of a name, parts may be elsewhere.
                if isinstance(node.args[0], ast.JoinedStr | ast.Constant) and len(longest) > 5:
                    assert any(longest in message.text for message in listed), (path, longest)
