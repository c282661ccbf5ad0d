-- name: runs_there
-- There: every run with its summary and how many statuses it has.
COPY (
    SELECT
        run.id, run.instrument_id_id, run.ipts_id_id, run.run_number, run.file, run.created_on,
        summary.id IS NOT NULL, coalesce(summary.complete, false),
        coalesce(summary.catalog_started, false), coalesce(summary.cataloged, false),
        coalesce(summary.reduction_needed, true), coalesce(summary.reduction_started, false),
        coalesce(summary.reduced, false), coalesce(summary.reduction_catalog_started, false),
        coalesce(summary.reduction_cataloged, false), coalesce(status.number, 0)
    FROM report_datarun AS run
    LEFT JOIN report_workflowsummary AS summary ON summary.run_id_id = run.id
    LEFT JOIN (
        SELECT run_id_id, count(*) AS number FROM report_runstatus GROUP BY run_id_id
    ) AS status ON status.run_id_id = run.id
) TO STDOUT

-- name: statuses_there
-- There: the statuses of some runs with their texts.
COPY (
    SELECT
        status.id, status.run_id_id, regexp_replace(queue.name, '^/(queue|topic)/', ''),
        coalesce(status.message_id, ''), status.created_on,
        coalesce((
            SELECT string_agg(description, E'\n' ORDER BY id)
            FROM report_information WHERE run_status_id_id = status.id
        ), ''),
        coalesce((
            SELECT string_agg(description, E'\n' ORDER BY id)
            FROM report_error WHERE run_status_id_id = status.id
        ), '')
    FROM report_runstatus AS status
    JOIN report_statusqueue AS queue ON queue.id = status.queue_id_id
    WHERE status.run_id_id = ANY(%(source_runs)s)
) TO STDOUT

-- name: months_there
-- There: the months (UTC) in which statuses were written.
SELECT DISTINCT date_trunc('month', created_on AT TIME ZONE 'UTC')::date
FROM report_runstatus WHERE created_on >= '1000-01-01' AND created_on < '9999-12-01'

-- name: tasks_there
-- There: the tasks with the names of their queues, in the order in which they were put in.
COPY (
    SELECT
        task.id, task.instrument_id_id, regexp_replace(queue.name, '^/(queue|topic)/', ''),
        btrim(coalesce(task.task_class, '')),
        ARRAY(
            SELECT regexp_replace(target.name, '^/(queue|topic)/', '')
            FROM report_task_task_queue_ids AS link
            JOIN report_statusqueue AS target ON target.id = link.statusqueue_id
            WHERE link.task_id = task.id ORDER BY link.id
        ),
        ARRAY(
            SELECT regexp_replace(success.name, '^/(queue|topic)/', '')
            FROM report_task_success_queue_ids AS link
            JOIN report_statusqueue AS success ON success.id = link.statusqueue_id
            WHERE link.task_id = task.id ORDER BY link.id
        )
    FROM report_task AS task
    JOIN report_statusqueue AS queue ON queue.id = task.input_queue_id_id
) TO STDOUT

-- name: queues_there
-- There: the queues by their bare names.
COPY (
    SELECT regexp_replace(name, '^/(queue|topic)/', ''), bool_or(is_workflow_input)
    FROM report_statusqueue GROUP BY 1
) TO STDOUT

-- name: counts_there
-- There: how many rows, and how many statuses have a text.
SELECT
    (SELECT count(*) FROM report_instrument) AS instruments,
    (SELECT count(*) FROM report_ipts) AS proposals,
    (SELECT count(*) FROM report_datarun) AS runs,
    (SELECT count(*) FROM report_runstatus) AS statuses,
    (SELECT count(*) FROM report_information) AS information,
    (
        SELECT count(DISTINCT run_status_id_id) FROM report_information WHERE description <> ''
    ) AS with_information,
    (SELECT count(*) FROM report_error) AS errors,
    (SELECT count(DISTINCT run_status_id_id) FROM report_error WHERE description <> '')
        AS with_error,
    (SELECT count(*) FROM report_workflowsummary) AS summaries,
    (SELECT count(*) FROM report_ipts_instruments) AS links,
    (SELECT count(*) FROM report_task) AS tasks,
    (SELECT count(*) FROM report_statusqueue) AS queues

