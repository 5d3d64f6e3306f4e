"""`switchyard verify-audit EXPORT`: whether an exported audit is as it was written, and where it is not.

Exit codes: 0 every entry is as it was written, and none is missing; 1 broken, and the first broken entry is named; 2 it
cannot be told (unreadable file, wrong arguments, unknown signing key); 3 every entry that is there is as it was
written, but the export is a selection, so missing ones cannot be told.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.verify.keys import HELP, NoSuchKey, read_public_keys
from switchyard_contract.audit_chain import Break, Broken, Intact, Link, link_hash, verify
from switchyard_contract.audit_export import ExportHead, UnreadableExport, read_export
from switchyard_contract.audit_head import InvalidHead, SignedHead, check_head, read_head
from switchyard_contract.seal import BadSignature, UnknownSigningKey, VerifyKeys

INTACT, BROKEN, UNTOLD, SELECTION = 0, 1, 2, 3


class CannotTell(Exception):
    """What was given does not suffice for a verdict; the message says what to give."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. heads: how many signed heads lie in the export and fit."""

    exit_code: int
    says: str
    sequence: int | None = None
    how: str | None = None
    entries: int = 0
    heads: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        keys = read_public_keys(arguments.public_key) if arguments.public_key else None
        report = verify_export(
            arguments.export, heads_files=arguments.heads, keys=keys, is_selection=arguments.selection
        )
    except (CannotTell, NoSuchKey, UnreadableExport, OSError, UnicodeDecodeError) as failure:
        report = Report(UNTOLD, str(failure))
    if arguments.json:
        print(json.dumps(asdict(report)))
    else:
        print(f"switchyard verify-audit: {report.says}", file=sys.stdout if report.exit_code != UNTOLD else sys.stderr)
    return report.exit_code


def verify_export(
    path: Path, *, heads_files: Sequence[Path] = (), keys: VerifyKeys | None = None, is_selection: bool = False
) -> Report:
    """Check an export. Raises CannotTell, UnreadableExport, OSError."""
    if heads_files and keys is None:
        raise CannotTell("heads prove something only with the public key they were signed with: give --public-key")
    with _opened(path) as (export, links):
        sequences = [link.sequence for link in links]
    with _opened(path) as (_, links):
        chain = next((str(link.fields["scope"]) for link in links), export.organization if export else "")
    signed = _signed_heads(export, heads_files, keys, chain)
    if isinstance(signed, Report):
        return signed
    heads = {head.sequence: head.hash for head in signed}
    with _opened(path) as (_, links):
        if is_selection or (export is not None and not export.is_complete):
            return _of_selection(links, heads)
        verdict = _of_chain(links, chain, heads, frozenset(sequences))
    return _told(verdict, len(sequences), chain, signed, export, keys)


def _told(
    verdict: Broken | Intact,
    entries: int,
    chain: str,
    signed: Sequence[SignedHead],
    export: ExportHead | None,
    keys: VerifyKeys | None,
) -> Report:
    if isinstance(verdict, Broken):
        return Report(
            BROKEN,
            f"BROKEN at entry {verdict.sequence}, {verdict.how}: {verdict.why}",
            verdict.sequence,
            str(verdict.how),
            entries,
        )
    covered = max((head.sequence for head in signed), default=0)
    says = f"intact: {entries} entries of {chain or 'an empty chain'}, up to hash {verdict.head.hex() or 'none'}. "
    if not signed:
        says += "No signed head was given, so entries cut off at the end could not be missed."
    elif keys is None:
        says += "The head it brings along was not checked: give --public-key."
    else:
        says += f"{len(signed)} signed heads fit, the newest at entry {covered}."
    return Report(INTACT, says, entries=entries, heads=len(signed))


