r"""Sphinx extension: formulas become MathML at build time, with a font that the site carries.

Pages need no script and no network. `math-core` converts LaTeX to MathML Core, which all browsers
render. Browsers need a font with a MATH table to stretch brackets and to place limits; not every
system has one, so the site carries the part of STIX Two Math that formulas use. It is cut from
the copy in the package `ziamath` (SIL Open Font License). ``\tag{1}`` numbers an equation at
the right margin.
"""

import html
import logging as plain_logging
import re
from importlib.resources import as_file, files
from pathlib import Path

from docutils import nodes
from fontTools import subset
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

logger = logging.getLogger(__name__)
plain_logging.getLogger("fontTools").setLevel(plain_logging.WARNING)
converter = LatexToMathML(fancy_error=False)

# A prime is set beside its letter: as a superscript, browsers raise it twice.
PLAIN_PRIME = "<mo>\u2032</mo>"
PRIME = '<mo lspace="0" rspace="0">\u2032</mo>'
TAG = re.compile(r"\\tag\{([^}]*)\}")
FONT = "stix-two-math.woff"
CHARACTERS = [  # Unicode ranges that formulas may use
    (0x20, 0x7E),  # ASCII
    (0xA0, 0xFF),  # Latin-1
    (0x2C6, 0x2DD),  # accents
    (0x302, 0x330),  # combining accents
    (0x391, 0x3F6),  # Greek
    (0x2000, 0x22FF),  # punctuation, letterlike, arrows and operators
    (0x2308, 0x230B),  # ceilings and floors
    (0x27E8, 0x27E9),  # angle brackets
    (0x1D400, 0x1D7FF),  # mathematical letters
]
STYLE = """\
@font-face {
  font-family: "STIX Two Math subset";
  src: url("stix-two-math.woff") format("woff");
  font-display: swap;
}
math { font-family: "STIX Two Math subset", "STIX Two Math", "Cambria Math", math; }
div.equation {
  align-items: center;
  display: flex;
  margin: 1em 0;
  overflow-x: auto;
  overflow-y: hidden;
  padding: 0.2em 0;
}
div.equation > math { flex: 1 0 auto; }
div.equation > span { padding-left: 1em; }
"""


def to_mathml(node, display):
    """Return the MathML of a node's LaTeX; a formula with an error is a warning of the build."""
    latex = TAG.sub("", node.astext()).strip().replace("'", r"{\prime}")
    try:
        formula = converter.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        logger.warning("formula %r: %s", latex, error, location=node)
        return f"<code>{html.escape(latex)}</code>"
    return formula.replace(PLAIN_PRIME, PRIME)


def visit_math(translator, node):
    """Write an inline formula."""
    translator.body.append(to_mathml(node, display=False))
    raise nodes.SkipNode


def visit_equation(translator, node):
    """Write a formula on a line of its own, and its number."""
    number = TAG.search(node.astext())
    label = f"<span>({html.escape(number.group(1))})</span>" if number else ""
    formula = to_mathml(node, display=True)
    translator.body.append(f'<div class="equation">{formula}{label}</div>\n')
    raise nodes.SkipNode


def write_font(path):
    """Write the part of STIX Two Math that `CHARACTERS` names, 380 KB instead of 1.5 MB."""
    options = subset.Options(flavor="woff", layout_features=["ssty", "dtls", "flac"])
    source = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"
    with as_file(source) as name, subset.load_font(str(name), options) as font:
        chosen = subset.Subsetter(options)
        chosen.populate(unicodes=[c for low, high in CHARACTERS for c in range(low, high + 1)])
        chosen.subset(font)
        subset.save_font(font, str(path), options)


def write_assets(app, error):
    """Write the style sheet and the font into the finished site."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static"
        (folder / "mathml.css").write_text(STYLE)
        write_font(folder / FONT)


def setup(app):
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_equation, None))
    app.add_css_file("mathml.css")
    app.connect("build-finished", write_assets)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
