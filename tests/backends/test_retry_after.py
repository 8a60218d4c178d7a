import pytest

from probe.api.http import retry_after

NOW = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("3600", 3600.0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        (NOW, None),
        ("Sun, 06 Nov 1994 08:48:37 GMT", None),
        ("604800", 604800.0),
        ("604801", None),
        ("0", None),
        ("-5", None),
        ("1e9", None),
        ("1000000000", None),
        ("9" * 5000, None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("5, 7", None),
        ("\u0665", None),
        ("Sun, 06 Nov 99999 08:50:37 GMT", None),
        (None, None),
    ],
)
def test_only_a_sane_wait_is_believed(value, seconds):
    assert retry_after(value, NOW) == seconds


def test_a_broken_clock_of_the_server_is_no_wait():
    assert retry_after("Sun, 06 Nov 1994 08:50:37 GMT", "yesterday") is None


def test_without_the_servers_clock_ours_is_used():
    assert retry_after("Sun, 06 Nov 1994 08:50:37 GMT") is None
