-- Samples of all series by day, and what is kept of them for years: minutes by month, hours.
--
-- A migration runs this file. The days and months are made ahead and dropped as a whole by
-- `dasmon_listener.partitions`; what comes for a day that has none waits in the default partition.

-- `at` is the sender's time, or ours where it told none or one that cannot be; `received_at` ours.
-- `text` is there where the value is no number, or was not written as PostgreSQL writes it.
-- The order of the columns leaves no padding.
CREATE TABLE dasmon_sample (
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    value float8,
    series_id int NOT NULL,
    status int,
    text text
) PARTITION BY RANGE (at);
CREATE INDEX dasmon_sample_of_series ON dasmon_sample (series_id, at);
-- What arrived since a moment: rows lie in the order of their arrival.
CREATE INDEX dasmon_sample_received ON dasmon_sample USING brin (received_at)
    WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE dasmon_sample_default PARTITION OF dasmon_sample DEFAULT;

-- `count` counts all samples; the others are of finite numbers, and null if there was none.
CREATE TABLE dasmon_minute (
    at timestamptz NOT NULL,
    minimum float8,
    maximum float8,
    mean float8,
    last float8,
    series_id int NOT NULL,
    count int NOT NULL,
    PRIMARY KEY (series_id, at)
) PARTITION BY RANGE (at);
CREATE TABLE dasmon_minute_default PARTITION OF dasmon_minute DEFAULT;

CREATE TABLE dasmon_hour (
    at timestamptz NOT NULL,
    minimum float8,
    maximum float8,
    mean float8,
    last float8,
    series_id int NOT NULL,
    count int NOT NULL,
    PRIMARY KEY (series_id, at)
);

ALTER TABLE dasmon_latest SET (fillfactor = 50);
