"""Settings: environment variables `OFFERLAB_…`, or the same names in the file that OFFERLAB_CONFIG names."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import Invalid
from webapp.mailserver import read_smtp
from webapp.oidc import OpenId, openid

DEFAULT_DATABASE = "sqlite:///instance/offerlab.sqlite"
MAX_BODY_BYTES = 1_048_576
STREAMS = 500
"""Event streams that each worker holds; each costs a thread that sleeps, some 0.1 MB."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process is set up.

    `secret_key` signs sessions and links, and seals webhooks' secrets: all processes of one installation need the same.
    `old_secret_keys` still open what they sealed, until `offerlab upgrade` has sealed it anew.
    """

    database_url: str = DEFAULT_DATABASE
    secret_key: str = ""
    max_body_bytes: int = MAX_BODY_BYTES
    secure_cookies: bool = False
    log_level: str = "INFO"
    streams: int = STREAMS
    snapshot_directory: str = ""
    metrics_directory: str = ""
    """Where the workers of one server count together; without it each process knows only its own."""
    shop_keys: str = ""
    """The file with the keys of the demo's shop; without it there is no shop."""
    old_secret_keys: tuple[str, ...] = ()
    smtp_url: str = ""
    """The mail server that alerts are sent by; without it nobody is told by e-mail."""
    mail_from: str = ""
    public_url: str = ""
    """Where people open the pages: for the links in messages."""
    private_webhooks: bool = False
    """Whether alerts may be posted to this machine and its network, and without TLS."""
    watch: bool = True
    """Whether a server also watches what runs; of several processes one does."""
    openid: OpenId | None = None
    """The provider by which people may sign in beside their passwords."""
    proxies: int = 0
    """So many proxies stand before this, and say who calls; from anybody else such a word is worth nothing."""


def load(environ: Mapping[str, str] | None = None, **overrides: str | None) -> Settings:
    """Settings from the environment (and its file); Invalid names a variable that cannot be used."""
    env = dict(os.environ if environ is None else environ)
    if path := env.get("OFFERLAB_CONFIG"):
        env = _read_file(Path(path)) | env
    env |= {f"OFFERLAB_{name.upper()}": value for name, value in overrides.items() if value is not None}
    return Settings(
        database_url=env.get("OFFERLAB_DATABASE_URL", DEFAULT_DATABASE),
        secret_key=env.get("OFFERLAB_SECRET_KEY") or _kept_secret(),
        max_body_bytes=_positive(env, "OFFERLAB_MAX_BODY_BYTES", MAX_BODY_BYTES),
        secure_cookies=_flag(env, "OFFERLAB_SECURE_COOKIES"),
        log_level=_level(env),
        streams=_positive(env, "OFFERLAB_STREAMS", STREAMS),
        snapshot_directory=env.get("OFFERLAB_SNAPSHOT_DIR", ""),
        metrics_directory=env.get("OFFERLAB_METRICS_DIR", ""),
        shop_keys=env.get("OFFERLAB_SHOP_KEYS", ""),
        old_secret_keys=tuple(env.get("OFFERLAB_OLD_SECRET_KEYS", "").split()),
        smtp_url=_mail(env),
        mail_from=env.get("OFFERLAB_MAIL_FROM", ""),
        public_url=env.get("OFFERLAB_PUBLIC_URL", ""),
        private_webhooks=_flag(env, "OFFERLAB_PRIVATE_WEBHOOKS"),
        watch=_flag(env, "OFFERLAB_WATCH", "1"),
        openid=openid(env),
        proxies=_count(env, "OFFERLAB_PROXIES"),
    )


def _read_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise Invalid.at("OFFERLAB_CONFIG", f"cannot read {path}: {error.strerror}") from None
    pairs = (line.partition("=") for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise Invalid.at(name, f"must be a whole number above 0, and is {text!r}")
    return int(text)


def _mail(env: Mapping[str, str]) -> str:
    url = env.get("OFFERLAB_SMTP_URL", "")
    if url:
        read_smtp(url)
        if "@" not in env.get("OFFERLAB_MAIL_FROM", ""):
            raise Invalid.at("OFFERLAB_MAIL_FROM", "must be an e-mail address, as OFFERLAB_SMTP_URL is given")
    return url


def _count(env: Mapping[str, str], name: str) -> int:
    text = env.get(name, "0")
    if not text.isdecimal() or len(text) > 2:
        raise Invalid.at(name, f"must be a whole number, 0 or more, and is {text!r}")
    return int(text)


def _flag(env: Mapping[str, str], name: str, default: str = "0") -> bool:
    text = env.get(name, default).lower()
    if text not in {"0", "1", "true", "false"}:
        raise Invalid.at(name, f"must be 0 or 1, and is {text!r}")
    return text in {"1", "true"}


def _level(env: Mapping[str, str]) -> str:
    level = env.get("OFFERLAB_LOG_LEVEL", "INFO").upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise Invalid.at("OFFERLAB_LOG_LEVEL", f"must be DEBUG, INFO, WARNING or ERROR, and is {level!r}")
    return level


def _kept_secret() -> str:
    """A secret of this installation's own, made once, kept beside the default database, its owner's to read."""
    path = Path("instance/secret_key")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        secret = secrets.token_urlsafe(48)
        file.write(secret)
    return secret
