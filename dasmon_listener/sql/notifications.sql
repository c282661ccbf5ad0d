-- name: told_often
-- Alarms that come and go: of which a recipient was told `most` times within `window`, and the time
-- until which it is calm therefore. One pass over all that was told: in a storm that is very much,
-- and to look for each alarm among it takes minutes.
SELECT n.recipient_id, b.instrument_id, b.name,
    (array_agg(n.created_at ORDER BY n.created_at DESC))[%(most)s] + %(window)s AS calm_until
FROM dasmon_notification n JOIN dasmon_alarm b ON b.id = n.alarm_id
WHERE n.created_at > %(at)s - %(window)s::interval
  AND n.cause = 'raised' AND n.dropped_because = ''
GROUP BY n.recipient_id, b.instrument_id, b.name
HAVING count(*) >= %(most)s

-- name: interested
-- Who wants to know of which of these alarms at once. Nobody is told of what is shelved. Recipients
-- stay until the transaction ends, which would fail if one were removed meanwhile.
SELECT a.id AS alarm_id, a.instrument_id, a.name, a.level, r.id AS recipient_id, r.owner_id,
    r.quiet_from, r.quiet_until, r.days
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
FOR KEY SHARE OF r

-- name: unacknowledged
-- Who is to be told because nobody acknowledged. The time counts from when the alarm was raised
-- last: one that is latched may be over and come again.
SELECT a.id AS alarm_id, a.level, r.id AS recipient_id, r.owner_id,
    r.quiet_from, r.quiet_until, r.days, r.way, r.escalate_after, u.username
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
-- One row for each, unless this was told of the same occurrence before. Before an escalation the
-- alarm is looked at again under a lock: what is over meanwhile needs nobody.
INSERT INTO dasmon_notification
    (recipient_id, alarm_id, cause, created_at, due_at, attempts, dropped_because)
SELECT told.recipient_id, told.alarm_id, %(cause)s, %(at)s, told.due_at, 0, ''
FROM unnest(%(recipients)s::bigint[], %(alarms)s::bigint[], %(due)s::timestamptz[])
    WITH ORDINALITY AS told (recipient_id, alarm_id, due_at, place)
JOIN (
    SELECT id FROM dasmon_alarm
    WHERE id = ANY(%(alarms)s) AND (over_at IS NULL OR %(cause)s = 'raised')
    ORDER BY id FOR SHARE
) AS open ON open.id = told.alarm_id
ORDER BY told.place
ON CONFLICT DO NOTHING
RETURNING recipient_id, alarm_id

-- name: end
-- These alarms are over. What was told of them is past, and whoever was told wants to know.
-- Recipients first: whoever removes one holds it before what it was told.
WITH known AS MATERIALIZED (
    SELECT id FROM dasmon_recipient
    WHERE id IN (
        SELECT recipient_id FROM dasmon_notification
        WHERE alarm_id = ANY(%(alarms)s) AND NOT is_past AND cause IN ('raised', 'escalated')
    )
    ORDER BY id FOR KEY SHARE
), past AS (
    UPDATE dasmon_notification n SET is_past = true FROM known
    WHERE n.recipient_id = known.id
      AND alarm_id = ANY(%(alarms)s) AND NOT is_past AND cause IN ('raised', 'escalated')
    RETURNING n.id, recipient_id, alarm_id, sent_at
)
SELECT DISTINCT ON (past.recipient_id, past.alarm_id)
    past.id AS follows_id, past.alarm_id, past.recipient_id, r.owner_id, a.level,
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

-- name: alone
-- One worker at a time decides what is sent next.
SELECT pg_advisory_xact_lock(hashtext('dasmon delivery'))

-- name: gather
-- No recipient gets more than `most` letters within `window`, and as many again of what is fatal.
-- One letter tells of the rest, again at most once within `window`; until then the rest waits. What
-- waited and is no news by now takes no place, because it is not sent.
WITH needless AS (
    UPDATE dasmon_notification n
    SET given_up_at = %(now)s, dropped_because = %(untold)s
    FROM dasmon_notification before
    WHERE before.id = n.follows_id AND before.told_in_id IS NOT NULL
      AND n.sent_at IS NULL AND n.given_up_at IS NULL AND n.claimed_until IS NULL
    RETURNING n.id
), waiting AS (
    SELECT n.id, n.recipient_id, a.level >= %(fatal)s AS is_fatal,
        n.claimed_until IS NOT NULL AS is_claimed,
        row_number() OVER (
            PARTITION BY n.recipient_id, a.level >= %(fatal)s
            ORDER BY n.claimed_until, n.attempts DESC, a.level DESC, n.id
        ) AS place
    FROM dasmon_notification n
    JOIN dasmon_alarm a ON a.id = n.alarm_id
    LEFT JOIN dasmon_notification before ON before.id = n.follows_id
    WHERE n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= %(now)s
      AND n.id NOT IN (SELECT id FROM needless)
      AND NOT (n.cause = 'over' AND before.sent_at IS NULL)
      AND NOT (
        n.cause <> 'over' AND n.due_at > n.created_at
        AND (a.over_at IS NOT NULL OR a.acknowledged_at IS NOT NULL)
      )
), sent AS (
    SELECT n.recipient_id, a.level >= %(fatal)s AS is_fatal, count(*) AS letters
    FROM dasmon_notification n JOIN dasmon_alarm a ON a.id = n.alarm_id
    WHERE n.recipient_id IN (SELECT recipient_id FROM waiting)
      AND n.sent_at > %(now)s - %(window)s::interval
    GROUP BY n.recipient_id, is_fatal
), excess AS (
    SELECT w.id, w.recipient_id FROM waiting w LEFT JOIN sent USING (recipient_id, is_fatal)
    WHERE w.place > %(most)s - coalesce(sent.letters, 0) AND NOT w.is_claimed
), newest AS (
    SELECT recipient_id, max(created_at) AS at FROM dasmon_notification
    WHERE cause = 'many' AND created_at > %(now)s - %(window)s::interval
    GROUP BY recipient_id
), made AS (
    INSERT INTO dasmon_notification
        (recipient_id, cause, created_at, due_at, attempts, dropped_because)
    SELECT DISTINCT recipient_id, 'many', %(now)s, %(now)s::timestamptz, 0, '' FROM excess
    WHERE recipient_id NOT IN (SELECT recipient_id FROM newest)
    RETURNING id, recipient_id
), postponed AS (
    UPDATE dasmon_notification n SET due_at = newest.at + %(window)s
    FROM excess JOIN newest USING (recipient_id) WHERE n.id = excess.id
), gathered AS (
    UPDATE dasmon_notification n
    SET given_up_at = %(now)s, dropped_because = %(because)s, told_in_id = made.id
    FROM excess JOIN made USING (recipient_id) WHERE n.id = excess.id
)
SELECT 'notification ' || r.owner_id
FROM made JOIN dasmon_recipient r ON r.id = made.recipient_id

