"""Which addresses may be dialled, and what the pool remembers of names."""

import asyncio
import ipaddress
import random
import socket

import pytest

from data_plane.upstream.addresses import Resolver, judge_address, look_up, parse_networks

NEVER = [
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.100.100.200", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b::808:808",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:db8::1", "3fff::1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "4000::1", "localhost", "", "8.8.8.8.", "0x7f.1",
]  # fmt: skip
ALWAYS = ["8.8.8.8", "1.1.1.1", "160.79.104.10", "172.32.0.1", "100.128.0.1", "2606:4700::6812:1", "2a00:1450:4001::1"]


@pytest.mark.parametrize("address", NEVER)
def test_what_is_not_public_unicast_is_refused(address: str) -> None:
    assert judge_address(address, is_encrypted=True, private_networks=()) is not None


@pytest.mark.parametrize("address", ALWAYS)
def test_public_addresses_are_dialled_encrypted_only(address: str) -> None:
    assert judge_address(address, is_encrypted=True, private_networks=()) is None
    why = judge_address(address, is_encrypted=False, private_networks=parse_networks(["10.0.0.0/8"]))
    assert why is not None
    assert "plain http" in why


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("10.1.2.3", True),
        ("10.2.0.0", False),
        ("127.0.0.1", True),
        ("::1", True),
        ("fd12::5", True),
        ("fd13::5", False),
        ("64:ff9b::808:808", True),
        ("::ffff:10.1.2.3", False),
        ("169.254.169.254", False),
        ("fe80::1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_a_deployment_may_list_private_networks_but_never_some_addresses(address: str, is_allowed: bool) -> None:
    listed = [
        "10.1.0.0/16",
        "127.0.0.0/8",
        "::1",
        "fd12::/16",
        "64:ff9b::/96",
        "169.254.0.0/16",
        "fe80::/10",
        "224.0.0.0/4",
        "0.0.0.0/32",
    ]
    for is_encrypted in (False, True):
        why = judge_address(address, is_encrypted=is_encrypted, private_networks=parse_networks(listed))
        assert (why is None) is is_allowed


def test_no_address_drawn_at_random_is_dialled_unless_it_is_global() -> None:
    dice = random.Random(11)
    for _ in range(10_000):
        ip = (
            ipaddress.ip_address(dice.getrandbits(32))
            if dice.random() < 0.5
            else ipaddress.IPv6Address(dice.getrandbits(128))
        )
        if judge_address(str(ip), is_encrypted=True, private_networks=()) is None:
            assert ip.is_global
            assert not ip.is_multicast


def test_a_wrong_network_is_named() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        parse_networks(["10.0.0.1/8"])


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Dns:
    """Answers with what it is given next; the last answer stays. An OSError is raised, a float is waited for first."""

    def __init__(self, *answers: tuple[str, ...] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.may_answer.wait()
        if isinstance(answer, OSError):
            raise answer
        return answer


GONE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


async def test_addresses_are_remembered_for_their_time() -> None:
    clock, dns = Clock(), Dns(("1.1.1.1",), ("2.2.2.2",))
    resolver = Resolver(clock=clock, look_up=dns)
    assert await resolver.resolve("a.test", 443) == ("1.1.1.1",)
    clock.now_s += 29.9
    assert await resolver.resolve("a.test", 443) == ("1.1.1.1",)
    assert dns.asked == 1
    clock.now_s += 0.2
    assert await resolver.resolve("a.test", 443) == ("2.2.2.2",)
    assert dns.asked == 2


async def test_lookups_at_the_same_time_are_one_and_survive_a_cancelled_caller() -> None:
    dns = Dns(("1.1.1.1",))
    dns.may_answer.clear()
    resolver = Resolver(clock=Clock(), look_up=dns)
    callers = [asyncio.create_task(resolver.resolve("a.test", 443)) for _ in range(50)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    dns.may_answer.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert set(answers[1:]) == {("1.1.1.1",)}
    assert dns.asked == 1


async def test_the_last_good_addresses_stay_while_asking_fails() -> None:
    clock, dns = Clock(), Dns(("1.1.1.1",), GONE, GONE, ("2.2.2.2",))
    resolver = Resolver(clock=clock, look_up=dns)
    await resolver.resolve("a.test", 443)
    for asked in (2, 2, 3):
        clock.now_s += 31.0 if dns.asked == 1 else 3.0
        assert await resolver.resolve("a.test", 443) == ("1.1.1.1",)
        assert dns.asked == asked
    clock.now_s += 6.0
    assert await resolver.resolve("a.test", 443) == ("2.2.2.2",)


async def test_a_slow_server_is_not_waited_for_where_something_is_known() -> None:
    clock, dns = Clock(), Dns(("1.1.1.1",), ("2.2.2.2",))
    resolver = Resolver(clock=clock, look_up=dns, patience_s=0.01)
    await resolver.resolve("a.test", 443)
    dns.may_answer.clear()
    clock.now_s += 31.0
    assert await resolver.resolve("a.test", 443) == ("1.1.1.1",)
    dns.may_answer.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert await resolver.resolve("a.test", 443) == ("2.2.2.2",)
    assert dns.asked == 2


async def test_an_unknown_name_fails_each_time() -> None:
    dns = Dns(GONE, (), ("1.1.1.1",))
    resolver = Resolver(clock=Clock(), look_up=dns)
    for _ in range(2):
        with pytest.raises(OSError, match=r"Temporary|no address"):
            await resolver.resolve("a.test", 443)
    assert await resolver.resolve("a.test", 443) == ("1.1.1.1",)


async def test_the_address_that_worked_comes_first_also_after_a_new_lookup() -> None:
    clock, dns = Clock(), Dns(("1.1.1.1", "2.2.2.2", "3.3.3.3"))
    resolver = Resolver(clock=clock, look_up=dns)
    await resolver.resolve("a.test", 443)
    resolver.prefer("a.test", 443, "2.2.2.2")
    assert await resolver.resolve("a.test", 443) == ("2.2.2.2", "1.1.1.1", "3.3.3.3")
    clock.now_s += 31.0
    assert await resolver.resolve("a.test", 443) == ("2.2.2.2", "1.1.1.1", "3.3.3.3")
    resolver.doubt("a.test", 443)
    await resolver.resolve("a.test", 443)
    assert dns.asked == 3


async def test_closing_ends_lookups_under_way() -> None:
    dns = Dns(("1.1.1.1",))
    dns.may_answer.clear()
    resolver = Resolver(clock=Clock(), look_up=dns)
    caller = asyncio.create_task(resolver.resolve("a.test", 443))
    await asyncio.sleep(0)
    await resolver.close()
    with pytest.raises(OSError, match="closed"):
        await caller


async def test_the_system_is_asked() -> None:
    assert "127.0.0.1" in await look_up("localhost", 80)
    assert await look_up("127.1", 80) == ("127.0.0.1",)  # odd spellings come out as what they are, and are judged so
