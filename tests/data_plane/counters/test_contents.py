"""When a store's contents are believed again after a loss: whatever is lost meanwhile, never without the books.

The same histories against the reference and a real Valkey. The control plane's part is played here.
"""

from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_plane.counters.packing import budget_name, micro_near
from data_plane.counters.reference import Reference
from data_plane.counters.reference_contents import Seen, Step
from data_plane.policy.grant import Spent
from switchyard_contract.counters import Verdict, laying_text, meta_key
from tests.data_plane.counters.builders import (
    ORGANIZATION,
    START_US,
    RawStore,
    a_budget,
    amounts,
    an_ask,
    claims_of,
    usd,
)

BUDGETS = (a_budget(100, id="one"), a_budget(100, id="two"))
KEYS = tuple(budget_name(ORGANIZATION, budget, "") for budget in BUDGETS)
META = meta_key(ORGANIZATION)
COST = usd(0.1)


@dataclass(slots=True)
class Losing:
    """A store that loses its contents, a reference that loses the same, pods, the books and who brings them back."""

    store: RawStore
    reference: Reference = field(default_factory=Reference)
    pods: list[Seen] = field(default_factory=lambda: [Seen(), Seen()])
    policy: int = 1
    books: int = 0
    """Micro-USD, of each of the budgets."""
    loss: int = -1
    """The newest generation that a pod has reported as lost."""
    attempt: int = 0
    steps: int = 0
    """Laid of this attempt; two there are."""
    floors: dict[int, int] = field(default_factory=dict)
    """By generation: what the books said when they were laid in for it."""
    copy: tuple[dict[bytes, bytes], Reference] | None = None
    asked: int = 0

    def __post_init__(self) -> None:
        self.store.send(b"FLUSHALL")
        self.ask(0, behind=1)

    def ask(self, pod: int, behind: int = 0) -> Verdict:
        """Have a pod reserve and settle; its policy may be some generations behind."""
        self.asked += 1
        seen, wanted = self.pods[pod], max(0, self.policy - behind)
        claims, ask = claims_of(*BUDGETS, generation=wanted), an_ask(self.asked, amounts(0.1))
        answer = self.reference.reserve(claims, ask, START_US, seen=seen)
        assert self.store.reserve(claims, ask, START_US, seen=seen) == answer
        if answer.verdict is Verdict.ADMITTED:
            assert answer.budgets[0].posted >= self.floors.get(answer.generation, 0), "believed without the books"
            assert answer.budgets[1].posted >= self.floors.get(answer.generation, 0), "believed without a part of them"
            self.pods[pod] = Seen(answer.generation, answer.sequence)
            self.reference.settle(claims, ask, answer, Spent(COST), START_US)
            self.store.settle(claims, ask, answer, micro_near(COST), 0, 0, START_US)
            self.books += micro_near(COST)
        elif wanted > self.loss and wanted >= self.policy:
            self.loss, self.steps, self.attempt = wanted, 0, self.attempt + 1
        self.compare()
        return answer.verdict

    def lay(self) -> None:
        """Lay one more step of the books in, or begin again where that is refused."""
        if self.loss < self.policy or self.steps == 2:
            return
        opens = self.loss + 1
        before = laying_text(str(self.attempt), 1) if self.steps else ""
        step = Step(laying_text(str(self.attempt), self.steps + 1), before, opens if self.steps else 0)
        if not self.steps:
            self.floors[opens] = self.books
        some = [(KEYS[self.steps], self.floors[opens])]
        said = self.reference.lay(ORGANIZATION, step, some)
        assert self.store.lay((step.leads_to, step.goes_on_from, step.opens), some) == said
        if said < 0:
            self.steps, self.attempt = 0, self.attempt + 1
        else:
            self.steps += 1
        self.compare()

    def name_new_generation(self) -> None:
        """Where the store says that the books are in it; where it does not any more, they are laid in again."""
        if self.loss >= self.policy and self.steps == 2:
            if self.store.send(b"HGET", META.encode(), b"laid") == b"%d" % (self.loss + 1):
                self.policy = self.loss + 1
            else:
                self.steps, self.attempt = 0, self.attempt + 1

    def start_over(self, pod: int) -> None:
        self.pods[pod] = Seen()

    def lose_all(self) -> None:
        self.store.send(b"FLUSHALL")
        self.reference = Reference()
        self.compare()

    def take_copy(self) -> None:
        dumped = {}
        for key in (META.encode(), *(key.encode() for key in KEYS)):
            if isinstance(text := self.store.send(b"DUMP", key), bytes):
                dumped[key] = text
        self.copy = dumped, deepcopy(self.reference)

    def go_back(self) -> None:
        if self.copy is not None:
            self.store.send(b"FLUSHALL")
            for key, text in self.copy[0].items():
                self.store.send(b"RESTORE", key, b"0", text)
            self.reference = deepcopy(self.copy[1])
            self.compare()

    def compare(self) -> None:
        kept = self.store.send(b"HGETALL", META.encode())
        assert isinstance(kept, list)
        there = dict(zip((word.decode() for word in kept[::2]), (word.decode() for word in kept[1::2]), strict=True))
        ours = self.reference.of(ORGANIZATION).contents
        here = {"gen": str(ours.generation)} if ours.generation >= 0 else {}
        here |= {"seq": str(ours.sequence)} if ours.sequence else {}
        here |= {"lost": "1"} if ours.is_lost else {}
        here |= {"laying": ours.laying} if ours.laying else {}
        here |= {"laid": str(ours.laid)} if ours.laid >= 0 else {}
        assert there == here

    def recover(self) -> None:
        """Let everything take its course, with nothing lost any more."""
        for _ in range(8):
            for pod in (0, 1):
                self.ask(pod)
            for _ in range(4):
                self.lay()
            self.name_new_generation()
        assert [self.ask(pod) for pod in (0, 1)] == [Verdict.ADMITTED] * 2


