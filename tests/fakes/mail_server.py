"""A mail server that keeps what it is handed, over real SMTP on loopback; it may be told to refuse.

def test_...(mail_server: MailServer) -> None:
    mail_server.refuse("RCPT", "550 no such user")    # once
    ...
    assert [mail["subject"] for mail in mail_server.mails] == [...]
"""

import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest


@dataclass(frozen=True, slots=True)
class Mail:
    """One message that was accepted."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def parsed(self) -> EmailMessage:
        found = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def subject(self) -> str:
        return str(self.parsed["subject"])

    @property
    def message_id(self) -> str:
        return str(self.parsed["message-id"])

    @property
    def text(self) -> str:
        return str(self.parsed.get_content())


class _Session(socketserver.StreamRequestHandler):
    server: "MailServer"

    def handle(self) -> None:
        self._say("220 mail.example ready")
        sender, recipients = "", list[str]()
        while line := self.rfile.readline():
            text = line.decode().strip()
            verb = text.partition(" ")[0].upper()
            if refusal := self.server.take_refusal(verb):
                self._say(refusal)
            elif verb in ("EHLO", "HELO"):
                self._say("250 mail.example")
            elif verb == "MAIL":
                sender, recipients = _address(text), []
                self._say("250 go on")
            elif verb == "RCPT":
                recipients.append(_address(text))
                self._say("250 go on")
            elif verb == "DATA":
                self._say("354 end with a dot")
                raw = self._body()
                # Kept before it is acknowledged: a sender that dies meanwhile has sent it all the same.
                self.server.keep(Mail(sender, tuple(recipients), raw))
                self._say("250 kept")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 go on")

    def _body(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class MailServer(socketserver.ThreadingTCPServer):
    """Listens on a free port of loopback while it is used as a context."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[Mail] = []
        self._refusals: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?security=none"

    def refuse(self, verb: str, answer: str) -> None:
        """Answer the next command of this name so, instead of obeying it."""
        with self._lock:
            self._refusals.append((verb, answer))

    def take_refusal(self, verb: str) -> str:
        with self._lock:
            for number, (name, answer) in enumerate(self._refusals):
                if name == verb:
                    del self._refusals[number]
                    return answer
        return ""

    def keep(self, mail: Mail) -> None:
        with self._lock:
            self.mails.append(mail)

    def __enter__(self) -> "MailServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


def _address(line: str) -> str:
    return line[line.index("<") + 1 : line.index(">")]


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server
