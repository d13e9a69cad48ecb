"""Sending an alert by e-mail."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Any

from experiments.moment import SECOND, Micros
from webapp.mailserver import MailServer
from webapp.watching.undelivered import Undelivered

PATIENCE = 15.0
"""Seconds for each step with the mail server."""


def mail(body: dict[str, Any], sender: str, to: str, message_id: str, at: Micros) -> EmailMessage:
    """The message: its subject is the first sentence, its text all there is to say."""
    made = EmailMessage()
    made["Subject"] = _subject(body)
    made["From"], made["To"] = sender, to
    made["Date"] = formatdate(at // SECOND)
    made["Message-ID"] = f"<{message_id}@{parseaddr(sender)[1].rpartition('@')[2] or 'offerlab'}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers
    lines = [body["text"]]
    if body.get("type") == "alert":
        lines += ["", f"Storefront: {body['storefront']}", f"Experiment: {body['experiment']}"]
        lines += [f"When: {body['raised_at']}"]
    made.set_content("\n".join(lines) + "\n")
    return made


def send(server: MailServer, message: EmailMessage, *, patience: float = PATIENCE) -> None:
    """Hand it to the mail server; Undelivered where that does not take it."""
    try:
        with _line(server, patience) as line:
            if server.user:
                line.login(server.user, server.password)
            line.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise Undelivered(f"the mail server refuses this address: {code} {_text(said)}") from None
    except smtplib.SMTPResponseException as error:
        raise Undelivered(f"the mail server answered {error.smtp_code} {_text(error.smtp_error)}") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise Undelivered(
            f"the mail server could not be reached: {_text(str(error)) or type(error).__name__}"
        ) from None


def _line(server: MailServer, patience: float) -> smtplib.SMTP:
    trusted = ssl.create_default_context()
    if server.tls == "implicit":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=patience, context=trusted)
    line = smtplib.SMTP(server.host, server.port, timeout=patience)
    if server.tls == "starttls":
        try:
            line.starttls(context=trusted)
        except BaseException:
            line.close()
            raise
    return line


def _subject(body: dict[str, Any]) -> str:
    text = " ".join(str(body["text"]).split())
    first, dot, _ = text.partition(". ")
    return f"[Offerlab] {first if dot else text}"[:180]


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:200]
