-- The numbers of a review, written by hand over the raw tables of harbor_rehab (metric definitions, sections 0, 2, 3, 5).
-- One row per site and quarter; a second program for the same definitions, sharing nothing with the package.
WITH cut AS (SELECT DATE '2026-09-30' AS last_day),
appointments AS (
    SELECT DISTINCT visit_id, patient_id, episode_id, site_id, CAST(scheduled_start AS DATE) AS day,
        CASE WHEN status IN ('late_cancel', 'early_cancel') AND status_dt IS NOT NULL
             THEN CASE WHEN scheduled_start - status_dt < INTERVAL 24 HOUR THEN 'late_cancel' ELSE 'early_cancel' END
             ELSE status END AS status
    FROM visits WHERE visit_id IS NOT NULL AND patient_id IS NOT NULL AND scheduled_start IS NOT NULL
),
attendance AS (
    SELECT site_id, year(day) || 'Q' || quarter(day) AS period,
        count(*) FILTER (status = 'no_show') AS no_shows,
        count(*) FILTER (status IN ('attended', 'no_show', 'late_cancel')) AS due,
        count(*) FILTER (status = 'attended') AS attended,
        count(*) FILTER (status IN ('attended', 'no_show', 'late_cancel', 'early_cancel', 'clinic_cancel')) AS every_one
    FROM appointments, cut WHERE appointments.day <= cut.last_day GROUP BY ALL
),
received AS (
    SELECT site_id, year(received_date) || 'Q' || quarter(received_date) AS period,
        count(DISTINCT (patient_id, discipline, received_date)) AS referrals
    FROM referrals GROUP BY ALL
),
care AS (
    SELECT episode_id, max(appointments.day) FILTER (status = 'attended' AND appointments.day <= cut.last_day) AS last_visit,
        count(*) FILTER (status = 'attended' AND appointments.day <= cut.last_day) AS visits,
        bool_or(status = 'booked' AND appointments.day > cut.last_day) AS booked_ahead
    FROM appointments, cut WHERE episode_id IS NOT NULL GROUP BY episode_id
),
ended AS (
    SELECT e.patient_id, e.discipline, e.body_region, e.site_id, e.episode_id, e.start_date, d.reason, d.goals_met_pct,
        coalesce(care.visits, 0) AS visits,
        CASE WHEN d.discharge_date <= cut.last_day THEN d.discharge_date
             WHEN cut.last_day - care.last_visit >= 60 AND NOT coalesce(care.booked_ahead, false) THEN care.last_visit
        END AS end_date
    FROM (SELECT DISTINCT * FROM episodes) AS e CROSS JOIN cut
    LEFT JOIN (SELECT DISTINCT * FROM discharges) AS d USING (episode_id) LEFT JOIN care USING (episode_id)
    WHERE e.start_date IS NOT NULL AND e.status NOT IN ('planned', 'waitlist', 'cancelled', 'entered_in_error')
        AND coalesce(d.discharge_date >= e.start_date, true)
),
gaps AS (
    SELECT *, start_date - lag(end_date) OVER sequence <= 30 AS follows
    FROM ended WINDOW sequence AS (PARTITION BY patient_id, discipline, body_region ORDER BY start_date, episode_id)
),
islands AS (
    SELECT *, sum(CASE WHEN follows THEN 0 ELSE 1 END) OVER (
        PARTITION BY patient_id, discipline, body_region ORDER BY start_date, episode_id) AS island
    FROM gaps
),
merged AS (
    SELECT arg_min(site_id, start_date) AS site_id, min(start_date) AS start_date, sum(visits) AS visits,
        CASE WHEN bool_and(end_date IS NOT NULL) THEN max(end_date) END AS end_date,
        arg_max(coalesce(reason, ''), start_date) AS reason, arg_max(coalesce(goals_met_pct, -1), start_date) AS goals_met_pct
    FROM islands GROUP BY patient_id, discipline, body_region, island
),
discharged AS (
    SELECT site_id, year(end_date) || 'Q' || quarter(end_date) AS period, count(*) AS discharges,
        avg(visits) FILTER (visits > 0) AS mean_visits, quantile_cont(end_date - start_date, 0.5) AS median_days,
        count(*) FILTER (reason NOT IN ('deceased', 'transferred', 'evaluation_only')
                         AND (reason = 'goals_met' OR goals_met_pct >= 80)) AS goals_met,
        count(*) FILTER (reason NOT IN ('deceased', 'transferred', 'evaluation_only')) AS may_meet_goals
    FROM merged WHERE end_date IS NOT NULL GROUP BY ALL
)
SELECT * FROM attendance FULL JOIN received USING (site_id, period) FULL JOIN discharged USING (site_id, period)
