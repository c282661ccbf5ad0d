"""Send a letter by e-mail, by the mail server that is configured."""

import smtplib

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.mail.message import BadHeaderError
from django.core.validators import validate_email

from dasmon_listener.domain.letters import Letter
from dasmon_listener.domain.outcomes import Outcome

TIMEOUT_SECONDS = 10


def send(address: str, letter: Letter) -> Outcome:
    """Give a letter to the mail server.

    Raises nothing that the network, the server or the address may cause: it is in the outcome.
    """
    if not settings.EMAIL_HOST:
        words = "E-mail cannot be sent: no mail server is configured (EMAIL_HOST)."
        return Outcome(False, words, is_final=True)
    try:
        validate_email(address)
        _message(address, letter).send()
    except (ValidationError, BadHeaderError):
        return Outcome(False, "This is no e-mail address.", is_final=True)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return Outcome(False, _words(error), is_final=min(codes, default=0) >= 500)
    except (smtplib.SMTPException, OSError) as error:
        return Outcome(False, _words(error))
    return Outcome(True, f"The mail server {settings.EMAIL_HOST} took it.")


def _message(address: str, letter: Letter) -> EmailMessage:
    """A repeated try has the same identity, so that a mail system can tell."""
    sender = settings.DEFAULT_FROM_EMAIL
    domain = sender.rpartition("@")[2].rstrip(">") or "localhost"
    return EmailMessage(
        letter.subject,
        letter.text,
        sender,
        [address],
        connection=get_connection(timeout=TIMEOUT_SECONDS),
        headers={
            "Message-ID": f"<webmon-notification-{letter.number}@{domain}>",
            "Auto-Submitted": "auto-generated",
        },
    )


def _words(error: Exception) -> str:
    where = f"The mail server {settings.EMAIL_HOST}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = (_answer(code, said) for code, said in error.recipients.values())
        return f"{where} refused the address: {'; '.join(answers)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{where} refused: {_answer(error.smtp_code, error.smtp_error)}"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{where} cannot be reached: {said or type(error).__name__}"


def _answer(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {text}".strip()