-- name: gathered
-- What one letter tells of: alarms by instrument, and how many of them need somebody now.
SELECT i.name, count(DISTINCT a.id), count(DISTINCT a.id) FILTER (
    WHERE a.over_at IS NULL AND a.acknowledged_at IS NULL AND a.closed_at IS NULL
)
FROM dasmon_notification n
JOIN dasmon_alarm a ON a.id = n.alarm_id
JOIN workflow_instrument i ON i.id = a.instrument_id
WHERE n.told_in_id = %(letter)s
GROUP BY i.name ORDER BY i.name

-- name: claim
-- Takes what is due for one worker: for each mail server or host of webhooks no more than
-- `per_host` at once, those under way included, so that one that is slow leaves room for others.
-- What is told of an alarm keeps its order for each recipient.
-- A claim that ran out is one whose worker died: `is_lost`.
WITH unsettled AS (
    SELECT n.id, n.due_at, n.claimed_until > %(now)s AS is_under_way,
        lower(substring(r.address FROM '^https?://([^/?#]*)')) AS host,
        row_number() OVER (
            PARTITION BY n.recipient_id, n.alarm_id, CASE WHEN n.alarm_id IS NULL THEN n.id END
            ORDER BY n.id
        ) AS turn
    FROM dasmon_notification n
    JOIN dasmon_recipient r ON r.id = n.recipient_id
    WHERE n.sent_at IS NULL AND n.given_up_at IS NULL
), waiting AS (
    SELECT id, due_at, is_under_way, row_number() OVER (
        PARTITION BY host ORDER BY is_under_way DESC NULLS LAST, due_at, id
    ) AS place
    FROM unsettled WHERE turn = 1 AND due_at <= %(now)s
), chosen AS (
    SELECT n.id, n.claimed_until IS NOT NULL AS is_lost
    FROM dasmon_notification n
    WHERE n.id = ANY(ARRAY(
        SELECT id FROM waiting
        WHERE place <= %(per_host)s AND is_under_way IS NOT TRUE
        ORDER BY due_at, id LIMIT %(limit)s
    ))
      AND n.sent_at IS NULL AND n.given_up_at IS NULL AND n.due_at <= %(now)s
      AND (n.claimed_until IS NULL OR n.claimed_until <= %(now)s)
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE dasmon_notification n SET claimed_until = %(until)s, attempts = n.attempts + 1
FROM chosen WHERE chosen.id = n.id
RETURNING n.id, chosen.is_lost

-- name: settle
-- Writes down what came of a claim, and of the try if there was one. Nothing, if the recipient is
-- gone, or if the claim ran out and another worker has it.
WITH settled AS (
    UPDATE dasmon_notification SET
        claimed_until = NULL,
        due_at = coalesce(%(due_at)s, due_at),
        sent_at = %(sent_at)s,
        given_up_at = %(given_up_at)s,
        dropped_because = %(dropped_because)s
    WHERE id = %(id)s AND attempts = %(attempts)s AND sent_at IS NULL AND given_up_at IS NULL
    RETURNING id, recipient_id
), tried AS (
    INSERT INTO dasmon_delivery_attempt (notification_id, at, is_success, took, answer)
    SELECT id, %(at)s, %(sent_at)s::timestamptz IS NOT NULL, %(took)s, %(answer)s
    FROM settled WHERE %(answer)s::text IS NOT NULL
)
SELECT 'notification ' || r.owner_id FROM settled JOIN dasmon_recipient r ON r.id = settled.recipient_id

-- name: lost
-- A try of which nobody knows what came of it.
INSERT INTO dasmon_delivery_attempt (notification_id, at, is_success, took, answer)
SELECT id, %(at)s, false, interval '0', %(answer)s FROM unnest(%(ids)s::bigint[]) AS lost (id)
