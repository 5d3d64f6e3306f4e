"""Read the task a person set: which file to create, with what in it, and where the client works."""

import re
from dataclasses import dataclass

from deploy.simulated_provider.ask import Passage

GREETING = "hello from the simulated provider"

_FILE = re.compile(
    r"""\b(?:file|named|called)\b[\s\\"'`:*]*(?:named|called)?[\s\\"'`:*]*(?P<name>[\w@+][\w./@+-]*\.[A-Za-z0-9]{1,10})\b"""
)
_MAKE = re.compile(r"\b(?:create|write|make|add|save|put)\b", re.IGNORECASE)
_NAME_FIRST = re.compile(
    r"\b(?:create|write|make|save)\b[^\n]{0,40}?[\s\\\"'`](?P<name>[\w@+][\w./@+-]*\.[A-Za-z0-9]{1,10})\b",
    re.IGNORECASE,
)
_QUOTED_CONTENT = re.compile(
    r"""\b(?:content|contents|text|line|containing|contains|saying|says)\b(?:\s+\w+){0,4}?[\s:]*\\?(?P<quote>["'`])(?P<content>.+?)\\?(?P=quote)""",
    re.IGNORECASE | re.DOTALL,
)
_PLAIN_CONTENT = re.compile(
    r"\b(?:with|and)\s+(?:the\s+|exactly\s+|exact\s+)*(?:content|contents|text)(?:\s+of|\s+is)?\s*:?\s+"
    r"(?P<content>[^\n\"'`]+?)(?=\.\s|\.?\s*$|\n|\"|,? (?:then|and then|using|in the current)\b)",
    re.IGNORECASE,
)
_WHERE = (
    re.compile(r"<cwd>\s*(?P<path>/[^<\n]*?)\s*</cwd>"),
    re.compile(
        r"^[^\w\n]*(?:primary |current )?working director(?:y|ies)\b[\s:*(]*(?:is:?\s*)?(?P<path>/[^\n)<\"'`]*)",
        re.IGNORECASE | re.MULTILINE,
    ),
    re.compile(r"workspace (?:directories|directory|root|folder)[\s:*(-]*(?P<path>/[^\s)<\"'`,;]*)", re.IGNORECASE),
    re.compile(r"working in the director(?:y|ies)[\s:*(-]*(?P<path>/[^\n)<\"'`]*)", re.IGNORECASE),
    re.compile(
        r"\b(?:cwd|workdir|current directory|working directory)\b[\s:=*(]*(?:is:?\s*)?(?P<path>/[^\s)<\"'`,;]*)",
        re.IGNORECASE,
    ),
)


@dataclass(frozen=True, slots=True)
class FileTask:
    """A file to create. content ends with a newline; directory is None when the client did not say where it works."""

    name: str
    content: str
    directory: str | None

    @property
    def path(self) -> str:
        if self.directory is None or self.name.startswith("/"):
            return self.name
        return f"{self.directory.rstrip('/')}/{self.name}"


def read_file_task(instruction: str, passages: tuple[Passage, ...]) -> FileTask | None:
    """Find out whether a file is to be created; None when the text asks for nothing like it."""
    name = _file_name(instruction)
    if name is None:
        return None
    match = _QUOTED_CONTENT.search(instruction) or _PLAIN_CONTENT.search(instruction)
    content = match["content"].strip() if match else GREETING
    return FileTask(name, content + "\n", find_directory(passages))


def _file_name(instruction: str) -> str | None:
    if not _MAKE.search(instruction):
        return None
    for pattern in (_FILE, _NAME_FIRST):
        if match := pattern.search(instruction):
            return match["name"]
    return "hello.txt" if "hello.txt" in instruction else None


def find_directory(passages: tuple[Passage, ...]) -> str | None:
    """Find the working directory in what the client told about itself; the surest wording wins."""
    told = [passage.text for passage in passages if passage.role in ("system", "user")]
    for pattern in _WHERE:
        for text in told:
            if match := pattern.search(text):
                return match["path"].rstrip().rstrip(".") or "/"
    return None


def write_listing(task: FileTask, passages: tuple[Passage, ...]) -> str | None:
    """Write the file as an edit in plain text, for tools that parse the answer instead of offering tools (Aider).

    None when the system prompt teaches no such format.
    """
    told = "".join(passage.text for passage in passages if passage.role == "system")
    if "SEARCH/REPLACE" in told:
        return f"{task.name}\n```\n<<<<<<< SEARCH\n=======\n{task.content}>>>>>>> REPLACE\n```\n"
    if "file listing" in told or "return the entire cont" in told:
        return f"{task.name}\n```\n{task.content}```\n"
    return None