-- name: stage
-- Where rows of the old system are put before they are moved; gone with the session.
DROP TABLE IF EXISTS
    old_instrument, old_proposal, old_run, old_status, old_task, old_queue, old_route, queue_rule,
    run_group, pending, batch, known_event, history, opened, attempt;
CREATE TEMPORARY TABLE old_instrument (
    id int PRIMARY KEY, name text, here bigint, facility text
);
CREATE TEMPORARY TABLE old_proposal (
    id int PRIMARY KEY, name text, created_on timestamptz, here bigint
);
CREATE TEMPORARY TABLE old_run (
    id int PRIMARY KEY, instrument_id int, proposal_id int, number int, file text,
    created_on timestamptz, has_summary boolean, complete boolean, catalog_started boolean,
    cataloged boolean, reduction_needed boolean, reduction_started boolean, reduced boolean,
    reduction_catalog_started boolean, reduction_cataloged boolean, statuses int
);
CREATE TEMPORARY TABLE old_status (
    id int, source_run int, queue text, message_id text, created_on timestamptz,
    information text, error text
);
CREATE TEMPORARY TABLE old_task (
    id int PRIMARY KEY, instrument_id int, queue text, task_class text, targets text[],
    success_queues text[]
);
CREATE TEMPORARY TABLE old_queue (name text PRIMARY KEY, is_workflow_input boolean);
-- Tasks of instruments that are here. Only one that `is_alone` on its queue had an effect there.
CREATE TEMPORARY TABLE old_route (
    instrument_id bigint, queue text, task_class text, targets text[], success_queues text[],
    is_alone boolean
);
-- What a queue means, from domain/rules.py: `asks` for a job of a step (a message to agents),
-- or reports `phase` of `step`; `then` are the steps that the manager asks for next.
CREATE TEMPORARY TABLE queue_rule (
    queue text PRIMARY KEY, asks text, step text, phase smallint, "then" text[]
);
-- Rows of the old system that are one run here: `leader` is the oldest of them.
CREATE TEMPORARY TABLE run_group (source_run int PRIMARY KEY, leader int);
CREATE TEMPORARY TABLE pending (leader int PRIMARY KEY);
CREATE TEMPORARY TABLE batch (
    leader int PRIMARY KEY, run_id bigint UNIQUE, proposal_id bigint, file text, said jsonb,
    is_taken_over boolean
);
-- What is here of the runs of a batch; `imported_status` is null for what was recorded here.
CREATE TEMPORARY TABLE known_event (
    run_id bigint, queue text, message_id text, imported_status bigint
);
-- The statuses of a batch in order, with the attempt that each is about.
CREATE TEMPORARY TABLE history (
    run_id bigint, position int, source_id int, source_run int, queue text, message_id text,
    at timestamptz, information text, error text, asks boolean, step text, phase smallint,
    "then" text[], attempt int, PRIMARY KEY (run_id, position)
);
CREATE TEMPORARY TABLE opened (
    run_id bigint, opened int, step text, attempt int, reported int,
    PRIMARY KEY (run_id, opened)
);
CREATE TEMPORARY TABLE attempt (
    run_id bigint, step text, attempt int, queue text, phase smallint, requested_by text,
    requested_at timestamptz, sent_at timestamptz, started_at timestamptz,
    ended_at timestamptz, agent text, error text, job_id bigint,
    PRIMARY KEY (run_id, step, attempt)
)

-- name: add_instruments
-- The facility is the one that most paths of an instrument's files begin with.
INSERT INTO workflow_instrument AS known (name, facility, created_at)
SELECT
    instrument.name,
    coalesce(
        mode() WITHIN GROUP (ORDER BY upper(split_part(run.file, '/', 2)))
            FILTER (WHERE run.file ~ '^/[A-Za-z][A-Za-z0-9_-]{0,39}/'),
        ''
    ),
    coalesce(min(run.created_on), now())
FROM old_instrument AS instrument
LEFT JOIN old_run AS run ON run.instrument_id = instrument.id
WHERE instrument.name IS NOT NULL
GROUP BY instrument.name
ORDER BY instrument.name
ON CONFLICT (name) DO UPDATE SET facility = excluded.facility
WHERE known.facility = '' AND excluded.facility <> ''

-- name: find_instruments
-- Their numbers here.
UPDATE old_instrument SET here = known.id, facility = known.facility
FROM workflow_instrument AS known WHERE known.name = old_instrument.name

