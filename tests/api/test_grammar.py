from __future__ import annotations

import copy
import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import probe
from probe.api import request
from probe.api.http import Reply
from probe.api.profile import grammar, kinds
from probe.api.profile.keys import Source, Table
from probe.api.profile.settings import Settings
from probe.api.response.reader import Reader
from probe.errors import ProbeError, ProfileError
from probe.types import Scores

HERE = Path(__file__).parent
SHIPPED = {path.stem: path for path in (Path(probe.__file__).parent / "profiles").glob("*.toml")}
FIXTURES = json.loads((HERE / "fixtures.json").read_text("utf-8"))
FIXTURE_OF = {
    "clarifai": "clarifai_v2",
    "clarifai-v1": "clarifai_v1",
    "azure-vision-adult": "azure_cv32_adult",
    "imagga-nsfw": "imagga_categories",
    "roboflow": "roboflow_single",
    "roboflow-hosted": "roboflow_single",
    "oip-json": "oip_v2_flat",
    "triton-binary": "oip_v2_flat",
    "tfserving": "tfserving_row",
    "hive": "hive_v2",
    "openmoderate": "openmoderate_batch",
    "nsfwpy": "nsfwpy_many",
}
OWN_NAMES = {
    ("vars",),
    ("request", "headers"),
    ("request", "query"),
    ("request", "fields"),
    ("request", "token", "form"),
    ("scores", "ordinal"),
}
"""Tables that hold names of one's own."""

GOOD = """
name = "mine"
[vars]
model = "nsfw"
[request]
method = "POST"
url = "${MINE_BASE:-https://mine.example}/{model}"
headers = { Authorization = "Bearer ${MINE_KEY}" }
body = "json"
template = '{"images": "$items"}'
item = '"{b64}"'
[response]
results = "results"
pairs = "[].[label, score]"
[nsfw]
labels = ["porn"]
[sfw]
labels = []
[limits]
max_batch = 4
"""


def fixture_of(name):
    return FIXTURES[FIXTURE_OF.get(name, name.replace("-", "_"))]


def toml(value):
    """TOML of a table, everything in it inline."""
    return "".join(f"{json.dumps(key)} = {inline(one)}\n" for key, one in value.items())


