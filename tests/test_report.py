"""The page of `make report`, as a person uses it: in headless Chromium."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from pipeline.competitions.csv_records import write_records
from pipeline.competitions.ledger import Upload
from pipeline.data.dataset import DataFiles, open_dataset
from pipeline.runs import Run
from tests.browser import OpenPage, chromium, open_page
from tests.scored_runs import ScoredRuns, upload, write_search

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \"'"
"""A name that ends elements and attributes where it is not escaped."""

HEADINGS = {
    "accuracy": "accuracy ± sd",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}
"""The columns with these scores."""


def write_history(run: Run, epochs: int) -> None:
    """Write curves that fall, with an epoch without any wrong row."""
    folder = run.member_folder(0)
    folder.mkdir(parents=True)
    lines = ["epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds"]
    for epoch in range(1, epochs + 1):
        wrong = 0.2 / epoch if epoch < epochs else 0
        lines.append(f"{epoch},{wrong},{1 - wrong},{wrong},{1 - wrong},0.001,1.5")
    (folder / "history.csv").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Path:
    """A folder with nine runs, among them one whose data are gone and one with a hostile name."""
    root = tmp_path_factory.mktemp("report")
    make = ScoredRuns(root / "runs")
    files = DataFiles(small_digits / "train.csv", small_digits / "test.csv", full_size=False)
    here: dict[str, Any] = {
        "source": str(small_digits),
        "data_fingerprint": open_dataset(files).fingerprint,
    }
    for seed in range(3):
        write_history(make(f"a-s{seed}", range(seed), batch_size=64, seed=seed, **here), 7)
    for seed in range(2):
        write_history(make(f"b-s{seed}", range(9 + seed), batch_size=128, seed=seed, **here), 3)
    make("average", [0, 1, 2], parents=["a-s0", "b-s0"], recipe_name="quick + quick", **here)
    hostile = make("hostile", range(12), recipe_name=HOSTILE, versions={HOSTILE: HOSTILE}, **here)
    hostile.record.reason = HOSTILE
    hostile.save()
    (hostile.folder / "mistakes.png").write_bytes(b"no picture")
    make("elsewhere", range(40), source="/gone", split_fingerprint="t" * 64)
    Image.new("L", (20, 20)).save(root / "runs" / "elsewhere" / "mistakes.png")
    (make("damaged", [0], **here).folder / "validation.npz").write_bytes(b"no arrays")
    revealed = {"private_score": 0.981, "hidden_score": 0.985, "revealed_at": "2026-01-03"}
    uploads = [upload(range(0), 0.99, **revealed), upload(range(10), 0.97, submitted_at="2026-02")]
    uploads += [upload(range(count), 0.99 - count / 1000) for count in (1, 2, 9)]
    write_records(root / "submissions" / "ledger.csv", Upload, uploads)
    write_search(root / "runs" / "searches" / "quick-1", HOSTILE)
    damaged = root / "runs" / "searches" / "quick-2" / "search.json"
    damaged.parent.mkdir()
    damaged.write_text('{"id": 1}')
    return root


def run_command(root: Path, *arguments: str, path: str = "") -> str:
    """Run the command line where TensorFlow cannot be imported; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments, "--root", str(root)],
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def page_file(root: Path, without_tensorflow: str) -> Path:
    """The page of the runs in `root`."""
    assert "wrote" in run_command(root, "report", path=without_tensorflow)
    return root / "runs" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture
def opened(browser: "Browser", page_file: Path) -> Iterator[OpenPage]:
    """The page at 1280 pixels, which must log nothing and ask for no other file."""
    opened = open_page(browser, page_file)
    yield opened
    assert opened.problems == []
    assert {url for url in opened.requests if not url.startswith("data:")} == {page_file.as_uri()}
    opened.page.close()


def recipes(opened: OpenPage) -> list[str]:
    """The best runs' names of the first table's visible recipes, in their order."""
    found: list[str] = opened.page.eval_on_selector_all(
        "#group-0 tbody:not([hidden])",
        "all => all.map(one => one.querySelector('.pick-run').value)",
    )
    return found


