"""Secured OPC UA channels on a real server: every policy and mode, whom it refuses, and what is said about it."""

import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio
import structlog

from park_gateway.certificate import load_identity
from park_gateway.clock import Anchor
from park_gateway.config import load_site
from park_gateway.opcua import open_session
from park_gateway.schedule import Schedule
from park_gateway.site import Credential, Endpoint, Scheme, Security, SecurityMode, SecurityPolicy
from park_gateway.tables import Faults
from park_wire.errors import ConfigError, Refused, Unreachable
from park_wire.quality import Quality
from support.field import Gathered, OpcuaField, running, site_of
from support.gateway_certificates import PASSWORD, USER, Pair, SecuredServer, make_pair, to_pem

# Making a server takes seconds.
pytestmark = pytest.mark.asyncio(loop_scope="module")

# All but one: what is not offered must be refused.
OFFERED = [
    *("Basic256Sha256_Sign", "Basic256Sha256_SignAndEncrypt", "Aes128Sha256RsaOaep_Sign"),
    *("Aes128Sha256RsaOaep_SignAndEncrypt", "Aes256Sha256RsaPss_SignAndEncrypt"),
]
BASIC, ENCRYPT = SecurityPolicy.BASIC256SHA256, SecurityMode.SIGN_AND_ENCRYPT


@dataclass(frozen=True)
class Plant:
    """A secured server with one vessel, and the files of who may and may not talk to it."""

    folder: Path
    field: OpcuaField
    server: Pair
    client: Pair
    stranger: Pair
    expired: Pair

    def security(self, policy: SecurityPolicy = BASIC, mode: SecurityMode = ENCRYPT) -> Security:
        return Security(policy, mode, self.client.certificate, self.client.key, self.server.certificate)

    def endpoint(self, security: Security | None, password: str | None = PASSWORD) -> Endpoint:
        credential = None if password is None else Credential(USER, password)
        return Endpoint(Scheme.OPCUA, "127.0.0.1", self.field.server.port, "", credential, security)

    async def refusal(self, endpoint: Endpoint) -> str:
        with pytest.raises(Refused) as caught:
            async with open_session(endpoint):
                pass
        assert str(caught.value).startswith(f"opc.tcp://127.0.0.1:{self.field.server.port}: ")
        assert PASSWORD not in str(caught.value)
        return str(caught.value)

    def table(self, **changed: str) -> str:
        keys = {
            "id": "tank-1",
            "model": "generic-vessel-plc",
            "endpoint": f"opc.tcp://127.0.0.1:{self.field.server.port}",
            "root": f"ns=2;s={self.field.root}",
            "security_policy": "Basic256Sha256",
            "certificate_file": "client.der",
            "key_file": "client.key",
            "server_certificate_file": "server.der",
            "credential_file": "plc.credential",
        } | changed
        return "".join(f'{key} = "{value}"\n' for key, value in keys.items() if value) + "period_ms = 100\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    own, client, stranger = (make_pair(folder, name) for name in ("server", "client", "stranger"))
    expired = make_pair(folder, "expired", days=-2)
    (folder / "plc.credential").write_text(f"{USER}:{PASSWORD}")
    (folder / "plc.credential").chmod(0o600)
    trusted = folder / "trusted"
    trusted.mkdir()
    for pair in (client, expired):
        shutil.copy(pair.certificate, trusted)
    server = SecuredServer()
    await server.begin(own, trusted, OFFERED)
    yield Plant(folder, await server.add("generic-vessel-plc"), own, client, stranger, expired)
    await server.stop()


@pytest.mark.parametrize("policy", list(SecurityPolicy))
@pytest.mark.parametrize("mode", list(SecurityMode))
async def test_every_policy_and_mode_reads_or_is_told_what_is_offered(
    plant: Plant, policy: SecurityPolicy, mode: SecurityMode
) -> None:
    endpoint = plant.endpoint(plant.security(policy, mode))
    if (policy, mode) == (SecurityPolicy.AES256, SecurityMode.SIGN):
        said = await plant.refusal(endpoint)
        assert f"asked was Aes256_Sha256_RsaPss Sign, user {USER}; offered is " in said
        assert "Aes128_Sha256_RsaOaep Sign (" in said
        assert "Basic256Sha256 SignAndEncrypt (" in said
        assert said.endswith("set security_policy and security_mode to what is offered")
        return
    async with open_session(endpoint) as session:
        (value,) = await session.read([f"ns=2;s={plant.field.root}.Pressure"])
    assert value.raw == 0.0


