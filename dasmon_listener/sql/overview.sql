-- What the data acquisition says of instruments, at a glance.

-- name: overview
-- Each instrument with whether it records, its run and its count rate; texts as they came.
SELECT
    instrument.id,
    instrument.name,
    instrument.facility,
    coalesce(equipment.is_alive, true),
    coalesce(equipment.is_adara, true),
    EXISTS (SELECT FROM dasmon_series WHERE name = 'recording' AND kind = 1),
    max(coalesce(latest.text, latest.value::text)) FILTER (WHERE series.name = 'recording'),
    max(coalesce(latest.text, latest.value::text)) FILTER (WHERE series.name = 'paused'),
    max(coalesce(latest.text, latest.value::text)) FILTER (WHERE series.name = 'run_number'),
    max(latest.value) FILTER (WHERE series.name = 'count_rate'),
    max(latest.at) FILTER (WHERE series.name = 'count_rate'),
    max(latest.received_at)
FROM workflow_instrument AS instrument
LEFT JOIN dasmon_equipment AS equipment ON equipment.instrument_id = instrument.id
LEFT JOIN (
    dasmon_series AS series JOIN dasmon_latest AS latest ON latest.series_id = series.id
) ON series.instrument_id = instrument.id AND series.kind = 1
    AND series.name IN ('recording', 'paused', 'run_number', 'count_rate')
GROUP BY instrument.id, equipment.instrument_id
ORDER BY instrument.name;

-- name: equipped
-- One instrument and what it is equipped with, in a row for each of its components.
SELECT
    instrument.id,
    instrument.name,
    instrument.facility,
    coalesce(equipment.is_alive, true),
    coalesce(equipment.is_adara, true),
    coalesce(equipment.has_pvsd, false),
    coalesce(equipment.has_pvstreamer, true),
    EXISTS (SELECT FROM dasmon_series WHERE name = 'recording' AND kind = 1),
    component.name,
    component.status,
    component.pid,
    component.heard_at,
    component.period,
    component.is_expected
FROM workflow_instrument AS instrument
LEFT JOIN dasmon_equipment AS equipment ON equipment.instrument_id = instrument.id
LEFT JOIN dasmon_component AS component ON component.instrument_id = instrument.id
WHERE instrument.name = %(name)s
ORDER BY component.name;

-- name: newest_samples
-- Samples of status values since a moment, newest first, or the newest 20 where there are none.
SELECT series.name, sample.at, sample.value
FROM dasmon_series AS series
CROSS JOIN LATERAL (
    (
        SELECT at, value FROM dasmon_sample
        WHERE series_id = series.id AND at >= %(since)s
        ORDER BY at DESC
        LIMIT %(most)s
    )
    UNION ALL
    (
        SELECT at, value FROM dasmon_sample
        WHERE series_id = series.id AND NOT EXISTS (
            SELECT FROM dasmon_sample WHERE series_id = series.id AND at >= %(since)s
        )
        ORDER BY at DESC
        LIMIT 20
    )
) AS sample
WHERE series.instrument_id = %(instrument)s AND series.kind = 1 AND series.name = ANY(%(names)s)
ORDER BY series.name, sample.at DESC;

-- name: unheard
-- Components whose silence is an alarm and that were not heard for a while, the longest first.
SELECT
    instrument.name, component.name, component.status, component.pid, component.heard_at,
    component.period, component.is_expected
FROM dasmon_component AS component
JOIN workflow_instrument AS instrument ON instrument.id = component.instrument_id
LEFT JOIN dasmon_equipment AS equipment ON equipment.instrument_id = instrument.id
WHERE component.is_expected AND coalesce(equipment.is_alive, true)
    AND component.heard_at < %(now)s - %(least)s
ORDER BY component.heard_at;
