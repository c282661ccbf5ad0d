-- The functions that data acquisition calls in the database; a migration runs this file (0003).
-- Names, signatures and meaning are the contract's; docs/functions.md tells the rest.
--
-- They run with their owner's rights: a caller needs EXECUTE and nothing else. What cannot be kept
-- as it came is kept as near as can be and raises nothing: DASMON answers an error with a new
-- session and all of its PVs again. Their commits are not waited for: when the server dies, the
-- last fraction of a second of telemetry may be lost. Pages are told of new values by the listener.

-- An index holds a name of this length in any alphabet. A longer one ends in its digest.
CREATE FUNCTION public.dasmon_series_name(pv_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(pv_name) > 600 THEN left(pv_name, 567) || ' ' || md5(pv_name)
        ELSE pv_name END
$$;

-- A number that float8 may not hold: too large is infinite, too small is zero.
CREATE FUNCTION public.dasmon_number(number numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN abs(number) > 1.7976931348623157e308 THEN sign(number)::float8 * float8 'Infinity'
        WHEN abs(number) < 2.3e-308 THEN 0
        ELSE number::float8
    END
$$;

-- The PV's series, made if it is new. Of callers at the same time one makes it.
CREATE FUNCTION public.dasmon_pv_series(
    beamline text, pv_name text, OUT series_id int, OUT is_recorded bool
)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    its_name text := public.dasmon_series_name(pv_name);
    its_instrument bigint := (
        SELECT known.id FROM public.workflow_instrument AS known WHERE known.name = beamline
    );
BEGIN
    SELECT series.id, series.is_recorded INTO series_id, is_recorded
    FROM public.dasmon_series AS series
    WHERE series.instrument_id IS NOT DISTINCT FROM its_instrument
        AND series.kind = 0 AND series.name = its_name;
    IF NOT FOUND THEN
        INSERT INTO public.dasmon_series AS series (instrument_id, kind, name)
        VALUES (its_instrument, 0, its_name)
        ON CONFLICT (instrument_id, kind, name)
            DO UPDATE SET is_recorded = series.is_recorded
        RETURNING series.id, series.is_recorded INTO series_id, is_recorded;
    END IF;
END
$$;

-- A value as the newest one, unless there is a newer one. A sender whose clock was put back is
-- believed again after a minute.
CREATE FUNCTION public.dasmon_put_latest(
    its_series int, sent timestamptz, received timestamptz, number float8, words text, code int
) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO public.dasmon_latest AS latest (series_id, at, received_at, value, text, status)
    VALUES (its_series, sent, received, number, words, code)
    ON CONFLICT (series_id) DO UPDATE SET
        at = excluded.at, received_at = excluded.received_at, value = excluded.value,
        text = excluded.text, status = excluded.status
    WHERE latest.at <= excluded.at
        OR latest.received_at < excluded.received_at - interval '60 s'
$$;

-- Time is what a call costs here: the lines that each call needs are in this function and the next
-- one, those that a new PV needs are called.
CREATE FUNCTION public.pvUpdate(
    instrument varchar, pv_name varchar, value float8, status bigint, update_time bigint
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    beamline text := lower(instrument);
    received timestamptz := clock_timestamp();
    sent timestamptz := received;
    code int := CASE WHEN status IS NOT NULL THEN
        least(greatest(status, -2147483648), 2147483647)
    END;
    its_series int;
    is_recorded bool;
BEGIN
    IF value IS NULL OR coalesce(pv_name, '') = '' THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    -- A time before 2000 is of a clock that was never set.
    IF update_time BETWEEN 946684800 AND 4102444800 THEN
        sent := to_timestamp(update_time);
        IF sent > received + interval '60 s' THEN
            sent := received;
        END IF;
    END IF;

    SELECT series.id, series.is_recorded INTO its_series, is_recorded
    FROM public.workflow_instrument AS known
    JOIN public.dasmon_series AS series
        ON series.instrument_id = known.id AND series.kind = 0 AND series.name = pv_name
    WHERE known.name = beamline;
    IF its_series IS NULL THEN
        SELECT * INTO its_series, is_recorded FROM public.dasmon_pv_series(beamline, pv_name);
    END IF;
    IF NOT is_recorded THEN
        RETURN;
    END IF;

    INSERT INTO public.dasmon_sample (at, received_at, value, series_id, status)
    VALUES (sent, received, value, its_series, code);
    -- An update costs half of an upsert, and all but the first value of a PV need no more.
    UPDATE public.dasmon_latest AS latest
    SET at = sent, received_at = received, value = value, text = NULL, status = code
    WHERE latest.series_id = its_series
        AND (latest.at <= sent OR latest.received_at < received - interval '60 s');
    IF NOT FOUND THEN
        PERFORM public.dasmon_put_latest(its_series, sent, received, value, NULL, code);
    END IF;
END
$$;

CREATE FUNCTION public.pvStringUpdate(
    instrument varchar, pv_name varchar, value varchar, status bigint, update_time bigint
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    beamline text := lower(instrument);
    received timestamptz := clock_timestamp();
    sent timestamptz := received;
    code int := CASE WHEN status IS NOT NULL THEN
        least(greatest(status, -2147483648), 2147483647)
    END;
    its_series int;
    is_recorded bool;
BEGIN
    IF value IS NULL OR coalesce(pv_name, '') = '' THEN
        RETURN;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    IF update_time BETWEEN 946684800 AND 4102444800 THEN
        sent := to_timestamp(update_time);
        IF sent > received + interval '60 s' THEN
            sent := received;
        END IF;
    END IF;

    SELECT * INTO its_series, is_recorded FROM public.dasmon_pv_series(beamline, pv_name);
    IF NOT is_recorded THEN
        RETURN;
    END IF;

    INSERT INTO public.dasmon_sample (at, received_at, series_id, status, text)
    VALUES (sent, received, its_series, code, value);
    PERFORM public.dasmon_put_latest(its_series, sent, received, NULL, value, code);
END
$$;

-- The form of old senders: if one instrument alone has the PV it is that one's.
CREATE FUNCTION public.pvUpdate(
    pv_name varchar, value float8, status bigint, update_time bigint
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    beamline text;
BEGIN
    SELECT min(known.name) INTO beamline
    FROM public.dasmon_series AS series
    JOIN public.workflow_instrument AS known ON known.id = series.instrument_id
    WHERE series.name = public.dasmon_series_name(pv_name) AND series.kind = 0
    HAVING count(*) = 1;
    PERFORM public.pvUpdate(beamline, pv_name, value, status, update_time);
END
$$;

-- Many values at once: an array of {"instrument", "name", "value", "status", "timestamp"}. A value
-- is a number, a boolean, a text, or anything else, which is kept as the text that it is; the texts
-- nan and inf are numbers. The timestamp is in seconds, with a fraction. An entry without a name or
-- a value is left out. Returns how many values are stored.
--
-- Rows are locked in the order of their series, so that callers beside each other cannot wait for
-- each other in a ring. New names take a second turn: a statement does not see what it adds.
CREATE FUNCTION public.pvUpdateBatch(batch jsonb) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    received timestamptz := clock_timestamp();
    latest_possible float8 := extract(epoch FROM received) + 60;
    stored bigint;
    unknown bigint;
BEGIN
    IF jsonb_typeof(batch) <> 'array' THEN
        RAISE EXCEPTION 'pvUpdateBatch takes an array of objects with "instrument", "name", '
            '"value", "status" and "timestamp", but got: %', jsonb_typeof(batch)
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    LOOP
        WITH entry AS (
            SELECT
                position, lower(entry ->> 'instrument') AS beamline,
                public.dasmon_series_name(entry ->> 'name') AS name,
                jsonb_typeof(entry -> 'value') AS type, entry ->> 'value' AS words,
                jsonb_typeof(entry -> 'status') AS status_type, entry ->> 'status' AS status,
                jsonb_typeof(entry -> 'timestamp') AS seconds_type,
                entry ->> 'timestamp' AS seconds
            FROM jsonb_array_elements(batch) WITH ORDINALITY AS element (entry, position)
            -- Or each use of a column would take it out of the JSON again.
            OFFSET 0
        ), incoming AS MATERIALIZED (
            SELECT
                entry.position, series.id AS series_id, series.is_recorded,
                -- What is written with so few characters is within the range of float8.
                CASE
                    WHEN type = 'number' AND length(words) < 300 THEN words::float8
                    WHEN type = 'number' THEN public.dasmon_number(words::numeric)
                    WHEN type = 'boolean' THEN words::bool::int
                    WHEN type = 'string' AND words ~* '^([+-]?inf(inity)?|nan)$' THEN words::float8
                END AS value,
                CASE
                    WHEN type = 'number' THEN NULL
                    WHEN type = 'string' AND words ~* '^([+-]?inf(inity)?|nan)$' THEN NULL
                    ELSE words
                END AS text,
                CASE WHEN status_type = 'number' AND length(status) < 300 THEN
                    least(greatest(trunc(status::float8), -2147483648), 2147483647)::int
                END AS status,
                CASE
                    WHEN seconds_type = 'number' AND length(seconds) < 300
                        AND seconds::float8 BETWEEN 946684800 AND latest_possible
                    THEN to_timestamp(seconds::float8)
                    ELSE received
                END AS at
            FROM entry
            LEFT JOIN public.workflow_instrument AS known ON known.name = beamline
            LEFT JOIN public.dasmon_series AS series
                ON coalesce(series.instrument_id, 0) = coalesce(known.id, 0)
                AND series.kind = 0 AND series.name = entry.name
            WHERE entry.name <> '' AND words IS NOT NULL
        ), missing AS (
            SELECT count(*) AS entries FROM incoming WHERE series_id IS NULL
        ), recorded AS MATERIALIZED (
            SELECT * FROM incoming
            WHERE is_recorded AND (SELECT entries FROM missing) = 0
            ORDER BY series_id, at DESC, position DESC
        ), sample AS (
            INSERT INTO public.dasmon_sample (at, received_at, value, series_id, status, text)
            SELECT at, received, value, series_id, status, text FROM recorded
        ), latest AS (
            INSERT INTO public.dasmon_latest AS latest
                (series_id, at, received_at, value, text, status)
            SELECT DISTINCT ON (series_id) series_id, at, received, value, text, status
            FROM recorded ORDER BY series_id, at DESC, position DESC
            ON CONFLICT (series_id) DO UPDATE SET
                at = excluded.at, received_at = excluded.received_at, value = excluded.value,
                text = excluded.text, status = excluded.status
            WHERE latest.at <= excluded.at
                OR latest.received_at < excluded.received_at - interval '60 s'
        )
        SELECT (SELECT entries FROM missing), (SELECT count(*) FROM recorded)
        INTO unknown, stored;
        EXIT WHEN unknown = 0;
        INSERT INTO public.dasmon_series (instrument_id, kind, name)
        SELECT DISTINCT known.id, 0, public.dasmon_series_name(entry ->> 'name')
        FROM jsonb_array_elements(batch) AS element (entry)
        LEFT JOIN public.workflow_instrument AS known ON known.name = lower(entry ->> 'instrument')
        WHERE entry ->> 'name' <> '' AND entry ->> 'value' IS NOT NULL
        ORDER BY 1, 3
        ON CONFLICT (instrument_id, kind, name) DO NOTHING;
    END LOOP;
    RETURN coalesce(stored, 0);
END
$$;

-- The PVs that an instrument's page shows, in this order. A PV may have no value yet. Those that
-- stay keep their rule and age.
CREATE FUNCTION public.setInstrumentPVs(instrument varchar, pvs text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    beamline text := lower(instrument);
    its_instrument bigint := (
        SELECT known.id FROM public.workflow_instrument AS known WHERE known.name = beamline
    );
BEGIN
    IF its_instrument IS NULL THEN
        RAISE EXCEPTION 'Instrument % does not exist', instrument
            USING ERRCODE = 'no_data_found';
    END IF;
    IF pvs IS NULL THEN
        RAISE EXCEPTION 'setInstrumentPVs takes an array of PV names for %, but got NULL',
            instrument USING ERRCODE = 'null_value_not_allowed';
    END IF;
    -- Of two lists at the same time one holds, never a mixture.
    PERFORM pg_advisory_xact_lock(hashtext('dasmon_monitored_pv'), its_instrument::int);

    DELETE FROM public.dasmon_monitored_pv AS monitored
    WHERE monitored.instrument_id = its_instrument AND NOT EXISTS (
        SELECT FROM unnest(pvs) AS wanted (name)
        WHERE public.dasmon_series_name(wanted.name) = monitored.name
    );
    INSERT INTO public.dasmon_monitored_pv AS monitored (instrument_id, name, position)
    SELECT its_instrument, wanted.name, row_number() OVER (ORDER BY min(wanted.position))
    FROM (
        SELECT public.dasmon_series_name(name) AS name, position
        FROM unnest(pvs) WITH ORDINALITY AS listed (name, position)
        WHERE name <> ''
    ) AS wanted
    GROUP BY wanted.name
    ON CONFLICT (instrument_id, name) DO UPDATE
        SET position = excluded.position, updated_at = clock_timestamp()
        WHERE monitored.position <> excluded.position;
    PERFORM pg_notify('webmon', 'values ' || beamline);
END
$$;

-- Runs, or errors, of an instrument in the last 24 hours: `time` is the hour, 0 to -24, and `count`
-- how many. The cursor is read in the same transaction.
CREATE FUNCTION public.run_rate(instrument_id bigint) RETURNS refcursor
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rate refcursor;
BEGIN
    OPEN rate FOR
        SELECT trunc(extract(epoch FROM run.created_at - now()) / 3600)::int AS time,
            count(*) AS count
        FROM public.workflow_run AS run
        WHERE run.instrument_id = $1 AND run.created_at >= now() - interval '24 hours'
            AND run.created_at <= now()
        GROUP BY 1 ORDER BY 1 DESC;
    RETURN rate;
END
$$;

CREATE FUNCTION public.error_rate(instrument_id bigint) RETURNS refcursor
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rate refcursor;
BEGIN
    OPEN rate FOR
        SELECT trunc(extract(epoch FROM event.received_at - now()) / 3600)::int AS time,
            count(*) AS count
        FROM public.workflow_event AS event
        JOIN public.workflow_run AS run ON run.id = event.run_id
        WHERE run.instrument_id = $1 AND event.error <> ''
            AND event.received_at >= now() - interval '24 hours' AND event.received_at <= now()
        GROUP BY 1 ORDER BY 1 DESC;
    RETURN rate;
END
$$;

-- Nobody but the owner calls the parts, and only whom the site names calls the functions
-- (`GRANT EXECUTE`, docs/functions.md). As in the replaced system the functions are the role
-- `workflow`'s, where there is one and we may give them away.
DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname IN (
            'pvupdate', 'pvstringupdate', 'pvupdatebatch', 'setinstrumentpvs', 'run_rate',
            'error_rate', 'dasmon_series_name', 'dasmon_number', 'dasmon_pv_series',
            'dasmon_put_latest'
        )
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'workflow');
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO workflow', function);
        BEGIN
            EXECUTE format('ALTER FUNCTION %s OWNER TO workflow', function);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO CURRENT_USER', function);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE '% stays with %: %', function, current_user, SQLERRM;
        END;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'workflow') THEN
        GRANT SELECT ON public.workflow_instrument, public.workflow_run, public.workflow_event
            TO workflow;
        GRANT SELECT, INSERT, UPDATE ON public.dasmon_series, public.dasmon_latest TO workflow;
        GRANT SELECT, INSERT ON public.dasmon_sample TO workflow;
        GRANT SELECT, INSERT, UPDATE, DELETE ON public.dasmon_monitored_pv TO workflow;
    END IF;
END
$$;
