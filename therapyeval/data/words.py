"""The words that exports use for our columns, codes, measures and occasions: data only; `vocabulary` looks them up.

Capitals, spaces and punctuation do not matter ("Appt. Date" is `apptdate`). The best word comes first; a word after `?`
often means something else too, so that what is recognised by it has to be looked at. Our own names need no entry.
Source: data model, sections 1 to 4; vendors' public descriptions.
"""

# `column:` holds for every table that has the column, `table.column:` for that table only.
COLUMNS = """
patient_id: patient number, pat id, patient mrn, mrn, medical record number, chart number, patient account number,
  patient account, account, acct no, account number, account no, client id, person id, pt id, subject id,
  participant id,
  record id, study id, patient key, patient, client, subject, ?id, ?patient name, ?pt name, ?client name, ?name
episode_id: episode of care id, case #, encntr id, care episode id, case id, case number, case no, case key,
  episode key,
  treatment episode id, episode, ?case, ?treatment id
visit_id: appointment id, appt id, appointment number, appointment key, visit number, visit no, encounter id,
  pat enc csn id, csn, sch appt id, sch event id, appointment, ?note id
referral_id: referral number, referral key, rfl id, service request id
staff_id: therapist id, provider id, visit prov id, treating therapist, documenting therapist, therapist, provider,
  clinician id, clinician, treating provider, rendering provider, ?prov id, ?resource
site_id: clinic id, loc facility, appt location, location id, facility id, department id, dept id, site, clinic,
  clinic name, location, facility,
  department, branch, practice, practice id, treatment clinic, primary treatment clinic, loc facility cd, ?office
discipline: therapy discipline, med service, episode type name, service line, therapy type, specialty, ?service,
  ?dept specialty
body_region: body part, body area, region, treatment area, care type, impairment, ?area, ?joint
payer_class: payer type, financial class, fin class, fin class c name, insurance type, insurance class, payor class,
  primary payer type, payer, payor, ?insurance, ?primary insurance
primary_dx: primary diagnosis, icd10, icd 10, icd10 code, icd code, primary icd10, dx code, diagnosis code, diagnosis,
  dx1, ?dx
episodes.start_date: episode start date, start of care, soc date, soc, initial evaluation date, initial eval date,
  initial eval, evaluation date, eval date, ie date, intake date, admission date, admit date, care start,
  first visit date, first visit, reg dt tm, case start, ?begin date, ?open date, ?start
episodes.end_date: episode end date, care end, ?end, ?close date, ?resolved date
episodes.last_visit_date: last visit, last seen, last date of service, date last seen
episodes.onset_date: date of onset, onset, injury date, date of injury, doi
episodes.surgery_date: date of surgery, dos surgery, surgical date, ?dos sx
episodes.status: episode status, case status, care status, eoc status
episodes.discharge_date: date of discharge, disch dt tm, dc date, d c date, dsch date, discharged on, discharged,
  case discharged,
  ?discharge
episodes.reason: discharge reason, dc reason, d c reason, reason for discharge, discharge status, ?closed reason
episodes.disposition: discharge disposition, dc disposition, discharge location
episodes.goals_met_pct: goals met pct, percent goals met, goals met percent, pct goals met, ?goals met
episodes.planned_visits: visits planned, poc visits, plan of care visits, expected visits, ?authorized visits
episodes.planned_weeks: poc weeks, duration weeks, weeks planned
episodes.planned_frequency: frequency, poc frequency, visit frequency
episodes.cert_start: certification start, cert from, poc start
episodes.cert_end: certification end, cert thru, cert to, poc end, poc expiration
episodes.cert_signed_date: poc signed date, certification signed, signed date
episodes.lead_staff_id: primary therapist, assigned therapist, case therapist, lead therapist,
  evaluating therapist, therapist, clinician, treating therapist
episodes.days: length of stay, los, episode days, treatment days, duration days
episodes.program: clinical program, care program
episodes.setting: care setting
episodes.acuity: chronicity
episodes.side: laterality, ?surgical side
episodes.surgery_flag: surgery, surgical, post surgical, post op
visits.scheduled_start: scheduled date, appointment date time, appointment datetime, appt date time, appt datetime,
  appt dttm, appt time, appt dt tm, appointment date, appt date, appointment start, appt start, visit date, start time,
  beg dt tm, date of service, dos, service date, appointment day, appointment time, contact date, ?date
visits.scheduled_end: appointment end, appt end, end time, end dt tm
visits.booked_date: date booked, scheduled on, date scheduled, scheduled day, appt made date, created date,
  date created,
  ?created
visits.status: appointment status, appt status, visit status, appt status c name, sch state, appt status name,
  sch state,
  attendance, attendance status, arrival status, outcome, ?state, ?no show
visits.status_dt: status date, state dt tm, status changed, cancelled on, canceled on, cancel date, cancellation date,
  appt canc dttm, appt cancel dttm,
  appt cancel date, date cancelled, date canceled, status change date
visits.cancel_reason: cancellation reason, reason cancelled, cancel reason c name, reason canceled
visits.cancelled_by: canceled by, cancelled by whom, cancel initiator
visits.rescheduled_to: rescheduled appointment id, new appointment id
visits.visit_type: appointment type, appt type, type of visit, prc name, appt prc name, note type, ?type
visits.mode: visit mode, modality, telehealth mode, ?place of service
visits.arrived_dt: check in time, checkin time, arrival time, checkin dttm
visits.started_dt: actual start, treatment start time, time in
visits.ended_dt: actual end, treatment end time, check out time, checkout time, time out
visits.note_finalized: note finalized date, note signed, finalized date
visits.billable: is billable, billable visit
visits.minutes: treatment minutes, total minutes, duration minutes, direct minutes, ?duration
referrals.received_date: referral received date, referral received, referral date, date received, rfl date, entry date
referrals.written_date: script date, order date, date written, prescription date
referrals.status: referral status, rfl status c name, rfl status, converted
referrals.source_type: referral source type, referral type, referral source
referrals.referring_id: referring provider id, referring npi, referring prov id, referring physician id
referrals.closed_date: date closed, closed on
referrals.closed_reason: reason closed, decline reason
referrals.priority: urgency
referrals.authorized_visits: visits authorized, auth visits
referrals.diagnosis_code: diagnosis code, icd10, icd10 code, dx code, diagnosis
assessments.measure_code: measure, instrument, outcome measure, questionnaire, tool, test, scale, assessment name,
  assessment, survey, form name, flo meas name, event cd display, event display, measure name, event disp, ?event cd,
  ?flo meas id
assessments.score: total score, result, result val, meas value, measure value, raw score, outcome score, value, points
assessments.date: assessment date, outcome date, date completed, completed date, date administered, test date,
  score date, survey date, recorded time, event end dt tm, date taken, result date, performed dt tm, ?status date
assessments.timepoint: time point, occasion, assessment type, survey type, stage, redcap event name,
  ?event, ?visit type, ?wave, ?time
assessments.measure_version: version, form version
assessments.score_scale: score type
assessments.respondent: completed by, answered by
assessments.finalized_dt: finalized on, verified dt tm, filed time, entry time
assessments.missing_reason: reason missing, not done reason
discharges.discharge_date: date of discharge, dc date, d c date
discharges.reason: discharge reason, dc reason, reason for discharge
discharges.disposition: discharge disposition, dc disposition
discharges.goals_met_pct: percent goals met, goals met percent
charges.charge_id: charge line id, transaction id, line id, charge number, tx id
charges.cpt: cpt code, procedure code, hcpcs, proc code, hcpcs code, ?code
charges.modifiers: modifier, mods, mod
charges.units: billed units, unit, qty, quantity
charges.minutes: timed minutes, treatment minutes
charges.billed_date: charge date, post date, posted date, bill date
charges.amount: charge amount, billed amount
charges.timed_flag: timed, is timed
patients.birth_date: date of birth, dob, birthdate, birth dt
patients.birth_year: year of birth, yob
patients.sex: gender, sex c name, birth sex
patients.race_ethnicity: race, ethnicity, race ethnicity
patients.language: preferred language, primary language
patients.interpreter: interpreter needed, needs interpreter
patients.zip3: zip 3
patients.death_date: date of death
patients.primary_payer: primary payer, primary insurance
sites.name: site name, clinic name, location name
sites.region: site region, market
sites.time_zone: timezone, tz
staff.license_type: license, credential, credentials, role
staff.fte: ftes
staff.hire_date: date hired
enrollment.arm: study arm, treatment arm, allocation, randomization, randomized to, ?treatment group, ?group
enrollment.cluster_id: cluster
enrollment.consent_date: date of consent, consented on
enrollment.allocated_date: randomization date, date randomized
enrollment.screened_date: date screened
enrollment.withdrawn_date: withdrawal date
"""

