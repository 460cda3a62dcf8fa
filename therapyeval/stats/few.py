"""Too few of what an interval counts on: it stands, and its note warns that it may be too narrow.

The limits come from the simulations of docs/validation.md, or from the source named beside them. They are no laws: an
interval does not turn right at the limit, but from there on simulated ones are within a percentage point of 95%.
"""

from dataclasses import replace

import numpy as np

from therapyeval.stats.inputs import check_values, number_word

PATIENTS = 50                # or values in each group, for percentiles of resamples
FOLLOWED = 50                # people in each group, for restricted means
COUNTED = 100                # people, for negative binomial models
PER_COEFFICIENT = 10         # outcomes of the rarer kind: Peduzzi et al. (1996), J Clin Epidemiol 49:1373-1379
WEIGHTED = 40                # rows of a group, counted by their weights (Kish), for propensity weights
CLUSTERS = 6                 # for mixed models
SITES = 30                   # for group-time effects
REPEATED = 10                # patients, counted by their numbers of values (Kish), where these differ
NARROW = "the interval may be too narrow"       # ends every note that warns of limits that stand
UNLIKE = f"few patients, some with more values than others: {NARROW}"


def too_few(what: str, enough: int) -> str:
    """The note.

    >>> too_few("sites", 30)
    'fewer than 30 sites: the interval may be too narrow'
    """
    return f"fewer than {number_word(enough)} {what}: {NARROW}"


def warns(note: np.ndarray) -> np.ndarray:
    """Where a note is about limits that stand.

    >>> warns(np.array([too_few("sites", 30), "no variation: no interval", ""], dtype=object))
    array([ True, False, False])
    """
    return np.array([str(text).endswith(NARROW) for text in note], dtype=bool)


def warned(found, text: object, where: object = True):
    """An answer (Interval, Contrast ...) whose entries carry this note where the mask holds and they have none yet."""
    return replace(found, note=np.where((found.note == "") & where, text, found.note).astype(object))


def effective_size(weights: np.ndarray) -> float:
    """Number of rows that, weighted equally, would tell as much; NaN without any weight.

    Source: Kish (1965), Survey Sampling, 8.2.

    >>> effective_size(np.array([1.0, 1, 1, 3]))
    3.0
    """
    weights = check_values(weights, "weights")
    total = weights.sum()
    return float(total**2 / (weights**2).sum()) if total > 0 else float("nan")


def rests_on_few_patients(of_patient: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Groups of few patients of whom some have many of the values; t with patients - 1 df takes all to have as many.

    >>> rests_on_few_patients(np.array([1, 1, 5, 1, 3, 3, 3, 3]), np.repeat([0, 1], 4), 2)
    array([ True, False])
    """
    n, total, squares = (np.bincount(group, of_patient**float(power), n_groups) for power in (0, 1, 2))
    return (total**2 < REPEATED * squares) & (total**2 < 0.9 * n * squares)
