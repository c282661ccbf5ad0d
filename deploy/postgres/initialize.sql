-- Runs once, on an empty data folder: the database of WebMon, and its owner, who is no superuser.
\set password `cat /run/secrets/database_password`
-- The statement's text holds the password; it must not reach the log if it fails.
SET log_min_error_statement = panic;
SET log_min_duration_statement = -1;
CREATE ROLE webmon LOGIN PASSWORD :'password';
CREATE DATABASE webmon OWNER webmon;
REVOKE CONNECT ON DATABASE webmon FROM PUBLIC;
