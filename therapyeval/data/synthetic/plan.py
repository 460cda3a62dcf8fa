"""What is asked for, and the sites of the network: eight known ones, and as many more as wanted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from zlib import crc32

import numpy as np
import pandas as pd

CUT = np.datetime64("2026-09-30")
EPISODES_PER_BLOCK = 20_000
IDS_PER_BLOCK = {"SYN-": 40_000, "E": 40_000, "R": 40_000, "V": 400_000, "A": 120_000}
STAFFED_FOR = 18_000            # episodes of the network whose staff `build_staff` counts
PILOT_SITES, EVERY_REMINDER = 4, (2, 8)     # the third of every eight sites starts with text reminders

# `wait` stretches the time to evaluation, `no_show` the chance of one; `unscored` is the chance that someone
# who finishes has no discharge score; `response` shifts the change, in standard deviations of it.
SITES = pd.DataFrame(
    [("north", "North Street Clinic", "metro", "outpatient clinic", 0.19, 0.90, 0.80, 0.12, 0.00),
     ("harbor", "Harbor Hospital Outpatient", "metro", "hospital outpatient", 0.17, 1.00, 1.50, 0.22, 0.00),
     ("east", "East Side Clinic", "metro", "outpatient clinic", 0.14, 1.00, 1.15, 0.16, -0.05),
     ("lakeside", "Lakeside Clinic", "shore", "outpatient clinic", 0.13, 0.80, 0.75, 0.10, 0.22),
     ("westfield", "Westfield Clinic", "inland", "outpatient clinic", 0.12, 1.10, 0.95, 0.30, 0.00),
     ("summit", "Summit Hospital Outpatient", "inland", "hospital outpatient", 0.11, 1.50, 1.00, 0.18, -0.30),
     ("mill", "Mill Road Clinic", "inland", "outpatient clinic", 0.09, 1.00, 0.85, 0.15, 0.05),
     ("cove", "Cove Clinic", "shore", "outpatient clinic", 0.05, 1.20, 1.05, 0.24, 0.00)],
    columns=["site_id", "name", "region", "type", "share", "wait", "no_show", "unscored", "response"])

REGIONS = ["metro", "shore", "inland", "north", "south", "valley"]


def draw_sites(seed: int, n: int) -> pd.DataFrame:
    """The known sites and then invented ones, numbered, of all sizes; `share` sums to one."""
    known = SITES.iloc[:n]
    extra = n - len(known)
    if extra:
        rng = np.random.default_rng([seed, crc32(b"sites")])
        number = np.arange(len(known), n) + 1
        invented = pd.DataFrame({
            "site_id": [f"site_{i:04d}" for i in number], "name": [f"Clinic {i}" for i in number],
            "region": rng.choice(REGIONS, extra),
            "type": rng.choice(["outpatient clinic", "hospital outpatient"], extra, p=[0.75, 0.25]),
            "share": np.exp(rng.normal(-0.08, 0.4, extra)) / len(known),
            "wait": np.exp(rng.normal(0, 0.2, extra)), "no_show": np.exp(rng.normal(-0.03, 0.22, extra)),
            "unscored": rng.uniform(0.08, 0.30, extra), "response": rng.normal(0, 0.12, extra)})
        known = pd.concat([known, invented], ignore_index=True)
    return known.assign(share=known["share"] / known["share"].sum())


@dataclass(frozen=True)
class Plan:
    """What is asked for: the seed, the size, and the first and last day of the data; whole, or one block of it.

    People are drawn in blocks, each with its own random numbers and its own range of identifiers; nobody is in
    two blocks. So memory holds one block, however large the network.
    """

    seed: int
    n_sites: int
    n_episodes: int
    first: np.datetime64
    cut: np.datetime64 = CUT
    block: int = 0
    n_blocks: int = 1

    def blocks(self) -> Iterator["Plan"]:
        """Blocks of nearly equal size, EPISODES_PER_BLOCK at most."""
        n = -(-self.n_episodes // EPISODES_PER_BLOCK)
        for block in range(n):
            size = (block + 1) * self.n_episodes // n - block * self.n_episodes // n
            yield replace(self, block=block, n_blocks=n, n_episodes=size)

    def generator(self, part: str) -> np.random.Generator:
        """Random numbers of one part: each has its own, so that a change in one leaves the others alone."""
        return np.random.default_rng([self.seed, crc32(part.encode()), self.block])

    def identifiers(self, prefix: str, number: np.ndarray, width: int = 5) -> np.ndarray:
        """Identifiers of the block's rows, all of one length."""
        first = self.block * IDS_PER_BLOCK[prefix] + 1
        width = max(width, len(str(self.n_blocks * IDS_PER_BLOCK[prefix]))) if self.n_blocks > 1 else width
        return np.array([f"{prefix}{i:0{width}d}" for i in (number + first).tolist()], dtype=object)

    @cached_property
    def sites(self) -> pd.DataFrame:
        return draw_sites(self.seed, self.n_sites)

    @property
    def n_pilot_sites(self) -> int:
        """The pilot runs at the first sites: a quarter of them."""
        return max(PILOT_SITES, self.n_sites // 4)

    @property
    def sends_reminders(self) -> np.ndarray:
        """Sites that start with text reminders: yes or no for each."""
        first, every = EVERY_REMINDER
        return np.arange(self.n_sites) % every == first

    def count(self, share: float) -> int:
        """Episodes of the block in a share of all."""
        return round(share * self.n_episodes)