async def test_an_open_channel_is_refused_by_a_server_that_offers_none(plant: Plant) -> None:
    said = await plant.refusal(plant.endpoint(None))
    assert f"asked was None, user {USER}; offered is Aes128_Sha256_RsaOaep Sign (" in said
    assert said.endswith("set security_policy and security_mode to what is offered")


@pytest.mark.parametrize(
    ("who", "reason", "remedy"),
    [
        ("stranger", "BadCertificateUntrusted", "check the credential, and that the server trusts certificate_file"),
        ("expired", "BadCertificate", "certificate_file expired on 20"),
    ],
)
async def test_a_certificate_that_the_server_refuses(plant: Plant, who: str, reason: str, remedy: str) -> None:
    pair: Pair = getattr(plant, who)
    security = replace(plant.security(), certificate_file=pair.certificate, key_file=pair.key)
    said = await plant.refusal(plant.endpoint(security))
    assert reason in said
    assert remedy in said


@pytest.mark.parametrize("password", ["another-secret-word", None])
async def test_a_credential_that_the_server_refuses(plant: Plant, password: str | None) -> None:
    said = await plant.refusal(plant.endpoint(plant.security(), password))
    assert "BadUserAccessDenied" in said
    assert ("anonymous; offered" if password is None else f"user {USER}; offered") in said
    assert "another-secret-word" not in said


async def test_a_server_with_another_certificate_gets_no_session(plant: Plant) -> None:
    pinned = replace(plant.security(), server_certificate_file=plant.stranger.certificate)
    said = await plant.refusal(plant.endpoint(pinned))
    assert said.endswith(
        "the server shows another certificate than server_certificate_file: compare them at the server"
    )


async def test_files_that_vanished_are_named_and_nothing_is_sent(plant: Plant) -> None:
    gone = replace(plant.security(), key_file=plant.folder / "gone.key")
    with pytest.raises(Refused, match=r"gone\.key can't be read: No such file or directory"):
        async with open_session(plant.endpoint(gone)):
            pass


async def test_nobody_listens_is_unreachable_and_not_refused(plant: Plant) -> None:
    await plant.field.server.close_port()
    try:
        with pytest.raises(Unreachable, match="check the server, its address and the network"):
            async with open_session(plant.endpoint(plant.security())):
                pass
    finally:
        await plant.field.server.open_port()


async def test_a_site_reads_over_a_secured_channel_and_logs_no_secret(plant: Plant, tmp_path: Path) -> None:
    for file in plant.folder.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    key = (tmp_path / "client.key").read_text().splitlines()[1]
    (tmp_path / "plc.credential").write_text(f"{USER}:wrong-secret")
    site = site_of(tmp_path, plant.table(certificate_file=to_pem(tmp_path / "client.der").name))
    sink = Gathered()
    index = site.devices[0].index["pressure"]
    with structlog.testing.capture_logs() as logs:
        async with running(Schedule(site, Anchor(), sink).run()):
            await sink.until(lambda: sink.last(index)[1] == Quality.BAD_REFUSED)
        (tmp_path / "plc.credential").write_text(f"{USER}:{PASSWORD}")
        site = load_site(site.file, {})
        async with running(Schedule(site, Anchor(), sink).run()):
            await sink.until(lambda: sink.last(index) == (0.0, Quality.GOOD))
            await plant.field.show(Pressure=1.5)
            await sink.until(lambda: sink.last(index) == (1.5, Quality.GOOD))
    (lost,) = logs
    assert lost["event"] == "device_lost"
    port = plant.field.server.port
    assert lost["error"].startswith(f'device "tank-1": opc.tcp://127.0.0.1:{port}: ')
    assert "asked was Basic256Sha256 SignAndEncrypt, user reader; offered is " in lost["error"]
    for secret in (PASSWORD, "wrong-secret", key):
        assert secret not in str(logs)
        assert secret not in repr(site)


