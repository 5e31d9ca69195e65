"""Figures of the code's structure, as a table: sizes, complexity, parameters, imports.

    python benchmarks/figures.py [--at old=../earlier new=.]

Imports nothing of the code, so any checkout will do. What is counted:

- Code lines of a function: of its body, without comments, docstrings and the functions in it.
- Complexity: McCabe's as radon 6 counts it, with comprehensions, and one more for each lambda.
- Parameters: all but self and cls; `*args` and `**kwargs` are one each.
- p95: the least figure that 95 % of the functions do not exceed.
- Imports: of the package's own modules, in functions too, but not under `if TYPE_CHECKING`; one at
  most between two modules. "Imports of a module" leaves out those of `BASIC` and by `__init__`.
- The longest chain: modules of which each imports the next. Those that import each other in a
  circle count as one, those of the command line not at all.
- Rooms: what lies at the top of the package, and early_exit/stopping; an arrow is a pair of rooms,
  in order, of which the first imports the second.
"""

import argparse
import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path
from typing import TypeAlias

BASIC = frozenset({"errors", "arrays", "spec", "records", "files", "paths", "amounts", "tables",
                   "columns", "progress", "worker", "user_code"})  # fmt: skip
"""The rooms that all others may use, by their names in earlier and later checkouts."""

Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """A file; its name is dotted, begins with the package's, and has no `__init__` in it."""

    name: str
    is_init: bool
    text: str
    tree: ast.Module


def read_modules(package: Path) -> Iterator[Module]:
    """Yield all modules below a folder."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        is_init, text = parts[-1] == "__init__", path.read_text(encoding="utf-8")
        yield Module(".".join(parts[: len(parts) - is_init]), is_init, text, ast.parse(text))


def functions_of(module: Module) -> Iterator[tuple[str, int, int, int]]:
    """Yield the name, code lines, complexity and parameters of each function and method."""
    code = code_lines(module)
    for name, node in definitions(module.tree, ""):
        body = {line for statement in node.body for line in lines_of(statement)}
        inner = (n for n in ast.walk(node) if isinstance(n, Definition) and n is not node)
        own = code & body.difference(*map(lines_of, inner))
        taken = {n.arg for n in ast.iter_child_nodes(node.args) if isinstance(n, ast.arg)}
        complexity = 1 + sum(map(decisions, node.body))
        yield f"{short(module.name)}:{name}", len(own), complexity, len(taken - {"self", "cls"})


def definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    """Yield each function below a node, named after the classes and functions around it too."""
    for child in ast.iter_child_nodes(node):
        name = getattr(child, "name", "") if isinstance(child, Definition | ast.ClassDef) else ""
        if isinstance(child, Definition):
            yield prefix + name, child
        yield from definitions(child, f"{prefix}{name}." if name else prefix)


def code_lines(module: Module) -> set[int]:
    """Return the numbers of the lines with code; a string that stands alone is none."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.string.strip() and token.type != tokenize.COMMENT:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            found.difference_update(lines_of(node))
    return found


def lines_of(node: ast.stmt) -> range:
    """Return the numbers of a statement's lines, its decorators among them."""
    first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
    return range(first, (node.end_lineno or node.lineno) + 1)


def decisions(node: ast.AST) -> int:
    """Return what a node adds to the complexity; functions and classes in it have their own."""
    below = sum(map(decisions, ast.iter_child_nodes(node)))
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return 0
        case ast.match_case(pattern=ast.MatchAs(pattern=None), guard=None):
            return below  # `case _` and `case name` take what is left, as an else does
        case ast.If() | ast.IfExp() | ast.Assert() | ast.Lambda() | ast.match_case():
            return below + 1
        case ast.For() | ast.AsyncFor() | ast.While():
            return below + 1 + bool(node.orelse)
        case ast.Try() | ast.TryStar():
            return below + len(node.handlers) + bool(node.orelse)
        case ast.BoolOp():
            return below + len(node.values) - 1
        case ast.comprehension():
            return below + 1 + len(node.ifs)
    return below


def imports(modules: Sequence[Module]) -> dict[str, set[str]]:
    """Return which modules of the package each of them imports."""
    known = {"", *(module.name for module in modules)}

    def home(path: str) -> str:  # of another package it is ""
        return path if path in known else home(path.rpartition(".")[0])

    return {each.name: {*map(home, imported(each))} - {each.name, ""} for each in modules}


def imported(module: Module) -> Iterator[str]:
    """Yield the dotted path of all that a module imports as it runs."""
    folder = module.name if module.is_init else module.name.rpartition(".")[0]
    todo: list[ast.AST] = [module.tree]
    while todo:
        match node := todo.pop():
            case ast.If() if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
                todo += node.orelse
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = resolve_name("." * node.level + (node.module or ""), folder)
                yield from (f"{base}.{alias.name}" for alias in node.names)
            case _:
                todo.extend(ast.iter_child_nodes(node))


