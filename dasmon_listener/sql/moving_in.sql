-- The replaced system's values, PVs, signals and choices, copied: what a later import brings again
-- changes nothing, and what is newer here stays. Statements named `..._there` are asked there.

-- name: stage
CREATE TEMPORARY TABLE old_value (
    instrument text, kind smallint, name text, is_recorded bool, at timestamptz, value float8,
    text text, status int
);
CREATE TEMPORARY TABLE old_monitored (
    instrument text, name text, position int, rule_name text, created_at timestamptz,
    updated_at timestamptz
);
CREATE TEMPORARY TABLE old_equipment (
    instrument text, is_alive bool, is_adara bool, has_pvsd bool, has_pvstreamer bool
);
CREATE TEMPORARY TABLE old_signal (
    instrument text, name text, source text, message text, level int, at timestamptz
);
CREATE TEMPORARY TABLE old_registration (
    username text, address text, is_enabled bool, instruments text[]
);

-- name: hours_there
-- The hours in which something was written, since a moment.
SELECT DISTINCT date_trunc('hour', timestamp, 'UTC') FROM (
    SELECT timestamp FROM pvmon_pv WHERE timestamp >= %(since)s
    UNION ALL
    SELECT timestamp FROM dasmon_statusvariable WHERE timestamp >= %(since)s
) AS written ORDER BY 1

-- name: instruments_there
SELECT DISTINCT lower(btrim(instrument.name)) FROM report_instrument AS instrument
WHERE lower(btrim(instrument.name)) <> %(central_services)s ORDER BY 1

-- name: latest_there
COPY (
    SELECT lower(btrim(instrument.name)), 0, pv.name, true, cached.timestamp, cached.value,
        NULL::text, cached.status
    FROM pvmon_pvcache AS cached
    JOIN pvmon_pvname AS pv ON pv.id = cached.name_id
    LEFT JOIN report_instrument AS instrument ON instrument.id = cached.instrument_id
    WHERE cached.timestamp IS NOT NULL
    UNION ALL
    SELECT lower(btrim(instrument.name)), 0, pv.name, true, cached.timestamp, NULL, cached.value,
        cached.status
    FROM pvmon_pvstringcache AS cached
    JOIN pvmon_pvname AS pv ON pv.id = cached.name_id
    LEFT JOIN report_instrument AS instrument ON instrument.id = cached.instrument_id
    WHERE cached.timestamp IS NOT NULL
    UNION ALL
    SELECT lower(btrim(instrument.name)), 1, parameter.name, parameter.monitored,
        cached.timestamp, NULL, cached.value, NULL
    FROM dasmon_statuscache AS cached
    JOIN dasmon_parameter AS parameter ON parameter.id = cached.key_id_id
    JOIN report_instrument AS instrument ON instrument.id = cached.instrument_id_id
    WHERE lower(btrim(instrument.name)) <> %(central_services)s
) TO STDOUT

-- name: history_there
COPY (
    SELECT lower(btrim(instrument.name)), 0, pv.name, true, old.timestamp, old.value, NULL::text,
        old.status
    FROM pvmon_pv AS old
    JOIN pvmon_pvname AS pv ON pv.id = old.name_id
    LEFT JOIN report_instrument AS instrument ON instrument.id = old.instrument_id
    WHERE old.timestamp >= %(begin)s AND old.timestamp < %(end)s
    UNION ALL
    SELECT lower(btrim(instrument.name)), 1, parameter.name, parameter.monitored, old.timestamp,
        NULL, old.value, NULL
    FROM dasmon_statusvariable AS old
    JOIN dasmon_parameter AS parameter ON parameter.id = old.key_id_id
    JOIN report_instrument AS instrument ON instrument.id = old.instrument_id_id
    WHERE old.timestamp >= %(begin)s AND old.timestamp < %(end)s
        AND lower(btrim(instrument.name)) <> %(central_services)s
) TO STDOUT

-- name: monitored_there
COPY (
    SELECT lower(btrim(instrument.name)), pv.name,
        row_number() OVER (PARTITION BY instrument.id ORDER BY min(old.id)), min(old.rule_name),
        min(old.created), max(old.updated)
    FROM pvmon_monitoredvariable AS old
    JOIN pvmon_pvname AS pv ON pv.id = old.pv_name_id
    JOIN report_instrument AS instrument ON instrument.id = old.instrument_id
    GROUP BY instrument.id, instrument.name, pv.name
) TO STDOUT

-- name: equipment_there
COPY (
    SELECT lower(btrim(instrument.name)), is_alive, is_adara, has_pvsd, has_pvstreamer
    FROM dasmon_activeinstrument AS old
    JOIN report_instrument AS instrument ON instrument.id = old.instrument_id_id
) TO STDOUT

-- name: signals_there
-- Those of beamlines that stopped long ago were never taken back; they are left there.
COPY (
    SELECT DISTINCT ON (instrument.id, old.name) lower(btrim(instrument.name)), old.name,
        old.source, old.message, least(greatest(old.level, 0), 5), old.timestamp
    FROM dasmon_signal AS old
    JOIN report_instrument AS instrument ON instrument.id = old.instrument_id_id
    WHERE old.timestamp >= now() - interval '1 day'
    ORDER BY instrument.id, old.name, old.timestamp DESC
) TO STDOUT

-- name: registrations_there
COPY (
    SELECT person.username, old.email, old.registered, ARRAY(
        SELECT lower(btrim(instrument.name))
        FROM dasmon_usernotification_instruments AS link
        JOIN report_instrument AS instrument ON instrument.id = link.instrument_id
        WHERE link.usernotification_id = old.id ORDER BY 1
    )
    FROM dasmon_usernotification AS old
    JOIN auth_user AS person ON person.id = old.user_id
    WHERE old.email <> ''
) TO STDOUT

