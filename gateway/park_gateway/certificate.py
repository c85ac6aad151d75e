"""The certificates and the key of a secured OPC UA channel, opened and compared: the only file that knows cryptography.

A certificate that has expired is no fault of the site file: the server decides, and one device that it refuses must not
keep a gateway from starting.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from park_gateway.site import Security
from park_gateway.tables import Faults

_PEM: Final = b"-----BEGIN"
_CERTIFICATE_REMEDY: Final = "put a certificate with an RSA key there, PEM or DER"
_KEY_REMEDY: Final = "put the RSA key of certificate_file there, PEM or DER, without a passphrase"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to an OPC UA server, and who it must be. Certificates are DER, the key is PEM and never shown.

    `uri` is the application's name in our certificate; servers compare the two.
    """

    uri: str
    certificate: bytes
    key: bytes = field(repr=False)
    server_certificate: bytes
    expires: datetime


def load_identity(security: Security, key: str, faults: Faults) -> Identity | None:
    """Open the three files; what is wrong is noted under `key`, and then there is no identity."""
    own = _opened(security.certificate_file, _certificate, f"{key}.certificate_file", _CERTIFICATE_REMEDY, faults)
    private = _opened(security.key_file, _private_key, f"{key}.key_file", _KEY_REMEDY, faults)
    server = _opened(
        security.server_certificate_file, _certificate, f"{key}.server_certificate_file", _CERTIFICATE_REMEDY, faults
    )
    uri = None
    if own is not None:
        uri = _application_uri(own)
        if uri is None:
            problem = f"{security.certificate_file} names no application"
            remedy = "make one with a URI in its subjectAltName, such as urn:park:gw-1; OPC UA servers compare it"
            faults.add(f"{key}.certificate_file", problem, remedy)
    if own is None or private is None or server is None or uri is None:
        return None
    if own.public_key() != private.public_key():
        problem = f"{security.key_file} is not the key of {security.certificate_file}"
        faults.add(f"{key}.key_file", problem, "name the two files that were made together")
        return None
    return Identity(
        uri,
        own.public_bytes(Encoding.DER),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        server.public_bytes(Encoding.DER),
        own.not_valid_after_utc,
    )


def _opened(path: Path, read: Callable[[bytes], _T], key: str, remedy: str, faults: Faults) -> _T | None:
    try:
        return read(path.read_bytes())
    except OSError as error:
        faults.add(key, f"{path} can't be read: {error.strerror}", remedy)
    except (ValueError, TypeError):
        # Why it can't be parsed may quote what stands in it, and that may be the key.
        faults.add(key, f"{path} is not what is expected", remedy)
    return None


def _certificate(content: bytes) -> x509.Certificate:
    load = x509.load_pem_x509_certificate if content.startswith(_PEM) else x509.load_der_x509_certificate
    certificate = load(content)
    if not isinstance(certificate.public_key(), RSAPublicKey):
        raise TypeError
    return certificate


def _private_key(content: bytes) -> RSAPrivateKey:
    load = load_pem_private_key if content.startswith(_PEM) else load_der_private_key
    private = load(content, None)
    if not isinstance(private, RSAPrivateKey):
        raise TypeError
    return private


def _application_uri(certificate: x509.Certificate) -> str | None:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return next(iter(names.get_values_for_type(x509.UniformResourceIdentifier)), None)