def inline(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def keys(value, path=()):
    """The path of every key at every depth."""
    for key, one in value.items():
        yield (*path, key)
        if isinstance(one, dict):
            yield from keys(one, (*path, key))
        elif isinstance(one, list) and one and isinstance(one[0], dict):
            for i, inside in enumerate(one):
                yield from keys(inside, (*path, key, i))


def inside(tree, path):
    for step in path:
        tree = tree[step]
    return tree


def without(tree, path):
    tree = copy.deepcopy(tree)
    del inside(tree, path[:-1])[path[-1]]
    return tree


def renamed(tree, path, name):
    tree = copy.deepcopy(tree)
    table = inside(tree, path[:-1])
    fields = {name if key == path[-1] else key: value for key, value in table.items()}
    table.clear()
    table.update(fields)
    return tree


def loaded(text):
    """The profile, or what is wrong with it."""
    try:
        return grammar.parse(text, "mine.toml")
    except ProfileError as error:
        return str(error)


def rendered(profile):
    environ = {v.name: "https://x.example" for v in Settings(profile, {}).variables if v.needed}
    return request.render(profile, Settings(profile, environ), [b"x"] * profile.limits.batch, PNG)


PNG = "image/png"


def reading(profile, name):
    """What the profile makes of its fixture: a dict or None for each picture, or an error."""
    fixture = fixture_of(name)
    reply = Reply(fixture["http"], {}, json.dumps(fixture["response"]).encode(), True)
    try:
        outcomes = Reader(profile).outcomes(reply, len(fixture["expected"]))
    except ProbeError as error:
        return error
    return [dict(one) if isinstance(one, Scores) else None for one in outcomes]


TREES = {name: tomllib.loads(path.read_text("utf-8")) for name, path in SHIPPED.items()}
EVERY_KEY = [(name, path) for name, tree in sorted(TREES.items()) for path in keys(tree)]
DOCUMENTED_TO_CHANGE = {"combine", "weights"}
"""Without them the scores are others, because their defaults mean something else."""


def test_writing_a_profile_anew_changes_nothing():
    for name, tree in TREES.items():
        text = SHIPPED[name].read_text("utf-8")
        assert grammar.parse(toml(tree), name) == grammar.parse(text, name)


@pytest.mark.parametrize(
    ("name", "path"), EVERY_KEY, ids=lambda one: one if isinstance(one, str) else None
)
def test_a_profile_without_one_key_works_or_names_it(name, path):
    key = [step for step in path if isinstance(step, str)][-1]
    profile = loaded(toml(without(TREES[name], path)))
    if isinstance(profile, str):
        assert profile.startswith("mine.toml")
        assert re.search(rf"\b{re.escape(key)}\b", profile)
        return
    rendered(profile)
    before = reading(grammar.parse(toml(TREES[name]), name), name)
    after = reading(profile, name)
    if isinstance(after, ProbeError) or key in DOCUMENTED_TO_CHANGE:
        return
    for old, new in zip(before, after, strict=True):
        assert all(old[label] == new[label] for label in (old or {}).keys() & (new or {}).keys())


@pytest.mark.parametrize(
    ("name", "path"), EVERY_KEY, ids=lambda one: one if isinstance(one, str) else None
)
def test_a_misspelt_key_is_named(name, path):
    table = tuple(step for step in path[:-1] if isinstance(step, str))
    if table in OWN_NAMES and table != ("vars",):
        return
    key, middle = path[-1], len(path[-1]) // 2
    known = [*inside(TREES[name], path[:-1]), *grammar.KEYS.get(".".join(table), "").split()]
    for wrong in (key[:middle] + key[middle + 1 :], key + key[-1], f"x{key[1:]}", key[:-1]):
        if wrong and wrong not in known:
            said = loaded(toml(renamed(TREES[name], path, wrong)))
            assert isinstance(said, str)
            assert said.startswith("mine.toml")
            assert re.search(rf"[ .]{re.escape(wrong)}:", said) or f"{{{key}}} is not in" in said


def test_names_of_ones_own_are_sent_as_they_are():
    profile = grammar.parse(GOOD.replace("Authorization", "Authorisation"), "mine.toml")
    assert rendered(profile).headers["Authorisation"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "mine"', 'name = "My Service"', "name: expected a name of small letters"),
        ('name = "mine"', "name = 3", "name: expected a name"),
        ('name = "mine"', 'name = "mine"\nthreshold = 2', "threshold: expected a number from 0"),
        ('name = "mine"', 'name = "mine"\ntrims_borders = 1', "trims_borders: expected true or f"),
        ('name = "mine"', 'name = "mine"\nprice = 0.1', "price: expected a table"),
        (
            'name = "mine"',
            'name = "mine"\nprice = {per_call = 0.1, currency = "USD"}',
            "price.as_of: is missing; expected a date",
        ),
        ('method = "POST"', 'method = "GET"', "request.method: expected one of POST, PUT"),
        ('body = "json"', 'body = "jsn"', "Did you mean 'json'?"),
        ("}/{model}", "}/{modle}", "{modle} is not in [vars]. Did you mean 'model'?"),
        ("}/{model}", "}/{model}?key=1", "request.url: expected no query"),
        ("}/{model}", "}/${MINE-KEY}/{model}", "request.url: expected ${NAME}"),
        ("/{model}", "", "vars.model: is used nowhere"),
        ('model = "nsfw"', 'model = "${HOME}"', "vars.model: expected a text of one line without"),
        ('model = "nsfw"', 'model = "nsfw"\nb64 = "x"', "vars.b64: is a name that stands for"),
        ("Bearer ${MINE_KEY}", "Bearer ${MINE_BASE}", "MINE_BASE is an address in request.url"),
        ("Bearer ${MINE_KEY}", "${MINE_KEY}\\n", "Authorization: expected a text that a header"),
        ("headers = { Authorization", 'headers = { "A b"', "A b: expected the name of a header"),
        ('\'{"images": "$items"}\'', "'{\"images\": $items}'", "request.template: expected JSON"),
        (
            '\'{"images": "$items"}\'',
            '\'{"images": "$itms"}\'',
            "no mark '$itms'. Did you mean '$items'?",
        ),
        (
            '\'{"images": "$items"}\'',
            "'{\"images\": []}'",
            'request.item: is of no use: the template has no "$items"',
        ),
        ("'\"{b64}\"'", '\'{"a": 1, "a": 2}\'', "request.item: expected JSON with each key once"),
        ("'\"{b64}\"'", "'\"{base64}\"'", "request.item: {base64} is not in [vars]"),
        ("'\"{b64}\"'", "'\"picture {index}\"'", "request.item: holds no picture"),
        ("item = '\"{b64}\"'", "", 'request.item: is missing; the template has "$items"'),
        (
            "item = '\"{b64}\"'",
            'item = \'"{b64}"\'\nfile_field = "f"',
            "request.file_field: has no place in body 'json'",
        ),
        ('body = "json"', 'body = "multipart"', "request.file_field: is missing; body 'multipart'"),
        ('body = "json"', 'body = "json"\nbasic = ["u"]', "request.basic: expected a list of user"),
        (
            'body = "json"',
            'body = "json"\nbasic = ["u", "p"]',
            "Authorization: is set by request.basic",
        ),
        (
            'body = "json"',
            'body = "json"\nimage = {format = "png", quality = 3}',
            "request.image.quality: png has none",
        ),
        ('results = "results"', 'results = "results["', "response.results: expected a JMESPath"),
        ('results = "results"', 'results = "first(@)"', "no function first()"),
        ('results = "results"', 'results = "keys(@, a)"', "keys() takes 1 arguments, not 2"),
        ('results = "results"', 'results = ""', "response.results: expected a JMESPath"),
        (
            'pairs = "[].[label, score]"',
            'pairs = "@"\nlabels = ["a"]',
            "response.pairs: stands beside labels",
        ),
        ('pairs = "[].[label, score]"', "", "response.pairs: is missing"),
        ('pairs = "[].[label, score]"', 'labels = ["a"]', "response.scores: is missing"),
        ('pairs = "[].[label, score]"', 'scores = "@"', "response.labels: is missing"),
        (
            'pairs = "[].[label, score]"',
            'labels = ["cat"]\nscores = "@"',
            "nsfw.labels: 'porn' is not in response.labels",
        ),
        (
            'pairs = "[].[label, score]"',
            'labels = ["a", "a"]\nscores = "@"',
            "response.labels: expected a JMESPath expression, or a list of names, each once",
        ),
        (
            "[nsfw]",
            '[scores]\nkind = "decision"\n[nsfw]',
            None,
        ),
        (
            'pairs = "[].[label, score]"',
            'labels = ["porn"]\nscores = "@"\n[scores]\nkind = "decision"',
            "scores.kind: 'decision' needs response.pairs",
        ),
        ("[nsfw]", "[scores]\ndivide = 0\n[nsfw]", "scores.divide: expected a number from 1e-06"),
        ("[nsfw]", "[scores]\ndivide = nan\n[nsfw]", "scores.divide: expected a number"),
        ("[nsfw]", "[scores]\nmissing = 2\n[nsfw]", "scores.missing: expected a number from 0"),
        ("[nsfw]", "[scores]\nordinal = {LOW = 7}\n[nsfw]", "scores.ordinal.LOW: expected 0 to 1"),
        ('labels = ["porn"]', "labels = []", "nsfw.labels: expected at least one label"),
        (
            'labels = ["porn"]',
            'labels = ["porn"]\nweights = [1, 2]',
            "nsfw.weights: expected a number from 0 to 1 for each",
        ),
        ("labels = []", 'labels = []\ncombine = "sum"', "sfw.combine: is of no use"),
        ('[nsfw]\nlabels = ["porn"]', "", "sfw.labels: is empty, which means 1 - nsfw"),
        ("max_batch = 4", "max_batch = 0", "limits.max_batch: expected a whole number from 1"),
        ("max_batch = 4", "max_batch = true", "limits.max_batch: expected a whole number"),
        ("max_batch = 4", 'formats = ["png", "jpg"]', "limits.formats: expected a list of png"),
        ("max_batch = 4", 'formats = ["webp"]', "limits.formats: expected a list with png or jpeg"),
        (
            "max_batch = 4",
            "min_side = 50\nmax_side = 40",
            "limits.max_side: expected at least min_side, 50",
        ),
        (
            "max_batch = 4",
            "rate = [{requests = 1, seconds = 1}, {requests = 1}]",
            "limits.rate[1].seconds: is missing",
        ),
        ("max_batch = 4", "rate = [1]", "limits.rate: expected a list of tables"),
        ("max_batch = 4", '[retry]\nafter_headers = ["a b"]', "retry.after_headers: expected a l"),
        ("max_batch = 4", "[retry]\ncodes = [1.5]", "retry.codes: expected a list of codes"),
        (
            "max_batch = 4",
            "max_batch = 4\n[response2]",
            "response2: no such key. Did you mean 'response'?",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_key(old, new, said):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    if said is None:
        grammar.parse(text, "mine.toml")
        return
    with pytest.raises(ProfileError) as caught:
        grammar.parse(text, "mine.toml")
    assert said in str(caught.value)
    assert str(caught.value).startswith("mine.toml")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ('decode = "regex:("', "response.decode: expected a regular expression after regex:"),
        ('decode = "xml"', "response.decode: expected none, json, or regex:"),
        ('activation = "tanh"', "response.activation: expected one of none, softmax, sigmoid"),
        ('id = "id"', "response.id: nothing is sent that could be echoed"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(extra, said):
    with pytest.raises(ProfileError, match=re.escape(said)):
        grammar.parse(GOOD.replace("[response]", f"[response]\n{extra}"), "mine.toml")


def test_a_template_for_one_picture_takes_no_batch():
    text = GOOD.replace('\'{"images": "$items"}\'', '\'{"image": "{b64}"}\'')
    text = text.replace("item = '\"{b64}\"'", "")
    with pytest.raises(ProfileError, match=r"limits\.max_batch: expected 1"):
        grammar.parse(text, "mine.toml")
    assert grammar.parse(text.replace("max_batch = 4", ""), "mine.toml").limits.batch == 1


def test_braces_that_name_nothing_stay_in_a_template():
    text = GOOD.replace(
        '{"images": "$items"}', '{"say": "JSON {p} or {\\"a\\": 1}", "i": "$items"}'
    )
    assert b'JSON {p} or {\\"a\\": 1}' in rendered(grammar.parse(text, "mine.toml")).body


def test_broken_toml_is_named_by_its_line():
    with pytest.raises(ProfileError, match=r"mine\.toml: not TOML: .*line 3"):
        grammar.parse('name = "a"\n[request]\nurl = = 3\n', "mine.toml")


def test_a_wrong_key_is_named_by_its_line():
    with pytest.raises(ProfileError, match=r"mine\.toml, line 19: limits\.max_bach: no such key"):
        grammar.parse(GOOD.strip().replace("max_batch", "max_bach"), "mine.toml")
    wrong = GOOD.strip().replace('method = "POST"', 'methods = "POST"')
    with pytest.raises(ProfileError, match=r"line 5: request\.methods"):
        grammar.parse(wrong, "mine.toml")


def test_the_line_is_that_of_the_right_table():
    text = GOOD.strip().replace("labels = []", "labels = 3")
    with pytest.raises(ProfileError, match=r"line 17: sfw\.labels: expected a list"):
        grammar.parse(text, "mine.toml")


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 100_000, "x = " + "{a = " * 5000, "[" + "a." * 20_000 + "a]"],
)
def test_what_is_nested_too_deep_is_refused(text):
    with pytest.raises(ProfileError):
        grammar.parse(text, "mine.toml")


def test_what_is_too_large_is_refused():
    with pytest.raises(ProfileError, match="larger than 64 KiB"):
        grammar.parse(GOOD + "#" * grammar.LARGEST, "mine.toml")


@pytest.mark.parametrize(
    "deep",
    [
        "results = '" + "[" * 900 + "@" + "]" * 900 + "'",
        "results = '" + "a|" * 60 + "a'",
        "results = '" + "a." * 1500 + "a'",
    ],
)
def test_expressions_are_bounded(deep):
    assert "response.results" in loaded(GOOD.replace('results = "results"', deep))


def test_templates_are_bounded():
    deep = GOOD.replace('\'{"images": "$items"}\'', "'" + "[" * 60 + '"$items"' + "]" * 60 + "'")
    with pytest.raises(ProfileError, match="JSON of at most 50 levels"):
        grammar.parse(deep, "mine.toml")
    deeper = deep.replace("[" * 60, "[" * 9000)
    with pytest.raises(ProfileError, match=r"request\.template"):
        grammar.parse(deeper, "mine.toml")


def test_control_characters_of_a_file_are_not_printed():
    text = GOOD.replace("max_batch", '"max_\\u001b[31m"')
    with pytest.raises(ProfileError) as caught:
        grammar.parse(text, "mi\x1bne.toml")
    assert "\x1b" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_value_breaks_the_loader(data):
    name = data.draw(st.sampled_from(sorted(TREES)))
    path = data.draw(st.sampled_from([one for n, one in EVERY_KEY if n == name]))
    scalar = st.one_of(
        st.integers(),
        st.booleans(),
        st.floats(),
        st.text(st.characters(codec="ascii"), max_size=20),
    )
    value = data.draw(st.one_of(scalar, st.lists(scalar, max_size=3)))
    tree = copy.deepcopy(TREES[name])
    inside(tree, path[:-1])[path[-1]] = value
    written = toml(tree).replace("NaN", "nan").replace("Infinity", "inf")
    made = loaded(written)
    assert not isinstance(made, str) or "mine.toml" in made


DOCS = (Path(__file__).parents[2] / "docs/profiles.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([\w.]+)` \| (.*?) \| ", DOCS, re.MULTILINE)


def test_the_documentation_knows_every_key():
    known = {
        f"{table}.{key}".lstrip(".")
        for table, listed in grammar.KEYS.items()
        for key in listed.split()
    }
    tables = {key for key in known if any(other.startswith(f"{key}.") for other in known)}
    assert {key for key, _ in ROWS} == known - tables


@pytest.mark.parametrize(("key", "default"), [row for row in ROWS if row[1].startswith("`")])
def test_a_documented_default_is_what_leaving_a_key_out_means(key, default):
    *tables, last = key.split(".")
    tree = tomllib.loads(GOOD)
    tree["request"]["token"] = {"url": "https://t.example", "form": {}, "token": "t"}
    del tree["request"]["headers"]
    table = tree
    for name in tables:
        table = table.setdefault(name, {"format": "jpeg"} if name == "image" else {})
    table.pop(last, None)
    if key == "vars":
        tree["request"]["url"] = "https://mine.example"
    if key == "limits.max_batch":
        del tree["limits"]
        table = tree.setdefault("limits", {})
    left_out = grammar.parse(toml(tree), "mine.toml")
    table[last] = tomllib.loads(f"x = {default.strip('`')}")["x"]
    assert grammar.parse(toml(tree), "mine.toml") == left_out


def test_formats_that_cannot_be_sent_are_left_out():
    text = GOOD.replace("max_batch = 4", 'formats = ["webp", "png", "gif", "jpeg"]')
    assert grammar.parse(text, "mine.toml").limits.formats == ("png", "jpeg")
    assert set(kinds.FORMATS) > {"png", "jpeg"}


def test_a_service_that_takes_one_format_gets_it():
    text = GOOD.replace('body = "json"', 'body = "json"\nimage = { format = "jpeg", quality = 95 }')
    profile = grammar.parse(text, "mine.toml")
    assert profile.limits.formats == ("jpeg",)
    assert str(profile.request.image) == "jpeg:95"


EXAMPLES = re.findall(
    r"<!-- example: (\w+|\{.*?\}) -> (.*?) -->\n```toml\n(.*?)```", DOCS, re.DOTALL
)


@pytest.mark.parametrize(("asked", "answered", "text"), EXAMPLES)
def test_an_example_of_the_documentation_works(asked, answered, text):
    profile = grammar.parse(text, "example.toml")
    environ = {"TAGGER_KEY": "key", "OURS_BASE": ""}
    made = request.render(profile, Settings(profile, environ), [b"hello"], PNG)
    if asked == "multipart":
        assert b'name="lang"\r\n\r\nen\r\n' in made.body
        assert made.headers["Authorization"] == "Bearer key"
    else:
        assert json.loads(made.body) == json.loads(asked)
        assert "X-API-Key" not in made.headers
    count = 2 if asked == "multipart" else 1
    got = Reader(profile).outcomes(Reply(200, {}, answered.encode(), True), count)
    wanted = {"multipart": [{"cat": 0.97}, {"dog": 0.615}]}.get(
        asked, [{"nsfw": 0.98, "sfw": 0.02, "neutral": 0.02}]
    )
    assert [dict(one) for one in got] == [pytest.approx(one) for one in wanted]


def test_both_examples_of_the_documentation_are_found():
    assert len(EXAMPLES) == DOCS.count("```toml") == 2


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|a)+b", "(?:x(a*)y?)*", "((a|ab){2}c)", "(?=(a+)+)b", "(a?){30}b"]
)
def test_a_pattern_that_can_take_for_ever_is_refused(pattern):
    text = GOOD.replace("[nsfw]", f"decode = 'regex:{pattern}'\n[nsfw]", 1)
    with pytest.raises(ProfileError, match=r"response\.decode: .*repeated group"):
        grammar.parse(text, "mine.toml")


