"""The words of an explanation: kinds, groups, verdicts and actions as somebody says them who does not know ours."""

import re
from datetime import date
from typing import Final

KIND_WORDS: Final = {
    "template": "the same prompt template (one instruction, other contents each time)",
    "rewording": "one instruction said in other words each time",
    "setting": "one instruction in other words each time, and the same other wording beside it",
    "system_prompt": "the same system prompt",
    "lead": "prompts with wordings that another provider saw in a campaign of its own",
    "client": "the same client software",
    "metadata": "the same names in the metadata of its requests",
    "ip": "the same network address",
    "ip_prefix": "the same small range of network addresses",
    "payment": "the same payment instrument",
    "device": "the same device at sign-up",
    "email": "the same e-mail address",
    "phone": "the same telephone number",
    "email_domain": "the same domain of e-mail addresses",
    "email_pattern": "e-mail addresses of the same shape and domain",
    "signup_cohort": "sign-up in the same hour with the same domain of e-mail addresses",
    "artefact": "the same opaque piece of the model's reasoning, handed from account to account",
    "session_starts": "sessions begun within two minutes of one another, again and again",
}
GROUP_WORDS: Final = {
    "content": "prompts and software",
    "partner": "what another provider told",
    "network": "network",
    "payment": "payment",
    "device": "device",
    "registration": "registration",
    "contact": "telephone",
    "artefact": "reasoning passed on",
    "timing": "times of work",
}
VERDICT_WORDS: Final = {
    "distillation": "its accounts are under common control and harvest the model's answers on a large scale",
    "coordinated": "its accounts are under common control; that they harvest the model's answers is not proven",
    "explained": "its accounts belong together, and an innocent reading explains why",
    "insufficient_data": "its accounts look alike, but too little is known to judge them",
}
CONTINUES_WORDS: Final = {
    "displaced_from": "Other accounts stopped and these took over from them, in campaign",
    "split_from": "It holds some of the accounts of campaign",
    "merged_into": "It took in most of the accounts of campaign",
}
ACTION_WORDS: Final = {
    "observe": "watch it, nothing more",
    "verify": "ask its holder to verify the account",
    "throttle": "slow it down",
    "shape": "make what it takes less useful for training while people look at it",
    "suspend": "suspend it",
}
CHECK_WORDS: Final = {
    "email": "by e-mail",
    "phone": "by telephone",
    "payment": "by a payment instrument",
    "identity": "by an identity document",
    "programme_documents": "by the documents of its programme or contract",
}
_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PLAIN: Final = {
    "independent principal(s)": "independent customers",
    "principals": "customers",
    "traits": "things",
    "ordinary units": "ordinary customers",
    "pooled traffic is further out than": "the pooled traffic is more unusual than that of",
    "are as far out": "are as unusual",
    "template-bearing exchanges": "requests with the campaign's own prompts",
    "exchanges": "requests",
    "bears shared templates bears ones": "bears shared prompt templates bears ones",
    "content": "prompts",
    "crossing": "cards, devices and addresses across separate prompts",
}
_OURS: Final = re.compile("|".join(rf"(?<!\w){re.escape(ours)}(?!\w)" for ours in _PLAIN))


def plain(because: str) -> str:
    """The reason that a test gives, without the words that only the documentation explains."""
    return _OURS.sub(lambda found: _PLAIN[found[0]], because)


def kind_words(kind: str) -> str:
    """The shared thing, as in "the same device at sign-up"."""
    return KIND_WORDS.get(kind, f"the same {kind.replace('_', ' ')}")


def has(number: int) -> str:
    """Has or have."""
    return "has" if number == 1 else "have"


def counted(number: int, noun: str) -> str:
    """The number and its noun: 1 account, 2 accounts."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def spelled(number: int) -> str:
    """The number as a word, up to nine."""
    return _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"


def day_words(day: date) -> str:
    """The day as 2 Feb 2026."""
    return f"{day.day} {day:%b %Y}"
