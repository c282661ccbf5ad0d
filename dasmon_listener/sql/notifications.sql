-- name: interested
-- Who wants to know of which of these alarms, at once or (`escalates`) after some time in which
-- nobody acknowledged it. Nobody is told of what is shelved.
SELECT a.id AS alarm_id, a.level, r.id AS recipient_id, r.quiet_from, r.quiet_until, r.days
FROM dasmon_alarm a
JOIN dasmon_recipient r ON r.is_enabled AND r.minimum_level <= a.level
JOIN auth_user u ON u.id = r.owner_id AND u.is_active
WHERE a.id = ANY(%(alarms)s)
  AND r.escalate_after IS NULL
  AND (
    NOT EXISTS (SELECT FROM dasmon_recipient_instruments i WHERE i.recipient_id = r.id)
    OR EXISTS (
        SELECT FROM dasmon_recipient_instruments i
        WHERE i.recipient_id = r.id AND i.instrument_id = a.instrument_id
    )
  )
  AND NOT EXISTS (
    SELECT FROM dasmon_alarm_setting s
    WHERE s.instrument_id = a.instrument_id AND s.name = a.name AND s.shelved_until > %(at)s
  )
ORDER BY a.id, r.id

-- name: unacknowledged
-- Who is to be told because nobody acknowledged. The time counts from when the alarm was raised
-- last: one that is latched may be over and come again.
SELECT a.id AS alarm_id, a.level, r.id AS recipient_id, r.quiet_from, r.quiet_until, r.days,
    r.way, r.escalate_after, u.username
FROM dasmon_alarm a
JOIN dasmon_recipient r ON r.is_enabled AND r.minimum_level <= a.level
JOIN auth_user u ON u.id = r.owner_id AND u.is_active
CROSS JOIN LATERAL (
    SELECT greatest(a.raised_at, max(e.at)) AS at FROM dasmon_alarm_event e
    WHERE e.alarm_id = a.id AND e.what IN ('raised', 'raised again')
) AS raised
WHERE a.closed_at IS NULL AND a.over_at IS NULL AND a.acknowledged_at IS NULL
  AND raised.at + r.escalate_after <= %(now)s
  AND (
    NOT EXISTS (SELECT FROM dasmon_recipient_instruments i WHERE i.recipient_id = r.id)
    OR EXISTS (
        SELECT FROM dasmon_recipient_instruments i
        WHERE i.recipient_id = r.id AND i.instrument_id = a.instrument_id
    )
  )
  AND NOT EXISTS (
    SELECT FROM dasmon_alarm_setting s
    WHERE s.instrument_id = a.instrument_id AND s.name = a.name AND s.shelved_until > %(now)s
  )
  AND NOT EXISTS (
    SELECT FROM dasmon_notification n
    WHERE n.recipient_id = r.id AND n.alarm_id = a.id AND n.cause = 'escalated' AND NOT n.is_past
  )
ORDER BY a.id, r.id

-- name: add
-- One row for each, unless this was told of the same occurrence before. The alarm is looked at
-- again under a lock: what is over meanwhile is no longer raised for anybody.
INSERT INTO dasmon_notification
    (recipient_id, alarm_id, cause, created_at, due_at, attempts, dropped_because)
SELECT told.recipient_id, told.alarm_id, %(cause)s, %(at)s, told.due_at, 0, ''
FROM unnest(%(recipients)s::bigint[], %(alarms)s::bigint[], %(due)s::timestamptz[])
    AS told (recipient_id, alarm_id, due_at)
JOIN (
    SELECT id FROM dasmon_alarm
    WHERE id = ANY(%(alarms)s) AND over_at IS NULL
    ORDER BY id FOR SHARE
) AS open ON open.id = told.alarm_id
ON CONFLICT DO NOTHING
RETURNING recipient_id, alarm_id

-- name: end
-- These alarms are over. What was told of them is past, and whoever was told wants to know.
WITH past AS (
    UPDATE dasmon_notification SET is_past = true
    WHERE alarm_id = ANY(%(alarms)s) AND NOT is_past AND cause IN ('raised', 'escalated')
    RETURNING id, recipient_id, alarm_id, sent_at
)
SELECT DISTINCT ON (past.recipient_id, past.alarm_id)
    past.id AS follows_id, past.alarm_id, past.recipient_id, a.level,
    r.quiet_from, r.quiet_until, r.days
FROM past
JOIN dasmon_recipient r ON r.id = past.recipient_id AND r.is_enabled AND r.wants_over
JOIN dasmon_alarm a ON a.id = past.alarm_id
ORDER BY past.recipient_id, past.alarm_id, past.sent_at IS NULL, past.id DESC

-- name: add_over
INSERT INTO dasmon_notification
    (recipient_id, alarm_id, cause, created_at, due_at, attempts, dropped_because, is_past,
     follows_id)
SELECT told.recipient_id, told.alarm_id, 'over', %(at)s, told.due_at, 0, '', true, told.follows_id
FROM unnest(
    %(recipients)s::bigint[], %(alarms)s::bigint[], %(due)s::timestamptz[], %(follows)s::bigint[]
) AS told (recipient_id, alarm_id, due_at, follows_id)

-- name: escalated
-- A line in the history of the alarm for each of whom is told.
INSERT INTO dasmon_alarm_event (alarm_id, at, what, words)
SELECT alarm_id, %(now)s, 'escalated', words
FROM unnest(%(alarms)s::bigint[], %(words)s::text[]) AS told (alarm_id, words)
