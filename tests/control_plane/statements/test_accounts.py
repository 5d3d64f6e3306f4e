from uuid import UUID

from control_plane.statements.accounts import TeamAccount, by_cost_centre

A, B, C, D = (UUID(int=number) for number in range(1, 5))


def test_teams_stand_by_cost_centre_and_those_without_one_come_last() -> None:
    found = by_cost_centre(
        [
            TeamAccount(D, "zeta", "", used_nano_usd=1),
            TeamAccount(B, "web", "4711", used_nano_usd=2),
            TeamAccount(A, "core", "4711", opening_nano_usd=5, used_nano_usd=3, corrected_nano_usd=-1),
            TeamAccount(C, "ops", "0815", shadow_nano_usd=7),
        ]
    )
    assert [(centre.name, [team.team for team in centre.teams]) for centre in found] == [
        ("0815", ["ops"]),
        ("4711", ["core", "web"]),
        ("", ["zeta"]),
    ]
    assert (found[1].opening_nano_usd, found[1].used_nano_usd, found[1].corrected_nano_usd) == (5, 5, -1)
    assert found[1].closing_nano_usd == 9
    assert found[0].closing_nano_usd == 0


def test_a_team_that_never_spent_anything_is_on_no_statement() -> None:
    assert by_cost_centre([TeamAccount(A, "core", "4711", requests=3)]) == ()
