"""Print figures of a checkout's structure: size, imports and long argument lists.

    python tools/structure.py [PATH]      PATH is the folder of the package or its checkout

- lines of code: lines with code on them, without comments, docstrings and blank lines;
- floors: the number of modules in the longest chain of imports, where a cycle is one floor;
  once without imports in functions and once with them;
- cycles: groups of modules that import each other, lazy imports in functions included;
- functions of more than 8 arguments, ``self`` and ``cls`` not counted.

Imports under ``if TYPE_CHECKING`` are not counted. A package's ``__init__`` is a module only if
it has code.
"""

import argparse
import ast
import io
import tokenize
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

MOST_ARGUMENTS = 8
NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip


class Module(NamedTuple):
    """A source file: its dotted name, its path and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self):
        """The package that relative imports start from."""
        is_package = self.path.name == "__init__.py"
        return self.name if is_package else self.name.rpartition(".")[0]


def read_modules(package):
    """Return the modules of a package by name, without files that hold a docstring only."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text())
        if tree.body[ast.get_docstring(tree) is not None :]:
            modules[name] = Module(name, path, tree)
    return modules


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def import_statements(tree, lazy):
    """Yield the import statements of a module; those in functions only if `lazy`."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        in_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if in_function and not lazy:
            continue
        stack.extend(node.orelse if is_type_checking(node) else ast.iter_child_nodes(node))


def imported_names(statement, package):
    """Yield the dotted names that a statement may import, the most specific first."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield [alias.name]
        return
    base = statement.module or ""
    if statement.level:
        parents = package.split(".")[: len(package.split(".")) - statement.level + 1]
        base = ".".join([*parents, *filter(None, [statement.module])])
    for alias in statement.names:
        yield [f"{base}.{alias.name}", base]


def import_graph(modules, lazy):
    """Return for each module the set of the package's modules that it imports."""
    graph = {name: set() for name in modules}
    for name, module in modules.items():
        for statement in import_statements(module.tree, lazy):
            for candidates in imported_names(statement, module.package):
                target = next((c for c in candidates if c in modules), None)
                if target not in (None, name):
                    graph[name].add(target)
    return graph


def components(graph):
    """Return the strongly connected components of a graph (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            place = stack.index(node)
            found.append(sorted(stack[place:]))
            del stack[place:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def longest_chain(graph):
    """Return the longest chain of imports, one entry for each floor."""
    groups = components(graph)
    group_of = {name: place for place, group in enumerate(groups) for name in group}
    below = {
        place: {group_of[target] for name in group for target in graph[name]} - {place}
        for place, group in enumerate(groups)
    }

    @cache
    def chain(place):
        return [place, *max((chain(other) for other in sorted(below[place])), key=len, default=[])]

    # Bottom up, so that `chain` never recurses deeply.
    order = TopologicalSorter(below).static_order()
    return [groups[place] for place in max((chain(place) for place in order), key=len)]


def lines_of_code(path):
    """Return the number of lines with code on them."""
    text = path.read_text()
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                lines.difference_update(range(value.lineno, value.end_lineno + 1))
    return len(lines)


def long_argument_lists(modules):
    """Yield (number of arguments, module, function) for functions with too many."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                count = sum(a.arg not in ("self", "cls") for a in given)
                if count > MOST_ARGUMENTS:
                    yield count, module.name, node.name


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("path", nargs="?", type=Path, default=Path(__file__).parents[1])
    path = parser.parse_args().path
    package = path / "fastgmm" if (path / "fastgmm" / "__init__.py").exists() else path
    files = sorted(package.rglob("*.py"))
    modules = read_modules(package)
    with_lazy = import_graph(modules, lazy=True)
    chain = longest_chain(import_graph(modules, lazy=False))
    cycles = [g for g in components(with_lazy) if len(g) > 1]
    long_lists = sorted(long_argument_lists(modules), reverse=True)
    print(f"lines in files       {sum(len(f.read_text().splitlines()) for f in files):6}")
    print(f"lines of code        {sum(map(lines_of_code, files)):6}")
    print(f"modules              {len(modules):6}")
    print(f"floors               {len(chain):6}")
    print("    " + " > ".join("+".join(group) for group in chain))
    print(f"floors, lazy imports {len(longest_chain(with_lazy)):6}")
    print(f"cycles               {len(cycles):6}")
    for group in cycles:
        print("    " + ", ".join(group))
    print(f"functions of more than {MOST_ARGUMENTS} arguments {len(long_lists):3}")
    for count, module, function in long_lists:
        print(f"    {count:3} {module}.{function}")


if __name__ == "__main__":
    main()