HAPPENS = st.one_of(
    *(st.tuples(st.just("ask"), st.integers(0, 1), st.integers(0, 1)) for _ in range(3)),
    *(st.tuples(st.just(name)) for name in ("lay", "lay", "name_new_generation", "name_new_generation", "lose_all")),
    *(st.tuples(st.just(name)) for name in ("take_copy", "go_back")),
    st.tuples(st.just("start_over"), st.integers(0, 1)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(HAPPENS, max_size=40))
def test_contents_are_believed_only_with_the_books_in_them_and_come_right_in_the_end(
    raw: RawStore, history: list[tuple[str, *tuple[int, ...]]]
) -> None:
    losing = Losing(raw)
    losing.ask(0)
    losing.lose_all()
    losing.ask(0)
    losing.lay()
    for name, *arguments in history:
        getattr(losing, name)(*arguments)
    losing.recover()


@pytest.fixture
def laid(raw: RawStore) -> Losing:
    """Spent, lost, the books laid in, the new generation on its way to the pods."""
    losing = Losing(raw)
    for _ in range(3):
        losing.ask(0)
    losing.lose_all()
    assert losing.ask(0) is Verdict.LEARNING
    losing.take_copy()
    losing.lay()
    losing.lay()
    losing.name_new_generation()
    assert losing.policy == 2
    return losing


def test_a_loss_while_the_new_generation_travels_is_not_taken_for_the_recovery(laid: Losing) -> None:
    laid.lose_all()
    assert laid.ask(0, behind=1) is Verdict.LEARNING
    assert laid.ask(1) is Verdict.LEARNING
    laid.recover()


def test_nor_is_a_copy_from_before_the_books_were_laid_in(laid: Losing) -> None:
    laid.go_back()
    assert laid.ask(1) is Verdict.LEARNING
    laid.recover()


def test_a_loss_between_two_pages_is_no_whole_book(raw: RawStore) -> None:
    losing = Losing(raw)
    losing.ask(0)
    losing.lose_all()
    losing.ask(0)
    losing.lay()
    losing.lose_all()
    losing.lay()
    assert losing.steps == 0, "the second page is refused"
    losing.recover()


def test_a_page_whose_answer_was_lost_is_laid_again(laid: Losing) -> None:
    raw, opens = laid.store, 3
    assert raw.lay(("x:1", "", 0), [(KEYS[0], 10**9)]) == 1
    for _ in range(2):
        assert raw.lay(("x:2", "x:1", opens), [(KEYS[1], 10**9)]) in (0, 1)
    assert raw.lay(("x:3", "x:1", opens), []) == -1