-- name: add_proposals
-- Names that differ in case are one proposal, as old as the oldest.
INSERT INTO workflow_proposal (name, created_at)
SELECT name, min(created_on) FROM old_proposal GROUP BY name ORDER BY min(created_on)
ON CONFLICT (name) DO NOTHING

-- name: find_proposals
-- Their numbers here.
UPDATE old_proposal SET here = known.id
FROM workflow_proposal AS known WHERE known.name = old_proposal.name

-- name: add_queues
-- Queues of the site: those that the workflow does not know by itself.
INSERT INTO workflow_queue (name, is_workflow_input)
SELECT name, is_workflow_input FROM old_queue WHERE name <> ALL (%(known)s) ORDER BY name
ON CONFLICT (name) DO NOTHING

-- name: find_routes
-- Tasks by our numbers of instruments.
INSERT INTO old_route
SELECT
    instrument.here, task.queue, task.task_class, task.targets, task.success_queues,
    count(*) OVER (PARTITION BY instrument.here, task.queue) = 1
FROM old_task AS task JOIN old_instrument AS instrument ON instrument.id = task.instrument_id
WHERE instrument.here IS NOT NULL

-- name: take_back_routes
-- What an earlier import brought and is no longer there. What people changed here stays.
DELETE FROM workflow_route AS route
WHERE changed_by = %(import)s AND NOT EXISTS (
    SELECT FROM old_route
    WHERE is_alone AND (instrument_id, queue) = (route.instrument_id, route.queue)
)

-- name: put_routes
-- Where runs go instead. What people changed here stays.
INSERT INTO workflow_route AS route (
    instrument_id, queue, targets, success_queues, task_class, changed_by
)
SELECT instrument_id, queue, targets, success_queues, task_class, %(import)s
FROM old_route WHERE is_alone ORDER BY instrument_id, queue
ON CONFLICT (instrument_id, queue) DO UPDATE SET
    targets = excluded.targets, success_queues = excluded.success_queues,
    task_class = excluded.task_class, changed_at = now()
WHERE route.changed_by = %(import)s
    AND (route.targets, route.success_queues, route.task_class)
        IS DISTINCT FROM (excluded.targets, excluded.success_queues, excluded.task_class)

-- name: group_runs
-- The old system has no constraint on (instrument, run number): the same run may be there twice.
INSERT INTO run_group
SELECT run.id, min(run.id) OVER (PARTITION BY instrument.here, run.number)
FROM old_run AS run
JOIN old_instrument AS instrument ON instrument.id = run.instrument_id
WHERE run.number >= 0

-- name: other_installation
-- Runs that were moved in under a number which means another run there: it is not the same
-- installation.
SELECT count(*)
FROM workflow_imported_run AS moved
JOIN workflow_run AS run ON run.id = moved.run_id
JOIN old_run AS there ON there.id = moved.source_id
JOIN old_instrument AS instrument ON instrument.id = there.instrument_id
WHERE (run.instrument_id, run.number) IS DISTINCT FROM (instrument.here, there.number)

-- name: find_pending
-- Runs that are not here yet, or got statuses since.
INSERT INTO pending
SELECT DISTINCT run_group.leader
FROM run_group
JOIN old_run AS run ON run.id = run_group.source_run
LEFT JOIN workflow_imported_run AS moved ON moved.source_id = run_group.source_run
WHERE moved.statuses IS DISTINCT FROM run.statuses

-- name: next_batch
-- The oldest runs that are left, with all rows that are the same run.
WITH next AS (SELECT leader FROM pending ORDER BY leader LIMIT %(limit)s)
SELECT source_run, leader FROM run_group JOIN next USING (leader)

-- name: done
-- These need no further look.
DELETE FROM pending USING batch WHERE pending.leader = batch.leader

