"""One message by mail, in plain text: what happened and the facts, never a word of a prompt."""

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from stillwatch.server.alerts.targets import MailTarget

TIMEOUT_S = 10.0
_TITLES = {
    "campaign.opened": "A campaign was found",
    "campaign.grew": "A campaign grew",
    "recognised.found": "A campaign of a partner is recognised here; nobody is accused",
    "recognised.grew": "A recognised campaign of a partner grew; nobody is accused",
    "verification.appealed": "A customer appeals against the result of a check",
}


class MailError(Exception):
    """The mail server did not take the message; the text says in a few words why."""


def mailed(target: MailTarget, message: Mapping[str, Any]) -> EmailMessage:
    """The message as it is sent; its id is the same at every attempt."""
    mail = EmailMessage()
    mail["From"], mail["To"] = target.sender, ", ".join(target.recipients)
    mail["Subject"] = f"stillwatch: {_TITLES[message['kind']]}"
    mail["Message-ID"] = f"<{message['message_id']}@stillwatch.invalid>"
    mail["Date"] = message["at"]
    facts = [f"{name}: {_shown(value)}" for name, value in sorted(message["facts"].items())]
    lines = [f"{_TITLES[message['kind']]}.", "", f"subject: {message['subject']}", *facts, "", message["kind"]]
    mail.set_content("\n".join(lines) + "\n")
    return mail


def send_mail(target: MailTarget, message: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S) -> None:
    """Hand the message to the mail server.

    Raises:
        MailError: it is not there, does not know us, or does not want the message.
    """
    mail = mailed(target, message)
    try:
        if target.scheme == "smtps":
            secure = ssl.create_default_context()
            with smtplib.SMTP_SSL(target.host, target.port, timeout=timeout_s, context=secure) as server:
                _hand_over(server, target, mail)
            return
        with smtplib.SMTP(target.host, target.port, timeout=timeout_s) as server:
            if target.scheme == "smtp":  # a server without STARTTLS raises
                server.starttls(context=ssl.create_default_context())
            _hand_over(server, target, mail)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(f"the mail server did not take it ({type(error).__name__})") from error


def _hand_over(server: smtplib.SMTP, target: MailTarget, mail: EmailMessage) -> None:
    if target.password:
        server.login(target.user, target.password)
    server.send_message(mail)


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text.split())