def longest_chain(graph: dict[str, set[str]]) -> int:
    """Return how many modules the longest chain of imports has."""
    reached = graph
    for _ in range(len(graph).bit_length()):  # each time it reaches twice as far
        reached = {n: to.union(*(reached[other] for other in to)) for n, to in reached.items()}
    length: dict[str, int] = {}
    for name in sorted(graph, key=lambda name: len(reached[name] | {name})):
        below = (length[other] for other in reached[name] if name not in reached[other])
        length[name] = 1 + max(below, default=0)
    return max(length.values())


def short(name: str) -> str:
    """Return a module's name without the package's, or `__init__` for the package's own."""
    return name.partition(".")[2] or "__init__"


def room(name: str) -> str:
    """Return the room that a module lies in."""
    first, *inner = short(name).split(".")
    return "early_exit/stopping" if [first, *inner[:1]] == ["early_exit", "stopping"] else first


def any_uses(module: Module) -> int:
    """Return how often annotations name `Any`, quoted ones too."""
    fields = ("annotation", "returns")
    found = (getattr(node, field, None) for node in ast.walk(module.tree) for field in fields)
    return sum(len(re.findall(r"\bAny\b", ast.unparse(each))) for each in found if each)


def spread(title: str, names: Sequence[str], sizes: Sequence[int], *wanted: str) -> dict[str, str]:
    """Return rows of some of "median", "p95" and "max", the last with its name."""
    known = {
        "median": f"{statistics.median(sizes):g}",
        "p95": f"{sorted(sizes)[(95 * len(sizes) - 1) // 100]}",
        "max": f"{max(sizes)} ({names[sizes.index(max(sizes))]})",
    }
    return {f"{title}, {which}": known[which] for which in wanted}


def size_rows(modules: Sequence[Module]) -> dict[str, str]:
    """Return the rows of files and functions."""
    files, lines = [short(m.name) for m in modules], [m.text.count("\n") for m in modules]
    names, code, branches, taken = zip(*(f for m in modules for f in functions_of(m)), strict=True)
    return {
        "files": f"{len(files)}",
        "lines": f"{sum(lines)}",
        **spread("lines of a file", files, lines, "median", "max"),
        "functions": f"{len(names)}",
        **spread("code lines of a function", names, code, "median", "p95", "max"),
        **spread("complexity of a function", names, branches, "median", "p95", "max"),
        **spread("parameters of a function", names, taken, "p95", "max"),
    }


def import_rows(modules: Sequence[Module]) -> dict[str, str]:
    """Return the rows of imports between modules and rooms."""
    graph = imports(modules)
    counted = [module.name for module in modules if not module.is_init]
    fans = [sum(room(other) not in BASIC for other in graph[name]) for name in counted]
    cli = {name for name in graph if room(name) == "cli"}
    chained = {name: others - cli for name, others in graph.items() if name not in cli}
    pairs = [(room(name), room(other)) for name, others in graph.items() for other in others]
    between = [pair for pair in pairs if pair[0] != pair[1] and "__init__" not in pair]
    return {
        "imports of a module, mean": f"{statistics.mean(fans):.2f}",
        **spread("imports of a module", [*map(short, counted)], fans, "max"),
        "longest chain of imports": f"{longest_chain(chained)}",
        "rooms": f"{len({room(name) for name in graph} - {'__init__'})}",
        "arrows between rooms": f"{len(set(between))}",
        "imports from one room to another": f"{len(between)}",
    }


def figures(package: Path, tests: Path) -> dict[str, str]:
    """Return all rows."""
    modules, test_modules = [*read_modules(package)], [*read_modules(tests)]
    if not (modules and test_modules):
        raise SystemExit(f"no Python files in {package} or in {tests}")
    lines, test_lines = (sum(m.text.count("\n") for m in each) for each in (modules, test_modules))
    uses = {short(module.name): any_uses(module) for module in modules}
    return {
        **size_rows(modules),
        **import_rows(modules),
        "`Any` in annotations": f"{sum(uses.values())}",
        "modules with it": ", ".join(f"{name} {count}" for name, count in uses.items() if count),
        "test lines a line of code": f"{test_lines / lines:.2f}",
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--package", default="ensemble", help="its folder in each checkout")
    parser.add_argument("--tests", default="tests", help="their folder in each checkout")
    parser.add_argument("--at", nargs="+", metavar="NAME=FOLDER", help="checkouts, a column each")
    args = parser.parse_args()
    pairs = (at.partition("=") for at in args.at or [f"now={Path(__file__).parents[1]}"])
    places = {name: Path(folder or name) for name, _, folder in pairs}
    columns = [figures(root / args.package, root / args.tests) for root in places.values()]
    rows = [("figure", *places), ("---",) * (1 + len(columns))]
    rows += [(title, *(column[title] for column in columns)) for title in columns[0]]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


if __name__ == "__main__":
    main()