-- name: add_instruments
INSERT INTO workflow_instrument (name) SELECT unnest(%(names)s::text[])
ON CONFLICT (name) DO NOTHING

-- name: read_numbers
-- Status values were texts there. Those that are numbers become numbers, and keep their text if
-- it was written in another way.
UPDATE old_value AS old SET
    value = number.value, text = CASE WHEN number.value::text <> old.text THEN old.text END
FROM (
    SELECT text, text::float8 AS value FROM (
        SELECT DISTINCT text FROM old_value WHERE kind = 1
            AND text ~* '^([+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,2})?|[+-]?inf(inity)?|nan)$'
        OFFSET 0
    ) AS written
) AS number
WHERE old.kind = 1 AND old.text = number.text

-- name: add_series
INSERT INTO dasmon_series (instrument_id, kind, name, is_recorded)
SELECT instrument.id, old.kind, old.name, bool_and(old.is_recorded)
FROM old_value AS old LEFT JOIN workflow_instrument AS instrument ON instrument.name = old.instrument
WHERE old.instrument IS NULL OR instrument.id IS NOT NULL
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
ON CONFLICT (instrument_id, kind, name) DO NOTHING

-- name: put_latest
INSERT INTO dasmon_latest AS known (series_id, at, received_at, value, text, status)
SELECT DISTINCT ON (series.id)
    series.id, old.at, old.at, old.value, old.text, old.status
FROM old_value AS old
LEFT JOIN workflow_instrument AS instrument ON instrument.name = old.instrument
JOIN dasmon_series AS series
    ON coalesce(series.instrument_id, 0) = coalesce(instrument.id, 0)
    AND series.kind = old.kind AND series.name = old.name
WHERE old.instrument IS NULL OR instrument.id IS NOT NULL
ORDER BY series.id, old.at DESC
ON CONFLICT (series_id) DO UPDATE SET
    at = excluded.at, received_at = excluded.received_at, value = excluded.value,
    text = excluded.text, status = excluded.status
WHERE known.at < excluded.at

-- name: put_samples
-- They are received now: what rolls samples up looks for what came.
INSERT INTO dasmon_sample (at, value, series_id, status, text)
SELECT old.at, old.value, series.id, old.status, old.text
FROM old_value AS old
LEFT JOIN workflow_instrument AS instrument ON instrument.name = old.instrument
JOIN dasmon_series AS series
    ON coalesce(series.instrument_id, 0) = coalesce(instrument.id, 0)
    AND series.kind = old.kind AND series.name = old.name
WHERE (old.instrument IS NULL OR instrument.id IS NOT NULL) AND NOT EXISTS (
    SELECT FROM dasmon_sample AS known WHERE known.series_id = series.id AND known.at = old.at
)

-- name: put_monitored
-- What was chosen here stays.
INSERT INTO dasmon_monitored_pv (
    instrument_id, name, position, rule_name, created_at, updated_at
)
SELECT instrument.id, old.name, old.position, old.rule_name, old.created_at, old.updated_at
FROM old_monitored AS old JOIN workflow_instrument AS instrument ON instrument.name = old.instrument
WHERE NOT EXISTS (SELECT FROM dasmon_monitored_pv WHERE instrument_id = instrument.id)
ON CONFLICT (instrument_id, name) DO NOTHING

-- name: put_equipment
INSERT INTO dasmon_equipment (instrument_id, is_alive, is_adara, has_pvsd, has_pvstreamer)
SELECT instrument.id, is_alive, is_adara, has_pvsd, has_pvstreamer
FROM old_equipment AS old JOIN workflow_instrument AS instrument ON instrument.name = old.instrument
ON CONFLICT (instrument_id) DO NOTHING

-- name: put_signals
WITH raised AS (
    INSERT INTO dasmon_alarm (
        instrument_id, name, origin, level, source, message, raised_at, repeated_at, repeats,
        comment, is_latched
    )
    SELECT instrument.id, old.name, 'signal', old.level, old.source, old.message, old.at, old.at, 0,
        '', false
    FROM old_signal AS old
    JOIN workflow_instrument AS instrument ON instrument.name = old.instrument
    WHERE NOT EXISTS (
        SELECT FROM dasmon_alarm AS known WHERE known.instrument_id = instrument.id
            AND known.name = old.name AND known.repeated_at >= old.at
    )
    ON CONFLICT (instrument_id, name) WHERE closed_at IS NULL DO NOTHING
    RETURNING id, raised_at
)
INSERT INTO dasmon_alarm_event (alarm_id, at, what, words)
SELECT id, raised_at, 'raised', 'in the system that was replaced' FROM raised

-- name: put_registrations
-- People who have no account here yet are for a later import.
WITH added AS (
    INSERT INTO dasmon_recipient (
        owner_id, way, address, minimum_level, days, wants_over, is_enabled
    )
    SELECT person.id, 'email', old.address, 3, '{}', false, old.is_enabled
    FROM old_registration AS old JOIN auth_user AS person ON person.username = old.username
    WHERE cardinality(old.instruments) > 0 AND NOT EXISTS (
        SELECT FROM dasmon_recipient AS known
        WHERE known.owner_id = person.id AND known.way = 'email' AND known.address = old.address
    )
    RETURNING id, owner_id
), linked AS (
    INSERT INTO dasmon_recipient_instruments (recipient_id, instrument_id)
    SELECT added.id, instrument.id
    FROM added
    JOIN auth_user AS person ON person.id = added.owner_id
    JOIN old_registration AS old ON old.username = person.username
    JOIN workflow_instrument AS instrument ON instrument.name = ANY (old.instruments)
)
SELECT count(*) FROM added
