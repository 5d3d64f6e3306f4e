"""Behind every chart that a script draws lie its values: a table by keyboard, and a file of exactly what is shown."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SignIn
from tests.browser.test_accessibility import violations
from tests.browser.world import World

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


def table_of(page: Page) -> list[list[str]]:
    rows: list[list[str]] = page.locator("[data-chart-rows]").first.evaluate(
        "(place) => [...place.querySelectorAll('tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return rows


def test_a_chart_of_bars_has_its_table_and_file(
    visitor: SignIn, console_url: str, world: World, tmp_path: Path
) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/spend?by=user&range=30d&compare=1")
    page.wait_for_selector("[data-chart] canvas")
    summary = page.locator("[data-chart-table] summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-chart-rows] table")).to_have_count(1)

    rows = table_of(page)
    assert len(rows) == 31
    assert rows[0][0] == "Day (Europe/Berlin)"
    assert rows[0][-2:] == ["All", "Before"]
    assert any(cell.startswith("$") for cell in rows[-1])

    with page.expect_download() as download:
        page.get_by_role("button", name="These values as CSV").click()
    saved = tmp_path / "chart.csv"
    download.value.save_as(saved)
    with saved.open(newline="") as file:
        lines = list(csv.reader(file))
    assert len(lines) == 31
    assert lines[0][1].endswith("(nano_usd)")
    assert all(cell.lstrip("-").isdigit() for cell in lines[1][1:])
    assert violations(page) == []


def test_a_row_of_the_table_leads_where_a_click_on_the_chart_does(
    visitor: SignIn, console_url: str, world: World
) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/spend?by=model&range=7d")
    page.wait_for_selector("[data-chart] canvas")
    page.locator("[data-chart-table] summary").first.click()
    link = page.locator("[data-chart-rows] a").first
    day = link.inner_text()
    link.click()
    page.wait_for_url(f"{console_url}/exchanges?from={day}&to={day}")

    page.goto(console_url + "/spend?by=model&range=7d")
    page.select_option("select[name=by]", label="Region")
    # What was left alone stays out of the address.
    page.wait_for_url(f"{console_url}/spend?by=region&metric=cost&range=7d")


def test_the_picture_of_a_forecast_has_its_file(
    visitor: SignIn, console_url: str, world: World, tmp_path: Path
) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/forecast")
    page.locator(".band-table summary").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="These values as CSV").click()
    saved = tmp_path / "forecast.csv"
    download.value.save_as(saved)
    with saved.open(newline="") as file:
        head, *lines = csv.reader(file)
    assert head == ["Until", *(f"{name} (nano_usd)" for name in ("Spent", "P10", "P50", "P90"))]
    assert lines
    assert all(cell == "" or cell.isdigit() for line in lines for cell in line[1:])


def test_a_chart_of_lines_has_its_table(visitor: SignIn, console_url: str, world: World) -> None:
    page = visitor(world.admin)
    page.goto(console_url + "/latency?range=7d")
    page.wait_for_selector("[data-chart] canvas")
    page.locator("[data-chart-table] summary").first.click()
    expect(page.locator("[data-chart-rows] table").first).to_be_visible()

    rows = table_of(page)

    assert rows[0][1:] == ["p50", "p95", "p99"]
    assert len(rows) == 8
