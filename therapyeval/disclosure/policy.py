"""The privacy policies, and which one holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from therapyeval.errors import ParameterError, UnknownNameError

THRESHOLD = 11   # people behind a cell and behind its complement; 0 may be shown. CMS cell size suppression policy
MIN_SPREAD = 4   # values that a hidden count must still be able to take. Ours: CMS asks that it cannot be derived
MIN_STAFF = 3    # clinicians behind a row about them (docs/decisions/003); the threshold counts patients
CMS_11 = "cms_11"
INTERNAL = "internal"
PUBLIC = "public"
HOW_TO_DECLARE = 'policy: {name: public, reason: "..."} in mapping.yml'


@dataclass(frozen=True)
class Policy:
    """What a release under this name hides and says.

    Attributes
    ----------
    threshold : a count of 1 to threshold - 1 people is hidden
    min_spread : a hidden count keeps at least so many possible values
    suppresses : False where nothing is hidden
    banner : what every page and sheet says; "" where there is nothing to say
    reason : why the policy holds
    """

    name: str
    threshold: int
    min_spread: int
    suppresses: bool
    banner: str
    reason: str

    def to_record(self) -> dict[str, object]:
        """What a report says about the policy that it was released under, as plain data."""
        return {"name": self.name, "threshold": self.threshold, "banner": self.banner, "reason": self.reason}


PRESETS: Mapping[str, Policy] = {
    CMS_11: Policy(CMS_11, THRESHOLD, MIN_SPREAD, True, "",
                   f"Counts of 1 to {THRESHOLD - 1} people, and what would give them away, are withheld "
                   "(CMS cell size suppression policy)."),
    INTERNAL: Policy(INTERNAL, THRESHOLD, MIN_SPREAD, False,
                     "INTERNAL: small counts are shown. Only for staff who may see the records; do not send.",
                     "asked for by name"),
    PUBLIC: Policy(PUBLIC, THRESHOLD, MIN_SPREAD, False, "", "the data are public"),
}


def choose_policy(name: str | None, declared: tuple[str, str] | None = None) -> Policy:
    """The policy that holds for a release.

    Parameters
    ----------
    name : the policy asked for; None takes what the dataset declares, else cms_11
    declared : (name, reason) of the policy that the dataset's mapping declares, or None

    Raises
    ------
    UnknownNameError, ParameterError
        For an unknown name; for "public" where the mapping does not declare it with a reason; and for a
        mapping that declares "internal", which a person has to ask for.
    """
    declared_policy = _declared(declared)
    if name is None:
        return declared_policy or PRESETS[CMS_11]
    policy = named_policy(name)
    if policy.name != PUBLIC:
        return policy
    if declared_policy is None or declared_policy.name != PUBLIC:
        raise ParameterError("policy public holds only where the dataset declares it, with a reason: write "
                             f"{HOW_TO_DECLARE}.")
    return declared_policy


def named_policy(name: str) -> Policy:
    """The preset of that name."""
    if name not in PRESETS:
        raise UnknownNameError("policy", name, PRESETS)
    return PRESETS[name]


def _declared(declared: tuple[str, str] | None) -> Policy | None:
    if declared is None:
        return None
    name, reason = declared
    policy = named_policy(name)
    if policy.name == INTERNAL:
        raise ParameterError("a mapping cannot declare policy internal: ask for it by name, each time "
                             "(--policy internal).")
    if policy.name == PUBLIC and not str(reason or "").strip():
        raise ParameterError(f"policy public needs a reason: write {HOW_TO_DECLARE}.")
    return replace(policy, reason=str(reason)) if reason else policy