-- name: lock_runs
-- Creates the runs that are new and locks all of them, in the order in which the workflow
-- manager locks. The newest row with a file says which file and which proposal.
WITH newest AS (
    SELECT DISTINCT ON (run_group.leader)
        run_group.leader, instrument.here AS instrument_id, run.number,
        proposal.here AS proposal_id, run.file,
        jsonb_build_object(
            'instrument', instrument.name, 'facility', instrument.facility,
            'ipts', proposal.name, 'run_number', run.number, 'data_file', run.file
        ) AS said,
        min(run.created_on) OVER (PARTITION BY run_group.leader) AS created_on
    FROM run_group
    JOIN old_run AS run ON run.id = run_group.source_run
    JOIN old_instrument AS instrument ON instrument.id = run.instrument_id
    JOIN old_proposal AS proposal ON proposal.id = run.proposal_id
    WHERE run_group.leader = ANY(%(leaders)s)
    ORDER BY run_group.leader, run.file <> '' DESC, run.id DESC
), locked AS (
    INSERT INTO workflow_run AS run (
        instrument_id, number, proposal_id, data_file, created_at, updated_at
    )
    SELECT instrument_id, number, proposal_id, file, created_on, created_on
    FROM newest ORDER BY instrument_id, number
    ON CONFLICT (instrument_id, number) DO UPDATE SET
        created_at = least(run.created_at, excluded.created_at)
    RETURNING id, instrument_id, number
)
INSERT INTO batch (leader, run_id, proposal_id, file, said)
SELECT newest.leader, locked.id, newest.proposal_id, newest.file, newest.said
FROM newest JOIN locked USING (instrument_id, number)

-- name: find_known
-- What is here of these runs, in the months that the run's times tell. The subquery stays one, so
-- that each run's events are looked up by the run: statistics of tables that grow while we fill
-- them suggest to read all.
INSERT INTO known_event
SELECT batch.run_id, event.queue, event.message_id, event.imported_status
FROM batch JOIN workflow_run AS run ON run.id = batch.run_id CROSS JOIN LATERAL (
    SELECT queue, message_id, (body ->> 'imported_status')::bigint AS imported_status
    FROM workflow_event
    WHERE run_id = batch.run_id
        AND received_at >= run.created_at - interval '1 day'
        AND received_at <= run.updated_at + interval '1 day'
    OFFSET 0
) AS event

-- name: take_over
-- A run that the new system works on stays its own: something that moves a step was recorded
-- here. What only tells (such as SMS) does not count.
UPDATE batch SET is_taken_over = NOT EXISTS (
    SELECT FROM known_event AS event
    JOIN queue_rule AS rule USING (queue)
    WHERE event.run_id = batch.run_id AND event.imported_status IS NULL
        AND (rule.asks IS NOT NULL OR rule.phase IS NOT NULL OR rule."then" <> '{}')
)

-- name: order_history
-- Every status with the attempt it is about: a message to agents opens one, and so does the
-- first report about a step that nobody asked for; a report is about the newest.
INSERT INTO history
SELECT
    run_id, position, source_id, source_run, queue, message_id, at, information, error, asks,
    step, phase, "then",
    CASE WHEN step IS NOT NULL THEN
        count(*) FILTER (WHERE asks OR position = first) OVER (
            PARTITION BY run_id, step ORDER BY position
        )
    END
FROM (
    SELECT *, min(position) OVER (PARTITION BY run_id, step) AS first
    FROM (
        SELECT
            batch.run_id,
            row_number() OVER (PARTITION BY batch.run_id ORDER BY status.created_on, status.id)
                AS position,
            status.id AS source_id, status.source_run, status.queue, status.message_id,
            status.created_on AS at, status.information, status.error,
            rule.asks IS NOT NULL AS asks, coalesce(rule.asks, rule.step) AS step, rule.phase,
            rule."then"
        FROM old_status AS status
        JOIN run_group USING (source_run)
        JOIN batch USING (leader)
        LEFT JOIN queue_rule AS rule ON rule.queue = status.queue
    ) AS ordered
) AS marked

-- name: find_opened
-- The attempts of runs with an error that names no step: where each begins in the run's history,
-- and where somebody first reports about it.
INSERT INTO opened
SELECT
    run_id, min(position), step, attempt, min(position) FILTER (WHERE NOT asks)
FROM history
WHERE step IS NOT NULL
    AND run_id IN (SELECT run_id FROM history WHERE step IS NULL AND phase IS NOT NULL)
GROUP BY run_id, step, attempt

