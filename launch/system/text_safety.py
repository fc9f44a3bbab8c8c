"""Text from a job's own mouth, made harmless for the format that it goes into."""

from __future__ import annotations

import re

import msgspec

from resumable.launch.system.safe_io import encoded

MAX_TEXT = 4000
"""Characters of one text that a report keeps; an exception's message may hold a whole tensor."""

_FORMATS = (
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""What is not seen and changes what is: separators of lines and paragraphs, directions, joiners, tags (Cf, Zl, Zp)."""
_UNPRINTABLE = re.compile(rf"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[{_FORMATS}]")
"""Everything that XML 1.0 forbids, C1 controls and DEL besides: terminals and browsers act on them."""
_WORKFLOW_COMMAND = re.compile(r":(?=:[A-Za-z][\w-]*(?: [^\n]*?)?::)|##(?=\[)")
"""Its beginning, anywhere: where a terminal's width breaks a line, it may come to stand at the beginning of one."""
_STEERING = re.compile(f"{_UNPRINTABLE.pattern}|{_WORKFLOW_COMMAND.pattern}")
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]|[<>&]")
_MARKDOWN = re.compile(r"[&<>|\\`*_\[\]~@#$]")
_CODE = re.compile(r"&#96;(.+?)&#96;")
_BACKTICKS = re.compile(r"`+")


def printable(text: str) -> str:
    """The text as a person may see it, cut after `MAX_TEXT` characters.

    Nothing in it steers a terminal or turns what is shown around, and GitHub reads no workflow command in it.
    """
    whole = _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))
    whole = _WORKFLOW_COMMAND.sub(lambda match: f"{match[0]} ", whole)
    return whole if len(whole) <= MAX_TEXT else f"{whole[:MAX_TEXT]} ... ({len(whole) - MAX_TEXT} more characters)"


def json_document(value: object) -> bytes:
    """Indented JSON of anything that msgspec encodes: for programs, and for people who print it.

    What would steer a terminal stands there as an escape, which a program reads as what it stands for; what is no Unicode in
    the name of a file, as the text of an escape.
    """
    text = msgspec.json.format(encoded(msgspec.json.encode, value), indent=2).decode()
    return _STEERING.sub(_json_escape, text).encode() + b"\n"


def script_json(data: bytes) -> str:
    """JSON that may stand inside an HTML page's `<script>`: in ASCII, without a character that HTML knows.

    Args:
        data: A JSON document in UTF-8; only inside its strings can there be anything that is escaped.
    """
    return _NOT_PLAIN.sub(_json_escape, data.decode())


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def markdown(text: str) -> str:
    """One line of Markdown in which nothing is markup.

    Entities, not backslashes: they hold in a table's cell and inside inline HTML too, where a backslash does not.
    """
    line = " ".join(printable(text).split())
    return _MARKDOWN.sub(lambda match: f"&#{ord(match[0])};", line)


def markdown_prose(text: str) -> str:
    """The same of a sentence in which backticks stand around code."""
    return _CODE.sub(r"<code>\1</code>", markdown(text))


def fenced(text: str, language: str = "") -> str:
    """A code block of Markdown; its fence is longer than any run of backticks inside."""
    body = printable(text)
    longest = max(map(len, _BACKTICKS.findall(body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def workflow_message(text: str) -> str:
    """The message of a workflow command of GitHub."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """The value of one of its properties."""
    return workflow_message(text).replace(":", "%3A").replace(",", "%2C")
