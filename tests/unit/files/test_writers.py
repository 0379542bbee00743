"""Everything that is written goes through one place."""

import ast
from pathlib import Path

import pytest

import methmix

PACKAGE = Path(methmix.__file__).parent
# What writes a file, by the name of the function.
WRITERS = {
    *("write_text", "write_bytes", "to_csv", "to_json", "to_parquet", "to_hdf", "savefig", "save_file", "savez"),
    *("savez_compressed", "savetxt", "tofile", "copyfile", "copy2", "copytree", "FileHandler", "SummaryWriter", "dump"),
    *("open", "File", "save", "NamedTemporaryFile", "mkstemp", "copyfileobj", "rename", "replace", "touch"),
}
WRITING_MODES = set("wax+")
# Logs, which are appended to; and what is removed with its temporary folder.
ALLOWED = {
    # Behind what was written to a temporary file, before it gets its name.
    ("files/seal.py", "open"),
    ("files/atomic.py", "mkstemp"), ("files/atomic.py", "write_text"), ("files/atomic.py", "replace"),
    ("training/record.py", "FileHandler"),
    ("training/monitor.py", "SummaryWriter"),
    # A run that cannot be resumed is set aside as it is.
    ("training/run_folder.py", "rename"),
    # Below a temporary folder.
    ("prediction/sample_files.py", "open"), ("prediction/sample_files.py", "copyfileobj"),
    ("benchmark/reading_speed.py", "*"),
}  # fmt: skip


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def text(node: ast.AST) -> str:
    return ast.unparse(node)


def mode_of(call: ast.Call) -> str:
    """Give the mode in which a call opens a file, "r" if it states none."""
    place = 0 if isinstance(call.func, ast.Attribute) and text(call.func.value) not in ("gzip", "h5py") else 1
    stated = [word.value for word in call.keywords if word.arg == "mode"] + call.args[place : place + 1]
    return stated[0].value if stated and isinstance(stated[0], ast.Constant) else "r"


def writes(call: ast.Call, name: str, temporaries: set[str]) -> bool:
    """Whether a call writes a file that `atomic_path` has not given."""
    on = text(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    given = {text(argument) for argument in call.args} | {on}
    if name in ("open", "File"):
        return bool(WRITING_MODES & set(str(mode_of(call)))) and not given & temporaries
    if name in ("replace", "rename"):
        # Of a text, a frame, a dataclass: two arguments, or names.
        return len(call.args) == 1 and not call.keywords and on not in ("dataclasses",) and name == "rename"
    if name == "to_csv":
        # Without a path it gives a text.
        return bool(call.args) and not given & temporaries
    if name in ("dump", "save", "write_text", "savefig"):
        own = {"write_text": "", "save": "", "dump": "json"}.get(name)
        if isinstance(call.func, ast.Name) or (name == "dump" and on != own):
            return False
        return not given & (temporaries | {"buffer"})
    return not given & temporaries


def temporaries_of(tree: ast.AST) -> set[str]:
    """Name what is bound by ``with atomic_path(...) as``, and what is opened of it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        for item in getattr(node, "items", []) if isinstance(node, ast.With) else []:
            made, bound = text(item.context_expr), item.optional_vars
            if bound is not None and (made.startswith("atomic_path(") or made.split(".")[0] in found):
                found.add(text(bound))
    return found


def unguarded(tree: ast.AST) -> list[str]:
    temporaries = temporaries_of(tree)
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) in WRITERS)
    return [name_of(call) for call in calls if writes(call, name_of(call), temporaries)]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_written_through_atomic_path(path):
    place = str(path.relative_to(PACKAGE))
    found = {name for name in unguarded(ast.parse(path.read_text())) if (place, "*") not in ALLOWED}
    assert {name for name in found if (place, name) not in ALLOWED} == set()


@pytest.mark.parametrize(
    "code",
    [
        'path.write_text("x")', 'path.write_bytes(b"x")', 'open(path, "w")', 'path.open("wb")', 'path.open(mode="a")',
        'gzip.open(path, "wt")', 'h5py.File(path, "w")', 'h5py.File(path, mode="a")', "table.to_csv(path)",
        "torch.save(x, path)", "np.save(path, x)", "np.savez_compressed(path, x)", "figure.savefig(path)",
        "json.dump(x, file)", "path.rename(other)", "shutil.copyfile(a, b)",
        "with atomic_path(a) as temporary:\n    b.write_text('x')",
    ],
)  # fmt: skip
def test_other_writing_would_be_found(code):
    assert unguarded(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        'open(path, "rb")', 'h5py.File(path, "r", locking=False)', "table.to_csv()", 'a.replace("b", "c")',
        "with atomic_path(a) as temporary:\n    temporary.write_text('x')",
        "with atomic_path(a) as temporary, h5py.File(temporary, 'w') as file:\n    pass",
        "with atomic_path(a) as temporary, temporary.open('wb') as file:\n    torch.save(x, file)",
        "figure.savefig(buffer)",
    ],
)  # fmt: skip
def test_reading_and_what_is_temporary_pass(code):
    assert not unguarded(ast.parse(code))
