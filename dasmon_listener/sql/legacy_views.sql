-- The replaced system's tables of values, PVs, alarms and notifications, as read-only views: the
-- same names, columns and meaning. docs/functions.md says where they differ.
--
-- A migration runs this file (0004), after the one of the workflow manager that makes the schema. A
-- migration that drops the schema runs this file after the other one.

-- The number of a parameter or PV, made from its name: the old tables have one row for a name of
-- all instruments, ours one for each.
CREATE FUNCTION legacy.name_id(name text) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ('x' || left(md5(name), 13))::bit(52)::bigint
$$;
CREATE INDEX series_by_legacy_number ON dasmon_series (legacy.name_id(name));

-- The number of a sample: those that came later have larger ones.
CREATE FUNCTION legacy.sample_id(received_at timestamptz, series_id int) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ((extract(epoch FROM received_at) * 1000)::bigint - 1577836800000) * 8388608
        + series_id % 8388608
$$;

CREATE VIEW legacy.dasmon_parameter AS
SELECT legacy.name_id(name) AS id, name::varchar AS name, bool_or(is_recorded) AS monitored
FROM dasmon_series WHERE kind = 1 GROUP BY name;

CREATE VIEW legacy.dasmon_statusvariable AS
SELECT
    legacy.sample_id(sample.received_at, sample.series_id) AS id,
    left(coalesce(sample.text, sample.value::text), 128)::varchar AS value,
    sample.at AS timestamp, series.instrument_id AS instrument_id_id,
    legacy.name_id(series.name) AS key_id_id
FROM dasmon_sample AS sample
JOIN dasmon_series AS series ON series.id = sample.series_id
WHERE series.kind = 1 AND series.instrument_id IS NOT NULL;

CREATE VIEW legacy.dasmon_statuscache AS
SELECT
    series.id::bigint AS id, left(coalesce(latest.text, latest.value::text), 128)::varchar AS value,
    latest.received_at AS timestamp, series.instrument_id AS instrument_id_id,
    legacy.name_id(series.name) AS key_id_id
FROM dasmon_latest AS latest
JOIN dasmon_series AS series ON series.id = latest.series_id
WHERE series.kind = 1 AND series.instrument_id IS NOT NULL;

CREATE VIEW legacy.dasmon_activeinstrument AS
SELECT
    instrument_id AS id, is_alive, is_adara, has_pvsd, has_pvstreamer,
    instrument_id AS instrument_id_id
FROM dasmon_equipment;

-- Alarms that DASMON asserted and did not retract; ours of rules and of silence are no signals.
CREATE VIEW legacy.dasmon_signal AS
SELECT
    id, left(name, 128)::varchar AS name, left(source, 40)::varchar AS source,
    left(message, 250)::varchar AS message, level::int AS level, repeated_at AS timestamp,
    instrument_id AS instrument_id_id
FROM dasmon_alarm WHERE origin = 'signal' AND over_at IS NULL AND closed_at IS NULL;

CREATE VIEW legacy.dasmon_usernotification AS
SELECT DISTINCT ON (owner_id)
    id, owner_id AS user_id, address::varchar AS email, is_enabled AS registered
FROM dasmon_recipient WHERE way = 'email' ORDER BY owner_id, is_enabled DESC, id;

-- Who names no instrument is told of all of them.
CREATE VIEW legacy.dasmon_usernotification_instruments AS
SELECT
    recipient.id * 100000 + instrument.id AS id, recipient.id AS usernotification_id,
    instrument.id AS instrument_id
FROM legacy.dasmon_usernotification AS recipient
CROSS JOIN workflow_instrument AS instrument
WHERE EXISTS (
    SELECT FROM dasmon_recipient_instruments AS chosen
    WHERE chosen.recipient_id = recipient.id AND chosen.instrument_id = instrument.id
) OR NOT EXISTS (
    SELECT FROM dasmon_recipient_instruments AS chosen WHERE chosen.recipient_id = recipient.id
);

CREATE VIEW legacy.pvmon_pvname AS
SELECT legacy.name_id(name) AS id, name::varchar AS name, bool_or(is_recorded) AS monitored
FROM dasmon_series WHERE kind = 0 GROUP BY name;

CREATE VIEW legacy.pvmon_pv AS
SELECT
    legacy.sample_id(sample.received_at, sample.series_id) AS id, sample.value,
    coalesce(sample.status, 0) AS status, series.instrument_id,
    legacy.name_id(series.name) AS name_id, sample.at AS timestamp
FROM dasmon_sample AS sample
JOIN dasmon_series AS series ON series.id = sample.series_id
WHERE series.kind = 0 AND sample.value IS NOT NULL;

CREATE VIEW legacy.pvmon_pvcache AS
SELECT
    series.id::bigint AS id, latest.value, coalesce(latest.status, 0) AS status,
    series.instrument_id, legacy.name_id(series.name) AS name_id, latest.at AS timestamp
FROM dasmon_latest AS latest
JOIN dasmon_series AS series ON series.id = latest.series_id
WHERE series.kind = 0 AND latest.value IS NOT NULL;

CREATE VIEW legacy.pvmon_pvstringcache AS
SELECT
    series.id::bigint AS id, latest.text AS value, coalesce(latest.status, 0) AS status,
    series.instrument_id, legacy.name_id(series.name) AS name_id, latest.at AS timestamp
FROM dasmon_latest AS latest
JOIN dasmon_series AS series ON series.id = latest.series_id
WHERE series.kind = 0 AND latest.value IS NULL;

-- A PV that is wished for is shown when it has a value. An instrument that shows none has one row
-- without a PV, as after `setInstrumentPVs` there.
CREATE VIEW legacy.pvmon_monitoredvariable AS
WITH shown AS (
    SELECT monitored.*
    FROM dasmon_monitored_pv AS monitored
    JOIN dasmon_series AS series
        ON series.instrument_id = monitored.instrument_id AND series.kind = 0
        AND series.name = monitored.name
    JOIN dasmon_latest AS latest ON latest.series_id = series.id
)
SELECT
    id, left(rule_name, 50)::varchar AS rule_name, instrument_id,
    legacy.name_id(name) AS pv_name_id, created_at AS created, updated_at AS updated
FROM shown
UNION ALL
SELECT -id, ''::varchar, id, NULL, created_at, created_at
FROM workflow_instrument AS instrument
WHERE NOT EXISTS (SELECT FROM shown WHERE shown.instrument_id = instrument.id);

DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT viewname FROM pg_views WHERE schemaname = 'legacy' AND viewname ~ '^(dasmon|pvmon)_'
    LOOP
        EXECUTE format(
            'CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON legacy.%I '
            'FOR EACH ROW EXECUTE FUNCTION legacy.refuse()',
            name
        );
    END LOOP;
END
$$;
