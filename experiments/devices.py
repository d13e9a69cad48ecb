"""What kind of device a visitor holds: as the shop says, else as the browser's user agent does; coarse on purpose."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

LONGEST = 512
"""Characters of a user agent that are looked at."""
REMEMBERED = 8192

DEVICES = ("desktop", "mobile", "tablet", "other")
NAMES: Mapping[str, str] = MappingProxyType(
    {name: name for name in DEVICES}
    | {"phone": "mobile", "smartphone": "mobile", "pc": "desktop", "computer": "desktop", "laptop": "desktop"}
)
"""Words of shops and of other tools for a device, by ours; any other word is `other`."""

_TABLETS = ("iPad", "Tablet", "Kindle", "Silk/")
_PHONES = ("Mobi", "iPhone", "iPod")
_DESKTOPS = ("Windows NT", "Macintosh", "X11", "CrOS")


def device_named(word: object) -> str | None:
    """The device that a shop's own word means; None where it says nothing."""
    if not isinstance(word, str) or not (found := word.strip().lower()):
        return None
    return NAMES.get(found, "other")


def device_of(user_agent: str | None) -> str | None:
    """The device that a user agent is of; None where it does not tell.

    By what browsers promise: a phone's says Mobi (MDN, Browser detection using the user agent), an Android tablet's
    says Android without it (developer.android.com). A tablet that asks for the desktop's pages counts as a desktop.
    """
    return _told(user_agent[:LONGEST]) if user_agent else None


@lru_cache(maxsize=REMEMBERED)
def _told(user_agent: str) -> str | None:
    if any(word in user_agent for word in _TABLETS):
        return "tablet"
    if any(word in user_agent for word in _PHONES):
        return "mobile"
    if "Android" in user_agent:
        return "tablet"
    return "desktop" if any(word in user_agent for word in _DESKTOPS) else None
