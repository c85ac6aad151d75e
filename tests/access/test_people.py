"""People, their links and grants, through `park user` and the functions behind it."""

import pytest
from typer.testing import CliRunner

from park_platform.cli.user import app
from park_platform.storage.people import Role, add_person, make_signin_link, people
from park_wire.errors import ConfigError
from support.database import ParkDatabase

runner = CliRunner()


@pytest.fixture
def park(park_database: ParkDatabase, monkeypatch: pytest.MonkeyPatch) -> ParkDatabase:
    """A park with one enterprise, and `park user` pointed at it."""
    with park_database.connection() as connection:
        connection.execute(
            "INSERT INTO enterprise (key, name_zh, name_en) VALUES ('chem', '化工', 'Chem') ON CONFLICT DO NOTHING"
        )
    monkeypatch.setenv("PARK_DB_URL", park_database.url("api"))
    monkeypatch.setenv("PARK_BASE_URL", "https://park.example/")
    return park_database


def run(*arguments: str) -> tuple[int, str]:
    result = runner.invoke(app, arguments)
    return result.exit_code, result.output


def test_add_list_link_grant_disable(park: ParkDatabase) -> None:
    code, _ = run("add", "li-ming", "--role", "regulator", "--zh", "李明", "--en", "Li Ming")
    assert code == 0
    code, output = run("add", "wang", "--role", "enterprise", "--zh", "王", "--en", "Wang", "--enterprise", "chem")
    assert (code, "wang" in output) == (0, True)
    code, output = run("list")
    assert code == 0
    assert "li-ming" in output
    assert "李明 / Li Ming" in output
    assert "enterprise chem" in output
    code, output = run("link", "li-ming", "--minutes", "5")
    assert (code, output.startswith("https://park.example/signin/")) == (0, True)
    assert len(output.strip().rpartition("/")[2]) >= 43, "256 bits"
    assert run("grant", "li-ming", "chem", "--days", "3")[0] == 0
    with park.connection() as connection:
        row = connection.execute(
            "SELECT until - now() < '3 days' AND until - now() > '2 days' FROM access_grant"
        ).fetchone()
        assert row == (True,)
    assert run("disable", "li-ming")[0] == 0
    assert "已停用" in run("list")[1]
    code, output = run("link", "li-ming")
    assert (code, "disabled" in output) == (2, True)
    with park.connection() as connection:
        actions = [action for (action,) in connection.execute("SELECT action FROM audit ORDER BY id").fetchall()]
    assert actions[-5:] == ["person-added", "person-added", "link-made", "access-granted", "person-disabled"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("add", "Bad_Name", "--role", "operator", "--zh", "x", "--en", "x"), "not a name"),
        (("add", "op-2", "--role", "operator", "--zh", "x", "--en", "x", "--enterprise", "chem"), "don't fit"),
        (("add", "ent-2", "--role", "enterprise", "--zh", "x", "--en", "x"), "don't fit"),
        (
            ("add", "ent-3", "--role", "enterprise", "--zh", "x", "--en", "x", "--enterprise", "no"),
            "no such enterprise",
        ),
        (("link", "nobody"), "no such person"),
        (("disable", "nobody"), "no such person"),
        (("grant", "nobody", "chem"), "no such person"),
    ],
)
def test_mistakes_are_named(park: ParkDatabase, arguments: tuple[str, ...], problem: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert problem in output
    with park.connection("api") as connection:
        assert {person.name for person in people(connection)} & {"op-2", "ent-2", "ent-3"} == set()


def test_only_regulators_get_grants_and_names_are_given_once(park: ParkDatabase) -> None:
    with park.connection("api") as connection:
        add_person(connection, "op-9", Role.OPERATOR, display_zh="值班", display_en="Operator")
        with pytest.raises(ConfigError, match="taken"):
            add_person(connection, "op-9", Role.OPERATOR, display_zh="值班", display_en="Operator")
        with pytest.raises(ConfigError, match="1440"):
            make_signin_link(connection, "op-9", 1441)
    code, output = run("grant", "op-9", "chem")
    assert (code, "only regulators" in output) == (2, True)


def test_without_a_database_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARK_DB_URL", raising=False)
    code, output = run("list")
    assert (code, "PARK_DB_URL" in output) == (2, True)
    monkeypatch.setenv("PARK_DB_URL", "postgresql://nobody@127.0.0.1:1/x")
    code, output = run("list")
    assert (code, "can't be reached" in output) == (1, True)
