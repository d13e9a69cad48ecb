"""All that assigning needs, as rows: read from the store, or from the copy that is kept on disk for when it is away."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from experiments.audiences import Audience
from experiments.catalogue import Product
from experiments.identifiers import StorefrontId
from experiments.layers import Layer
from experiments.recommend import History
from experiments.storage.associations import progress, read_history
from experiments.storage.audiences import audiences
from experiments.storage.keys import ApiKey, live_keys
from experiments.storage.layers import layers
from experiments.storage.products import read_products
from experiments.storage.registry import Experiment, experiments
from experiments.storage.storefronts import Placement, Storefront, all_storefronts, current_revision, placements

log = logging.getLogger(__name__)

FORMAT = 1
"""Of the copy on disk; another one is not read."""


@dataclass(frozen=True, slots=True)
class StorefrontRows:
    """What belongs to one storefront."""

    storefront: Storefront
    products: Sequence[Product]
    placements: Sequence[Placement]
    experiments: Sequence[Experiment]
    layers: Mapping[str, Layer]
    audiences: Mapping[str, Audience]
    history_at: int = 0
    """When the history was worked out, in microseconds."""
    history: History = field(default_factory=History)


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything, at one revision; of keys only the digests."""

    revision: int
    storefronts: Sequence[StorefrontRows]
    keys: Sequence[ApiKey]
    format: int = FORMAT


def read_rows(conn: Connection, previous: Rows | None = None) -> Rows:
    """The present state; what has not changed since `previous` (catalogues, definitions) is not read again."""
    number = current_revision(conn)
    known = {before.storefront.id: before for before in previous.storefronts} if previous else {}
    found = [_read(conn, storefront, known.get(storefront.id)) for storefront in all_storefronts(conn)]
    return Rows(number, found, live_keys(conn))


def _read(conn: Connection, storefront: Storefront, before: StorefrontRows | None) -> StorefrontRows:
    here: StorefrontId = storefront.id
    same = before is not None and before.storefront.products_at == storefront.products_at
    history_at = progress(conn, here).at
    return StorefrontRows(
        storefront=storefront,
        products=before.products if before and same else read_products(conn, here),
        placements=placements(conn, here),
        experiments=experiments(conn, here, {e.id: e for e in before.experiments} if before else None),
        layers=layers(conn, here),
        audiences=audiences(conn, here),
        history_at=history_at,
        history=before.history if before and before.history_at == history_at else read_history(conn, here),
    )


class KeptRows:
    """The copy of the rows on disk: one file, written whole or not at all, its owner's to read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, rows: Rows) -> None:
        """Keep these; a disk that does not take them is logged, as serving goes on without."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(rows, enc_hook=_encoded))
            unfinished.replace(self._path)
        except OSError as error:
            log.warning("the snapshot is not kept on disk: %s", error)

    def read(self) -> Rows | None:
        """What was kept last; None where there is nothing that this version can read."""
        try:
            rows = msgspec.json.decode(self._path.read_bytes(), type=Rows, dec_hook=_decoded)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            log.warning("the kept snapshot cannot be read: %s", error)
            return None
        return rows if rows.format == FORMAT else None


def _encoded(value: Any) -> Any:
    if isinstance(value, ZoneInfo):
        return value.key
    raise NotImplementedError(f"{type(value)} has no place in a kept snapshot")


def _decoded(kind: type, value: Any) -> Any:
    if kind is ZoneInfo:
        return ZoneInfo(value)
    raise NotImplementedError(f"{kind} has no place in a kept snapshot")
