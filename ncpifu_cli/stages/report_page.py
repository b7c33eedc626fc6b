"""A page of headings, text, tables and pictures, written once and rendered twice: as Markdown, and as one HTML file that needs no other."""

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #1b1f24; background: #fff; max-width: 76rem;
  margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .8rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.8rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid #d8dee4; }
p, li { max-width: 52rem; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: #f2f4f6; padding: .1em .35em; border-radius: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; border-top: 2px solid #1b1f24; border-bottom: 2px solid #1b1f24; }
th, td { padding: .38rem .8rem; text-align: right; white-space: nowrap; vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: .2rem; }
table.wide { font-size: .84rem; }
table.wide th, table.wide td { padding-left: .42rem; padding-right: .42rem; }
th { font-weight: 600; vertical-align: bottom; }
thead tr:last-child th { border-bottom: 1px solid #1b1f24; }
thead th[colspan] { text-align: center; border-bottom: 1px solid #8c959f; }
tr.band td { text-align: left; font-style: italic; color: #57606a; border-top: 1px solid #8c959f; padding-top: .6rem; }
td .range { display: block; color: #6e7781; font-size: .82em; line-height: 1.25; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; }
figcaption { color: #57606a; font-size: .9rem; max-width: 52rem; margin-top: .4rem; }
@media print { body { padding: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; } figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph; **bold** and `code` are understood in every text of a page."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Attributes: header, rows. A row of one cell is a heading within the table. groups: (title, columns) over the header from the left."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    groups: Sequence[tuple[str, int]] = field(default=())


@dataclass(frozen=True)
class Picture:
    """Attributes: path of a PNG or JPEG in the page's folder. caption."""

    path: Path
    caption: str


Block = Heading | Text | Bullets | Table | Picture


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """The page as Markdown; pictures by file name."""
    return "\n\n".join([f"# {title}", *(_markdown_block(block) for block in blocks)]) + "\n"


def webpage(title: str, blocks: Sequence[Block]) -> str:
    """The page as one HTML file with its style and pictures inside; no scripts, nothing is fetched."""
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    )
    body = "\n".join([f"<h1>{_inline(title)}</h1>", *(_html_block(block) for block in blocks)])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}"
        case Text(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Picture(path, caption):
            return f"![{caption}]({path.name})\n\n{caption}"
        case Table(header, rows, groups):
            titles = [title for title, columns in groups for _ in range(columns)] or [""] * len(header)
            lines = [[f"{group} {name}".strip() for group, name in zip(titles, header, strict=True)], ["---"] * len(header)]
            lines += [list(row) if len(row) > 1 else [f"*{row[0]}*", *[""] * (len(header) - 1)] for row in rows]
            return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _html_block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{_inline(text)}</h2>"
        case Text(text):
            return f"<p>{_inline(text)}</p>"
        case Bullets(items):
            return "<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items) + "</ul>"
        case Picture(path, caption):
            kind = "jpeg" if path.suffix == ".jpg" else "png"
            data = base64.b64encode(path.read_bytes()).decode()
            return f'<figure><img alt="{html.escape(caption)}" src="data:image/{kind};base64,{data}"><figcaption>{_inline(caption)}</figcaption></figure>'
        case Table(header, rows, groups):
            over = "".join(f'<th colspan="{columns}">{_inline(title)}</th>' if title else "<th></th>" for title, columns in groups)
            head = (f"<tr>{over}</tr>" if groups else "") + "<tr>" + "".join(f"<th>{_inline(cell)}</th>" for cell in header) + "</tr>"
            body = "".join(_html_row(row, len(header)) for row in rows)
            kind = ' class="wide"' if groups else ""
            return f'<div class="scroll"><table{kind}><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _html_row(row: Sequence[str], columns: int) -> str:
    if len(row) == 1:
        return f'<tr class="band"><td colspan="{columns}">{_inline(row[0])}</td></tr>'
    return "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>"


def _inline(text: str) -> str:
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r" (\[[-−+]?\d[^\]]*\]|\([↓↑][\d.]+%\))", r' <span class="range">\1</span>', text)
