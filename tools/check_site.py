"""Open the site of the benchmarks in a headless browser and check that its graphs have points.

    apt-get install chromium chromium-driver npm && pip install selenium
    python tools/check_site.py [--shots folder]

asv's pages load some scripts from the network. This check takes them from npm packages instead.
A graph counts as drawn if flot holds finite points for it and the canvas has pixels in the
colours of its lines. A fit, prediction, a start, memory and a ratio must each have such a graph.
"""

import argparse
import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
from pathlib import Path

HTML = Path(__file__).parents[1] / "asv_benchmarks" / "html"

# The files that the pages load from the network: end of the address, npm package, path in it.
SCRIPTS = [
    ("jquery-3.3.1.min.js", "jquery@3.3.1", "dist/jquery.min.js"),
    ("jquery.flot.min.js", "flot@0.8.3", "jquery.flot.js"),
    ("jquery.flot.time.min.js", "flot@0.8.3", "jquery.flot.time.js"),
    ("jquery.flot.selection.min.js", "flot@0.8.3", "jquery.flot.selection.js"),
    ("jquery.flot.categories.min.js", "flot@0.8.3", "jquery.flot.categories.js"),
    ("jquery.flot.orderBars.js", "flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"),
    ("stupidtable.min.js", "stupid-table-plugin@1.1.3", "stupidtable.min.js"),
    ("md5.min.js", "blueimp-md5@2.19.0", "js/md5.min.js"),
    ("bootstrap.min.js", "bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    ("bootstrap.min.css", "bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
]

TOPICS = {
    "fit": r"time_fit|time_50_iterations",
    "predict": r"^inference\.Inference\.time_",
    "init": r"^starts\..*time_",
    "memory": r"peakmem_|rise_of_peak",
    "ratio": r"track_speedup_over_sklearn",
}

# Count the finite points that flot holds and the pixels in the colour of a series.
COUNT = """
const plot = $('#main-graph').data('plot');
if (!plot) return null;
const series = plot.getData();
const points = series.map(s => s.data.filter(p => p && Number.isFinite(p[1])).length);
const canvas = plot.getCanvas();
const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
const colors = series.map(s => $.color.parse(s.color));
let drawn = 0;
for (let i = 0; i < pixels.length; i += 4)
  if (pixels[i + 3] > 200 && colors.some(c => Math.abs(pixels[i] - c.r) < 9
      && Math.abs(pixels[i + 1] - c.g) < 9 && Math.abs(pixels[i + 2] - c.b) < 9))
    drawn += 1;
return {name: $('#title').text().trim(), points: points.reduce((a, b) => a + b, 0), drawn: drawn};
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def fetch(package, folder):
    """Unpack a package of the npm registry; return the folder of its files."""
    target = folder / package
    if not target.exists():
        done = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=folder, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        with tarfile.open(folder / done.stdout.split()[-1]) as archive:
            archive.extractall(target, filter="data")
    return target / "package"


def make_local(html, site):
    """Copy the site and make its pages load every script from the copy."""
    shutil.copytree(html, site)
    (site / "local").mkdir()
    page = (site / "index.html").read_text()
    for ending, package, path in SCRIPTS:
        address = re.search(rf'"(https://[^"]*/{re.escape(ending)})"[^>]*>', page)
        if address is None:
            raise SystemExit(f"the site does not load {ending}; adapt SCRIPTS to this asv")
        shutil.copy(fetch(package, site.parent) / path, site / "local" / ending)
        tag = address.group(0)
        # The hash that guards a file from the network would refuse the local one.
        plain = re.sub(r'\s(integrity|crossorigin)="[^"]*"', "", tag)
        page = page.replace(tag, plain.replace(address.group(1), f"local/{ending}"))
    left = re.findall(r'<(?:script|link)[^>]*"(https://[^"]+)"', page)
    if left:
        raise SystemExit(f"the site also loads {', '.join(left)}; adapt SCRIPTS to this asv")
    (site / "index.html").write_text(page)


def open_browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1300,800"):
        options.add_argument(argument)
    return webdriver.Chrome(options, Service(shutil.which("chromedriver")))


def measure(browser, address, name):
    """Open the graph of a benchmark; return its numbers of points and coloured pixels."""
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get("about:blank")  # else only the fragment changes and nothing is loaded
    browser.get(f"{address}/index.html#{name}")

    def drawn(browser):
        found = browser.execute_script(COUNT)
        return found if found and found["points"] and found["drawn"] else None

    try:
        return WebDriverWait(browser, 10).until(drawn)
    except TimeoutException:
        return browser.execute_script(COUNT) or {"points": 0, "drawn": 0}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--html", type=Path, default=HTML, help="the site")
    parser.add_argument("--shots", type=Path, help="write a picture of each graph to this folder")
    arguments = parser.parse_args()
    index = arguments.html / "index.json"
    if not index.exists():
        raise SystemExit(f"{arguments.html} holds no site; build it with dashboard.py")
    # A benchmark without results has no graph.
    graphs = {path.stem for path in (arguments.html / "graphs").rglob("*.json")}
    names = [name for name in json.loads(index.read_text())["benchmarks"] if name in graphs]
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder) / "site"
        make_local(arguments.html, site)
        handler = functools.partial(Quiet, directory=str(site))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        browser = open_browser()
        try:
            for topic, pattern in TOPICS.items():
                matching = [name for name in names if re.search(pattern, name)]
                counts = {}
                for name in matching:
                    found = measure(browser, address, name)
                    counts[name] = found["points"] if found["drawn"] else 0
                    print(f"{topic:8} {name:50} {found['points']:4} points, "
                          f"{found['drawn']:6} pixels")  # fmt: skip
                    if arguments.shots:
                        arguments.shots.mkdir(parents=True, exist_ok=True)
                        browser.save_screenshot(str(arguments.shots / f"{name}.png"))
                if not any(counts.values()):
                    failed.append(topic)
                failed += [name for name, count in counts.items() if not count]
            severe = [e["message"] for e in browser.get_log("browser") if e["level"] == "SEVERE"]
        finally:
            browser.quit()
            server.shutdown()
    # The page also requests graphs of machines on which a benchmark did not run.
    failed += [message for message in severe if not re.search("favicon|/graphs/", message)]
    if failed:
        print("not drawn:", *failed, sep="\n  ", file=sys.stderr)
        return 1
    print(f"all graphs of {', '.join(TOPICS)} are drawn with points")
    return 0


if __name__ == "__main__":
    sys.exit(main())