def _of_selection(links: Iterator[Link], heads: dict[int, bytes]) -> Report:
    """Entries are checked one by one, and against the one before where that is the next."""
    last: Link | None = None
    entries = fitting = 0
    for link in links:
        broken: Broken | None = None
        if last is not None and link.sequence <= last.sequence:
            broken = Broken(link.sequence, Break.REORDERED, f"it comes after entry {last.sequence}")
        elif link_hash(link.previous_hash, link.sequence, link.fields) != link.hash:
            broken = Broken(link.sequence, Break.ALTERED, "it does not give the hash it was stored with")
        elif last is not None and link.sequence == last.sequence + 1 and link.previous_hash != last.hash:
            broken = Broken(last.sequence, Break.ALTERED, f"entry {link.sequence} was chained to another one")
        elif heads.get(link.sequence, link.hash) != link.hash:
            broken = Broken(link.sequence, Break.ALTERED, "it is not the one whose hash was published")
        if broken is not None:
            says = f"BROKEN at entry {broken.sequence}, {broken.how}: {broken.why}"
            return Report(BROKEN, says, broken.sequence, str(broken.how), entries)
        fitting += link.sequence in heads
        last, entries = link, entries + 1
    says = f"all {entries} entries are as they were written. They are a selection: missing ones cannot be told."
    return Report(SELECTION, says, entries=entries, heads=fitting)


class _Stranger(Exception):
    """An entry of another chain."""

    def __init__(self, sequence: int, chain: str) -> None:
        super().__init__(chain)
        self.sequence, self.chain = sequence, chain


def _of_chain(links: Iterator[Link], chain: str, heads: dict[int, bytes], present: frozenset[int]) -> Broken | Intact:
    """Walk the whole chain. The hash covers the chain's name: an entry of another organization fits nowhere here."""

    def ours() -> Iterator[Link]:
        for link in links:
            if link.fields["scope"] != chain:
                raise _Stranger(link.sequence, str(link.fields["scope"]))
            yield link

    try:
        return verify(ours(), heads=heads, present=present)
    except _Stranger as stranger:
        return Broken(stranger.sequence, Break.ALTERED, f"it says that it is of chain {stranger.chain!r}")


def _signed_heads(
    export: ExportHead | None, files: Sequence[Path], keys: VerifyKeys | None, chain: str
) -> list[SignedHead] | Report:
    """The heads of this chain, from the export and from the files, their signatures checked."""
    found: list[tuple[str, SignedHead]] = []
    if export is not None and export.head is not None:
        found.append(("the head in the export", export.head))
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                try:
                    found.append((f"{path}, line {number}", read_head(line)))
                except InvalidHead as failure:
                    raise CannotTell(f"{path}, line {number}: {failure}") from failure
    ours: list[SignedHead] = []
    for where, head in found:
        if head.organization != chain or (export is not None and head.deployment != export.deployment):
            continue
        if keys is not None:
            try:
                check_head(head, keys)
            except UnknownSigningKey as failure:
                raise CannotTell(f"{where}: {failure}; give its public key too") from failure
            except BadSignature as failure:
                return Report(BROKEN, f"BROKEN: {where} is forged: {failure}", head.sequence, "forged head")
        known = next((each for each in ours if each.sequence == head.sequence), None)
        if known is not None and known.hash != head.hash:
            says = f"BROKEN at entry {head.sequence}: two signed heads name different hashes; it was written anew"
            return Report(BROKEN, says, head.sequence, str(Break.ALTERED))
        ours.append(head)
    return ours


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ExportHead | None, Iterator[Link]]]:
    # No universal newlines: a line break inside a CSV cell is part of what was hashed.
    with path.open(encoding="utf-8", newline="") as file:
        yield read_export(file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchyard verify-audit",
        description="Check an exported audit offline: name the first entry altered, deleted, moved or cut off.",
        epilog="exit codes: 0 intact, 1 broken, 2 cannot be told, 3 intact as far as a selection can be",
    )
    parser.add_argument("export", type=Path, help="what the console or GET /api/v1/audit/export gave: JSONL or CSV")
    parser.add_argument(
        "--heads",
        type=Path,
        action="append",
        default=[],
        help="signed heads kept elsewhere: SWITCHYARD_AUDIT_HEADS_FILE, a pod's /audit-heads; may be given again",
    )
    parser.add_argument("--public-key", action="append", default=[], help=HELP)
    parser.add_argument("--selection", action="store_true", help="the CSV is a filtered one: gaps are no findings")
    parser.add_argument("--json", action="store_true", help="the verdict as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
