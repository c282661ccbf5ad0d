-- name: rules
-- The rules that hold, and the series that each is about, if it has values yet.
SELECT
    rule.id, rule.instrument_id, rule.name, rule.condition, rule.low, rule.high, rule.hysteresis,
    rule.duration, rule.level, rule.message, series.id
FROM dasmon_alarm_rule AS rule
LEFT JOIN dasmon_series AS series
    ON series.instrument_id = rule.instrument_id AND series.kind = rule.kind
    AND series.name = rule.name
WHERE rule.is_enabled
ORDER BY rule.id

-- name: newest
-- What these series were last.
SELECT series_id, at, value, text FROM dasmon_latest WHERE series_id = ANY(%(series)s)

-- name: raised_by_rules
-- Alarms that rules raised and that are not over.
SELECT instrument_id, name, level, message, rule_id FROM dasmon_alarm
WHERE closed_at IS NULL AND over_at IS NULL AND origin = 'rule'

-- name: samples
-- What came of these series since each was seen. The end spares a look into days to come.
SELECT seen.series_id, sample.at, sample.value, sample.text
FROM unnest(%(series)s::int[], %(seen_at)s::timestamptz[]) AS seen (series_id, seen_at)
CROSS JOIN LATERAL (
    SELECT at, value, text FROM dasmon_sample
    WHERE series_id = seen.series_id AND at > seen.seen_at AND at < %(until)s
    ORDER BY at
    LIMIT %(most)s
) AS sample
ORDER BY seen.series_id, sample.at

-- name: components
-- Who should be heard, and whose silence is an alarm; one without the other is there, too.
SELECT
    coalesce(component.instrument_id, alarm.instrument_id),
    coalesce('silent ' || component.name, alarm.name),
    component.name, component.heard_at, component.period,
    coalesce(
        component.is_expected AND coalesce(equipment.is_alive, true) AND CASE component.name
            WHEN 'dasmon' THEN coalesce(equipment.is_adara, true)
            WHEN 'pvsd' THEN coalesce(equipment.has_pvsd, false)
            WHEN 'pvstreamer' THEN coalesce(equipment.has_pvstreamer, true)
            ELSE true
        END,
        false
    ),
    alarm.id IS NOT NULL
FROM dasmon_component AS component
LEFT JOIN dasmon_equipment AS equipment ON equipment.instrument_id = component.instrument_id
FULL JOIN (
    SELECT id, instrument_id, name FROM dasmon_alarm
    WHERE closed_at IS NULL AND over_at IS NULL AND origin = 'silence'
) AS alarm
    ON alarm.instrument_id = component.instrument_id AND alarm.name = 'silent ' || component.name
