import json

import pytest

from tools import times


def a_run(*cells):
    run = times.NotebookTime("01_x")
    for number, (seconds, picture) in enumerate(cells, 1):
        run.add(seconds, f"cell [{number}]", picture=picture)
    return run


def test_times_add_up_and_the_first_picture_is_when_its_cell_ended():
    run = a_run((1.0, False), (2.5, True), (4.0, True))
    assert run.seconds == 7.5
    assert run.first_picture == 3.5
    assert run.slowest == (4.0, "cell [3]")
    assert run.over_budget() == []


def test_no_picture_and_no_cell():
    assert a_run((1.0, False)).first_picture is None
    assert a_run().slowest == (0.0, "no cell")


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (a_run((1.0, True), *[(45.9, False)] * 4), "01_x took 185 s, allowed are 180 s"),
        (a_run((1.0, True), (61.0, False)), "01_x: cell [2] took 61 s, allowed are 60 s"),
        (a_run((1.0, False)), "01_x showed no picture"),
        (a_run((31.0, True)), "01_x showed its first picture after 31 s, allowed are 30 s"),
    ],
)
def test_each_limit_is_named(run, message):
    assert run.over_budget() == [message]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "10 s"), (44, "40 s"), (60, "1 min"), (127, "2 min 10 s"), (118, "2 min")],
)
def test_durations_in_words(seconds, words):
    assert times.in_words(seconds) == words


def test_quote_replaces_only_the_notebook_named():
    text = "a <!-- time 01_x -->old<!-- /time --> b <!-- time 02_y -->old<!-- /time -->"
    assert times.quote(text, "01_x", 75) == (
        "a <!-- time 01_x -->1 min 20 s<!-- /time --> b <!-- time 02_y -->old<!-- /time -->"
    )


def test_saved_record(tmp_path):
    path = tmp_path / "build" / "times.json"
    times.save([a_run((2.0, True))], path)
    (saved,) = json.loads(path.read_text())["notebooks"]
    assert saved == {
        "name": "01_x",
        "seconds": 2.0,
        "first_picture": 2.0,
        "cells": [[2.0, "cell [1]"]],
    }


def test_has_picture():
    picture = {"output_type": "display_data", "data": {"image/png": "", "text/plain": ""}}
    assert times.has_picture([{"output_type": "stream", "text": ""}, picture])
    assert not times.has_picture([{"output_type": "display_data", "data": {"text/plain": ""}}])