CODES = {
    "visits.status": """
attended: arrived, completed, checked out, checked in, seen, fulfilled, kept, show, showed, attended visit, complete,
  present
no_show: no show, noshow, dna, did not attend, fta, failed to attend, missed, ns, no call no show, ncns
late_cancel: late cancel, late cancellation, same day cancel, same day cancellation, cancelled late, canceled late,
  cancel less than 24 hours, cancelled less than 24h, cancelled less than 24 hrs, cancelled less than 24 hours,
  patient cancelled less than 24 hours, short notice cancel
early_cancel: early cancellation, advance cancel, cancelled in advance, cancel more than 24 hours,
  cancelled more than 24 hrs, cancelled more than 24 hours
clinic_cancel: clinic cancelled, clinic canceled, provider cancelled, provider canceled, provider out, therapist out,
  cancelled by clinic, canceled by clinic, cancelled by provider, canceled by provider, weather, bumped, office closed
cancelled: canceled, cancel, cancellation, patient cancelled, patient canceled, cancelled by patient,
  canceled by patient, pt cancelled, ?cx, ?c
rescheduled: moved, reschedule, resched
booked: scheduled, confirmed, pending, proposed, future, waitlist
deleted: deleted appointment, removed
entered_in_error: error, in error, entered in error""",
    "episodes.status": """
planned: pre admit, new
waitlist: waiting, wait list
active: open, current, in progress, ongoing
onhold: on hold, hold, held
finished: closed, discharged, completed, complete, inactive, resolved, dc
cancelled: canceled, never started
entered_in_error: error, in error""",
    "referrals.status": """
open: new, new request, pending, pending review, active
scheduled: booked, appointment made
converted: evaluated, completed, authorized and evaluated, yes
declined: denied, refused, patient declined, rejected
cancelled: canceled
expired: closed expired, timed out, closed""",
    "reason": """
goals_met: goals achieved, all goals met, met goals, met all goals, goals met discharge
plateau: maximum benefit, max benefit, reached plateau, no further progress, max potential, maximum potential reached
self_discharge: patient choice, patient request, patient requested discharge, patient discontinued, self discharged
lost_contact: lost to follow up, did not return, failed to return, no contact, unable to contact, stopped attending
noncompliant: non compliant, noncompliance, non compliance, attendance policy, poor attendance
medical_change: medical status change, change in medical status, medical complication, medical decline
hospitalized: hospitalised, hospitalization, admitted to hospital
surgery: having surgery, surgical intervention, scheduled for surgery
payer_ended: insurance denied, insurance ended, payer denial, coverage ended, denied by insurance
authorization_exhausted: visits exhausted, authorization ended, benefits exhausted, out of visits, auth exhausted
moved: relocated, moved away
transferred: transfer, transferred care, transferred to another provider, transfer of care
evaluation_only: eval only, one time visit, evaluate only, consult only
deceased: died, death, expired
administrative: admin, administrative discharge, auto discharge, chart closed, administratively closed
other: other reason
unknown: not known, unspecified, not documented""",
    "payer_class": """
medicare_ffs: medicare, medicare part b, medicare b, original medicare, traditional medicare
medicare_advantage: medicare replacement, medicare adv, medicare hmo, medicare part c, managed medicare
medicaid: medi cal, managed medicaid, state medicaid
commercial: commercial insurance, private insurance, private, ppo, hmo, bcbs, blue cross, group health plan,
  managed care
workers_comp: workers compensation, worker s comp, worker comp, work comp, wc, workmans comp
auto: motor vehicle, mva, auto insurance, no fault, personal injury
tricare_va: tricare, va, veterans affairs, champva, military
self_pay: self, cash, cash pay, private pay, uninsured
school_idea: school, idea, school district
other: other payer
unknown: not known, unspecified""",
    "body_region": """
cervical: neck, cervical spine, c spine
thoracic: upper back, mid back, thoracic spine, rib
lumbar_pelvis: lumbar, low back, lower back, lumbar spine, back, si joint, lumbosacral, sacroiliac, lumbopelvic, ?pelvis
shoulder: shoulders, rotator cuff
elbow_wrist_hand: elbow, wrist, hand, wrist hand, elbow wrist hand, forearm, finger, thumb, hand wrist
hip: hips
knee: knees
ankle_foot: ankle, foot, foot ankle, ankle and foot, foot and ankle
neuro: neurological, neurologic, neurology, stroke, brain injury, parkinsons
vestibular_balance: vestibular, balance, dizziness, gait and balance, balance vestibular
cardiopulmonary: cardiac, pulmonary
lymphedema_onc: lymphedema, oncology, cancer
pelvic_health: pelvic floor, womens health, incontinence
pediatric_dev: pediatric, pediatrics, developmental
swallowing: dysphagia, swallow
voice: vocal
language_cognition: language, cognition, cognitive, aphasia
speech_fluency: speech, fluency, articulation, stuttering
general: general conditioning, deconditioning, general weakness, whole body""",
    "discipline": """
PT: physical therapy, physiotherapy, phys therapy, physical therapist, pt outpatient, physio
OT: occupational therapy, occ therapy, occupational therapist, hand therapy
SLP: speech therapy, speech, st, speech language pathology, speech pathology, sp, speech language
other: other discipline, athletic training, massage""",
    "missing_reason": """
unable: could not, patient unable, unable to complete
language: language barrier
refused: declined, patient refused
not_done: not completed, missed
not_due: not applicable""",
    "timepoint": """
initial: baseline, intake, pre, start, admission, initial evaluation, initial eval, evaluation, eval, ie, t0, first,
  pre treatment, pretreatment, admit, before, soc, start of care, bl
discharge: final, post, end, discharged, dc, d c, dsch, last, t1, exit, post treatment, posttreatment, after,
  completion, end of care
interim: status, progress, re evaluation, reevaluation, re eval, follow up, recert, progress note, midpoint, mid,
  interval""",
}

