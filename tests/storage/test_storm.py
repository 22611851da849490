"""A short storm; `make storm` is the long one."""

from tests.storage import s3_server
from tests.storage.storm import Storm, rage


def test_nothing_is_lost_or_doubled_where_requests_fail_and_writers_are_killed(tmp_path, s3_keys):
    with s3_server.running(faults=0.05) as server:
        found = rage(Storm(server.uri("storm"), tmp_path, 3, 40, 1, 0.5, 1.5))
        assert server.counts()["faults"] > 10
    assert found["commits"] == 120
    assert found["killed"] >= 1
    assert found["reads"] >= 1
    assert found["compactions"] >= 2
    wrong = {name: found[name] for name in ("lost", "doubled", "halves", "errors", "damage")}
    assert wrong == {"lost": 0, "doubled": 0, "halves": 0, "errors": [], "damage": None}
