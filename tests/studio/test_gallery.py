"""What was asked before: runs, damaged ones too, two side by side, and what the ledger knows."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from probe import Prober
from probe.image import open_image
from probe.mock import PlantedTarget
from probe.mock import serve as serve_model
from probe.report.page import DIFFERENT
from probe.text import printable
from tests.studio.conftest import PATCH, png


@pytest.fixture
def folder(ledger):
    return ledger.with_name("ledger.db.studio") / "runs"


@pytest.fixture
def ran(visitor, tagging_server):
    """ran(...): the ID of a finished run of 8 answers."""

    def call(data=None, **wish):
        picture = visitor.upload(data or png())
        run = visitor.start(picture=picture, api=tagging_server.url, **{"budget": 8, **wish})
        visitor.finish(run)
        return run

    return call


def test_a_run_is_listed_with_its_thumb_and_opens_with_its_report(visitor, ran, tagging_server):
    run = ran()
    listed = visitor.page("/")
    assert f'href="/runs/{run}"' in listed
    assert "<strong>0.95</strong>" in listed
    assert "8 answers, 8 calls" in listed
    assert visitor.get(f"/runs/{run}/thumb.webp").headers["content-type"] == "image/webp"
    assert f'src="/runs/{run}/report"' in visitor.page(f"/runs/{run}")
    report = visitor.get(f"/runs/{run}/report")
    assert "planted.png" in report.text
    assert f"--api {tagging_server.url}" in report.text
    policy = report.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "sandbox allow-scripts" in policy
    assert "connect-src" not in policy


def test_two_runs_over_one_picture_stand_side_by_side(visitor, ran):
    one, other = ran(), ran(method="rise")
    page = visitor.page(f"/compare?run={one}&run={other}")
    source = re.search(r'<iframe src="([^"]+)"', page)[1].replace("&amp;", "&")
    report = visitor.get(source).text
    assert "multiscale by" in report
    assert "rise by" in report


@pytest.mark.parametrize("chosen", [[], [0], [0, 0, 0], ["../x", 0]])
def test_two_have_to_be_chosen(visitor, ran, chosen):
    run = ran()
    query = "&".join(f"run={run if one == 0 else one}" for one in chosen)
    answer = visitor.get(f"/compare?{query}", headers={"Accept": "text/html"})
    assert answer.status_code in (400, 404)
    assert "two runs" in answer.text or "nothing here" in answer.text


def test_runs_over_different_pictures_are_not_compared(visitor, ran):
    one, other = ran(), ran(png((64, 96), (10, 10, 30, 30)))
    for path in ("/compare", "/compare/report"):
        answer = visitor.get(f"{path}?run={one}&run={other}")
        assert (answer.status_code, answer.json()["error"]) == (400, DIFFERENT)


DAMAGES = {
    "no request": lambda run: (run / "request.json").unlink(),
    "no JSON": lambda run: (run / "request.json").write_text("{"),
    "nonsense": lambda run: (run / "request.json").write_text('{"schema": 1, "wish": 3}'),
    "another version": lambda run: (run / "request.json").write_text('{"schema": 99}'),
    "a bad end": lambda run: (run / "ended.json").write_text('{"schema": 1, "score": "x"}'),
    "binary": lambda run: (run / "request.json").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_listed_with_what_is_wrong(visitor, ran, folder, damage):
    run, whole = ran(), ran()
    DAMAGES[damage](folder / run)
    listed = visitor.page("/")
    assert f"the run {run} is damaged" in listed
    assert f'href="/runs/{whole}"' in listed
    assert visitor.get(f"/runs/{run}").status_code == 500
    assert f"the run {run} is damaged" in visitor.get(f"/runs/{run}").text


def test_what_a_record_says_is_never_a_bug_of_ours(visitor, ran, folder):
    run = ran()
    path = folder / run / "ended.json"
    whole = json.loads(path.read_text("utf-8"))
    for nonsense in ({"score": 10**400}, {"answers": 1e308}, {"label": ["x"] * 9}):
        path.write_text(json.dumps(whole | nonsense))
        assert visitor.get("/").status_code == 200
    path.write_text(json.dumps(whole))
    asked = folder / run / "request.json"
    record = json.loads(asked.read_text("utf-8")) | {"made": "0001-01-01T00:00:00+23:59"}
    asked.write_text(json.dumps(record))
    assert "is damaged" in visitor.page("/")


def test_folders_that_are_taken_away_meanwhile_are_missed_not_stumbled_over(visitor, ran, folder):
    upload = visitor.upload()
    run = ran()
    visitor.upload(png((30, 30), (1, 1, 9, 9)), "other.png")
    shutil.rmtree(folder)
    shutil.rmtree(folder.parent / "uploads")
    assert visitor.get("/").status_code == 200
    assert visitor.get(f"/runs/{run}").status_code == 404
    assert visitor.post("/plan", {"picture": upload, "api": "skin"}).status_code == 404


@pytest.mark.parametrize("name", ["run.json", "answers.json", "picture"])
def test_a_run_without_one_of_its_files_says_so(visitor, ran, folder, name):
    run = ran()
    (folder / run / name).write_bytes(b"")
    assert visitor.get("/").status_code == 200
    for path in ("report", "redact", "map.webp"):
        answer = visitor.get(f"/runs/{run}/{path}")
        assert answer.status_code in (400, 422), path
        assert "\n" not in answer.json()["error"]
        assert "a bug of ours" not in answer.json()["error"]


def test_a_run_is_deleted_with_its_picture_and_asked_again_for_nothing(
    visitor, ran, folder, tagging_server
):
    run, other = ran(), ran()
    calls = tagging_server.calls
    assert visitor.post(f"/runs/{run}/delete", {}).status_code == 200
    assert [path.name for path in folder.iterdir()] == [other]
    assert visitor.get(f"/runs/{run}").status_code == 404
    assert visitor.post(f"/runs/{run}/delete", {}).status_code == 404
    ran()
    assert tagging_server.calls == calls


def test_what_is_no_run_in_the_folder_is_left_alone(visitor, ran, folder):
    run = ran()
    shutil.copytree(folder / run, folder / "my-own-copy")
    (folder / "notes.txt").write_text("x")
    assert "my-own-copy" not in visitor.page("/")


def test_many_runs_come_in_parts(visitor, ran, folder):
    run = ran()
    for n in range(70):
        shutil.copytree(folder / run, folder / f"20200101-0000{n % 60:02}-{n:08x}")
    first = visitor.page("/")
    older = re.search(r'href="/\?before=([^"]+)"', first)[1]
    rest = visitor.page(f"/?before={older}")
    links = [re.findall(r'<a href="/runs/([^"]+)"', page) for page in (first, rest)]
    assert [len(found) for found in links] == [60, 11]
    assert len({*links[0], *links[1]}) == 71


def test_asked_anew_the_form_has_the_request(visitor, ran):
    run = ran(seed=5)
    text = visitor.page(f"/?again={run}")
    again = json.loads(re.search(r"data-again='([^']+)'", text)[1])
    assert again["wish"]["seed"] == 5
    assert visitor.get(f"/pictures/{again['picture']['id']}.webp").status_code == 200


def test_pictures_that_only_the_ledger_knows_are_listed_honestly(
    visitor, ran, tagging_server, ledger
):
    ran()
    assert visitor.get("/ledger").json() == []
    other = open_image(png((80, 80), (10, 10, 30, 30)))
    Prober(tagging_server.url, ledger=ledger).probe(other, budget=6)
    (found,) = visitor.get("/ledger").json()
    assert found["picture"] == other.digest[:16]
    assert found["answers"] == 6
    assert "planted" in found["service"]


@pytest.mark.parametrize(
    "label",
    [
        "<script>alert(1)</script>",
        "</style><img src=x onerror=alert(2)>",
        "javascript:alert(3)",
        "'}\"{{ 7777 * 7 }}",
        "x" * 200,
    ],
)
def test_a_hostile_label_is_text(visitor, label):
    """Labels with control characters, or longer ones, the contract refuses: the next test."""
    with serve_model(PlantedTarget({label: PATCH}), rates=()) as server:
        picture = visitor.upload()
        offer = visitor.post("/plan", {"picture": picture, "api": server.url, "budget": 6})
        run = visitor.start(picture=picture, api=server.url, budget=6)
        texts = [offer.text, *(json.dumps(event) for event in visitor.news(run))]
        visitor.finish(run)
        again = {"picture": picture, "api": server.url, "label": label[:499] + "?"}
        texts.append(visitor.post("/plan", again).text)
        texts += [visitor.page(path) for path in ("/", f"/runs/{run}", f"/runs/{run}/redact")]
    assert offer.json()["question"] == printable(label, 200)
    for text in texts:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
        assert "54439" not in text
    for page in texts[-3:]:
        assert "<script>alert" not in page
        assert "<img src=x" not in page


@pytest.mark.parametrize("label", ["\x1b[31mred", "\u202egnp", "x" * 10_000])
def test_a_server_with_labels_that_none_may_have_is_refused_in_a_line(visitor, label):
    with serve_model(PlantedTarget({label: PATCH}), rates=()) as server:
        answer = visitor.post("/plan", {"picture": visitor.upload(), "api": server.url})
    assert answer.status_code == 502
    said = answer.json()["error"]
    assert said == printable(said, 501)