-- name: blame
-- An error that names no step: an agent could not begin. Each fails the oldest attempt that
-- nobody had begun by then, and that no such error had failed before.
WITH RECURSIVE failure AS (
    SELECT
        run_id, position, row_number() OVER (PARTITION BY run_id ORDER BY position) AS nth
    FROM history WHERE step IS NULL AND phase IS NOT NULL
), blamed (run_id, nth, failed_at, opened, taken) AS (
    SELECT DISTINCT run_id, 0::bigint, 0, NULL::int, '{}'::int[] FROM failure
    UNION ALL
    SELECT
        failure.run_id, failure.nth, failure.position, job.opened,
        CASE WHEN job.opened IS NULL THEN blamed.taken ELSE blamed.taken || job.opened END
    FROM blamed
    JOIN failure ON failure.run_id = blamed.run_id AND failure.nth = blamed.nth + 1
    LEFT JOIN LATERAL (
        SELECT opened.opened FROM opened
        WHERE opened.run_id = failure.run_id AND opened.opened < failure.position
            AND (opened.reported IS NULL OR opened.reported > failure.position)
            AND opened.opened <> ALL (blamed.taken)
        ORDER BY opened.opened LIMIT 1
    ) AS job ON true
)
UPDATE history SET step = opened.step, attempt = opened.attempt
FROM blamed JOIN opened USING (run_id, opened)
WHERE history.run_id = blamed.run_id AND history.position = blamed.failed_at

