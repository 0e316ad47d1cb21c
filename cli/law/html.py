"""The page of a law file as one HTML file: no scripts, nothing fetched, and it prints well."""

import html
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared.law.sources import Certainty

STYLE = """
:root { --ink: #1d2433; --soft: #5b6478; --line: #d9dde6; --paper: #fff; --tint: #f5f6f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.5rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 Georgia, "Times New Roman", serif; }
h1, h2, h3, th, nav, code { font-family: system-ui, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { margin-top: 3rem; padding-top: .6rem; border-top: 3px solid var(--ink); font-size: 1.3rem; }
h3 { margin-top: 2rem; font-size: 1.08rem; }
nav { columns: 18rem; font-size: .85rem; padding: 1rem; background: var(--tint); border: 1px solid var(--line); }
nav a { display: block; color: var(--ink); text-decoration: none; padding: .1rem 0; break-inside: avoid; }
nav a.sub { padding-left: 1.1rem; color: var(--soft); }
nav a:hover { text-decoration: underline; }
table { width: 100%; border-collapse: collapse; margin: .8rem 0 1.4rem; font-size: .87rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
th { font-size: .72rem; text-transform: uppercase; letter-spacing: .04em; color: var(--soft); background: var(--tint); }
code { font-size: .82em; background: var(--tint); border: 1px solid var(--line); border-radius: 3px; padding: 0 .25em; }
code.verified, code.recalled-high { background: #e2f3e6; border-color: #9fcfab; }
code.recalled-medium, code.press { background: #fff3d6; border-color: #e2c478; }
code.recalled-low, code.inference { background: #fde3df; border-color: #e2a399; }
code.statutory { background: #1d2433; color: #fff; border-color: #1d2433; font-weight: 600; }
code.requested { background: #e3ecfb; border-color: #9db9e8; }
code.policy { background: #fff; border-style: dashed; border-color: #8a92a5; color: #5b6478; }
@page { size: A4 landscape; margin: 1.5cm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2, h3 { break-after: avoid; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
}
"""
MARKED = {*Certainty, "statutory", "requested", "policy"}
"""Words that have a colour of their own wherever they stand."""


def page_as_html(markdown: str, title: str) -> str:
    """A page of `law_page` as a whole HTML file; markup in a law file's own words stays text."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(markdown)
    contents = list(_headings(tokens))
    _mark(tokens)
    body = str(reader.renderer.render(tokens, reader.options, {}))
    first = body.find("<h2")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{body[:first]}<nav>\n{''.join(contents)}</nav>\n{body[first:]}</body>\n</html>\n"
    )


def _headings(tokens: Sequence[Token]) -> Iterator[str]:
    """The table of contents; every heading gets the name by which it is found."""
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag in ("h2", "h3"):
            token.attrSet("id", f"part-{number}")
            said = "".join(child.content for child in tokens[number + 1].children or ())
            deeper = ' class="sub"' if token.tag == "h3" else ""
            yield f'<a{deeper} href="#part-{number}">{html.escape(said)}</a>\n'


def _mark(tokens: Sequence[Token]) -> None:
    for token in tokens:
        for child in token.children or ():
            if child.type == "code_inline" and child.content in MARKED:
                child.attrSet("class", child.content)
