"""Figures are read out of uploads, and nothing else is."""

import json
import time
from dataclasses import asdict

import plotly.graph_objects as go
import plotly.offline
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livedata.domain.figure import MOST_FIGURES, NoFigureError, figures


def div(data: str = '[{"x": [1]}]', layout: str = ', {"title": {"text": "T"}}') -> str:
    return f'<div><script>Plotly.newPlot("id", {data}{layout}, {{"responsive": true}})</script>'


def test_a_div_of_the_installed_plotly() -> None:
    made = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]), {"title": {"text": "a < b & c"}})
    text = plotly.offline.plot(made, output_type="div", include_plotlyjs=False)
    (found,) = figures(text)
    assert found.data == json.loads(made.to_json())["data"]
    assert found.layout["title"] == {"text": "a < b & c"}
    assert found.config == {"responsive": True}


def test_a_page_with_plotly_itself_in_it() -> None:
    made = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))
    text = plotly.offline.plot(made, output_type="div", include_plotlyjs=True)
    assert [figure.data[0]["y"] for figure in figures(text)] == [[3, 4]]


def test_several_plots_in_one_div() -> None:
    assert [figure.data for figure in figures(div() + div('[{"y": [2]}]'))] == [
        [{"x": [1]}],
        [{"y": [2]}],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<script>Plotly.newPlot('id',[{\"x\":[1]}],{},{})",
        '<script>Plotly.newPlot ( \n "id" , \n [{"x":[1]}] \n , \n {} ) ;',
        '<script>Plotly.plot("id", [{"x":[1]}], {}, {"plotlyServerURL": "https://a.b"}).then()',
        '<script>Plotly.newPlot("id", [{"x":[1]}])',
        '<script>Plotly.newPlot(document.getElementById("id"), [{"x":[1]}], {})',
        '<script>Plotly.react(gd, {"data": [{"x":[1]}], "layout": {}, "frames": []})',
        '{"data": [{"x": [1]}], "layout": {}}',
        ' [{"data": [{"x": [1]}]}]',
    ],
)
def test_every_way_to_write_it(text: str) -> None:
    (found,) = figures(text)
    assert asdict(found) == {"data": [{"x": [1]}], "layout": {}, "config": {}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no call"),
        ("<div>only text</div>", "no call"),
        ('<div>Plotly.newPlot("id", data, layout)', "no call"),
        (div()[:-60], "not complete JSON"),
        (div() + '<script>Plotly.newPlot("id", [{"x": [1', "not complete JSON"),
        (div() + '<script>Plotly.newPlot("id", [{"x": [1]}], {}', "cut off"),
        (div('["trace"]'), "not a JSON object"),
        ('{"data": {}}', "no list"),
        ("[1]", "no list"),
        ("[]", "empty list"),
        ('{"data": [', "not complete JSON"),
        ("[" * 100_000, "too deeply"),
        (div('[{"x": ' + "[" * 200 + "]" * 200 + "}]"), "too deeply"),
        (div() * (MOST_FIGURES + 1), "more than"),
    ],
)
def test_what_cannot_be_drawn_is_said(text: str, reason: str) -> None:
    with pytest.raises(NoFigureError, match=reason):
        figures(text)


@pytest.mark.parametrize(
    "link",
    [
        "<a href='javascript:alert(1)'>x</a>",
        '<a href="JavaScript:alert(1)">x</a>',
        "<a href=javascript:alert(1)>x</a>",
        "<a HREF = ' java\tscript:alert(1)'>x</a>",
        "<a href='javascript&colon;alert(1)'>x</a>",
        "<a href='&#106;avascript:alert(1)'>x</a>",
        "<a xlink:href='vbscript:x'>x</a>",
        "<a href='data:text/html,<script>1</script>'>x</a>",
        "<a href='javascript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,x",
    ],
)
def test_links_that_run_scripts_are_gone(link: str) -> None:
    (found,) = figures(json.dumps({"data": [{"text": [link]}], "layout": {"title": link}}))
    for text in (found.data[0]["text"][0], found.layout["title"]):
        assert "script:alert" not in text.lower()
        assert "script&colon;" not in text
        assert "&#106;" not in text
        assert "vbscript" not in text
        assert "data:text" not in text


@pytest.mark.parametrize(
    "text",
    [
        "<a href='https://ornl.gov/?a=1&b=2'>x</a>",
        '<a href="mailto:a@b.c">x</a>',
        "E: 5 meV, <b>Q</b> & more",
        "data: raw",
        "%{x:.2f}<extra></extra>",
    ],
)
def test_other_texts_stay(text: str) -> None:
    (found,) = figures(json.dumps({"data": [], "layout": {"title": text}}))
    assert found.layout["title"] == text


def test_the_answer_is_json_also_for_numbers_that_json_does_not_have() -> None:
    (found,) = figures('{"data": [{"y": [1, NaN, 1e999, -1e999]}]}')
    assert found.data == [{"y": [1, None, None, None]}]


@given(
    st.text() | st.text(alphabet="Plotly.newPlot(\"'[]{},:1a ").map(lambda tail: div()[:-9] + tail)
)
def test_any_text_gives_figures_or_a_reason(text: str) -> None:
    try:
        found = figures(text)
    except NoFigureError as error:
        assert str(error).endswith(".")
    else:
        assert found
        json.dumps([asdict(figure) for figure in found], allow_nan=False)


@pytest.mark.parametrize(
    "hostile",
    [
        'Plotly.newPlot("',
        "Plotly.newPlot('a',[",
        "Plotly.plot(" + " " * 50,
        "Plotly.plot(a",
        'Plotly.newPlot("a",[{}]',
        "<a href=",
        "Plotly.newPlot('a',{\"",
    ],
)
def test_hostile_texts_cost_little(hostile: str) -> None:
    text = f"<div>{hostile * (1_000_000 // len(hostile))}"
    begin = time.process_time()
    with pytest.raises(NoFigureError):
        figures(text)
    assert time.process_time() - begin < 2
