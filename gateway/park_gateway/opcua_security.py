"""How an OPC UA channel is secured, and why a server may have refused it; with `opcua` all that knows asyncua."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any, Final

import asyncua
import asyncua.crypto.security_policies
import asyncua.crypto.uacrypto
import asyncua.ua

from park_gateway.certificate import Identity, load_identity
from park_gateway.site import Endpoint, SecurityMode, SecurityPolicy
from park_gateway.tables import Faults
from park_wire.errors import Refused

OFFER_TIMEOUT_S: Final = 2.0

# The library's types are partly unknown; what leaves this file is our own.
_ua: Final[Any] = asyncua.ua
_policies: Final[Any] = asyncua.crypto.security_policies
_POLICIES: Final[dict[SecurityPolicy, Any]] = {
    SecurityPolicy.BASIC256SHA256: _policies.SecurityPolicyBasic256Sha256,
    SecurityPolicy.AES128: _policies.SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicy.AES256: _policies.SecurityPolicyAes256Sha256RsaPss,
}
_MODES: Final[dict[SecurityMode, Any]] = {
    SecurityMode.SIGN: _ua.MessageSecurityMode.Sign,
    SecurityMode.SIGN_AND_ENCRYPT: _ua.MessageSecurityMode.SignAndEncrypt,
}
# By the numbers of the standard.
_MODE_NAMES: Final = {1: "None", 2: "Sign", 3: "SignAndEncrypt"}
_TOKEN_NAMES: Final = {0: "anonymous", 1: "user name", 2: "user certificate", 3: "issued token"}


def new_client(endpoint: Endpoint, timeout_s: float) -> Any:
    """A client of the library that was not connected yet."""
    return asyncua.Client(str(endpoint), timeout=timeout_s)  # pyright: ignore[reportPrivateImportUsage]


async def secure(client: Any, endpoint: Endpoint) -> Identity | None:
    """Set the security of a client's channel; None when it is an open one. Raises Refused for files that don't fit.

    The files are read at each connection, so a certificate may be renewed while the gateway runs.
    """
    security = endpoint.security
    if security is None:
        return None
    faults = Faults(str(endpoint))
    identity = await asyncio.to_thread(load_identity, security, "security", faults)
    if identity is None:
        raise Refused("; ".join(map(str, faults.found)))
    file: Any = asyncua.crypto.uacrypto.CertProperties
    client.application_uri = identity.uri
    await client.set_security(
        _POLICIES[security.policy],
        file(identity.certificate, "der"),
        file(identity.key, "pem"),
        server_certificate=file(identity.server_certificate, "der"),
        mode=_MODES[security.mode],
    )
    return identity


async def explain_refusal(endpoint: Endpoint, identity: Identity | None, reason: str) -> Refused | None:
    """Why a server may have refused: what was asked, what it offers, what to do. None when it does not tell.

    What it offers comes over an open channel, so it goes into the text and nowhere else.
    """
    asked = "None" if endpoint.security is None else f"{endpoint.security.policy} {endpoint.security.mode}"
    user = "anonymous" if endpoint.credential is None else f"user {endpoint.credential.user}"
    client = new_client(endpoint, OFFER_TIMEOUT_S)
    try:
        offers = await asyncio.wait_for(client.connect_and_get_server_endpoints(), 2 * OFFER_TIMEOUT_S)
    except (OSError, UnicodeError, _ua.UaError):
        return None
    finally:
        with contextlib.suppress(OSError, _ua.UaError):
            client.disconnect_socket()
    offered = sorted({f"{_channel_of(offer)} ({_tokens_of(offer)})" for offer in offers})
    shown = {bytes(offer.ServerCertificate or b"") for offer in offers if _channel_of(offer) == asked}
    remedy = "check the credential and the server's security settings"
    if asked not in map(_channel_of, offers):
        remedy = "set security_policy and security_mode to what is offered"
    elif identity is not None and not any(one.startswith(identity.server_certificate) for one in shown):
        remedy = "the server shows another certificate than server_certificate_file: compare them at the server"
    elif identity is not None and identity.expires < datetime.now(UTC):
        remedy = f"certificate_file expired on {identity.expires:%Y-%m-%d}: renew it, and let the server trust it"
    elif identity is not None:
        remedy = "check the credential, and that the server trusts certificate_file"
    return Refused(
        f"{endpoint}: {reason}; asked was {asked}, {user}; offered is {', '.join(offered) or 'nothing'}; {remedy}"
    )


def _channel_of(offer: Any) -> str:
    policy = str(offer.SecurityPolicyUri).rpartition("#")[2]
    mode = int(offer.SecurityMode)
    return policy if mode == 1 else f"{policy} {_MODE_NAMES.get(mode, mode)}"


def _tokens_of(offer: Any) -> str:
    kinds = {int(token.TokenType) for token in offer.UserIdentityTokens or ()}
    return ", ".join(_TOKEN_NAMES.get(kind, str(kind)) for kind in sorted(kinds))
