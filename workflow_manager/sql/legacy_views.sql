-- The tables of the system that WebMon replaces, as views for existing SQL: the same names,
-- columns and meaning, read only. docs/moving-in.md says where they differ.
--
-- A migration runs this file (0004). Once that is released, a change is a new file and a migration;
-- a migration that changes a column used here runs `DROP SCHEMA legacy CASCADE` before and the
-- newest file after.

DROP SCHEMA IF EXISTS legacy CASCADE;
CREATE SCHEMA legacy;
COMMENT ON SCHEMA legacy IS 'Read-only views with the names and columns of the replaced system';

-- The number of a queue that every installation knows; null for others. Numbers never change:
-- an index is made with this function.
CREATE FUNCTION legacy.known_queue_id(queue text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE queue
        WHEN 'POSTPROCESS.DATA_READY' THEN 1 WHEN 'POSTPROCESS.INFO' THEN 2
        WHEN 'POSTPROCESS.ERROR' THEN 3 WHEN 'CATALOG.DATA_READY' THEN 4
        WHEN 'CATALOG.STARTED' THEN 5 WHEN 'CATALOG.COMPLETE' THEN 6
        WHEN 'REDUCTION.DATA_READY' THEN 7 WHEN 'REDUCTION.STARTED' THEN 8
        WHEN 'REDUCTION.DISABLED' THEN 9 WHEN 'REDUCTION.NOT_NEEDED' THEN 10
        WHEN 'REDUCTION.COMPLETE' THEN 11 WHEN 'REDUCTION_CATALOG.DATA_READY' THEN 12
        WHEN 'REDUCTION_CATALOG.STARTED' THEN 13 WHEN 'REDUCTION_CATALOG.COMPLETE' THEN 14
        WHEN 'TRANSLATION.STARTED' THEN 15 WHEN 'TRANSLATION.COMPLETE' THEN 16
        WHEN 'POSTPROCESS.CHECK' THEN 17 WHEN 'REDUCTION.ERROR' THEN 18
        WHEN 'CATALOG.ERROR' THEN 19 WHEN 'REDUCTION_CATALOG.ERROR' THEN 20
        WHEN 'REDUCTION.REQUEST' THEN 21 WHEN 'CATALOG.REQUEST' THEN 22
        WHEN 'FERMI_REDUCTION.DATA_READY' THEN 23 WHEN 'CATALOG.ONCAT.DATA_READY' THEN 24
        WHEN 'CATALOG.ONCAT.STARTED' THEN 25 WHEN 'CATALOG.ONCAT.ERROR' THEN 26
        WHEN 'CATALOG.ONCAT.COMPLETE' THEN 27 WHEN 'REDUCTION.HIMEM.DATA_READY' THEN 28
        WHEN 'SMS' THEN 29
    END::bigint
$$;

-- Every queue's number: of one that is not known, made from its name.
CREATE FUNCTION legacy.queue_id(queue text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(
        legacy.known_queue_id(queue), 1000 + ('x' || left(md5(queue), 7))::bit(28)::bigint
    )
$$;

-- Few messages are on queues that are not known: the index holds only those.
CREATE INDEX event_of_unknown_queue ON workflow_event (queue)
    WHERE legacy.known_queue_id(queue) IS NULL;

-- Texts as the columns could hold them.
CREATE FUNCTION legacy.cut(words text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (CASE WHEN length(words) > 200 THEN left(words, 198) || '..' ELSE words END)::varchar
$$;

CREATE VIEW legacy.report_instrument AS
SELECT id, name::varchar AS name FROM workflow_instrument;

CREATE VIEW legacy.report_ipts AS
SELECT id, name::varchar AS expt_name, created_at AS created_on FROM workflow_proposal;

CREATE VIEW legacy.report_ipts_instruments AS
SELECT min(id) AS id, proposal_id AS ipts_id, instrument_id
FROM workflow_run GROUP BY proposal_id, instrument_id;

CREATE VIEW legacy.report_datarun AS
SELECT
    id, number AS run_number, data_file::varchar AS file, created_at AS created_on,
    instrument_id AS instrument_id_id, proposal_id AS ipts_id_id
FROM workflow_run;

CREATE VIEW legacy.report_instrumentstatus AS
SELECT instrument.id, instrument.id AS instrument_id_id, newest.id AS last_run_id_id
FROM workflow_instrument AS instrument
JOIN LATERAL (
    SELECT run.id FROM workflow_run AS run WHERE run.instrument_id = instrument.id
    ORDER BY run.created_at DESC, run.id DESC LIMIT 1
) AS newest ON true;

CREATE VIEW legacy.report_statusqueue AS
SELECT
    legacy.queue_id(name) AS id, name::varchar AS name,
    bool_or(is_workflow_input) AS is_workflow_input
FROM (
    SELECT name, true AS is_workflow_input
    FROM unnest(ARRAY[
        'POSTPROCESS.DATA_READY', 'POSTPROCESS.INFO', 'POSTPROCESS.ERROR', 'CATALOG.STARTED',
        'CATALOG.COMPLETE', 'REDUCTION.STARTED', 'REDUCTION.DISABLED', 'REDUCTION.NOT_NEEDED',
        'REDUCTION.COMPLETE', 'REDUCTION_CATALOG.STARTED', 'REDUCTION_CATALOG.COMPLETE',
        'TRANSLATION.STARTED', 'TRANSLATION.COMPLETE', 'POSTPROCESS.CHECK', 'REDUCTION.ERROR',
        'CATALOG.ERROR', 'REDUCTION_CATALOG.ERROR', 'REDUCTION.REQUEST', 'CATALOG.REQUEST',
        'FERMI_REDUCTION.DATA_READY', 'CATALOG.ONCAT.STARTED', 'CATALOG.ONCAT.ERROR',
        'CATALOG.ONCAT.COMPLETE'
    ]) AS name
    UNION ALL
    SELECT name, false
    FROM unnest(ARRAY[
        'CATALOG.DATA_READY', 'REDUCTION.DATA_READY', 'REDUCTION_CATALOG.DATA_READY',
        'CATALOG.ONCAT.DATA_READY', 'REDUCTION.HIMEM.DATA_READY', 'SMS'
    ]) AS name
    UNION ALL
    SELECT name, true
    FROM unnest(ARRAY[
        'CALVERA.RAW.COMPLETE', 'CALVERA.RAW.ERROR', 'CALVERA.REDUCED.COMPLETE',
        'CALVERA.REDUCED.ERROR', 'INTERSECT.RAW.COMPLETE', 'INTERSECT.RAW.ERROR',
        'INTERSECT.REDUCED.COMPLETE', 'INTERSECT.REDUCED.ERROR'
    ]) AS name
    UNION ALL
    SELECT name, is_workflow_input FROM workflow_queue
    UNION ALL
    SELECT name, false
    FROM workflow_route AS route, unnest(queue || targets || success_queues) AS name
    UNION ALL
    SELECT DISTINCT queue, false
    FROM workflow_event WHERE legacy.known_queue_id(queue) IS NULL
) AS queue
GROUP BY name;

CREATE VIEW legacy.report_runstatus AS
SELECT
    id,
    (CASE
        WHEN message_id ~ '^(imported|job) ' THEN ''
        -- A digest of the body stands behind the broker's number of what was recorded here.
        ELSE regexp_replace(message_id, ' [0-9a-f]{16}$', '')
    END)::varchar AS message_id,
    received_at AS created_on, legacy.queue_id(queue) AS queue_id_id, run_id AS run_id_id
FROM workflow_event;

CREATE VIEW legacy.report_information AS
SELECT id, legacy.cut(information) AS description, id AS run_status_id_id
FROM workflow_event WHERE information <> '';

CREATE VIEW legacy.report_error AS
SELECT id, legacy.cut(error) AS description, id AS run_status_id_id
FROM workflow_event WHERE error <> '';

-- The flags only ever went one way: they tell what happened once, not how far the newest attempt
-- is. A step that is done without an event was done in a history that is no longer there. The
-- run's times say in which months its events are.
CREATE VIEW legacy.report_workflowsummary AS
SELECT
    run.id,
    coalesce(is_complete, false) OR (cataloged AND (
        NOT reduction_needed OR reduced AND reduction_cataloged
    )) AS complete,
    catalog_started, cataloged, reduction_needed, reduction_started, reduced,
    reduction_cataloged, reduction_catalog_started, run.id AS run_id_id
FROM workflow_run AS run
JOIN LATERAL (
    SELECT
        coalesce(bool_or(queue = 'CATALOG.ONCAT.STARTED'), false) OR run.cataloguing = 2
            AS catalog_started,
        coalesce(bool_or(queue = 'CATALOG.ONCAT.COMPLETE'), false) OR run.cataloguing = 5
            AS cataloged,
        NOT (
            coalesce(bool_or(queue IN ('REDUCTION.NOT_NEEDED', 'REDUCTION.DISABLED')), false)
            OR run.reduction = 4
        ) AS reduction_needed,
        coalesce(bool_or(queue = 'REDUCTION.STARTED'), false) OR run.reduction = 2
            AS reduction_started,
        coalesce(bool_or(queue = 'REDUCTION.COMPLETE'), false) OR run.reduction = 5 AS reduced,
        coalesce(bool_or(queue = 'REDUCTION_CATALOG.COMPLETE'), false)
            OR run.reduction_cataloguing = 5 AS reduction_cataloged,
        coalesce(bool_or(queue = 'REDUCTION_CATALOG.STARTED'), false)
            OR run.reduction_cataloguing = 2 AS reduction_catalog_started,
        -- A message with this key set the flag, and the next one without it took it back.
        (array_agg(body ? 'is_complete' ORDER BY received_at DESC, event.id DESC))[1]
            AS is_complete
    FROM workflow_event AS event
    WHERE event.run_id = run.id
        AND event.received_at >= run.created_at - interval '1 day'
        AND event.received_at <= run.updated_at + interval '1 day'
) AS history ON true;

CREATE VIEW legacy.report_task AS
SELECT
    id, task_class::varchar AS task_class, legacy.queue_id(queue) AS input_queue_id_id,
    instrument_id AS instrument_id_id
FROM workflow_route;

CREATE VIEW legacy.report_task_task_queue_ids AS
SELECT
    route.id * 1000 + target.position AS id, route.id AS task_id,
    legacy.queue_id(target.name) AS statusqueue_id
FROM workflow_route AS route,
    unnest(route.targets) WITH ORDINALITY AS target (name, position);

CREATE VIEW legacy.report_task_success_queue_ids AS
SELECT
    route.id * 1000 + target.position AS id, route.id AS task_id,
    legacy.queue_id(target.name) AS statusqueue_id
FROM workflow_route AS route,
    unnest(route.success_queues) WITH ORDINALITY AS target (name, position);

-- Runs, or errors, of an instrument in the last 24 hours: `time` is the hour, 0 to -24, and
-- `count` how many. The cursor is read in the same transaction, by whoever may read the views.
CREATE FUNCTION legacy.run_rate(instrument_id bigint) RETURNS refcursor
LANGUAGE plpgsql AS $$
DECLARE
    rate refcursor;
BEGIN
    OPEN rate FOR
        SELECT trunc(extract(epoch FROM run.created_on - now()) / 3600)::int AS time,
            count(*) AS count
        FROM legacy.report_datarun AS run
        WHERE run.instrument_id_id = $1 AND run.created_on >= now() - interval '24 hours'
            AND run.created_on <= now()
        GROUP BY 1 ORDER BY 1 DESC;
    RETURN rate;
END
$$;

CREATE FUNCTION legacy.error_rate(instrument_id bigint) RETURNS refcursor
LANGUAGE plpgsql AS $$
DECLARE
    rate refcursor;
BEGIN
    OPEN rate FOR
        SELECT trunc(extract(epoch FROM status.created_on - now()) / 3600)::int AS time,
            count(*) AS count
        FROM legacy.report_error AS error
        JOIN legacy.report_runstatus AS status ON status.id = error.run_status_id_id
        JOIN legacy.report_datarun AS run ON run.id = status.run_id_id
        WHERE run.instrument_id_id = $1 AND status.created_on >= now() - interval '24 hours'
            AND status.created_on <= now()
        GROUP BY 1 ORDER BY 1 DESC;
    RETURN rate;
END
$$;

CREATE FUNCTION legacy.refuse() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'legacy.% is a read-only view: % is not possible', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'read_only_sql_transaction',
            HINT = 'WebMon writes its own tables; send a message to change a run.';
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT viewname FROM pg_views WHERE schemaname = 'legacy' LOOP
        EXECUTE format(
            'CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON legacy.%I '
            'FOR EACH ROW EXECUTE FUNCTION legacy.refuse()',
            name
        );
    END LOOP;
END
$$;
