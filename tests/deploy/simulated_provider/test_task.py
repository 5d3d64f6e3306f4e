import pytest

from deploy.simulated_provider.ask import Passage
from deploy.simulated_provider.task import GREETING, FileTask, find_directory, read_file_task, write_listing


@pytest.mark.parametrize(
    ("text", "name", "content"),
    [
        ("Create a file named hello.txt containing one line of greeting.", "hello.txt", GREETING),
        ('Create a file named a/b.py with content "x = 1".', "a/b.py", "x = 1"),
        ("Create a file called `notes.md` with the text 'it works'", "notes.md", "it works"),
        ("create hello.txt with content good morning. Then say done.", "hello.txt", "good morning"),
        ("Please write the file out.json with the content {} and nothing else", "out.json", "{} and nothing else"),
        ('"Create a file named hello.txt with content \\"quoted\\""', "hello.txt", "quoted"),
        ("Make a new file hello.txt that says `hi there`", "hello.txt", "hi there"),
        ("Write hello.txt", "hello.txt", GREETING),
    ],
)
def test_a_file_task_is_read_from_plain_words(text: str, name: str, content: str) -> None:
    assert read_file_task(text, ()) == FileTask(name, content + "\n", None)


@pytest.mark.parametrize("text", ["What is in hello.txt?", "Say hi.", "Write a poem.", "Read the file named x.py."])
def test_other_requests_are_no_file_task(text: str) -> None:
    assert read_file_task(text, ()) is None


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("<environment_context>\n  <cwd>/tmp/my work</cwd>\n  <shell>bash</shell>", "/tmp/my work"),
        ("# Environment\n - Primary working directory: /tmp/work\n - Is a git repository: false", "/tmp/work"),
        ("<env>\nWorking directory: /tmp/work\nIs directory a git repo: No", "/tmp/work"),
        ("# Current Working Directory (/tmp/work) Files\nNo files", "/tmp/work"),
        ("temporary directory is: /root/.x\n- **Workspace Directories:**\n  - /tmp/work\n- more", "/tmp/work"),
        ("I'm currently working in the directory: /tmp/work\nHere is", "/tmp/work"),
        ("Use exactly one tool call. workdir=/tmp/work", "/tmp/work"),
        ("The working directory persists between commands, but shell state does not.", None),
    ],
)
def test_the_directory_is_found_in_each_clients_words(text: str, directory: str | None) -> None:
    assert find_directory((Passage("system", text),)) == directory


def test_the_surest_wording_wins_over_the_first() -> None:
    passages = (Passage("user", "workdir=/wrong"), Passage("user", "<cwd>/right</cwd>"))
    assert find_directory(passages) == "/right"


def test_an_edit_in_plain_text_follows_the_format_the_system_prompt_teaches() -> None:
    task = FileTask("a.txt", "x\n", None)
    whole = (Passage("system", "You MUST use this *file listing* format:"),)
    blocks = (Passage("system", "Every *SEARCH/REPLACE block* must use this format:"),)
    assert write_listing(task, whole) == "a.txt\n```\nx\n```\n"
    assert write_listing(task, blocks) == "a.txt\n```\n<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n```\n"
    assert write_listing(task, ()) is None
