"""The built pages need no network, lead nowhere that does not exist, and fit narrow screens."""

import html
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXTENSIONS = ROOT / "docs" / "extensions"
PAGES = ROOT / "build" / "docs"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NARROW = 500  # pixels


def extension(name, needs):
    pytest.importorskip(needs, reason=f"the documentation needs {needs}")
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<script src="https://cdn.org/a.js"></script>', "loads https://cdn.org/a.js from the network"),
        ('<link rel="stylesheet" href="//cdn.org/a.css">', "loads //cdn.org/a.css from the network"),
        ('<img srcset="a.png, http://cdn.org/b.png 2x">', "from the network"),
        ("<style>@import 'https://cdn.org/a.css';</style>", "loads https://cdn.org/a.css from the network"),
        ('<p style="background: url(http://cdn.org/a.png)">', "loads http://cdn.org/a.png from the network"),
        ('<script type="module">import x from "https://cdn.org/a.js"</script>', "loads https://cdn.org/a.js"),
        ('<a href="none.html">', "links to none.html, but there is no such file"),
        ('<img src="none.png">', "links to none.png, but there is no such file"),
        ('<a href="page.html#none">', "links to page.html#none, but that page has no such place"),
        ('<a href="#none">', "links to #none, but that page has no such place"),
    ],
)
def test_a_page_that_needs_the_network_or_leads_nowhere_is_a_fault(tmp_path, body, fault):
    (tmp_path / "page.html").write_text(f"<body>{body}</body>")
    found = list(extension("whole", "sphinx").faults(tmp_path))
    assert len(found) == 1
    assert found[0].startswith("page.html ")
    assert fault in found[0]


def test_a_page_that_leads_somewhere_is_no_fault(tmp_path):
    links = '<a href="https://other.org">there</a> <a href="page.html?q=1#here">here</a> <a href="#here">here</a>'
    (tmp_path / "page.html").write_text(f'<p id="here">{links}</p>')
    (tmp_path / "style.css").write_text("p { background: url(a.png) }")
    assert list(extension("whole", "sphinx").faults(tmp_path)) == []


def test_a_formula_is_mathml_with_the_space_of_tex():
    text = extension("formulas", "latex2mathml").mathml(r"-y \log |z|", "inline")
    assert text.startswith('<math xmlns="http://www.w3.org/1998/Math/MathML" display="inline">')
    assert "<mi>y</mi><mo lspace=" in text
    assert "<mi>log</mi>" not in text
    assert text.count('lspace="0" rspace="0"') == 2


def test_what_the_first_page_says_about_speed_is_what_was_measured():
    pytest.importorskip("matplotlib")
    speed = extension("speed", "sphinx")
    text = " ".join((ROOT / "docs" / "index.md").read_text().split())
    pairs, missed = speed.contest()
    assert f"a dot for each of {len(pairs)} problems" in text.lower()
    assert missed == ["shifted"]
    assert "No solver of scikit-learn comes so near on one more problem" in text
    gpu = speed.on_gpu()
    host, resident, theirs, cuml = (
        next(seconds for label, (seconds, *_) in gpu.items() if label.startswith(start))
        for start in ("xlogreg, X on the host", "xlogreg, X on the GPU", "scikit-learn", "cuML")
    )
    assert "At all five shapes they are lower" in text
    assert [a < b for a, b in zip(cuml, host, strict=True)] == [True] * 5
    assert "is faster at three of the five" in text
    assert sum(a < b for a, b in zip(theirs, resident, strict=True)) == 3


def seen_by_chromium(page, query=""):
    """What Chromium makes of a file, as text, once its scripts have run."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    options += ["--virtual-time-budget=600000", "--dump-dom"]
    command = [CHROMIUM, *options, page.as_uri() + query]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout


needs_pages = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not (PAGES / "index.html").exists(), reason="build them: sphinx-build docs build/docs"),
]


class TestBuiltPages:
    pytestmark = needs_pages

    def test_what_is_wider_than_a_narrow_screen_scrolls_in_its_own_box(self, tmp_path):
        pages = [path.as_uri() for path in sorted(PAGES.rglob("*.html")) if "_static" not in path.parts]
        (tmp_path / "all.html").write_text(
            f"""<iframe width="{NARROW}" height="900" style="border: 0"></iframe><pre></pre><script>
            (async () => {{
                const frame = document.querySelector("iframe"), found = {{}};
                for (const page of {json.dumps(pages)}) {{
                    await new Promise(done => {{ frame.onload = done; frame.src = page; }});
                    const parts = frame.contentDocument.querySelectorAll("html, .bd-article-container");
                    found[page] = Math.max(...[...parts].map(part => part.scrollWidth));
                }}
                document.querySelector("pre").textContent = JSON.stringify(found);
            }})();
            </script>"""
        )
        widths = json.loads(html.unescape(re.search("<pre>(.*)</pre>", seen_by_chromium(tmp_path / "all.html"))[1]))
        assert len(widths) == len(pages) > 100
        assert {page: width for page, width in widths.items() if width > NARROW} == {}

    def test_the_search_finds_pages_without_a_server(self):
        found = seen_by_chromium(PAGES / "search.html", "?q=separation")
        assert "generated/xlogreg.separation.html" in re.search(r'id="search-results".*', found, re.DOTALL)[0]
