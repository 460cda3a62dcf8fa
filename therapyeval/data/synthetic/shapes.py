"""Three invented vendors: how each names its files, columns and codes, and how it writes dates and scores.

The codes of the data model (section 4) are on the left, the words of the vendor on the right; where a vendor has
several words for one code, all of them occur.
"""

from dataclasses import dataclass, field

KINDS = {"patients": "patient", "referrals": "referral", "episodes": "episode", "visits": "visit",
         "assessments": "assessment", "discharges": "discharge", "staff": "staff", "sites": "site",
         "enrollment": "enrollment"}
DISCIPLINES = {"PT": ["Physical Therapy"], "OT": ["Occupational Therapy"], "SLP": ["Speech Therapy"]}
MEASURES = {"odi": ["Oswestry"], "lefs": ["LEFS"], "ndi": ["Neck Disability Index"], "quickdash": ["QuickDASH"],
            "berg": ["Berg Balance"], "copm_perf": ["COPM Performance"], "barthel_100": ["Barthel Index (100)"],
            "asha_noms_fcm": ["NOMS FCM"], "wab_aq": ["WAB AQ"], "vhi10": ["VHI-10"], "nprs": ["Pain now"],
            "eat10": ["EAT-10"]}


@dataclass(frozen=True)
class Shape:
    """How one vendor exports."""

    files: dict[str, str]                                  # table -> file
    columns: dict[str, str]                                # canonical column -> its own name; else `style`
    style: str                                             # title, upper or prefix
    words: dict[str, dict[str, list[str]]]                 # table.column -> code -> words
    day: str = "%Y-%m-%d"
    time: str = "%Y-%m-%d %H:%M"
    delimiter: str = ","
    encoding: str = "utf-8"
    missing: str = ""
    scores: dict[str, tuple[float, str]] = field(default_factory=dict)   # measure -> factor, text after the number
    units: dict[str, dict[str, str]] = field(default_factory=lambda: {"ndi": {"scale": "points"}})
    instruments: dict[str, str] = field(default_factory=dict)            # of a REDCap project; "" does not repeat

    def column(self, table: str, name: str) -> str:
        """The vendor's name of a canonical column."""
        if name in self.columns:
            return self.columns[name]
        if self.style == "prefix":
            return f"{KINDS[table]}_{name}"
        return name.upper() if self.style == "upper" else name.replace("_", " ").title()


SCHEDULER = Shape(
    files={"patients": "Patients.csv", "referrals": "Referrals.csv", "episodes": "Cases.csv",
           "visits": "Appointments.csv", "assessments": "Outcome Scores.csv", "discharges": "Discharges.csv",
           "staff": "Providers.csv", "sites": "Locations.csv", "enrollment": "Study Log.csv"},
    columns={"patient_id": "MRN", "episode_id": "Case #", "visit_id": "Appt ID", "site_id": "Location",
             "scheduled_start": "Appt Start", "scheduled_end": "Appt End", "status_dt": "Status Changed",
             "booked_date": "Created On", "staff_id": "Provider", "lead_staff_id": "Case Provider",
             "measure_code": "Outcome Tool", "start_date": "Eval Date", "body_region": "Body Part",
             "payer_class": "Primary Insurance", "birth_date": "DOB"},
    style="title", day="%m/%d/%Y", time="%m/%d/%Y %I:%M %p", encoding="cp1252",
    words={
        "visits.status": {"attended": ["Checked Out", "Arrived", "Completed"], "no_show": ["No Show", "DNA"],
                          "late_cancel": ["Cancelled < 24 hrs"], "early_cancel": ["Cancelled by Patient"],
                          "clinic_cancel": ["Cancelled by Clinic", "Provider Out"], "rescheduled": ["Moved"],
                          "booked": ["Scheduled", "Confirmed"], "deleted": ["Deleted"],
                          "entered_in_error": ["Entered in Error"]},
        "episodes.status": {"active": ["Open"], "finished": ["Closed"], "planned": ["Pending"],
                            "waitlist": ["Wait List"], "cancelled": ["Void"], "entered_in_error": ["Error"]},
        "episodes.payer_class": {"medicare_ffs": ["Medicare Part B"], "medicare_advantage": ["Medicare Adv"],
                                 "medicaid": ["Medicaid"], "commercial": ["BCBS", "Other Commercial"],
                                 "workers_comp": ["Work Comp"], "auto": ["Auto/PIP"], "tricare_va": ["Tricare"],
                                 "self_pay": ["Cash"], "other": ["Misc"], "unknown": ["Not Entered"]},
        "discharges.reason": {"goals_met": ["Goals Met"], "self_discharge": ["Patient Self Discharged"],
                              "lost_contact": ["Unable to Contact"], "plateau": ["Plateaued"]},
        "sites.region": {"metro": ["Métro"]}, "episodes.discipline": DISCIPLINES,
        "referrals.discipline": DISCIPLINES,
        "assessments.measure_code": MEASURES},
    scores={"nprs": (1, "/10")})

