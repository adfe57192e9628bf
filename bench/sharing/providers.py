"""Two providers as their operators run them: each a key, sharing groups and folders of its own, and commands.

What one sends goes through its gate into a bundle, by TAXII to a real service of the other's on this machine, and is
pulled from there.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from stillwatch import leads, store
from stillwatch.sharing.groups import group_keys

GROUP = "g-two-providers"
COLLECTION = "released"


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider: what its partner calls it, and its folder."""

    name: str
    home: Path

    @property
    def out(self) -> Path:
        """Where its scans write, and what it pulls comes in."""
        return self.home / "out"

    def run(self, *words: object, **environment: str) -> str:
        """What one of its commands prints on standard output."""
        self.home.mkdir(parents=True, exist_ok=True)
        done = self.started(words, self.variables(environment))
        if done.returncode:
            raise RuntimeError(f"{self.name}: stillwatch {' '.join(map(str, words))}: {done.stderr}")
        return done.stdout

    def started(self, words: Sequence[object], variables: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
        """One of its commands, run to its end."""
        command = [sys.executable, "-m", "stillwatch", *map(str, words)]
        return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        """What is special in the environment of its commands: a key of its own, and its groups beside it."""
        return {"STILLWATCH_KEY_FILE": str(self.home / "key"), "NO_COLOR": "1", **more}

    @contextmanager
    def serving(self, state: Path) -> Iterator[str]:
        """The API root of a service of its own, while it runs."""
        command = [sys.executable, "-m", "stillwatch", "serve", "--port", "0", "--state", str(state)]
        environment = {**os.environ, **self.variables({})}
        with (self.home / "serve.log").open("w+") as log:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                yield api_root(process.stdout.readline() if process.stdout else "")
            finally:
                process.terminate()
                process.wait(60)

    def received(self) -> leads.Sent:
        """What it was sent, as its next detection reads it."""
        return leads.sent(store.read_leads(self.out), group_keys(self.home / "groups"), datetime.now(UTC))


def form_group(first: Provider, second: Provider) -> None:
    """Both hold one group's key: the first makes it and invites the second."""
    first.run("share", "group", "new", GROUP)
    public = second.run("share", "identity").split()[-1]
    invitation = first.home / "invitation.json"
    fingerprint = first.run("share", "group", "export", GROUP, "--public-key", public, "--out", invitation).split()[-1]
    second.run("share", "group", "import", invitation, "--fingerprint", fingerprint)


def hand_over(first: Provider, second: Provider) -> pa.Table:
    """What the first found in its folder, released for the second, pushed and pulled over TAXII; the second's leads."""
    (first.home / "recipients.toml").write_text(
        f'[recipients.{second.name}]\nclearance = "amber"\ngroups = ["{GROUP}"]\n', encoding="utf-8"
    )
    bundle = first.home / "bundle.json"
    first.run("share", "export", first.out, "--to", second.name, "--approver", "A. Analyst", "--out", bundle)
    state = second.home / "taxii"
    password = second.run("partners", "add", first.name, "--group", GROUP, "--state", state).split()[-1]
    second.run("collections", "add", "What partners release", "--alias", COLLECTION, "--group", GROUP, "--state", state)
    second.run("partners", "grant", first.name, COLLECTION, "--read", "--write", "--state", state)
    with second.serving(state) as url:
        first.run(
            "share",
            "push",
            first.out,
            bundle,
            "--to",
            second.name,
            "--peers",
            _peers(first, second.name, url, "push"),
            LOGIN=f"bearer {password}",
        )
        second.run(
            "share",
            "pull",
            "--out",
            second.out,
            "--peers",
            _peers(second, first.name, url, "pull"),
            LOGIN=f"bearer {password}",
        )
    return store.read_leads(second.out)


def _peers(of: Provider, peer: str, url: str, how: str) -> Path:
    path = of.home / "peers.toml"
    collection = f'"{COLLECTION}"' if how == "push" else f'["{COLLECTION}"]'
    told = {"name": peer, "url": url, "credentials": "env:LOGIN"}
    lines = ["[[peers]]", *(f'{name} = "{value}"' for name, value in told.items()), f"{how} = {collection}"]
    path.write_text("\n".join([*lines, f'groups = ["{GROUP}"]', ""]), encoding="utf-8")
    return path


def api_root(said: str) -> str:
    """The API root of a service that says where it listens."""
    return said.rsplit(maxsplit=1)[-1].rstrip("/") + "/taxii2/default/"
