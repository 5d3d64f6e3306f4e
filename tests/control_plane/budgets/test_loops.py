"""Downgrades lead down, never around."""

from control_plane.budgets.loops import Cascade, way_back


def names(name: str) -> tuple[str, ...]:
    return {"fast": ("fast", "main/haiku", "haiku")}.get(name, (name, f"main/{name}"))


def test_a_list_may_name_models_that_the_budget_is_about() -> None:
    assert way_back([Cascade("b", ("claude-*",), ("claude-haiku", "claude-sonnet"))], names) == ()
    assert way_back([Cascade("b", (), ("claude-haiku",))], names) == ()


def test_a_model_is_not_downgraded_to_itself_alone() -> None:
    assert way_back([Cascade("b", ("opus",), ("opus",))], names) == ("opus", "opus")


def test_two_budgets_that_send_each_other_their_models_are_found() -> None:
    down = Cascade("down", ("*opus*",), ("haiku",))
    back = Cascade("back", ("*haiku*",), ("opus",))

    assert way_back([down, back], names) == ("haiku", "opus", "haiku")
    assert way_back([down, Cascade("on", ("*haiku*",), ("nano",))], names) == ()


def test_a_way_back_through_a_third_and_through_a_virtual_name_is_found() -> None:
    cascades = [
        Cascade("a", ("*opus*",), ("sonnet",)),
        Cascade("b", ("*sonnet*",), ("fast",)),
        Cascade("c", ("main/haiku",), ("opus",)),
    ]

    assert set(way_back(cascades, names)) == {"sonnet", "fast", "opus"}
    assert way_back(cascades[:2], names) == ()


def test_whoever_asks_for_a_later_model_of_a_list_is_led_to_the_earlier_ones_only() -> None:
    first = Cascade("a", ("*opus*",), ("haiku", "sonnet"))
    second = Cascade("b", ("*sonnet*",), ("haiku", "nano"))

    assert way_back([first, second], names) == ()