WAREHOUSE = Shape(
    files={"patients": "PATIENT.txt", "referrals": "REFERRAL.txt", "episodes": "EPISODE.txt",
           "visits": "PAT_ENC.txt", "assessments": "FLOWSHEET.txt", "discharges": "EPISODE_END.txt",
           "staff": "PROVIDER.txt", "sites": "DEPARTMENT.txt", "enrollment": "RESEARCH.txt"},
    columns={"patient_id": "PAT_ID", "visit_id": "PAT_ENC_CSN_ID", "site_id": "DEPARTMENT_ID",
             "staff_id": "VISIT_PROV_ID", "scheduled_start": "APPT_TIME", "status_dt": "APPT_CANCEL_DTTM",
             "booked_date": "APPT_MADE_DATE", "measure_code": "FLO_MEAS_ID", "score": "MEAS_VALUE",
             "finalized_dt": "ENTRY_TIME", "date": "RECORDED_DATE", "status": "STATUS_C",
             "payer_class": "FIN_CLASS_C"},
    style="upper", day="%d-%b-%Y", time="%d-%b-%Y %H:%M:%S", delimiter="|", missing="NULL",
    words={
        "visits.status": {"attended": ["2"], "no_show": ["4"], "late_cancel": ["31"], "early_cancel": ["3"],
                          "clinic_cancel": ["32"], "rescheduled": ["5"], "booked": ["1"], "deleted": ["90"],
                          "entered_in_error": ["99"]},
        "episodes.status": {"active": ["1"], "finished": ["2"], "planned": ["3"], "waitlist": ["4"],
                            "cancelled": ["5"], "entered_in_error": ["9"]},
        "episodes.payer_class": {"medicare_ffs": ["001"], "medicare_advantage": ["002"], "medicaid": ["003"],
                                 "commercial": ["100", "101"], "workers_comp": ["200"], "auto": ["201"],
                                 "tricare_va": ["300"], "self_pay": ["400"], "other": ["998"], "unknown": ["999"]},
        "assessments.measure_code": {code: [f"{3040 + i:05d}"] for i, code in enumerate(MEASURES)}},
    scores={"ndi": (2, "%")}, units={"ndi": {"scale": "percent"}})

REDCAP = Shape(
    files=dict.fromkeys(KINDS, "project_export.csv") | {"staff": "staff.csv", "sites": "sites.csv"},
    columns={"patient_id": "record_id"}, style="prefix", missing="",
    words={
        "visits.status": {code: [str(i)] for i, code in enumerate(
            ["attended", "no_show", "late_cancel", "early_cancel", "clinic_cancel", "rescheduled", "booked",
             "deleted", "entered_in_error"], 1)},
        "patients.sex": {"female": ["1"], "male": ["2"], "unknown": ["9"]},
        "assessments.timepoint": {"initial": ["1"], "interim": ["2"], "discharge": ["3"]},
        "assessments.measure_code": {code: [str(i)] for i, code in enumerate(MEASURES, 1)}},
    instruments={"patients": "", "referrals": "referral", "episodes": "episode", "visits": "appointment",
                 "assessments": "outcome", "discharges": "discharge", "enrollment": "screening"})

SHAPES = {"scheduler": SCHEDULER, "warehouse": WAREHOUSE, "redcap": REDCAP}
