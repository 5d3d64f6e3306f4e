"""Whether a turn may go to a cheaper model once a budget is nearly spent, and whether that is cheaper at all.

The providers keep a conversation's prompt for some minutes and read it again at a tenth of the price. To leave the
model that has it costs a whole prompt once; what the other model saves comes back turn by turn. So both prices are
worked out, and over as many turns as a session of this age has before it: what somebody types brings about eight calls
of tools, and a session that has come so far goes about as far again (workload.md: their lengths have a heavy tail).
"""

from collections.abc import Iterable, Sequence

import msgspec

from data_plane.conversation.session_signs import SessionSigns
from data_plane.policy.access_rules import Sight, decide, judge
from data_plane.policy.budgets import downgrade_stage
from data_plane.policy.conditions import NEVER_MS, Scene
from data_plane.policy.decision import Destination, Refusal
from data_plane.policy.estimate import Tariff, likely_cost, likely_prompt
from data_plane.policy.naming import clip, known_names
from data_plane.policy.request_size import LastTurn, RequestSize
from data_plane.policy.routing import price_span, resolve
from data_plane.policy.rules import Budget, ModelFacts, Rules
from data_plane.policy.snapshot import PolicySnapshot
from switchyard_contract.quantity import NanoUsd
from switchyard_contract.reason import Reason

TURNS_OF_A_LOOP = 8
MOST_TURNS = 200
"""A session is not expected to go on for longer than this."""
LIKELY_OUTPUT_TOKENS = 500
"""Of a turn in the middle of a session (workload.md)."""
LIKELY_ADDED_TOKENS = 1_500
"""What a turn adds to the prompt of the one before."""


class Dropped(msgspec.Struct, frozen=True):
    """A name in a downgrade's list that cannot be used."""

    model: str
    why: str


class Move(msgspec.Struct, frozen=True):
    """The other model, and on what terms budgets want turns to go there."""

    asked: str
    budget_ids: tuple[str, ...]
    """Enforced budgets whose list names it; the first one's list it was chosen from."""
    uncached_input_tokens_below: int
    """The least that any of them says; 0: all turns."""
    cache_aware: bool
    """Any of them is: the most careful one decides."""


class Second(msgspec.Struct, frozen=True):
    """The outcome of going through a downgrade's list."""

    move: Move | None
    destination: Destination | None
    dropped: tuple[Dropped, ...]
    until_ms: int
    """When a model that is in the list retires next."""


class Offer(msgspec.Struct, frozen=True):
    """Whether the other model is offered to the counters for this turn, with both prices."""

    is_offered: bool
    must_move: bool
    """The other model is in the middle of a tool loop whose reasoning it signed: the turn goes there whatever the
    budgets say."""
    why: str
    stay: NanoUsd
    move: NanoUsd


def find_second(
    policy: PolicySnapshot,
    rules: Rules,
    scene: Scene,
    protocol: str,
    first: Destination,
    budgets: Sequence[Budget],
    at_ms: int,
) -> Second:
    """Go through the lists of the budgets that apply, in their order; the first name that can be used is the one."""
    dropped: list[Dropped] = []
    until_ms = NEVER_MS
    for budget in budgets:
        stage = downgrade_stage(budget)
        for asked in stage.to if stage is not None else ():
            found = resolve(policy, scene.caller, asked, protocol)
            if isinstance(found, Refusal):
                # The first sentence says what is wrong; the others are for whoever asked for that name.
                said = found.sentence.partition(". ")[0]
                dropped.append(
                    Dropped(asked, "this key may not use it" if found.reason is Reason.MODEL_NOT_ALLOWED else said)
                )
                continue
            retired_at_ms = facts_of(rules, found).retired_at_ms
            if at_ms < retired_at_ms:
                until_ms = min(until_ms, retired_at_ms)
            dropped_why = _why_not(policy, rules, scene, first, asked, found, at_ms, retired_at_ms)
            if dropped_why:
                dropped.append(Dropped(asked, dropped_why))
                continue
            return Second(_terms(asked, budgets), found, tuple(dropped), until_ms)
    return Second(None, None, tuple(dropped), until_ms)


def facts_of(rules: Rules, destination: Destination) -> ModelFacts:
    """What is known of a model, also under its undated name."""
    for name in known_names(destination.model):
        for vendor in (destination.vendor, ""):
            facts = rules.model_facts.get((vendor, name))
            if facts is not None:
                return facts
    return ModelFacts()


