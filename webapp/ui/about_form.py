"""Whom to ask about an experiment, as the define page's texts: addresses and tags by commas, links by lines."""

import re
from typing import Any, Protocol

from experiments.definition import About


class AboutTexts(Protocol):
    """The texts of a form."""

    owner: str
    tags: str
    links: str
    reviewers: str
    watchers: str


def about_texts(about: About) -> dict[str, str]:
    """The texts that say this."""
    return {
        "owner": about.owner,
        "tags": ", ".join(about.tags),
        "links": "\n".join(about.links),
        "reviewers": ", ".join(about.reviewers),
        "watchers": ", ".join(about.watchers),
    }


def about_json(form: AboutTexts) -> dict[str, Any]:
    """As the definition's JSON; who or what is named twice is named once."""
    return {
        "owner": form.owner.strip(),
        "tags": _listed(form.tags, ","),
        "links": _listed(form.links, r"\s"),
        "reviewers": _listed(form.reviewers, r"[,;\s]"),
        "watchers": _listed(form.watchers, r"[,;\s]"),
    }


def _listed(text: str, between: str) -> list[str]:
    return list(dict.fromkeys(part.strip() for part in re.split(between, text) if part.strip()))
