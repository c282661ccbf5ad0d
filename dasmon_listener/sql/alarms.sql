-- name: lock
-- The instruments, each held until the transaction ends: whoever changes its alarms waits here.
-- A lock for each name would not do, because a name that is new has no row to lock; and everybody
-- who takes these locks in the order of numbers, in one statement, never waits in a circle.
WITH wanted AS MATERIALIZED (
    SELECT id, name FROM workflow_instrument
    WHERE name = ANY(%(names)s) OR id = ANY(%(ids)s)
    ORDER BY id
)
SELECT id, name, pg_advisory_xact_lock(hashtext('dasmon alarms'), id::int) FROM wanted

-- name: known
-- The open alarms of these names, and what people decided about them.
SELECT
    about.instrument_id, about.name,
    coalesce(setting.is_latched, false), coalesce(setting.shelved_until > %(at)s, false),
    alarm.id AS alarm_id, alarm.origin, alarm.level, alarm.source, alarm.message, alarm.raised_at,
    alarm.repeated_at, alarm.is_latched, alarm.rule_id, alarm.repeats, alarm.over_at,
    alarm.acknowledged_at
FROM unnest(%(instrument_ids)s::bigint[], %(names)s::text[]) AS about (instrument_id, name)
LEFT JOIN dasmon_alarm_setting AS setting
    ON setting.instrument_id = about.instrument_id AND setting.name = about.name
LEFT JOIN dasmon_alarm AS alarm
    ON alarm.instrument_id = about.instrument_id AND alarm.name = about.name
    AND alarm.closed_at IS NULL

-- name: update
-- Open alarms as they are now; one that was raised again was acknowledged by nobody.
UPDATE dasmon_alarm AS alarm SET
    level = new.level, source = new.source, message = new.message,
    repeated_at = new.repeated_at, repeats = new.repeats, over_at = new.over_at,
    closed_at = new.closed_at, acknowledged_at = new.acknowledged_at,
    acknowledged_by_id = CASE WHEN new.acknowledged_at IS NULL THEN NULL
        ELSE alarm.acknowledged_by_id END,
    comment = CASE WHEN new.acknowledged_at IS NULL THEN '' ELSE alarm.comment END
FROM unnest(
    %(id)s::bigint[], %(level)s::smallint[], %(source)s::text[], %(message)s::text[],
    %(repeated_at)s::timestamptz[], %(repeats)s::int[], %(over_at)s::timestamptz[],
    %(closed_at)s::timestamptz[], %(acknowledged_at)s::timestamptz[]
) AS new (
    id, level, source, message, repeated_at, repeats, over_at, closed_at, acknowledged_at
)
WHERE alarm.id = new.id

-- name: new_ids
-- Numbers for new alarms: their history carries them.
SELECT nextval(pg_get_serial_sequence('dasmon_alarm', 'id')) FROM generate_series(1, %(count)s)

-- name: add
-- New alarms; some may be over and closed already.
INSERT INTO dasmon_alarm (
    id, instrument_id, name, origin, rule_id, level, source, message, raised_at, repeated_at,
    repeats, over_at, closed_at, is_latched, comment
)
SELECT
    new.id, new.instrument_id, new.name, new.origin, rule.id, new.level, new.source, new.message,
    new.raised_at, new.repeated_at, new.repeats, new.over_at, new.closed_at, new.is_latched, ''
FROM unnest(
    %(id)s::bigint[], %(instrument_id)s::bigint[], %(name)s::text[], %(origin)s::text[],
    %(rule_id)s::bigint[], %(level)s::smallint[], %(source)s::text[], %(message)s::text[],
    %(raised_at)s::timestamptz[], %(repeated_at)s::timestamptz[], %(repeats)s::int[],
    %(over_at)s::timestamptz[], %(closed_at)s::timestamptz[], %(is_latched)s::boolean[]
) AS new (
    id, instrument_id, name, origin, rule_id, level, source, message, raised_at, repeated_at,
    repeats, over_at, closed_at, is_latched
)
-- A rule may have been removed in this moment.
LEFT JOIN dasmon_alarm_rule AS rule ON rule.id = new.rule_id

-- name: add_history
-- Lines of alarms' histories, in the order in which they happened.
INSERT INTO dasmon_alarm_event (alarm_id, at, what, words, by_id)
SELECT alarm_id, at, what, words, NULL
FROM unnest(%(alarm_id)s::bigint[], %(at)s::timestamptz[], %(what)s::text[], %(words)s::text[])
    WITH ORDINALITY AS new (alarm_id, at, what, words, place)
ORDER BY place

-- name: roll_up
-- Open alarms by instrument: how many, how many of them nobody acknowledged, the worst.
SELECT
    alarm.instrument_id, count(*), count(*) FILTER (WHERE alarm.acknowledged_at IS NULL),
    max(alarm.level)
FROM dasmon_alarm AS alarm
LEFT JOIN dasmon_alarm_setting AS setting
    ON setting.instrument_id = alarm.instrument_id AND setting.name = alarm.name
WHERE alarm.closed_at IS NULL AND alarm.level >= %(worth_telling)s
    AND (setting.shelved_until > now()) IS NOT TRUE
GROUP BY alarm.instrument_id