-- name: fold_history
-- What the statuses make of each attempt, as `ledger.JobRecord.report` would.
INSERT INTO attempt
SELECT
    run_id, step, attempt,
    coalesce(max(queue) FILTER (WHERE asks), max(default_queue)),
    greatest(max(phase), %(requested)s),
    CASE
        WHEN bool_or(asks) THEN coalesce(max(cause) FILTER (WHERE asks), '')
        ELSE (array_agg(queue ORDER BY position))[1]
    END,
    min(at), min(at) FILTER (WHERE asks), min(at) FILTER (WHERE phase = %(started)s),
    (array_agg(at ORDER BY phase DESC, position DESC) FILTER (WHERE phase > %(started)s))[1],
    coalesce((
        array_agg(information ORDER BY position DESC)
            FILTER (WHERE NOT asks AND information ~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$')
    )[1], ''),
    CASE
        WHEN max(phase) = %(failed)s THEN (
            array_agg(error ORDER BY position DESC) FILTER (WHERE phase > %(started)s)
        )[1]
        ELSE ''
    END
FROM history
JOIN (
    VALUES ('cataloguing', %(cataloguing)s), ('reduction', %(reduction)s),
        ('reduction_cataloguing', %(reduction_cataloguing)s)
) AS job (step, default_queue) USING (step)
LEFT JOIN LATERAL (
    SELECT CASE
            WHEN earlier.phase IS NULL AND earlier.information ~ '^Requested by \S'
            THEN substring(earlier.information FROM '^Requested by (\S+)')
            ELSE earlier.queue
        END AS cause
    FROM history AS earlier
    WHERE history.asks AND earlier.run_id = history.run_id
        AND earlier.position < history.position AND earlier."then" @> ARRAY[history.step]
    ORDER BY earlier.position DESC LIMIT 1
) AS request ON true
GROUP BY run_id, step, attempt

-- name: fold_summaries
-- A step of which no status tells anything is as far as the old summary says.
INSERT INTO attempt (
    run_id, step, attempt, queue, phase, requested_by, requested_at, agent, error
)
SELECT
    batch.run_id, said.step, 1, said.queue, said.phase, 'report_workflowsummary',
    min(run.created_on) OVER (PARTITION BY batch.run_id), '', ''
FROM batch
JOIN LATERAL (
    SELECT
        min(created_on) AS created_on, bool_or(catalog_started) AS catalog_started,
        bool_or(cataloged) AS cataloged, bool_and(reduction_needed) AS reduction_needed,
        bool_or(reduction_started) AS reduction_started, bool_or(reduced) AS reduced,
        bool_or(reduction_catalog_started) AS reduction_catalog_started,
        bool_or(reduction_cataloged) AS reduction_cataloged
    FROM run_group JOIN old_run ON old_run.id = run_group.source_run
    WHERE run_group.leader = batch.leader
) AS run ON true
JOIN LATERAL (
    VALUES
        ('cataloguing', %(cataloguing)s, CASE
            WHEN cataloged THEN %(done)s WHEN catalog_started THEN %(started)s END),
        ('reduction', %(reduction)s, CASE
            WHEN reduced THEN %(done)s WHEN NOT reduction_needed THEN %(skipped)s
            WHEN reduction_started THEN %(started)s END),
        ('reduction_cataloguing', %(reduction_cataloguing)s, CASE
            WHEN reduction_cataloged THEN %(done)s
            WHEN reduction_catalog_started THEN %(started)s END)
) AS said (step, queue, phase) ON said.phase IS NOT NULL
WHERE NOT EXISTS (
    SELECT FROM attempt WHERE attempt.run_id = batch.run_id AND attempt.step = said.step
)

-- name: put_jobs
-- The attempts of runs that are taken over; again if statuses came since.
WITH put AS (
    INSERT INTO workflow_job AS job (
        run_id, instrument_id, step, attempt, queue, phase, requested_by, requested_at, sent_at,
        started_at, ended_at, agent, error
    )
    SELECT
        run_id, run.instrument_id, step, attempt, queue, phase, requested_by, requested_at,
        sent_at, started_at, ended_at, agent, error
    FROM attempt
    JOIN batch USING (run_id)
    JOIN workflow_run AS run ON run.id = run_id
    WHERE is_taken_over
    ORDER BY requested_at, run_id, step, attempt
    ON CONFLICT (run_id, step, attempt) DO UPDATE SET
        queue = excluded.queue, phase = excluded.phase, requested_by = excluded.requested_by,
        requested_at = excluded.requested_at, sent_at = excluded.sent_at,
        started_at = excluded.started_at, ended_at = excluded.ended_at, agent = excluded.agent,
        error = excluded.error
    RETURNING id, run_id, step, attempt
)
UPDATE attempt SET job_id = put.id FROM put
WHERE (attempt.run_id, attempt.step, attempt.attempt) = (put.run_id, put.step, put.attempt)

-- name: put_runs
-- What the old system knows of runs that are taken over: file, proposal, the first announcement
-- of data, and how far the steps are, by their newest attempts.
UPDATE workflow_run AS run SET
    proposal_id = batch.proposal_id,
    data_file = coalesce(nullif(batch.file, ''), run.data_file),
    data_ready_at = past.data_ready_at,
    updated_at = greatest(run.updated_at, past.updated_at),
    cataloguing = coalesce(said.cataloguing, 0), reduction = coalesce(said.reduction, 0),
    reduction_cataloguing = coalesce(said.reduction_cataloguing, 0)
FROM batch
LEFT JOIN (
    SELECT
        run_id, max(at) AS updated_at,
        min(at) FILTER (WHERE queue = %(data_ready)s) AS data_ready_at
    FROM history GROUP BY run_id
) AS past USING (run_id)
LEFT JOIN (
    SELECT
        run_id, max(phase) FILTER (WHERE step = 'cataloguing') AS cataloguing,
        max(phase) FILTER (WHERE step = 'reduction') AS reduction,
        max(phase) FILTER (WHERE step = 'reduction_cataloguing') AS reduction_cataloguing
    FROM (
        SELECT DISTINCT ON (run_id, step) run_id, step, phase FROM attempt
        ORDER BY run_id, step, attempt DESC
    ) AS newest
    GROUP BY run_id
) AS said USING (run_id)
WHERE batch.is_taken_over AND run.id = batch.run_id

-- name: put_first_announcements
-- A run that stays the new system's may have been announced to the old one earlier.
UPDATE workflow_run AS run SET data_ready_at = least(run.data_ready_at, past.data_ready_at)
FROM (
    SELECT run_id, min(at) AS data_ready_at FROM history JOIN batch USING (run_id)
    WHERE queue = %(data_ready)s AND NOT is_taken_over GROUP BY run_id
) AS past
WHERE run.id = past.run_id

-- name: forget_moved
-- Statuses that are here from an earlier start need not be moved again.
DELETE FROM history USING known_event
WHERE known_event.run_id = history.run_id AND known_event.imported_status = history.source_id

-- name: put_events
-- The facts. A broker's number is kept where it is the first of its queue in its month; a message
-- of the same run and number that the new system recorded itself is the same fact. A run's times
-- include its events, give or take a day.
WITH new AS (
    INSERT INTO workflow_event (
        run_id, queue, message_id, received_at, job_id, information, error, body
    )
    SELECT
        fact.run_id, fact.queue, fact.identity, fact.at, attempt.job_id, fact.information,
        fact.error,
        jsonb_strip_nulls(batch.said || jsonb_build_object(
            'facility', nullif(batch.said ->> 'facility', ''),
            'information', nullif(fact.information, ''), 'error', nullif(fact.error, ''),
            'imported_status', fact.source_id, 'imported_run', fact.source_run
        ))
    FROM (
        SELECT
            past.*,
            CASE
                WHEN past.message_id = '' OR past.message_id ~ '^(job|imported) '
                    OR taken.is_taken
                    OR row_number() OVER (
                        PARTITION BY past.queue, past.message_id, past.month
                        ORDER BY past.source_id
                    ) > 1
                THEN 'imported ' || past.source_id
                ELSE past.message_id
            END AS identity
        FROM (
            SELECT *, date_trunc('month', at, 'UTC') AS month,
                date_trunc('month', at, 'UTC') + interval '32 days' AS within
            FROM history
        ) AS past
        LEFT JOIN LATERAL (
            SELECT true AS is_taken FROM workflow_event AS event
            WHERE event.message_id = past.message_id AND event.queue = past.queue
                AND event.received_at >= past.month
                AND event.received_at < date_trunc('month', past.within, 'UTC') OFFSET 0
        ) AS taken ON past.message_id <> ''
        WHERE NOT EXISTS (
            SELECT FROM known_event AS event
            WHERE event.run_id = past.run_id AND event.queue = past.queue
                AND past.message_id <> '' AND event.imported_status IS NULL
                AND starts_with(event.message_id, past.message_id || ' ')
        )
    ) AS fact
    JOIN batch ON batch.run_id = fact.run_id
    LEFT JOIN attempt
        ON attempt.run_id = fact.run_id AND attempt.step = fact.step
        AND attempt.attempt = fact.attempt
    ORDER BY fact.at, fact.source_id
    RETURNING run_id, received_at
)
UPDATE workflow_run AS run SET
    created_at = least(run.created_at, told.first),
    updated_at = greatest(run.updated_at, told.last)
FROM (
    SELECT run_id, min(received_at) AS first, max(received_at) AS last FROM new GROUP BY run_id
) AS told
WHERE run.id = told.run_id AND (
    told.first < run.created_at - interval '1 day' OR told.last > run.updated_at + interval '1 day'
)

-- name: mark
-- What of the old system is here now. `recorded` are statuses that the new system had recorded
-- itself: they were not moved a second time.
INSERT INTO workflow_imported_run (
    source_id, run_id, statuses, recorded, recorded_information, recorded_errors
)
SELECT
    run_group.source_run, batch.run_id, old_run.statuses, count(recorded.source_id),
    count(recorded.source_id) FILTER (WHERE recorded.information <> ''),
    count(recorded.source_id) FILTER (WHERE recorded.error <> '')
FROM batch
JOIN run_group USING (leader)
JOIN old_run ON old_run.id = run_group.source_run
LEFT JOIN (
    SELECT history.source_run, history.source_id, history.information, history.error
    FROM history
    WHERE history.message_id <> '' AND EXISTS (
        SELECT FROM known_event AS event
        WHERE event.run_id = history.run_id AND event.queue = history.queue
            AND event.imported_status IS NULL
            AND starts_with(event.message_id, history.message_id || ' ')
    )
) AS recorded USING (source_run)
GROUP BY run_group.source_run, batch.run_id, old_run.statuses
ON CONFLICT (source_id) DO UPDATE SET
    run_id = excluded.run_id, statuses = excluded.statuses, recorded = excluded.recorded,
    recorded_information = excluded.recorded_information,
    recorded_errors = excluded.recorded_errors

-- name: events_here
-- Events that were moved in, counted in the table itself.
SELECT
    count(*) AS statuses, count(*) FILTER (WHERE information <> '') AS with_information,
    count(*) FILTER (WHERE error <> '') AS with_error
FROM workflow_event WHERE body ? 'imported_status'

-- name: runs_here
-- Runs that are here, and statuses of theirs that the new system had recorded itself.
SELECT
    count(DISTINCT run.id) AS runs, coalesce(sum(moved.recorded), 0)::bigint AS statuses,
    coalesce(sum(moved.recorded_information), 0)::bigint AS with_information,
    coalesce(sum(moved.recorded_errors), 0)::bigint AS with_error
FROM workflow_imported_run AS moved
JOIN workflow_run AS run ON run.id = moved.run_id
JOIN old_run ON old_run.id = moved.source_id

-- name: names_here
-- Instruments and proposals that were found here by the names given to them.
SELECT
    (SELECT count(DISTINCT known.id) FROM workflow_instrument AS known
        JOIN old_instrument USING (name)) AS instruments,
    (SELECT count(DISTINCT name) FROM old_instrument) AS instrument_names,
    (SELECT count(*) FROM old_instrument WHERE name IS NULL) AS instruments_aside,
    (SELECT count(DISTINCT known.id) FROM workflow_proposal AS known
        JOIN old_proposal USING (name)) AS proposals,
    (SELECT count(DISTINCT name) FROM old_proposal) AS proposal_names

-- name: routes_here
-- Tasks as routes: those that came as they are there, those that people changed here, and those
-- that several shared a queue.
SELECT
    count(*) FILTER (
        WHERE is_alone AND route.changed_by = %(import)s
            AND (route.targets, route.success_queues, route.task_class)
                = (old.targets, old.success_queues, old.task_class)
    ) AS moved,
    count(*) FILTER (WHERE is_alone AND route.changed_by <> %(import)s) AS changed,
    count(*) FILTER (WHERE NOT is_alone) AS shared,
    (SELECT count(*) FROM old_task) - count(*) AS aside
FROM old_route AS old
LEFT JOIN workflow_route AS route USING (instrument_id, queue)

-- name: queues_here
-- Queues that the workflow knows by itself, and those of the site that are here.
SELECT
    count(*) AS names, count(*) FILTER (WHERE old.name = ANY (%(known)s)) AS known,
    count(*) FILTER (WHERE old.name <> ALL (%(known)s) AND queue.name IS NOT NULL) AS moved
FROM old_queue AS old LEFT JOIN workflow_queue AS queue USING (name)

-- name: task_classes
-- Tasks with a class; the class is kept and not run.
SELECT instrument.name, old.queue, old.task_class
FROM old_route AS old JOIN workflow_instrument AS instrument ON instrument.id = old.instrument_id
WHERE old.task_class <> '' ORDER BY instrument.name, old.queue

-- name: shared_queues
-- Where several tasks of an instrument are for one queue: there, none of them had an effect.
SELECT instrument.name, old.queue, count(*)
FROM old_route AS old JOIN workflow_instrument AS instrument ON instrument.id = old.instrument_id
WHERE NOT old.is_alone GROUP BY instrument.name, old.queue ORDER BY instrument.name, old.queue

-- name: merged_runs
-- Rows there that are one run here: how many rows are more than runs, and the first of them.
SELECT instrument.name, run.number, array_agg(run.id ORDER BY run.id)
FROM run_group
JOIN old_run AS run ON run.id = run_group.source_run
JOIN old_instrument AS instrument ON instrument.id = run.instrument_id
GROUP BY instrument.name, run.number, run_group.leader
HAVING count(*) > 1
ORDER BY instrument.name, run.number

-- name: notes
-- What a person wants to know beside the counts.
SELECT
    (SELECT count(*) FROM old_run WHERE number < 0) AS impossible_runs,
    (SELECT coalesce(sum(statuses), 0)::bigint FROM old_run WHERE number < 0)
        AS impossible_statuses,
    (SELECT count(*) FROM old_run WHERE has_summary) AS summaries,
    (SELECT count(*) FROM old_run WHERE NOT has_summary) AS without_summary,
    (
        SELECT count(*) FROM old_run
        JOIN workflow_imported_run AS moved ON moved.source_id = old_run.id
        JOIN workflow_run AS run ON run.id = moved.run_id
        WHERE old_run.complete AND NOT (
            run.cataloguing = %(done)s AND (
                run.reduction = %(skipped)s
                OR run.reduction = %(done)s AND run.reduction_cataloguing = %(done)s
            )
        )
    ) AS no_longer_complete,
    (
        SELECT count(*) FROM workflow_job AS job
        JOIN (SELECT DISTINCT run_id FROM workflow_imported_run) AS moved USING (run_id)
        WHERE job.phase < %(failed)s
    ) AS open_jobs

-- name: unknown_queues
-- Queues without a rule: their statuses are facts in a run's history and move no step.
SELECT queue, count(*) FROM workflow_event
WHERE body ? 'imported_status' AND queue <> ALL (%(known)s) GROUP BY queue ORDER BY queue
