-- The facts of the package about appointments and episodes, written by hand for these data, as the peer of a benchmark.
CREATE TEMP TABLE patients AS SELECT patient_id, (row_number() OVER (ORDER BY patient_id) - 1)::INT AS patient FROM
    (SELECT patient_id FROM 'FOLDER/episodes.parquet' UNION SELECT patient_id FROM 'FOLDER/visits.parquet');
CREATE TEMP TABLE episodes AS SELECT e.*, patient, (row_number() OVER (ORDER BY episode_id) - 1)::INT AS episode
    FROM 'FOLDER/episodes.parquet' AS e JOIN patients USING (patient_id);
CREATE TEMP TABLE staff AS SELECT staff_id, (row_number() OVER (ORDER BY staff_id) - 1)::INT AS staff
    FROM (SELECT DISTINCT staff_id FROM 'FOLDER/visits.parquet');
CREATE TEMP TABLE visits AS
    SELECT patients.patient, CASE WHEN episodes.patient = patients.patient THEN episode END AS episode,
        scheduled_start::DATE AS date, CASE WHEN v.status IN ('late_cancel', 'early_cancel') AND status_dt IS NOT NULL
            THEN CASE WHEN scheduled_start - status_dt < INTERVAL 24 HOUR THEN 'late_cancel' ELSE 'early_cancel' END
            ELSE v.status END AS status, v.status = 'attended' AS is_visit,
        v.status = 'attended' AND lower(visit_type) = 'evaluation' AS is_evaluation,
        epoch(scheduled_end - scheduled_start) / 60 AS length, v.site_id, mode, visit_type, staff,
        CASE WHEN scheduled_start::DATE >= booked_date THEN scheduled_start::DATE - booked_date END AS lead_days
    FROM 'FOLDER/visits.parquet' AS v JOIN patients USING (patient_id) LEFT JOIN episodes USING (episode_id)
    LEFT JOIN staff USING (staff_id);
CREATE TEMP TABLE counts AS
    SELECT episode, min(date) FILTER (is_visit AND date <= '2026-06-30') AS first_visit_date,
        max(date) FILTER (is_visit AND date <= '2026-06-30') AS last_visit_date,
        min(date) FILTER (is_evaluation AND date <= '2026-06-30') AS first_eval,
        count(*) FILTER (status = 'booked' AND date > '2026-06-30') AS n_future,
        count(*) FILTER (is_visit AND date <= '2026-06-30') AS n_attended,
        count(*) FILTER (status = 'no_show' AND date <= '2026-06-30') AS n_no_show,
        count(*) FILTER (status = 'late_cancel' AND date <= '2026-06-30') AS n_late_cancel,
        count(*) FILTER (status = 'early_cancel' AND date <= '2026-06-30') AS n_early_cancel,
        count(*) FILTER (status = 'clinic_cancel' AND date <= '2026-06-30') AS n_clinic_cancel,
        count(*) FILTER (status = 'rescheduled' AND date <= '2026-06-30') AS n_rescheduled,
        count(*) FILTER (status = 'booked') AS n_booked, sum(length) FILTER (is_visit AND date <= '2026-06-30') AS length
    FROM visits WHERE episode IS NOT NULL GROUP BY episode;
CREATE TEMP TABLE ended AS
    SELECT episodes.*, reason, goals_met_pct, counts.* EXCLUDE (episode), CASE WHEN discharge_date IS NULL
        AND n_future = 0 AND DATE '2026-06-30' - last_visit_date >= 60 THEN last_visit_date
        WHEN discharge_date <= '2026-06-30' THEN discharge_date END AS end_date
    FROM episodes LEFT JOIN 'FOLDER/discharges.parquet' USING (episode_id) LEFT JOIN counts USING (episode)
    WHERE start_date <= '2026-06-30';
CREATE TEMP TABLE chains AS
    SELECT *, sum(is_new) OVER (PARTITION BY patient, discipline, body_region ORDER BY start_date, episode) AS chain
    FROM (SELECT *, coalesce(end_date, '2099-12-31') AS until, CASE WHEN start_date - max(coalesce(end_date, '2099-12-31'))
        OVER (PARTITION BY patient, discipline, body_region ORDER BY start_date, episode
              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) <= 30 THEN 0 ELSE 1 END AS is_new FROM ended);
CREATE TEMP TABLE facts AS
    SELECT arg_min(episode, (start_date, episode)) AS episode, patient, discipline, body_region,
        arg_min(site_id, (start_date, episode)) AS site_id, arg_min(payer_class, (start_date, episode)) AS payer_class,
        min(start_date) AS start_date, arg_max(end_date, (until, start_date, episode)) AS end_date,
        arg_max(reason, (until, start_date, episode)) AS reason,
        arg_max(goals_met_pct, (until, start_date, episode)) AS goals_met_pct, min(first_visit_date) AS first_visit_date,
        max(last_visit_date) AS last_visit_date, sum(n_attended) AS n_attended, sum(n_no_show) AS n_no_show,
        sum(n_late_cancel) AS n_late_cancel, sum(n_early_cancel) AS n_early_cancel,
        sum(n_clinic_cancel) AS n_clinic_cancel, sum(n_rescheduled) AS n_rescheduled, sum(n_booked) AS n_booked,
        sum(length) AS minutes, sum(planned_visits) AS planned_visits, count(*) - 1 AS n_merged, list(episode) AS sources
    FROM chains GROUP BY patient, discipline, body_region, chain ORDER BY 1;
CREATE TEMP TABLE appointments AS
    SELECT patient, merged, date, status, coalesce(visits.site_id, links.site_id) AS site_id, mode, visit_type, staff,
        lead_days, length AS minutes, discipline, body_region, payer_class, dayname(date) AS weekday,
        CASE WHEN lead_days = 0 THEN '0 days' WHEN lead_days <= 7 THEN '1-7 days' WHEN lead_days <= 30 THEN '8-30 days'
             WHEN lead_days > 30 THEN 'over 30 days' END AS lead_band
    FROM visits LEFT JOIN (SELECT unnest(sources) AS source, episode AS merged, site_id, discipline, body_region,
                           payer_class FROM facts) AS links ON visits.episode = links.source;
