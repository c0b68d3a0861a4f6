"""A Sphinx extension: formulas become MathML when the pages are built.

Browsers draw MathML by themselves, so the pages need no script and no network.
"""

from docutils import nodes
from latex2mathml.converter import convert


def write_inline(translator, node):
    """Write a formula within a line."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def write_block(translator, node):
    """Write a formula on a line of its own, with its number if it has one."""
    number = f'<span class="eqno">({node["number"]})</span>' if node["number"] else ""
    formula = convert(node.astext(), display="block")
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    translator.body.append(f"{number}{formula}</div>\n")
    raise nodes.SkipNode


def setup(app):
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