@pytest.mark.parametrize("pattern", ["[01](\\.\\d+)?", "(?P<a>yes|no): (?P<b>\\d+)", "(ab{2}){3}"])
def test_a_plain_pattern_is_taken(pattern):
    text = GOOD.replace("[nsfw]", f"decode = 'regex:{pattern}'\n[nsfw]", 1)
    assert grammar.parse(text, "mine.toml").response.decode == f"regex:{pattern}"


@pytest.mark.parametrize(
    "wrong", ["|".join(["[@,@]"] * 9), "map(&[@,@,@],@)|" * 6 + "@", "[@,@,@][]." * 6 + "a"]
)
def test_an_expression_that_multiplies_its_data_is_refused(wrong):
    with pytest.raises(ValueError, match="multiplies"):
        kinds.expression(wrong)


def test_an_expression_may_name_many_labels():
    many = ", ".join(f"['l{number}', s.l{number}]" for number in range(80))
    assert kinds.expression(f"[*].[{many}][]")


@pytest.mark.parametrize("depth", [51, 300, 960, 5000])
def test_a_template_nested_too_deep_is_refused(depth):
    deep = "[" * depth + '"$items"' + "]" * depth
    with pytest.raises(ProfileError, match=r"request\.template: .*at most 50 levels"):
        grammar.parse(GOOD.replace('{"images": "$items"}', deep), "mine.toml")


def test_a_value_nested_too_deep_is_named():
    deep = []
    for _ in range(5000):
        deep = [deep]
    source = Source("mine.toml", "")
    table = Table({"a": deep}, "", source, ["a"])
    with pytest.raises(ProfileError, match="a: expected a text"):
        table.text("a")
    with pytest.raises(ProfileError, match="a: nested too deep"):
        table.either("a", lambda value: str(value))


def test_a_body_that_a_template_makes_huge_is_refused():
    text = GOOD.replace("item = '\"{b64}\"'", "item = '\"" + "{b64}" * 3000 + "\"'")
    profile = grammar.parse(text, "mine.toml")
    environ = {"MINE_KEY": "key"}
    for count in (1, 2):
        with pytest.raises(ProfileError, match=r"64 MiB.*request\.item"):
            request.render(
                profile, Settings(profile, environ), [b"x" * (18_000 // count)] * count, PNG
            )
