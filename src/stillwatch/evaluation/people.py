"""Ordinary accounts: the columns every population starts from, so that attackers and customers overlap by construction.

Why:    a simulated attacker built from its own attributes is found by the attribute, not by what it does.
Misses: real correlations between an account's attributes are richer than these.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stillwatch.evaluation.parts import stream
from stillwatch.evaluation.templates import Library

Columns = dict[str, npt.NDArray[Any]]  # one array per column, one entry per account
DAY_S = 86_400

# code, hours ahead of UTC, language, share of accounts
COUNTRIES = (
    ("US", -6, "en", 0.22),
    ("CA", -5, "en", 0.04),
    ("GB", 0, "en", 0.07),
    ("IN", 5, "en", 0.09),
    ("SG", 8, "en", 0.05),
    ("HK", 8, "zh", 0.05),
    ("TW", 8, "zh", 0.04),
    ("CN", 8, "zh", 0.05),
    ("JP", 9, "ja", 0.07),
    ("KR", 9, "ko", 0.04),
    ("DE", 1, "de", 0.06),
    ("FR", 1, "fr", 0.05),
    ("ES", 1, "es", 0.03),
    ("MX", -6, "es", 0.04),
    ("BR", -3, "pt", 0.05),
    ("VN", 7, "en", 0.02),
    ("PL", 1, "en", 0.03),
)
MAIL_DOMAINS = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "proton.me", "qq.com", "163.com", "hotmail.com")
MAIL_SHARES = (0.44, 0.16, 0.08, 0.09, 0.06, 0.06, 0.05, 0.06)
SHORT_LIVED_DOMAINS = ("dropmail.example", "inboxkite.example", "quickmailer.example", "tempbox.example")
PLANS = ("free", "pay-as-you-go", "pro", "team", "enterprise")
PATHS = ("api", "web", "bedrock", "vertex", "azure")
CLIENTS = (  # user agent, JA4
    ("openai-python/1.54.3", "t13d1516h2_8daaf6152771_02713d6af862"),
    ("anthropic-python/0.39.0", "t13d1516h2_8daaf6152771_02713d6af862"),
    ("python-requests/2.32.3", "t13d1812h1_85036bcba153_b26ce05bbdd6"),
    ("python-httpx/0.27.2", "t13d1516h2_8daaf6152771_e5627efa2ab1"),
    ("aiohttp/3.10.5", "t13d1813h1_e8a523a41297_ef7df7f74e48"),
    ("node-fetch/3.3.2", "t13d4907h2_0d8feac7bc37_7395dae3b2f3"),
    ("axios/1.7.7", "t13d4907h1_0d8feac7bc37_7395dae3b2f3"),
    ("Go-http-client/2.0", "t13d1312h2_f57a46bbacb6_ab7e3b40a677"),
    ("okhttp/4.12.0", "t13d1613h2_46e7e9700bed_45f260be83e2"),
    ("curl/8.9.1", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/129.0", "t13d1517h2_8daaf6152771_b1ff8ab2d16f"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/17.6", "t13d2014h2_a09f3c656075_14788d8d241b"),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_6) Mobile Safari", "t13d2014h2_a09f3c656075_e42f34c56612"),
    ("Mozilla/5.0 (Linux; Android 14) Chrome/129.0 Mobile", "t13d1516h2_8daaf6152771_d8a2da3f94cd"),
    ("openai-node/4.68.1", "t13d4907h2_0d8feac7bc37_7395dae3b2f3"),
    ("litellm/1.50.2", "t13d1516h2_8daaf6152771_02713d6af862"),
)
SDK_CLIENTS = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 14, 14, 15])
WEB_CLIENTS = np.array([10, 10, 10, 11, 12, 13, 13])
HARNESS_CLIENT = len(CLIENTS)
HARNESS = ("terminal-coder/0.42.0 (cli)", "t13d4907h2_0d8feac7bc37_1e5f0a8d3c77")

HOURS = (  # relative weight of each local hour
    (1, 1, 1, 1, 1, 1, 2, 4, 8, 11, 12, 11, 8, 10, 12, 12, 11, 9, 6, 4, 4, 3, 2, 1),  # office
    (2, 1, 1, 1, 1, 1, 2, 4, 6, 6, 6, 6, 7, 6, 6, 6, 7, 8, 9, 10, 11, 11, 9, 5),  # evening
    (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1),  # always
    (9, 12, 12, 12, 10, 8, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 5),  # nightly job
)
OFFICE, EVENING, ALWAYS, NIGHTLY = range(4)
SESSIONS, BATCH, WAVES, SHIFTS, DEADLINE, ROUNDS, LOTS = range(7)


@dataclass(slots=True)
class Networks:
    """Addresses of the world; a network is a run of entries of this table."""

    seed: int
    scale: float
    addresses: list[npt.NDArray[np.uint32]] = field(default_factory=list)
    size: int = 0
    named: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, addresses: npt.NDArray[Any]) -> int:
        """Store addresses and return the first entry."""
        first = self.size
        self.addresses.append(addresses.astype(np.uint32))
        self.size += len(addresses)
        return first

    def homes(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.uint32]:
        """Residential addresses, thinly spread."""
        block = rng.choice(np.array([24, 62, 67, 71, 73, 76, 81, 86, 88, 92, 98, 114, 121, 175, 203]), count)
        homes: npt.NDArray[np.uint32] = (block.astype(np.int64) * 2**24 + rng.integers(256, 2**24, count)).astype(
            np.uint32
        )
        return homes

    def pool(self, name: str, block: int, count: int, *, width: int = 256) -> tuple[int, int]:
        """A named run of `count` addresses, `width` to a /24, made on first use."""
        if name not in self.named:
            rng = stream(self.seed, "network", name)
            subnets = rng.choice(2**16, max(1, -(-count // width)), replace=False)  # operators hold scattered ranges
            host = np.tile(np.arange(width), len(subnets))[:count]
            base = np.repeat(subnets, width)[:count]
            self.named[name] = (self.add(block * 2**24 + base * 256 + host), count)
        return self.named[name]

    def proxies(self) -> tuple[int, int]:
        """Residential proxy exits: homes of ordinary people whose connection is also sold."""
        if "proxies" not in self.named:
            count = max(120, int(9000 * self.scale))
            homes = self.homes(stream(self.seed, "network", "proxies"), count)
            self.named["proxies"] = (self.add(homes), count)
        return self.named["proxies"]

    def table(self) -> npt.NDArray[np.uint32]:
        """All addresses."""
        return np.concatenate(self.addresses)


@dataclass(slots=True)
class Plan:
    """What all populations of a world are planned in."""

    seed: int
    scale: float
    days: int
    networks: Networks
    library: Library
    release_s: float  # when the new model appears
    files: dict[str, list[int]] = field(default_factory=dict)  # kinds of item taken from a file of prompts, by use
    shared: dict[str, list[int]] = field(default_factory=dict)  # workloads that several populations use, by name
    corpora: tuple[str, ...] = ()  # what the campaigns harvest; campaigns with the same corpus share items

    def stream(self, *names: object) -> np.random.Generator:
        """The random stream of something that no single population owns."""
        return stream(self.seed, "shared", *names)

    def harvest_kinds(self, corpus: str, capability: str) -> list[int]:
        """Sources of the file of prompts that a corpus uses for a capability, its own first; none without a file."""
        kinds = self.files.get(f"harvest_{capability}") or self.files.get("harvest_general", [])
        turn = list(self.corpora).index(corpus) * 2
        return [kinds[(turn + k) % len(kinds)] for k in range(len(kinds))]


def ordinary(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """`count` accounts of ordinary people, each with its own card, device, home and habits."""
    return {
        **_identity(plan, rng, count),
        **_behaviour(plan, rng, count),
        **_connections(plan, rng, count),
    }


def _identity(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    country = rng.choice(len(COUNTRIES), count, p=_shares([row[3] for row in COUNTRIES]))
    newcomer = rng.random(count) < 0.5
    paid = rng.random(count) < 0.52
    age_s = np.where(newcomer, rng.uniform(-0.8 * plan.days, 45, count), 45 + rng.exponential(240, count)) * DAY_S
    program = np.where(paid, "paid", "free").astype(object)
    odd = rng.random(count)
    program[odd < 0.05] = "education"
    program[(odd > 0.05) & (odd < 0.08)] = "startup"
    program[(odd > 0.08) & (odd < 0.10)] = "research"
    level = np.where(paid, "payment", "email").astype(object)
    level[rng.random(count) < 0.3] = "phone"
    level[rng.random(count) < 0.05] = "identity"
    level[rng.random(count) < 0.06] = "none"
    return {
        "country": country,
        "created_s": -age_s,
        "organization": np.full(count, None, object),
        "controller": np.full(count, None, object),  # who poses as several customers
        "mail_style": rng.choice(5, count, p=(0.3, 0.25, 0.15, 0.2, 0.1)),
        "mail_domain": rng.choice(np.array(MAIL_DOMAINS, object), count, p=_shares(MAIL_SHARES)),
        "phone": np.where(rng.random(count) < 0.55, rng.integers(10**9, 10**10, count), -1),
        "card": np.where(paid | (rng.random(count) < 0.25), rng.integers(1, 2**62, count), -1),
        "device": np.where(rng.random(count) < 0.94, rng.integers(1, 2**62, count), -1),
        "program": program,
        "level": level,
        "plan": np.where(paid, rng.choice(np.array(PLANS[1:4], object), count, p=(0.5, 0.38, 0.12)), "free").astype(
            object
        ),
    }


def _behaviour(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    early = rng.random(count) < 0.08
    adopts = plan.release_s + np.where(early, rng.exponential(1.2, count), 2 + rng.exponential(14, count)) * DAY_S
    web = rng.random(count) < 0.6
    sdk = rng.choice(SDK_CLIENTS, count)
    browser = rng.choice(WEB_CLIENTS, count)
    return {
        "from_s": np.where(rng.random(count) < 0.3, rng.uniform(0, 0.8, count), 0.0) * plan.days * DAY_S,
        "to_s": np.where(rng.random(count) < 0.2, rng.uniform(0.82, 1, count) ** 4, 1.0) * plan.days * DAY_S,
        "rate": 2.2 * rng.lognormal(-0.6, 1.1, count),
        "day_share": rng.beta(2, 2.5, count),
        "weekend": rng.uniform(0.3, 1.3, count),
        "hours": rng.choice(4, count, p=(0.35, 0.55, 0.07, 0.03)),
        "timing": np.full(count, SESSIONS),
        "deadline_s": np.zeros(count),
        "beat": np.zeros(count, np.int64),  # whose schedule waves, shifts and rounds follow
        "session_mean": 1 + rng.gamma(2, 1.6, count),
        "gap_s": rng.lognormal(4.3, 0.5, count),
        "multi_turn": web | (rng.random(count) < 0.4),
        "model": rng.choice(4, count, p=(0.42, 0.3, 0.2, 0.08)),
        "adopts_s": adopts,
        "adopted_share": rng.uniform(0.4, 1.0, count),
        "path": np.where(web, 1, rng.choice(5, count, p=(0.72, 0.06, 0.1, 0.06, 0.06))),
        "path_other": rng.choice(5, count, p=(0.6, 0.25, 0.05, 0.05, 0.05)),
        "path_other_share": np.where(rng.random(count) < 0.3, rng.uniform(0, 0.5, count), 0.0),
        "client": np.where(web, browser, sdk),
        "client_other": np.where(rng.random(count) < 0.5, sdk, browser),
        "client_other_share": np.where(rng.random(count) < 0.35, rng.uniform(0, 0.5, count), 0.0),
        "work": np.full(count, -1),
        "side": np.full(count, -1),
        "side_share": np.zeros(count),
        "late": np.full(count, -1),  # workload from `late_s` on
        "late_s": np.full(count, np.inf),
        "output_scale": rng.lognormal(0, 0.7, count),
        "thinks": rng.beta(0.9, 1.3, count),  # how readily the account turns reasoning on
        "tools": np.where(rng.random(count) < 0.5, rng.integers(1, 13, count), 0),
        "images": _image_shares(rng, count),
        "end_users": np.where(rng.random(count) < 0.08, rng.lognormal(4, 1.5, count), 0).astype(np.int64),
        "metadata": np.where(rng.random(count) < 0.7, 0, rng.integers(1, 8, count)),
        "keys": rng.choice(3, count, p=(0.75, 0.18, 0.07)) + 1,
    }


def _image_shares(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Share of each account's requests that carry images: none for most, nearly all for a few."""
    kind = rng.random(count)
    return np.where(kind < 0.24, rng.beta(0.6, 2.5, count), np.where(kind < 0.37, rng.uniform(0.3, 1.0, count), 0.0))


