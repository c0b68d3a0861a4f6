"""Check in a headless browser, with the network off, that the built documentation looks right.

    python tools/check_docs.py SITE                    SITE is the folder of the built pages
    python tools/check_docs.py SITE --shots FOLDER     also write a picture of each page

Each page is opened at a normal and at a narrow width. It must load every script, style, font and
image from the site itself, draw each formula with the site's own font, and not be wider than the
window. Chromium is the only requirement: the pages are loaded into a frame of a page that this
script serves, and Chromium prints what that page found. Without Chromium the check is skipped.
"""

import argparse
import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

WIDTHS = {"normal": 1280, "narrow": 400}
REPORT = re.compile(r'<pre id="report">(.*?)</pre>', re.DOTALL)
# Addresses that a browser loads by itself, unlike links that a reader clicks.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']((?:https?:)?//[^"']*)"""
    r"""|<link\b(?![^>]*\brel=["'](?:canonical|search|index|next|prev|author)["'])"""
    r"""[^>]*\bhref=["']((?:https?:)?//[^"']*)"""
    r"""|(?:@import|url\()\s*["']?((?:https?:)?//[^"')]*)""",
    re.IGNORECASE,
)
CHECK = """<!doctype html><meta charset="utf-8"><body><script>
const pages = PAGES, widths = WIDTHS, found = [];
const pause = ms => new Promise(done => setTimeout(done, ms));
async function check(page, width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 3000px; border: 0`;
  const loaded = new Promise(done => { frame.onload = done; });
  frame.src = page;
  document.body.append(frame);
  await loaded;
  const inner = frame.contentDocument, view = frame.contentWindow, problems = [];
  inner.querySelectorAll("img").forEach(image => { image.loading = "eager"; });
  await inner.fonts.ready;
  await Promise.all([...inner.images].map(image => image.decode().catch(() => null)));
  const root = inner.documentElement;
  for (const entry of view.performance.getEntriesByType("resource"))
    if (!entry.name.startsWith(location.origin)) problems.push("loads " + entry.name);
  for (const image of inner.images)
    if (!image.naturalWidth) problems.push("cannot show " + image.src);
  const formulas = [...inner.querySelectorAll("math")];
  for (const formula of formulas) {
    const box = formula.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || !formula.textContent.trim())
      problems.push("does not draw " + formula.textContent);
    for (let outer = formula.parentElement; ; outer = outer.parentElement) {
      if (outer === null || outer === inner.body) {
        if (box.right > width) problems.push("formula beyond the window: " + formula.textContent);
        break;
      }
      if (view.getComputedStyle(outer).overflowX === "auto") break;
    }
  }
  if (inner.querySelector("mjx-container, .MathJax, .katex, merror"))
    problems.push("has formulas of MathJax or KaTeX, or with an error");
  if (/\\\\(frac|sum|mu|sigma|le)\\b/i.test(inner.body.innerText))
    problems.push("shows LaTeX where a formula should be");
  if (formulas.length && ![...inner.fonts].some(f => /STIX/.test(f.family) && f.status == "loaded"))
    problems.push("does not load the font of the formulas");
  if (root.scrollWidth > width) problems.push(`is ${root.scrollWidth} px wide`);
  found.push({page, width, formulas: formulas.length, problems});
  frame.remove();
}
(async () => {
  try {
    for (const page of pages) for (const width of widths) await check(page, width);
  } catch (error) {
    found.push({page: "-", width: 0, formulas: 0, problems: [String(error)]});
  }
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = JSON.stringify(found);
  document.body.replaceChildren(report);
  await fetch("/__done__", {method: "POST", body: report.textContent});
})();
</script>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site, the page that checks it, and receives what that page found."""

    def __init__(self, *args, server_state, **kwargs):
        self.state = server_state
        super().__init__(*args, **kwargs)

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/__check__.html":
            content = self.state["check"].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        else:
            super().do_GET()

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.state["report"] = json.loads(self.rfile.read(length))
        self.send_response(204)
        self.end_headers()
        self.state["done"].set()


def browser_command(profile):
    """Return the command line of a headless Chromium without network, or None."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        return None
    return [
        browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        "--disable-background-networking", f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]  # fmt: skip


def external_references(site):
    """Yield (file, address) of everything that pages and styles load from elsewhere."""
    for path in sorted([*site.rglob("*.html"), *site.rglob("*.css")]):
        for match in LOADED.finditer(path.read_text()):
            yield path.relative_to(site), next(filter(None, match.groups()))


def look(site, pages, command, timeout):
    """Open all pages in the browser; return its report."""
    check = CHECK.replace("PAGES", json.dumps([f"/{page}" for page in pages]))
    check = check.replace("WIDTHS", json.dumps(list(WIDTHS.values())))
    state = {"check": check, "report": None, "done": threading.Event()}
    handler = functools.partial(Handler, directory=str(site), server_state=state)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/__check__.html"
    arguments = ["--window-size=1400,3000", "--remote-debugging-port=0", address]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, *arguments], **quiet) as browser:
        try:
            if not state["done"].wait(timeout):
                raise SystemExit(f"the browser did not finish within {timeout} seconds")
        finally:
            browser.terminate()
            server.shutdown()
    return state["report"]


def take_pictures(site, pages, command, folder):
    """Write a PNG of each page and width."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in pages:
        for name, width in WIDTHS.items():
            # A window of Chromium is at least 500 pixels wide; a frame is not.
            frame = folder / "frame.html"
            source = html.escape((site / page).resolve().as_uri())
            frame.write_text(
                f'<body style="margin:0"><iframe src="{source}" '
                f'style="width:{width}px;height:4000px;border:0"></iframe>'
            )
            shot = folder / f"{Path(page).stem}-{name}.png"
            arguments = [f"--screenshot={shot}", f"--window-size={max(width, 500)},4000"]
            subprocess.run(
                [*command, *arguments, "--allow-file-access-from-files", frame.as_uri()],
                check=True, capture_output=True,
            )  # fmt: skip
            frame.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="the folder of the built pages")
    parser.add_argument("--shots", type=Path, help="write a picture of each page to this folder")
    parser.add_argument("--pages", nargs="+", metavar="PAGE", help="only these, such as tutorial")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds (default: 120)")
    arguments = parser.parse_args()
    site = arguments.site.resolve()
    pages = sorted(path.name for path in site.glob("*.html"))
    if arguments.pages:
        pages = [f"{name}.html" for name in arguments.pages]
    if not pages:
        raise SystemExit(f"{site} has no pages; build them with sphinx-build")
    problems = [f"{path} loads {address}" for path, address in external_references(site)]
    with tempfile.TemporaryDirectory() as profile:
        command = browser_command(profile)
        if command is None:
            print("Chromium is not installed: the look of the pages is not checked (skipped)")
        else:
            report = look(site, pages, command, arguments.timeout)
            for entry in report:
                place = f"{entry['page']} at {entry['width']} px"
                problems += [f"{place} {problem}" for problem in entry["problems"]]
            n_formulas = sum(entry["formulas"] for entry in report) // len(WIDTHS)
            print(f"{len(pages)} pages with {n_formulas} formulas, at {list(WIDTHS.values())} px")
            if arguments.shots:
                take_pictures(site, pages, command, arguments.shots.resolve())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
