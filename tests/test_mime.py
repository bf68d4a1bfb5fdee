"""The bytes of an e-mail, put together by hand, as Python's own `email` package reads them."""

import random
from datetime import UTC, datetime
from email import policy
from email.parser import BytesParser

import pytest

from nurture.mime import Mail
from nurture.rendering import Letter

DATE = datetime(2026, 11, 22, 23, 5, tzinfo=UTC)

BODIES = [
    "Hello\n",
    "No line end",
    "",
    ".\n..\n.leading dots\n",  # the dialogue doubles them, the message does not
    "From the top\n",
    "=3D looks encoded = and ends with a sign=\n",
    "trailing blanks  \nand a tab\t\n",
    "안녕하세요, 고객님. 시승을 예약하세요.\n" * 40,
    "Grüße aus Köln, " * 100 + "\n",
    "x" * 5000 + "\n",
    "ü" * 5000 + "\n",
    "mixed\r\nline\nends\r\n",
    "emoji 🚗 and \u2028 a line separator\n",
]


def read(text: str, html: str, subject: str = "Your car", purpose: str = "marketing"):
    letter = Letter(subject, html, text, (), "https://leads.example/m/u/token")
    mail = Mail(letter, message_id=42, address="kim@hanbit.example", purpose=purpose, date=DATE)
    content = mail.message().as_bytes(linesep="\r\n")
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\r" not in content.replace(b"\r\n", b"")
    return BytesParser(policy=policy.default).parsebytes(content)


def lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


@pytest.mark.parametrize("body", BODIES)
def test_bodies_arrive_as_they_were_written(body):
    message = read(body, f"<p>{body}</p>")
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert lines(plain.get_content()) == lines(body)
    assert lines(html.get_content()) == lines(f"<p>{body}</p>")


def test_random_texts_arrive_too():
    chance = random.Random(1)
    letters = ["a", "Z", " ", "=", ".", "\n", "é", "한", "글", "\t", "-", "🚗", "From ", "\n.\n"]
    for _ in range(300):
        body = "".join(chance.choices(letters, k=chance.randrange(400)))
        plain, _html = read(body, "<p></p>").iter_parts()
        assert lines(plain.get_content()) == lines(body)


@pytest.mark.parametrize(
    "subject", ["Your car", "당신의 차가 기다려요 " * 8, "Ä" * 200, "long " * 150, "a: b; <c>"]
)
def test_subjects_arrive(subject):
    assert read("x", "x", subject=subject.strip())["Subject"].split() == subject.split()


@pytest.mark.parametrize(
    "sender",
    ["한빛 모터스 <news@hanbit.example>", '"Hanbit, Inc." <news@hanbit.example>', "news@hanbit.example"],
)
def test_the_headers_say_who_wrote_and_how_to_leave(settings, sender):
    settings.DEFAULT_FROM_EMAIL = sender
    message = read("x", "x")
    [address] = message["From"].addresses
    assert address.addr_spec == "news@hanbit.example"
    assert address.display_name in sender
    assert message["To"] == "kim@hanbit.example"
    assert message["Date"].datetime == DATE
    assert message["Message-ID"] == "<42.leadmgr@hanbit.example>"
    assert message["List-Unsubscribe"] == "<https://leads.example/m/u/token>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (message["Precedence"], message["Auto-Submitted"]) == ("bulk", "auto-generated")


def test_what_answers_a_request_is_no_bulk_and_needs_no_way_out():
    message = read("x", "x", purpose="transactional")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] is None
    assert message["List-Unsubscribe"] is None