def _connections(plan: Plan, rng: np.random.Generator, count: int) -> Columns:
    """Home, then for some a carrier's shared addresses, a commercial VPN or a work machine in a cloud."""
    networks = plan.networks
    proxies, proxy_count = networks.proxies()
    home = networks.add(networks.homes(rng, count)) + np.arange(count)
    sold = rng.random(count) < 0.03
    home[sold] = proxies + rng.integers(proxy_count, size=int(sold.sum()))
    carrier, carrier_size = _shared(plan, rng, count, "carrier", 106, 40, 48)
    vpn, vpn_size = _shared(plan, rng, count, "vpn", 185, 12, 40)
    cloud = networks.pool("cloud", 52, max(2048, int(60_000 * plan.scale)))
    kind = rng.choice(4, count, p=(0.42, 0.34, 0.14, 0.10))
    second = np.choose(kind, (home, carrier, vpn, cloud[0] + rng.integers(cloud[1], size=count)))
    size = np.choose(kind, (np.ones(count, np.int64), carrier_size, vpn_size, np.ones(count, np.int64)))
    signs_up_mobile = rng.random(count) < 0.25
    return {
        "net": home,
        "net_size": np.ones(count, np.int64),
        "net_other": second,
        "net_other_size": size,
        "net_other_share": np.where(kind == 0, 0.0, rng.uniform(0.1, 1.0, count)),
        "roams": rng.random(count) < 0.6,  # a new address each session, else each day
        "signup": np.where(signs_up_mobile, carrier + rng.integers(48, size=count), home),
    }


def _shared(
    plan: Plan, rng: np.random.Generator, count: int, name: str, block: int, operators: int, addresses: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A network many people share: first entry and size of the operator each account uses."""
    groups = max(3, int(operators * plan.scale**0.5 * 4))
    first = np.array([plan.networks.pool(f"{name}-{k}", block, addresses, width=4)[0] for k in range(groups)])
    return first[(groups * rng.random(count) ** 1.6).astype(np.int64)], np.full(count, addresses)


def _shares(weights: object) -> npt.NDArray[np.float64]:
    shares = np.asarray(weights, np.float64)
    normal: npt.NDArray[np.float64] = shares / shares.sum()
    return normal
