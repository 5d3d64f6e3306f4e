"""A pod is a witness: it holds the newest signed heads of the audit chains, and shows them."""

import json
from dataclasses import replace

from aiohttp.test_utils import TestClient, TestServer

from data_plane.ingress.probes import Health, make_admin_application
from switchyard_contract.audit_head import read_head, sign_head, write_head
from switchyard_contract.v1 import snapshot_pb2 as pb
from tests.data_plane.snapshots.builders import DEPLOYMENT, ORGANIZATION, SIGNER, a_keeper, listing, sealed, take

HEAD = sign_head(
    deployment=DEPLOYMENT, organization=ORGANIZATION, sequence=7, digest=b"\x01" * 32, at_ms=1_000, key=SIGNER
)
HEALTH = Health(True, True, False, True, (), "pod-1", "1", ())


def listing_with_head(sequence: int) -> pb.GlobalShard:
    message = listing()
    message.audit_heads.add(
        organization=HEAD.organization,
        sequence=sequence,
        hash=HEAD.hash,
        at_ms=HEAD.at_ms,
        signing_key_id=HEAD.signing_key_id,
        signature=HEAD.signature,
    )
    return message


def test_the_heads_of_the_list_in_force_are_held() -> None:
    keeper = a_keeper()
    assert keeper.audit_heads == ()

    take(keeper, sealed("global", listing_with_head(7)))
    assert keeper.audit_heads == (HEAD,)

    take(keeper, sealed("global", listing_with_head(8), version=2))
    assert keeper.audit_heads == (replace(HEAD, sequence=8),)


async def test_the_admin_port_shows_them_in_the_form_of_the_heads_file() -> None:
    application = make_admin_application(lambda: HEALTH, bytes, lambda: (HEAD,))
    async with TestClient(TestServer(application)) as client:
        answer = await client.get("/audit-heads")
        text = await answer.text()

    assert [read_head(line) for line in text.splitlines()] == [HEAD]
    assert json.loads(text) == write_head(HEAD)
