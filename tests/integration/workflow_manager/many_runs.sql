-- Fills the old tables with %(runs)s runs at 40 instruments, each with the ten statuses of a run
-- whose processing succeeds; agents name their node in each report.
INSERT INTO report_instrument (id, name)
SELECT n, 'beam' || n FROM generate_series(1, 40) AS n;

INSERT INTO report_ipts (id, expt_name, created_on)
SELECT n, 'IPTS-' || n, '2024-01-01T00:00:00Z' FROM generate_series(1, 500) AS n;

INSERT INTO report_datarun (id, run_number, file, created_on, instrument_id_id, ipts_id_id)
SELECT
    n, n, '/SNS/BEAM' || mod(n, 40) + 1 || '/IPTS-' || mod(n, 500) + 1 || '/nexus/' || n || '.nxs.h5',
    timestamptz '2024-01-01T00:00:00Z' + n * interval '10 s', mod(n, 40) + 1, mod(n, 500) + 1
FROM generate_series(1, %(runs)s) AS n;

INSERT INTO report_runstatus (id, message_id, created_on, queue_id_id, run_id_id)
SELECT
    n * 10 + step - 10,
    CASE WHEN step IN (2, 3, 8) THEN '' ELSE 'ID:broker-1:' || n || ':' || step END,
    timestamptz '2024-01-01T00:00:00Z' + n * interval '10 s' + step * interval '100 ms',
    (ARRAY[1, 24, 7, 25, 27, 8, 11, 12, 13, 14])[step], n
FROM generate_series(1, %(runs)s) AS n, generate_series(1, 10) AS step;

INSERT INTO report_information (description, run_status_id_id)
SELECT 'autoreducer' || mod(id, 8) || '.sns.gov', id
FROM report_runstatus WHERE queue_id_id IN (8, 11, 13, 14, 25, 27);

INSERT INTO report_workflowsummary (
    complete, catalog_started, cataloged, reduction_needed, reduction_started, reduced,
    reduction_cataloged, reduction_catalog_started, run_id_id
)
SELECT true, true, true, true, true, true, true, true, id FROM report_datarun;

ANALYZE;