def offer(
    move: Move,
    first: Tariff | None,
    second: Tariff | None,
    size: RequestSize,
    signs: SessionSigns,
    *,
    last_first: LastTurn | None,
    last_second: LastTurn | None,
) -> Offer:
    """Say whether a turn may be moved. last_first, last_second: the session's newest turn at each, where known."""
    is_there = last_second is not None and (last_first is None or last_second.at_ms > last_first.at_ms)
    if first is None or second is None or not size.is_billable:
        return Offer(False, False, "one of the two costs nothing", NanoUsd(0), NanoUsd(0))
    latest = last_second if is_there else last_first
    prompt = likely_prompt(size, latest)
    output = LIKELY_OUTPUT_TOKENS if latest is None else latest.output_tokens
    warm = min(last_first.warm_tokens, prompt) if last_first is not None else 0
    warm_there = min(last_second.warm_tokens, prompt) if last_second is not None else 0
    stay = NanoUsd(likely_cost(first.price, prompt, warm, output))
    gone = NanoUsd(likely_cost(second.price, prompt, warm_there, output))
    if signs.is_tool_loop and signs.has_signed_thinking:
        if is_there:
            return Offer(True, True, "a tool loop goes on whose reasoning the other model signed", stay, gone)
        return Offer(False, False, "in the middle of a tool loop with signed reasoning", stay, gone)
    uncached = prompt - (warm_there if is_there else warm)
    below = move.uncached_input_tokens_below
    if below and uncached >= below:
        why = f"reads about {uncached:,} tokens that are in no cache; the stage moves turns below {below:,}"
        return Offer(False, False, why, stay, gone)
    if not move.cache_aware:
        return Offer(True, False, "whatever its cache", stay, gone)
    return _compare(first, second, prompt, output, signs.turn, stay, gone)


def _compare(first: Tariff, second: Tariff, prompt: int, output: int, turn: int, stay: NanoUsd, gone: NanoUsd) -> Offer:
    if gone < stay:
        return Offer(True, False, "cheaper for this turn already", stay, gone)
    later = prompt + LIKELY_ADDED_TOKENS
    saved = likely_cost(first.price, later, prompt, output) - likely_cost(second.price, later, prompt, output)
    if saved <= 0:
        return Offer(False, False, "not cheaper, its prompt being cached where it is", stay, gone)
    # What is lost now is won back in so many turns after this one.
    turns = -(-(gone - stay) // saved)
    expected = min(turn + TURNS_OF_A_LOOP, MOST_TURNS)
    if turns <= expected:
        return Offer(True, False, f"dearer for this turn, and won back within {turns} more", stay, gone)
    why = f"its prompt is cached where it is: to leave would be won back only after {turns} more turns"
    return Offer(False, False, why, stay, gone)


def _why_not(
    policy: PolicySnapshot,
    rules: Rules,
    scene: Scene,
    first: Destination,
    asked: str,
    found: Destination,
    at_ms: int,
    retired_at_ms: int,
) -> str:
    """Why a model that resolves is not taken all the same."""
    if (found.provider_id, found.model) == (first.provider_id, first.model):
        return "is the model that was asked for"
    if retired_at_ms and retired_at_ms <= at_ms:
        return "is retired"
    if found.passthrough_caller and not first.passthrough_caller:
        return "is paid by the caller's own subscription, which this request does not bring"
    sight = Sight(asked, found.provider_name, found.model, found.region, found.is_external)
    is_allowed, denying = decide(judge(rules.access, scene, sight))
    if not is_allowed:
        return f"the access rule “{denying.rule.name}” denies it" if denying else "no access rule allows it"
    chosen = price_span(policy, found.organization_id, found.vendor, found.model, at_ms)
    # What is billed by the dearest price that is known is no cheaper way.
    if chosen.price is None or chosen.note:
        return f"no price is known for {clip(found.model)}"
    return ""


def _terms(asked: str, budgets: Iterable[Budget]) -> Move:
    """What the budgets that name it say, the most careful one first."""
    wanting = [(budget.id, stage) for budget in budgets if (stage := downgrade_stage(budget)) and asked in stage.to]
    return Move(
        asked=asked,
        budget_ids=tuple(budget_id for budget_id, _ in wanting),
        uncached_input_tokens_below=min(
            (stage.uncached_input_tokens_below for _, stage in wanting if stage.uncached_input_tokens_below), default=0
        ),
        cache_aware=any(stage.cache_aware for _, stage in wanting),
    )
