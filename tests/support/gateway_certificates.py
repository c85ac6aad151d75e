"""Certificates for tests of OPC UA security, and a real server that wants them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncua.ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.field import OpcuaServer

USER, PASSWORD = "reader", "very-secret-word"

_ua: Any = asyncua.ua


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (DER) and its key (PEM), as files."""

    certificate: Path
    key: Path


def make_pair(folder: Path, name: str, *, uri: str | None = "", days: int = 30) -> Pair:
    """A self-signed application certificate; `uri` None names no application, negative `days` have passed."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    if uri is not None:
        names.append(x509.UniformResourceIdentifier(uri or f"urn:test:{name}"))
    usage = dict.fromkeys(("key_agreement", "crl_sign", "encipher_only", "decipher_only"), False)
    usage |= dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"), True)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=False)
        .add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .sign(key, SHA256())
    )
    pair = Pair(folder / f"{name}.der", folder / f"{name}.key")
    pair.certificate.write_bytes(made.public_bytes(Encoding.DER))
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pair.key.chmod(0o600)
    return pair


def to_pem(certificate: Path) -> Path:
    """The same certificate as PEM."""
    pem = certificate.with_suffix(".pem")
    pem.write_bytes(x509.load_der_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.PEM))
    return pem


class _Users:
    """Who may read: one user, and nobody anonymous."""

    def get_user(self, _server: object, username: str | None = None, password: str | None = None, **_: object) -> Any:
        known = (username, password) == (USER, PASSWORD)
        return User(role=UserRole.User, name=username) if known else None


class SecuredServer(OpcuaServer):
    """A server that trusts certain clients, knows one user, and offers `policies` by the library's names."""

    async def begin(self, own: Pair, trusted: Path, policies: list[str]) -> None:
        """Listen; `trusted` is a folder with the certificates of clients."""
        await self.library.init()
        self.library.set_endpoint("opc.tcp://127.0.0.1:0")
        self.library.iserver.user_manager = _Users()
        self.library.set_security_policy([getattr(_ua.SecurityPolicyType, name) for name in policies])
        await self.library.set_application_uri(f"urn:test:{own.certificate.stem}")
        await self.library.load_certificate(str(own.certificate))
        await self.library.load_private_key(str(own.key), None, "pem")
        trust = TrustStore([trusted], [])
        await trust.load()
        options = CertificateValidatorOptions
        wanted = options.TRUSTED_VALIDATION | options.PEER_CLIENT
        self.library.set_certificate_validator(CertificateValidator(wanted, trust))
        await self.library.register_namespace("urn:test:field")
        await self.library.start()
        self.port = self.library.bserver.port
