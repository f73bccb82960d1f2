"""What interop.py and its drivers speak in."""
from dataclasses import dataclass, field

REFUSAL_S = 4  # who has not come in by then was refused


@dataclass
class Way:
    """How a client comes in."""
    address: str
    ca: str = None  # PEM file; None: plaintext
    certificate: str = None
    key: str = None
    mechanism: str = None  # None: without SASL
    user: str = None
    password: str = None
    token: str = None  # of OAUTHBEARER
    quick: bool = False  # it will be refused: no long tries

    @property
    def protocol(self):
        return ("SASL_" if self.mechanism else "") + ("SSL" if self.ca else "PLAINTEXT")


@dataclass
class Record:
    topic: str
    value: bytes
    key: bytes = None
    headers: list = field(default_factory=list)
    partition: int = None  # the client chooses
    offset: int = None
