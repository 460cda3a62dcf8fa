"""What the patients table says of an episode: the patient's attributes, and age at the start.

Source: metric definitions, sections 0 (completed years) and 9 (an impossible attribute is missing, the row stays).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from therapyeval.data import engine, schema
from therapyeval.data.links import describing, looked_up, with_absent
from therapyeval.data.quality import Ledger

# First age of each band. A convention of this project: the last band is open, so that nobody over 89 stands alone.
AGE_BANDS = {"0-17": 0, "18-44": 18, "45-64": 45, "65-74": 65, "75-84": 75, "85+": 85}

def with_patients(facts: pd.DataFrame, patients, declared: list[str], cut: pd.Timestamp,
                  ledger: Ledger | None) -> pd.DataFrame:
    """Facts about episodes (or stays) with the attributes of their patients; what is odd is told once, with a ledger.

    `age` is in completed years at the start of care (with a birth year only, the difference of the years);
    `age_band` is its band of AGE_BANDS, missing where the age is.
    """
    if patients is None:
        return facts
    names = [name for name in describing(patients.columns, schema.DESCRIBE_PATIENT, declared) if name not in facts]
    births = [name for name in ("birth_date", "birth_year") if name in patients.columns]
    columns = dict.fromkeys(("_file", "_row", "patient", *names, *births))
    patients = engine.fetch(patients.select(*columns).order_by("_row"))
    by_patient = patients.set_index("patient")
    facts = facts.assign(**{name: looked_up(facts["patient"], by_patient[name]) for name in names})
    if "age" not in facts and births:
        births = with_absent(patients, birth_date="datetime64[s]", birth_year="float64")
        facts["age"] = _age(facts, births, cut, ledger)
    if "age" in facts and "age_band" not in facts:
        facts["age_band"] = age_band(facts["age"])
    return facts


def age_band(age: pd.Series) -> pd.Series:
    """The band of each age in completed years; missing stays missing.

    >>> age_band(pd.Series([17.0, 18.0, 84.9, 101.0])).tolist()
    ['0-17', '18-44', '75-84', '85+']
    """
    bands = pd.cut(age, [*AGE_BANDS.values(), np.inf], labels=list(AGE_BANDS), right=False)
    return bands.astype("str").where(bands.notna())


def _age(facts: pd.DataFrame, patients: pd.DataFrame, cut: pd.Timestamp, ledger: Ledger | None) -> pd.Series:
    birth = patients["birth_date"]
    year = birth.dt.year.astype("float64").fillna(patients["birth_year"])
    wrong = (birth > cut) | (year > cut.year) | (year < cut.year - schema.MAX_AGE)
    if ledger is not None:
        ledger.problem("warning", "patients", patients[wrong], f"born after the data cut or more than {schema.MAX_AGE} "
                                                               "years before it; age taken as missing, the row stays")
    birth = looked_up(facts["patient"], birth.mask(wrong).set_axis(patients["patient"]))
    year = looked_up(facts["patient"], year.mask(wrong).set_axis(patients["patient"]))
    start = facts["start_date"]
    not_yet = (100 * start.dt.month + start.dt.day) < (100 * birth.dt.month + birth.dt.day)
    age = (start.dt.year - year - not_yet).astype("float64")
    return age.where(age.between(0, schema.MAX_AGE))
