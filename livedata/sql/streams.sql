-- name: next_of_run
-- The next index of a run's stream, which is made when it is new. The row stays locked until the
-- transaction ends, so indexes are consecutive however many upload at once.
INSERT INTO livedata_stream AS stream (instrument, run_number, name, last_index, expires_at)
VALUES (%(instrument)s, %(run_number)s, %(name)s, 1, %(expires_at)s)
ON CONFLICT (instrument, run_number, name) DO UPDATE SET last_index = stream.last_index + 1
RETURNING id, run_number, last_index

-- name: next_of_user
-- The same for a user's data, whose run number is the id of its row: the next id that is not
-- already a run of an instrument with the user's name.
INSERT INTO livedata_stream AS stream
    (id, instrument, run_number, name, data_id, last_index, expires_at)
SELECT new.id, %(instrument)s, new.id, %(name)s, %(data_id)s, 1, %(expires_at)s
FROM (
    SELECT nextval(pg_get_serial_sequence('livedata_stream', 'id')) AS id
    FROM generate_series(1, 100)
) AS new
WHERE NOT EXISTS (
    SELECT FROM livedata_stream AS other
    WHERE other.instrument = %(instrument)s AND other.run_number = new.id
        AND other.name = %(name)s
)
LIMIT 1
ON CONFLICT (instrument, data_id, name) WHERE data_id IS NOT NULL
DO UPDATE SET last_index = stream.last_index + 1
RETURNING id, run_number, last_index

-- name: add_message
-- One published thing.
INSERT INTO livedata_message (stream_id, index, metadata, size, content)
VALUES (%(stream_id)s, %(index)s, %(metadata)s::jsonb, %(size)s, %(content)b)

-- name: prune
-- Keeps the newest message and, of those before it, as many as fit into both limits.
DELETE FROM livedata_message AS message
USING (
    SELECT id, row_number() OVER newest_first AS place, sum(size) OVER newest_first AS bytes
    FROM livedata_message WHERE stream_id = %(stream_id)s
    WINDOW newest_first AS (ORDER BY index DESC)
) AS kept
WHERE message.id = kept.id AND place > 1
    AND (place > %(most_messages)s OR bytes > %(most_bytes)s)

-- name: notify
-- Tells the web processes, once the transaction is committed.
SELECT pg_notify('webmon', %(key)s)
