"""How sign-in by an OpenID provider is set up: the settings `OFFERLAB_OIDC_…`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from experiments.errors import Invalid
from experiments.service.entering import Admission
from experiments.storage.users import Role

PREFIX = "OFFERLAB_OIDC_"
ROLES: tuple[Role, ...] = ("viewer", "editor", "admin")
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class OpenId:
    """A provider, what it knows this installation as, and whom it may bring in."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str = "OpenID"
    """What the sign-in page calls it."""
    admission: Admission = field(default_factory=Admission)
    role_claim: str = ""
    """Where the provider says what somebody may do: a claim's name, with dots into what lies inside it."""
    roles: Mapping[str, Role] = field(default_factory=lambda: MappingProxyType({}))
    """By what stands in that claim."""

    def role_of(self, claims: Mapping[str, object]) -> Role | None:
        """The highest role that the claims give; None where they give none."""
        found: object = claims
        for part in self.role_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        held = found if isinstance(found, list) else [found]
        given = {self.roles[name] for name in held if isinstance(name, str) and name in self.roles}
        return max(given, key=ROLES.index, default=None)


def openid(env: Mapping[str, str]) -> OpenId | None:
    """The provider that the environment names, or None; Invalid names a variable that cannot be used."""
    given = {name.removeprefix(PREFIX): text.strip() for name, text in env.items() if name.startswith(PREFIX)}
    if not any(given.values()):
        return None
    for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET"):
        if not given.get(name):
            raise Invalid.at(PREFIX + name, "is needed for sign-in by OpenID Connect")
    claim, roles = given.get("ROLE_CLAIM", ""), _roles(given.get("ROLES", ""))
    if bool(claim) != bool(roles):
        raise Invalid.at(f"{PREFIX}ROLES", f"goes with {PREFIX}ROLE_CLAIM: give both, or neither")
    domains = tuple(given.get("DOMAINS", "").lower().replace(",", " ").split())
    return OpenId(
        issuer=_issuer(given["ISSUER"]),
        client_id=given["CLIENT_ID"],
        client_secret=given["CLIENT_SECRET"],
        name=given.get("NAME") or urlsplit(given["ISSUER"]).hostname or "OpenID",
        admission=Admission(domains, _newcomers(given.get("NEWCOMERS", ""), domains), gives_roles=bool(claim)),
        role_claim=claim,
        roles=MappingProxyType(roles),
    )


def may_be_asked(address: str) -> bool:
    """Whether nobody on the way can read what goes there: it is under TLS, or on this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL)


def _issuer(text: str) -> str:
    if not may_be_asked(text):
        raise Invalid.at(f"{PREFIX}ISSUER", f"must be an address with https://, and is {text!r}")
    return text.rstrip("/")


def _newcomers(text: str, domains: tuple[str, ...]) -> Role | None:
    if text in {"", "none"}:
        return None
    if text not in {"viewer", "editor"}:
        raise Invalid.at(f"{PREFIX}NEWCOMERS", f"must be none, viewer or editor, and is {text!r}")
    if not domains:
        raise Invalid.at(f"{PREFIX}NEWCOMERS", f"needs {PREFIX}DOMAINS: else whoever has an account there came in")
    return "viewer" if text == "viewer" else "editor"


def _roles(text: str) -> dict[str, Role]:
    known: dict[str, Role] = {role: role for role in ROLES}
    found: dict[str, Role] = {}
    for pair in (part.strip() for part in text.split(",")):
        value, _, role = pair.rpartition("=")
        if pair and (not value.strip() or role.strip() not in known):
            raise Invalid.at(f"{PREFIX}ROLES", f"must be value=role pairs with commas between, and has {pair!r}")
        if pair:
            found[value.strip()] = known[role.strip()]
    return found
