from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ci.adapters.templates import render_html, render_markdown
from ci.core.errors import ConfigurationError
from ci.core.records import Baseline, Change, Interval, MetricRow, Outcome, Verdict
from ci.core.reporting import markdown
from ci.core.reporting.report import commands, marker, view
from ci.core.reporting.show import NOTHING, number, seconds
from ci.core.reporting.tables import COMMENT, metric_line
from tests.unit.ci.core import samples

PARSER = MarkdownIt("gfm-like", {"html": True, "linkify": False})
OWN_TAGS = {"<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>", "<code>", "</code>"}
FRAGMENTS = (
    "`", "```", "``` \n", "|", "||", "\\", "\\|", "\n", "\n\n", "\r", "\t", "    ", "#", "# ", "- ", "> ", "1. ", "=",
    "---", "<b>", "</details>", "<script>alert(1)</script>", "<img src=x onerror=y>", "<!--", "-->",
    "<!-- trunkline:check:fraud -->", "&lt;", "&#64;", "&", "@octocat", "@org/team", "octocat@github.com", "#1",
    "a/b#2", "GH-3", "https://evil.example/x", "www.evil.example", "<https://evil.example>", "[x](https://evil.example)",
    "![x](y)", "[x]: y", "*", "**", "_", "__", "~~", "$x$", "$$", "{{ x }}", "{% raw %}",
    "\u202e", "\u200b", "\u2028", "\ufeff", "\x00", "é", "漢", "😀",
)  # fmt: skip
HOSTILE = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=8).map("".join)
HOSTILE_TEXTS = st.lists(HOSTILE, min_size=1, max_size=7)
KEPT = {"mode", "task", "verdict", "kind", "status", "name", "series"}
BRIEF = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _with_texts(verdict: Verdict, texts: Sequence[str]) -> Verdict:
    """`verdict` with every free text of it replaced; what was equal stays equal, what differed goes on to differ."""
    words = cycle(texts)
    instead: dict[str, str] = {}

    def other(text: str) -> str:
        return instead.setdefault(text, f"{next(words)} x{len(instead)}")

    def walk(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            free = path == ("seconds",) or path[-1:] == ("rows",)
            return {other(name) if free else name: walk(item, (*path, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item, path) for item in value]
        keep = not isinstance(value, str) or (path[-1] in KEPT and path[0] != "checks")
        return value if keep else other(value)

    return Verdict.model_validate(walk(verdict.model_dump(mode="json"), ()))


def _blocks(text: str) -> list[str]:
    """The outline of a Markdown text: what blocks it is made of, not what they say."""
    return [token.type + token.tag for token in PARSER.parse(text)]


def _leaves(text: str) -> Iterator[Token]:
    for token in PARSER.parse(text):
        yield from token.children or [token]


def _section(text: str, title: str) -> str:
    return text.split(f"### {title}\n", 1)[1].split("\n###", 1)[0].split("\n<details>", 1)[0]


class TestHostileText:
    @pytest.mark.parametrize("sample", [samples.failing, samples.passing, samples.schema_violation, samples.stopped])
    @BRIEF
    @given(texts=HOSTILE_TEXTS)
    def test_markdown_keeps_its_outline_and_shows_no_foreign_markup(
        self, sample: Callable[[], Verdict], texts: list[str]
    ) -> None:
        hostile = _with_texts(sample(), texts)
        text = render_markdown([hostile], marker=marker("check", "fraud"))
        tame = render_markdown([_with_texts(sample(), ["a"])], marker=marker("check", "fraud"))

        assert _blocks(text) == _blocks(tame)
        assert text.count("<!--") == 1
        assert text.startswith("<!-- trunkline:check:fraud -->\n")
        for leaf in _leaves(text):
            assert leaf.type not in {"link_open", "image", "s_open", "em_open"}, leaf
            if leaf.type in {"html_inline", "html_block"}:
                assert set(re.findall(r"<[^>]*>", leaf.content)) - {"<!-- trunkline:check:fraud -->"} <= OWN_TAGS
            if leaf.type == "text":
                assert not re.search(r"@\w|#\d|://|www\.|gh-\d|[\u202a-\u202e]", leaf.content, re.IGNORECASE), leaf

    @BRIEF
    @given(texts=HOSTILE_TEXTS)
    def test_html_keeps_its_elements(self, texts: list[str]) -> None:
        hostile = [_with_texts(sample(), texts) for sample in (samples.failing, samples.stopped)]
        tame = [_with_texts(sample(), ["a"]) for sample in (samples.failing, samples.stopped)]

        assert _Elements.of(render_html(hostile, {})) == _Elements.of(render_html(tame, {}))

    @given(text=st.text() | HOSTILE)
    @example("".join(FRAGMENTS))
    @example(" &lt; &#64; \\| `|")
    def test_a_table_cell_stays_one_cell_and_says_the_text(self, text: str) -> None:
        row = f"| a | b |\n| --- | --- |\n| {markdown.escape(text)} | {markdown.code(text)} |"
        cells = [token for token in PARSER.parse(row) if token.type == "inline"]

        assert len(cells) == 4
        for cell in cells[2:]:
            shown = "".join(leaf.content for leaf in cell.children or [] if leaf.type != "html_inline")
            assert shown.replace("\u200b", "").strip() in {markdown.clean(text).strip(), NOTHING}

    @given(text=st.text() | HOSTILE)
    def test_a_paragraph_stays_one(self, text: str) -> None:
        assert _blocks(f"{markdown.escape(text)} x") == ["paragraph_openp", "inline", "paragraph_closep"]
        alone = _blocks(markdown.escape(text))
        assert alone in ([], ["paragraph_openp", "inline", "paragraph_closep"])

    def test_a_marker_cannot_be_forged(self) -> None:
        for name in ("a --> b", "a:b", "", "x" * 65, "../x", "-x"):
            with pytest.raises(ConfigurationError, match="cannot name a workflow or model"):
                marker("check", name)
        assert marker("check", "fraud") == "<!-- trunkline:check:fraud -->"

    @pytest.mark.parametrize("name", ["$(rm -rf x)", "a;b", "a b", "--all", "```"])
    def test_a_name_that_a_shell_would_read_gives_no_command(self, name: str) -> None:
        assert commands(samples.passing().model_copy(update={"model": name})) == ()

    def test_a_commit_that_is_none_is_not_in_a_command(self) -> None:
        forged = samples.passing().model_copy(update={"commit": "main; curl evil"})
        assert commands(forged) == ("trunkline check fraud",)


class _Elements(HTMLParser):
    """Every element of a page and the names of its attributes; values of `src`, `href` and `id` too."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    @classmethod
    def of(cls, page: str) -> list[tuple[str, tuple[str, ...]]]:
        parser = cls()
        parser.feed(page)
        return parser.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = (f"{name}={value}" if name in {"src", "href", "id"} else name for name, value in attrs)
        self.found.append((tag, tuple(told)))


class TestLength:
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        models=st.sampled_from([1, 2, 30]),
        gates=st.integers(0, 200),
        word=st.sampled_from(["&", "@", "x y ", "😀", "`|<", "漢"]),
        times=st.integers(1, 3000),
        marked=st.booleans(),
    )
    def test_huge_verdicts_fit_a_comment_and_end_well(
        self, models: int, gates: int, word: str, times: int, *, marked: bool
    ) -> None:
        big = samples.failing()
        big = _with_texts(
            big.model_copy(
                update={
                    "gates": big.gates * (1 + gates // len(big.gates)),
                    "metrics": big.metrics * (1 + gates // len(big.metrics)),
                    "violations": samples.schema_violation().violations * (1 + gates // 10),
                    "waivers": big.waivers * (1 + gates // 10),
                }
            ),
            [word * times],
        )
        verdicts = [big.model_copy(update={"model": f"m{i}"}) for i in range(models)]
        text = render_markdown(verdicts, marker=marker("check", "m0") if marked else None)

        assert len(text.encode("utf-16-le")) // 2 + text.count("\n") <= markdown.COMMENT_LIMIT - markdown.ROOM
        assert len(re.findall(r"^<details>", text, re.MULTILINE)) == len(re.findall(r"^</details>", text, re.MULTILINE))
        assert len(re.findall(r"^```", text, re.MULTILINE)) % 2 == 0
        whole = text.splitlines()
        assert all(line.endswith("|") for line in whole if line.startswith("|"))

    @given(
        lengths=st.lists(st.tuples(st.integers(1, 900), st.integers(0, 4)), min_size=1, max_size=30),
        limit=st.integers(2_000, 9_000),
    )
    def test_only_whole_sections_go_and_the_last_ones_first(self, lengths: list[tuple[int, int]], limit: int) -> None:
        sections = [
            markdown.Section(f"part {i}", f"{i}:" + "x" * n, rank if i else 0) for i, (n, rank) in enumerate(lengths)
        ]
        sections = [s for s in sections if s.rank or s is sections[0]]
        text = markdown.fit(sections, whole="report.html", limit=limit)

        assert markdown.length(text) <= limit
        kept = [s for s in sections if f"\n{s.text}\n" in f"\n{text}"]
        gone = [s for s in sections if s not in kept]
        assert text.rstrip().split("\n\n")[: len(kept)] == [s.text for s in kept]
        assert bool(gone) == ("Cut to fit" in text)
        order = {s.title: (s.rank, i) for i, s in enumerate(sections)}
        assert all(order[a.title] < order[b.title] for a in kept for b in gone)

    def test_the_cut_says_what_is_gone_and_where_it_is(self) -> None:
        text = render_markdown([samples.failing()], limit=5_000)
        assert "**Cut to fit a GitHub comment.** Left out: " in text
        assert "plots, timings, lineage and how to reproduce. The whole report is in `artifacts/report.html`" in text
        assert "```" not in text
        assert "### Gates that do not pass" in text

    def test_every_model_keeps_its_first_screen_before_any_keeps_its_plots(self) -> None:
        verdicts = [samples.failing().model_copy(update={"model": f"model_{i:02}"}) for i in range(20)]
        text = render_markdown(verdicts)
        assert re.findall(r"^## ❌ (\S+):", text, re.MULTILINE) == [f"model\\_{i:02}" for i in range(20)]
        assert "mermaid" not in text
        assert "Cut to fit" in text

    def test_long_lists_say_how_much_more_there_is(self) -> None:
        long = samples.failing()
        gates = [long.gates[2].model_copy(update={"reason": f"reason {i}"}) for i in range(100)]
        text = render_markdown([long.model_copy(update={"gates": gates})])
        assert "… and 89 more, in the table of all gates" in text
        assert "… and 41 more gates, none of them worse." in text


class TestFirstScreen:
    def test_a_failure_reads_verdict_change_gates_metrics(self) -> None:
        text = render_markdown([samples.failing()], marker=marker("check", "churn"))
        assert text.startswith("<!-- trunkline:check:churn -->\n## ❌ churn: fail\n\n3 of 10 gates fail")
        places = [text.index(f"### {title}") for title in ("What changed", "Gates that do not pass", "Metrics")]
        assert places == sorted(places)
        assert "- Data: 300,000 → 312,400 rows (+12,400), `e4d909c2` → `9e107d9d`\n" in text
        assert "- Parameter `model.hidden`: `32` → `64`\n" in text
        assert "- Parameter `model.dropout`: `absent` → `0.1`\n" in text

    def test_blocking_failures_come_before_what_does_not_block(self) -> None:
        named = re.findall(
            r"^- (\S+) `([^`]+)`",
            _section(render_markdown([samples.failing()]), "Gates that do not pass"),
            re.MULTILINE,
        )
        assert [icon for icon, _ in named] == ["❌", "❌", "❌", "❌", "⚠️"]
        assert named[0][1] == "check.no_leakage"  # a failed check that no gate stands for
        assert named[-1][1].startswith("average_precision[contract=Two year]")

    def test_gates_that_fail_for_one_reason_are_said_once(self) -> None:
        one = samples.inconclusive()
        twin = one.gates[-1].model_copy(update={"gate": "mae.no_worse_than.merge_base"})
        text = _section(
            render_markdown([one.model_copy(update={"gates": (*one.gates, twin)})]), "Gates that do not pass"
        )
        assert (
            "`rmse.no_worse_than.merge_base`, `mae.no_worse_than.merge_base` **inconclusive, does not block**:" in text
        )
        assert text.count("the difference may be anywhere") == 1

    def test_a_waived_gate_says_who(self) -> None:
        text = render_markdown([samples.passing()])
        assert "🟡 `card_precision.min` **fail, waived by Ada Lovelace**: 0.2310 is below 0.25" in text
        assert "| 🟡 | `card_precision.min` | Ada Lovelace | 2026-12-15 |" in text

    def test_a_stopped_stage_says_where_and_why_once(self) -> None:
        text = render_markdown([samples.stopped()])
        assert text.startswith(
            "## ❌ churn: fail, stopped in train\n\n> **Stopped in `train`**\n>\n> ml/models/churn/params"
        )
        assert text.count("learnig") == 2  # the message, and the parameter that changed
        assert "### Metrics" not in text

    def test_a_fault_of_the_machine_is_not_laid_on_the_change(self) -> None:
        stopped = samples.stopped()
        assert stopped.problem is not None
        problem = stopped.problem.model_copy(update={"exit_code": 2, "message": "the disk is full", "file": "a.json"})
        text = render_markdown([stopped.model_copy(update={"problem": problem})])
        assert "> **Stopped in `train`** at `a.json:14`\n" in text
        assert "The machine it ran on is to blame" in text

    def test_schema_violations_show_offenders_with_the_row_and_the_column_first(self) -> None:
        text = _section(render_markdown([samples.schema_violation()]), "Schema violations")
        assert "**Column `TX_AMOUNT`**, check `greater_than_or_equal_to(0)`, 412 rows: amounts are" in text
        assert "| `row` | `TX_AMOUNT` | `TRANSACTION_ID` | `TX_DATETIME` |" in text
        assert "… and 407 more rows." in text
        assert '| 4 | "wallet&#124;new" |' in text
        assert "**Table**, check `label_rate`, 1 time:" in text

    def test_unchanged_is_said_and_not_compared(self) -> None:
        text = render_markdown([samples.unchanged()])
        assert text.startswith("## ✅ fraud: pass, unchanged\n")
        assert "are the same model, byte for byte" in text
        assert "| metric | candidate | 95 % interval |\n" in text
        assert "| `validate` | 1.2 s | cached |" in text
        assert "Nothing that this model depends on. Data: unchanged, 312,400 rows (`9e107d9d`)." in text

    def test_no_baseline_says_why(self) -> None:
        missing = Baseline(kind="merge_base", status="missing", reason="the clone is shallow; fetch its history.")
        first = samples.unchanged().model_copy(update={"baseline": missing, "base_commit": None})
        text = render_markdown([first])
        assert "Nothing to compare with: the clone is shallow; fetch its history." in text
        assert "There is no base commit to compare with. Data: 312,400 rows (`9e107d9d`)." in text

    def test_how_to_reproduce(self) -> None:
        text = render_markdown([samples.passing()])
        assert f"```sh\ngit fetch origin {samples.COMMIT} && git checkout {samples.COMMIT}\nmake check\n" in text
        assert "trunkline check fraud\n```" in text

    def test_plots_are_text(self) -> None:
        text = render_markdown([samples.passing()])
        assert text.count("```mermaid\n%%{init:") == 3
        assert "candidate blue, baseline orange" in text
        assert re.search(r"\| candidate \| 0\.9500 \| `[▁-█]{24}` \|", text)
        assert "http" not in text


class TestManyModels:
    def test_the_summary_comes_first_and_the_worst_model_leads(self) -> None:
        text = render_markdown(samples.every())
        assert text.startswith("# ❌ 3 of 6 models fail, 1 is inconclusive\n\n| model | verdict |")
        rows = re.findall(r"^\| `(\w+)` \| (\S+) ", text, re.MULTILINE)[:6]
        assert rows == [
            ("churn", "❌"),
            ("claims", "❌"),
            ("ranking", "❌"),
            ("delay", "⚠️"),
            ("demand", "✅"),
            ("fraud", "✅"),
        ]

    @pytest.mark.parametrize(
        ("verdicts", "headline"),
        [
            ([], "No model is touched by this change"),
            ([samples.passing()], "fraud: pass"),
            ([samples.inconclusive()], "delay: inconclusive, does not block"),
            ([samples.passing(), samples.inconclusive()], "1 of 2 models is inconclusive"),
            ([samples.passing(), samples.failing()], "1 of 2 models fails"),
            ([samples.passing(), samples.unchanged().model_copy(update={"model": "b"})], "All 2 models pass"),
            ([samples.passing(), samples.passing().model_copy(update={"mode": "full"})], "All 2 verdicts pass"),
        ],
    )
    def test_the_headline_counts(self, verdicts: list[Verdict], headline: str) -> None:
        assert view(verdicts).headline == headline

    def test_nothing_touched_is_a_pass_with_words(self) -> None:
        assert (
            render_markdown([]) == "# ✅ No model is touched by this change\n\nNothing had to be trained or judged.\n"
        )


class TestArrow:
    @given(
        low=st.floats(-2, 2),
        width=st.floats(0, 2),
        higher=st.booleans(),
    )
    def test_better_or_worse_needs_an_interval_without_zero(self, low: float, width: float, *, higher: bool) -> None:
        high = low + width
        row = MetricRow(
            metric="m",
            n=10,
            higher_is_better=higher,
            candidate=1.0,
            baseline=0.5,
            difference=(low + high) / 2 or 0.1,
            difference_interval=Interval(low=low, high=high, confidence=0.95),
        )
        line = metric_line(row, unchanged=False, limits=COMMENT)
        if low <= 0 <= high:
            assert (line.arrow, line.tone) == ("≈", "same")
        else:
            rose = low > 0
            assert line.tone == ("better" if rose is higher else "worse")
            assert line.arrow.startswith("↑" if rose else "↓")

    def test_a_number_measured_once_makes_no_claim(self) -> None:
        row = MetricRow(metric="size_bytes", n=1, higher_is_better=False, candidate=2.0, baseline=1.0, difference=1.0)
        assert metric_line(row, unchanged=False, limits=COMMENT).arrow == "no interval"


class TestHtml:
    def test_the_page_needs_nothing_else(self) -> None:
        page = render_html(samples.every(), {"fraud": {"Loss": "data:image/png;base64,AAAA"}})
        elements = _Elements.of(page)
        links = [told for _, attributes in elements for told in attributes if told.startswith(("src=", "href="))]
        assert links
        assert all(link.startswith(("src=data:", "href=data:", "href=#model-")) for link in links)
        assert not {"script", "iframe", "object", "form"} & {tag for tag, _ in elements}
        assert not re.search(r"url\(|@import|https?:", page)
        assert "prefers-color-scheme: dark" in page

    def test_failing_gates_come_first(self) -> None:
        page = render_html([samples.failing()], {})
        assert page.index("Gates that do not pass") < page.index("What changed") < page.index("<h3>Metrics")

    def test_a_long_list_of_changes_is_folded_and_whole(self) -> None:
        files = tuple(f"ml/f{i}.py" for i in range(30))
        page = render_html([samples.passing().model_copy(update={"change": Change(files=files)})], {})
        folded = page.split('<details class="fold">')[1].split("</details>")[0]
        assert all(f"<code>{file}</code>" in folded for file in files)

    def test_nothing_is_cut_that_a_comment_would_cut(self) -> None:
        long = samples.failing()
        long = long.model_copy(update={"gates": long.gates[2:3] * 100})
        assert render_html([long], {}).count("<code>roc_auc.no_worse_than.merge_base</code>") == 2 * 100


def test_change_of_data_in_words() -> None:
    def said(**fields: Any) -> str:
        verdict = samples.passing().model_copy(update={"change": Change(**fields)})
        return view([verdict]).models[0].change.data

    assert said(data_hash_after="a", rows_after=3) == "new, 3 rows"
    assert said(data_hash_before="a") == "gone"
    assert (
        said(data_hash_before="a", data_hash_after="b", rows_before=5, rows_after=4) == "5 → 4 rows (\N{MINUS SIGN}1)"
    )
    assert said(data_hash_before="a", data_hash_after="b", rows_before=4, rows_after=4) == "changed, 4 rows as before"
    assert said(data_hash_before="a", data_hash_after="b") == "changed, rows not counted now"


def test_numbers_as_a_person_reads_them() -> None:
    shown = [number(value) for value in (None, 0.0, 0.81234, -0.5, 38.213, 512.0, 48_211, 3.1e-7, 1e300)]
    minus = "\N{MINUS SIGN}"
    assert shown == [NOTHING, "0", "0.8123", f"{minus}0.5000", "38.21", "512", "48,211", "3.10e-07", "1.00e+300"]
    assert [number(0.0123, sign=True), number(-0.0123, sign=True)] == ["+0.0123", f"{minus}0.0123"]
    assert [seconds(value) for value in (0.44, 12.4, 200.0)] == ["0.4 s", "12 s", "3 min 20 s"]


def test_numbers_beyond_all_bounds_are_no_way_round_the_limit() -> None:
    huge = int("9" * 4_000)
    change = Change(data_hash_before="a", data_hash_after="b", rows_before=0, rows_after=huge)
    odd = samples.failing().model_copy(update={"change": change, "seconds": {"train": 1e308, "evaluate": 1e308}})
    text = render_markdown([odd.model_copy(update={"model": f"m{i}"}) for i in range(30)])
    assert markdown.length(text) <= markdown.COMMENT_LIMIT - markdown.ROOM
    assert "0 → beyond 1,000,000,000,000 rows" in text


def test_worst_verdict_first_whatever_the_order_given() -> None:
    assert [model.tone for model in view(tuple(reversed(samples.every()))).models] == [
        Outcome.FAIL, Outcome.FAIL, Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS, Outcome.PASS
    ]  # fmt: skip