def test_the_figures_are_those_of_compare(
    opened: OpenPage, root: Path, without_tensorflow: str
) -> None:
    printed = json.loads(run_command(root, "compare", "--json", path=without_tensorflow))
    embedded: dict[str, Any] = opened.page.evaluate("data.comparison")
    assert embedded == printed
    for number, group in enumerate(printed["groups"]):
        headings = opened.page.locator(f"#group-{number} .heading").all_inner_texts()

        for place, row in enumerate(group["recipes"]):
            line = opened.page.locator(f"#group-{number} tr.recipe").nth(place)
            values = line.evaluate("row => [...row.cells].map(one => one.dataset.value)")
            shown = dict(zip(headings, values, strict=True))
            for score, heading in HEADINGS.items():
                assert float(shown[heading]) == row["scores"][score]
            test = row["against_best"]
            assert shown["p (Holm)"] == (None if test is None else str(test["p_holm"]))


def test_sorting_by_mouse_and_keyboard_keeps_runs_below_their_recipe(opened: OpenPage) -> None:
    page, best_first = opened.page, recipes(opened)
    assert best_first[0] == "a-s0"
    head = page.locator("#group-0 thead th").nth(1)
    assert head.get_attribute("aria-sort") == "descending"
    head.locator("button").click()
    assert (recipes(opened), head.get_attribute("aria-sort")) == (best_first[::-1], "ascending")
    page.locator("#group-0 thead button", has_text="log loss").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") is None
    assert recipes(opened) == best_first
    page.locator("#group-0 thead button", has_text="p (Holm)").click()
    assert recipes(opened)[-1] == "a-s0", "a cell without a value comes last"
    page.locator(".toggle").nth(0).press("Space")
    shown = page.locator("#group-0 tbody").nth(0).locator("tr.run:visible").count()
    assert shown == page.locator("#group-0 tbody").nth(0).locator(".pick-run").count()


def test_the_filter_finds_recipes_settings_and_single_runs(opened: OpenPage) -> None:
    def found(words: str) -> list[str]:
        opened.page.fill("#filter", words)
        return recipes(opened)

    assert found("QUICK batch_size=128") == ["b-s0"]
    assert opened.page.text_content("#found") == "1 of 5 recipes"
    assert found("a-s1") == ["a-s0"]
    assert opened.page.locator("#group-0 tr.run:visible").all_text_contents() != []
    assert opened.page.locator("#group-0 tr.run:visible .pick-run").count() == 1
    assert opened.page.locator("details.run:visible").count() == 1
    assert found("nothing like it") == []
    assert len(found("")) == 4


def test_selected_runs_differ_in_these_settings_and_have_these_curves(opened: OpenPage) -> None:
    page = opened.page
    assert not page.locator("#selection").is_visible()  # the page's own choice
    page.locator(".pick-recipe").first.click()
    page.click("#selection button")
    assert page.text_content("#diff") == "Select two or more."
    for name in ("a-s0", "b-s0"):
        page.locator(f"tbody:has([value={name}]) .pick-recipe").check()
    assert page.text_content("#selection span") == "5 runs selected"
    texts = page.locator("#diff tr").all_inner_texts()
    assert [text.split("\t") for text in texts] == [
        ["setting", "1 quick", "3 quick"],
        ["seed", "0, 1, 2", "0, 1"],
        ["training.batch_size", "64", "128"],
    ]
    page.check("#all-settings")
    assert page.locator("#diff tr").count() > 30
    for count, switched in (
        (5, ""),
        (10, ".rows[value=training]"),
        (8, "#curve-runs [value=a-s1]"),
        (4, ".rows[value=validation]"),
    ):
        if switched:
            page.click(switched)
        page.wait_for_function(
            "many => document.querySelectorAll("
            "'[data-chart=error] svg .mark-line path').length === many",
            arg=count,
        )
    assert page.locator("#curve-runs label").all_inner_texts()[0] == "a-s0"
    assert "wrong rows (%)" in page.inner_text("[data-chart=error]")