MEASURES = """
lefs: lower extremity functional scale, lower extremity function scale
quickdash: quick dash, qdash, q dash
dash: disabilities of the arm shoulder and hand
odi: odi percent, oswestry, oswestry disability index, odq, oswestry low back
modi: modified oswestry, mod oswestry, mdq
ndi: neck disability index, neck index
ndi_pct: ndi percent
rmdq: roland morris, rmq
nprs: pain rating, numeric pain rating, nrs, pain nprs, numeric pain, pain 0 10, ?pain, ?pain score, ?pain level
vas_pain: pain vas, vas, vas pain
psfs: patient specific functional scale, patient specific function
groc: global rating of change, grc, gross
koos_jr: koosjr, koos junior
hoos_jr: hoosjr
faam_adl: faam
spadi: shoulder pain and disability index
uefi: upper extremity functional index, uefs
berg: berg balance, berg balance scale, bbs
mini_bestest: mini best, mini bestest, minibest
tug: timed up and go, timed up go
sts5: five times sit to stand, 5xsts, 5tsts, 5x sit to stand, 5 times sit to stand, fts sts
chair_stand_30s: 30 second chair stand, 30s chair stand, 30 sec sit to stand, chair stand
six_mwt: 6mwt, 6 minute walk, 6 minute walk test, six minute walk, 6 min walk
gait_speed: 10mwt, 10 meter walk, walking speed, ?gait
fga: functional gait assessment
dgi: dynamic gait index
abc: abc scale, activities specific balance confidence
poma: tinetti
dhi: dizziness handicap inventory
grip_strength: grip, grip strength
nhpt: nine hole peg, 9hpt, 9 hole peg test
box_block: box and block, bbt
fma_ue: fugl meyer ue, fma ue
copm_perf: copm performance
copm_sat: copm satisfaction
fim_total: fim, total fim
barthel_100: barthel, barthel index
promis_pf: promis physical function, promis pf t
promis_pi: promis pain interference
foto_fs_lumbar: fs, foto, foto fs, fs score, functional status, functional status score
eat10: eat 10
vhi10: vhi 10
wab_aq: wab, aphasia quotient
asha_noms_fcm: fcm, noms
fois: functional oral intake scale
phq9: phq 9
gad7: gad 7
"""