# Files


def faults_of(folder: Path, table: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        site_of(folder, table)
    return [f"{fault.key}: {fault.problem}; {fault.remedy}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"key_file": ""}, ["key_file: is missing, security_policy is Basic256Sha256; name the file with the key"]),
        (
            {"server_certificate_file": ""},
            ["server_certificate_file: is missing, security_policy is Basic256Sha256; name a file with the server's"],
        ),
        ({"key_file": "stranger.key"}, ["key_file: {folder}/stranger.key is not the key of {folder}/client.der"]),
        ({"certificate_file": "none.der"}, ["certificate_file: {folder}/none.der can't be read: No such file"]),
        ({"certificate_file": "client.key"}, ["certificate_file: {folder}/client.key is not what is expected"]),
        ({"key_file": "client.der"}, ["key_file: {folder}/client.der can be read", "key_file: {folder}/client.der is"]),
        ({"certificate_file": "nameless.der", "key_file": "nameless.key"}, ["certificate_file: {folder}/nameless.der"]),
        ({"security_policy": "Basic256"}, ["security_policy: 'Basic256': input should be 'None'", *["{any}"] * 3]),
        ({"security_mode": "None"}, ["security_mode: 'None': input should be 'Sign' or 'SignAndEncrypt'"]),
        (
            {"security_policy": "None", "security_mode": "Sign"},
            [
                *("certificate_file: has no meaning", "key_file: has no meaning", "server_certificate_file: has no"),
                "security_mode: has no meaning on an open channel; add a security_policy, or remove it",
            ],
        ),
    ],
)
async def test_what_is_wrong_with_the_files_is_found_by_check(
    plant: Plant, changed: dict[str, str], expected: list[str]
) -> None:
    make_pair(plant.folder, "nameless", uri=None)
    found = faults_of(plant.folder, plant.table(**changed))
    assert len(found) == len(expected), found
    for line in expected:
        begins = "device.tank-1." + line.replace("{folder}", str(plant.folder)).replace("{any}", "")
        assert any(one.startswith(begins) for one in found), found


async def test_a_key_that_others_may_read_is_a_fault(plant: Plant, tmp_path: Path) -> None:
    for name in ("client.der", "client.key", "server.der", "plc.credential"):
        shutil.copy(plant.folder / name, tmp_path)
    (tmp_path / "client.key").chmod(0o640)
    (fault,) = faults_of(tmp_path, plant.table())
    assert fault.startswith(f"device.tank-1.key_file: {tmp_path}/client.key can be read by others, mode 0640; chmod")


async def test_an_expired_certificate_keeps_no_gateway_from_starting(plant: Plant) -> None:
    site = site_of(plant.folder, plant.table(certificate_file="expired.der", key_file="expired.key"))
    assert site.devices[0].endpoint.security is not None


@pytest.mark.parametrize("policy", ["", "None"])
async def test_without_security_keys_the_channel_is_open(plant: Plant, policy: str) -> None:
    none = dict.fromkeys(("certificate_file", "key_file", "server_certificate_file"), "")
    site = site_of(plant.folder, plant.table(security_policy=policy, **none))
    assert site.devices[0].endpoint.security is None


async def test_a_modbus_device_has_no_channel_to_secure(plant: Plant) -> None:
    table = plant.table(model="acrel-adw300", endpoint="modbus-tcp://127.0.0.1", root="", credential_file="")
    found = faults_of(plant.folder, table)
    keys = ("security_policy", "certificate_file", "key_file", "server_certificate_file")
    assert len(found) == 4
    assert {f"device.tank-1.{key}: has no meaning for a device that speaks modbus; remove it" for key in keys} == {
        *found
    }


async def test_an_identity_shows_no_key(plant: Plant) -> None:
    identity = load_identity(plant.security(), "", Faults("site"))
    assert identity is not None
    assert "PRIVATE" not in repr(identity)
    assert identity.uri == "urn:test:client"
