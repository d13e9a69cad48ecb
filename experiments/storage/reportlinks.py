"""Links to reports, as rows. What a link says is signed; the row alone says whether it still opens anything."""

from sqlalchemy import Connection, Row, insert, select, update

from experiments.errors import NotFound
from experiments.identifiers import ExperimentId, StorefrontId
from experiments.moment import SECOND, Micros
from experiments.sharing import ReportLink, Shows
from experiments.storage.tables import experiment, report_link

MINUTE = 60 * SECOND
"""How exactly it is known when somebody last read by a link: a page that is loaded often is not written about often."""


def add_link(
    conn: Connection, experiment_id: ExperimentId, shows: Shows, made_by: str, at: Micros, expires_at: Micros | None
) -> ReportLink:
    """A new link."""
    values = {"shows": shows, "made_by": made_by, "made_at": at, "expires_at": expires_at}
    made = conn.execute(insert(report_link).values(experiment_id=experiment_id, **values)).inserted_primary_key
    number = int(made[0]) if made is not None else 0
    return ReportLink(number, experiment_id, shows, made_by, at, expires_at, None, None)


def links_of(conn: Connection, experiment_id: ExperimentId) -> list[ReportLink]:
    """The links to an experiment's report, newest first."""
    query = select(report_link).where(report_link.c.experiment_id == experiment_id).order_by(report_link.c.id.desc())
    return [_link(row) for row in conn.execute(query)]


def link_with_key(conn: Connection, number: int) -> tuple[ReportLink, StorefrontId, str]:
    """A link with the storefront and the key of its experiment; NotFound where there is none."""
    query = select(report_link, experiment.c.storefront_id, experiment.c.key)
    row = conn.execute(query.join(experiment).where(report_link.c.id == number)).first()
    if row is None:
        raise NotFound("There is no such link")
    return _link(row), StorefrontId(row.storefront_id), row.key


def revoke_link(conn: Connection, experiment_id: ExperimentId, number: int, at: Micros) -> ReportLink:
    """The link, which opens nothing from now on; NotFound where the experiment has none of that number."""
    mine = (report_link.c.id == number, report_link.c.experiment_id == experiment_id)
    conn.execute(update(report_link).where(*mine, report_link.c.revoked_at.is_(None)).values(revoked_at=at))
    row = conn.execute(select(report_link).where(*mine)).first()
    if row is None:
        raise NotFound(f"There is no link {number} to this report")
    return _link(row)


def note_seen(conn: Connection, link: ReportLink, at: Micros) -> None:
    """Remember that somebody read by it."""
    conn.execute(update(report_link).where(report_link.c.id == link.id).values(seen_at=at))


def is_news(link: ReportLink, at: Micros) -> bool:
    """Whether the row does not say yet that somebody reads by it now."""
    return link.seen_at is None or at - link.seen_at >= MINUTE


def _link(row: Row[tuple[object, ...]]) -> ReportLink:
    return ReportLink(
        row.id, row.experiment_id, row.shows, row.made_by, row.made_at, row.expires_at, row.seen_at, row.revoked_at
    )