# What the name of a measure leaves open; a person has to say (data model, section 3).
T_SCORE, INTERVAL = "write `scale: T`; raw sums have codes of their own", "write `scale: scaled` for the interval score"
OPEN_QUESTIONS = {
    "ndi": "write `scale: points` (0-50) or `scale: percent`",
    "barthel_100": "0-100? The 0-20 version is barthel_20",
    "odi": "percent (0-100), not the sum of 50 points?",
    "six_mwt": "in meters? Else write `unit: ft`",
    "grip_strength": "in kg? Else write `unit: lb`",
    "gait_speed": "in m/s?",
    "tug": "in seconds?",
    "koos_jr": INTERVAL,
    "hoos_jr": INTERVAL,
    "psfs": "write `better: high` (10 = able) or `better: low`",
    "oss": "write `better: high` (48 = best) or `better: low`",
    "pgic": "write `better: high` (7 = very much improved) or `better: low`",
    **dict.fromkeys(("promis_pf", "promis_pi", "promis_dep", "promis_anx", "promis_anger", "promis_sleep"), T_SCORE),
    "foto_fs_lumbar": "low back only? Other body parts need a measures.csv",
    "fim_total": "all 18 items?",
    "faam_adl": "the ADL subscale?",
    "asha_noms_fcm": "which FCM?",
}

NAMES_OF_PEOPLE = """patient name, pt name, client name, name, first name, last name, middle name, full name, surname,
ssn, social security number, phone, phone number, cell, mobile, email, email address, address, street, address 1,
city, zip, zip code, postal code, emergency contact, guarantor, subscriber id, member id, policy number, fax,
comments, comment, notes, note, note text, free text, description, memo"""

MISSING_WORDS = ("NULL", "null", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "<undefined>", ".")
# Words that a column of scores may have besides.
FILLERS = ("total", "score", "raw", "result", "value", "points", "index", "sec", "seconds", "pts")