def test_a_run_s_section_has_its_pictures_tables_and_chart(opened: OpenPage) -> None:
    page = opened.page
    page.locator("#group-0 .toggle").nth(2).click()
    page.click("[href='#run-b-s0']")
    section = page.locator("#run-b-s0")
    section.locator("[data-chart=reliability] svg").wait_for()
    assert section.locator(".mistakes img").count() == 9
    assert section.locator("img").nth(1).get_attribute("alt") == "row 1: label 1, read as 2"
    assert (
        section.locator(".mistakes figcaption").nth(1).inner_text().startswith("label 1, read as 2")
    )
    diagonal = section.locator(".confusion .right").all_inner_texts()
    assert diagonal == ["39"] * 9 + ["40"]
    assert section.locator(".numbers tr", has_text="1.0000").count() > 0
    for one in page.locator("details.run").all():
        one.evaluate("one => { one.open = true }")
    page.wait_for_function("[...document.images].every(one => one.naturalWidth > 0)")
    assert page.locator("#run-elsewhere img.whole").count() == 1


def test_problems_are_named_and_hostile_names_are_only_text(opened: OpenPage) -> None:
    page = opened.page
    shown = page.locator("#run-hostile")
    shown.evaluate("one => { one.open = true }")
    assert HOSTILE in shown.inner_text()
    assert "mistakes.png is damaged; make submission RUN=hostile draws it again" in (
        shown.inner_text()
    )
    assert HOSTILE in page.inner_text("#group-0")
    assert page.locator("script").count() == 3
    assert "damaged" in page.locator("p.problem", has_text="left out").all_inner_texts()[0]


def test_the_public_scores_are_drawn_with_their_correlation(opened: OpenPage) -> None:
    text = opened.page.inner_text("#public")
    assert "Spearman's rank correlation is" in text
    points = opened.page.locator("#public svg [aria-roledescription=point]")
    late = [one.get_attribute("aria-label") for one in points.all()]
    assert ["after a reveal" in str(one) for one in late].count(True) == 1
    assert len(late) == 5
    table = opened.page.text_content("#group-0") or ""
    assert "0.97000 r" in table
    assert "0.981000.98500" in table, "the private score, and that on all hidden rows"


def test_a_search_shows_what_was_tried_what_mattered_and_both_figures(opened: OpenPage) -> None:
    section = opened.page.locator("#searches")
    text = section.inner_text()
    assert "trial 1 0.99500, the recipe itself 0.99000 (+0.00500)" in text
    assert "0.99000, the recipe itself 0.98000 (+0.01000" in text
    assert "better by more than chance" in text
    assert section.locator("[data-chart=trials] svg [aria-roledescription=point]").count() == 3
    bars = section.locator("[data-chart=importance] svg [aria-roledescription=bar]").all()
    labels = [str(bar.get_attribute("aria-label")) for bar in bars]
    assert [label.startswith(("share: 0.75", "setting: network")) for label in labels] == [
        True,
        False,
    ]
    section.locator("summary").click()
    rows = [row.split("\t")[:3] for row in section.locator("tbody tr").all_inner_texts()]
    assert rows == [
        ["1", "completed", "0.99500"],
        ["0", "completed", "0.99000"],
        ["2", "pruned", "0.98000"],
        ["3", "failed", ""],
    ]


def test_the_keyboard_reaches_all_that_can_be_operated(opened: OpenPage) -> None:
    page = opened.page
    wanted = page.evaluate(
        """[...document.querySelectorAll('a, button, input, summary, [tabindex]')]
           .filter(one => one.checkVisibility()).length"""
    )
    page.evaluate("window.reached = new Set()")
    for _ in range(wanted + 2):
        page.keyboard.press("Tab")
        page.evaluate("reached.add(document.activeElement)")
    reached = page.evaluate("reached.delete(document.body), reached.size")
    assert reached >= wanted


def test_narrow_screens_and_the_dark_mode(browser: "Browser", page_file: Path) -> None:
    pages = {
        scheme: open_page(browser, page_file, 390, scheme).page for scheme in ("light", "dark")
    }
    colours = set()
    for page in pages.values():
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        page.wait_for_selector("#run-a-s1 [data-chart=reliability] svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        label = page.locator("[data-chart=error] svg text").first
        style = (
            "one => [getComputedStyle(document.body).backgroundColor, getComputedStyle(one).fill]"
        )
        colours.add(tuple(label.evaluate(style)))
        page.close()
    (behind, text), (other_behind, other_text) = colours
    assert behind != other_behind
    assert text != other_text
