-- The archive in Redshift: read where it lies, through the Glue catalogue, or copied in.
-- `python -m decisions.archive_tables` writes the columns anew after another preprocessing/schema.py.

-- Where it lies: the database is the one of athena.sql or stream.yaml.
CREATE EXTERNAL SCHEMA archive
FROM DATA CATALOG DATABASE 'riskline'
IAM_ROLE default;

-- Views over it are late-binding, and an array is unnested by naming it. Otherwise those of views.sql are Redshift's too:
-- write `archive.decisions`, `double precision` for `double`, an ORDER BY of a window for `max_by`, and end each with
-- WITH NO SCHEMA BINDING.
CREATE VIEW warned AS
SELECT
    cast(date_trunc('week', d."time") AS date) AS week,
    split_part(warning, ':', 1) AS field,
    split_part(warning, ':', 2) AS code,
    count(*) AS decisions
FROM archive.decisions AS d, d.warnings AS warning
GROUP BY 1, 2, 3
WITH NO SCHEMA BINDING;

-- Copied in, a day at a time: the columns are in the files' order, and arrays become SUPER. COPY reviews and outcomes
-- from their folders in the same way.
CREATE TABLE decisions (
    "id" varchar(65535),
    "time" timestamp,
    "channel" varchar(65535),
    "probability" double precision,
    "tier" varchar(65535),
    "points" integer,
    "model_version" varchar(65535),
    "policy_version" varchar(65535),
    "schema_version" varchar(65535),
    "artifact" varchar(65535),
    "request_id" varchar(65535),
    "seconds" double precision,
    "application_seniority" double precision,
    "application_home" varchar(65535),
    "application_time" double precision,
    "application_age" double precision,
    "application_marital" varchar(65535),
    "application_records" varchar(65535),
    "application_job" varchar(65535),
    "application_expenses" double precision,
    "application_income" double precision,
    "application_assets" double precision,
    "application_debt" double precision,
    "application_amount" double precision,
    "application_price" double precision,
    "warnings" super,
    "reasons" super,
    "personal" varchar(65535),
    "chain" varchar(65535),
    "number" bigint,
    "hash" varchar(65535),
    "digest" varchar(65535),
    "facts" varchar(65535)
)
SORTKEY ("time");

CREATE TABLE reviews (
    "id" varchar(65535),
    "time" timestamp,
    "reviewer" varchar(65535),
    "verdict" varchar(65535),
    "note" varchar(65535)
)
SORTKEY ("time");

CREATE TABLE outcomes (
    "id" varchar(65535),
    "time" timestamp,
    "outcome" varchar(65535),
    "date" date
)
SORTKEY ("time");

COPY decisions
FROM 's3://lender/archive/decisions/day=2026-11-24/'
IAM_ROLE default
FORMAT AS PARQUET
SERIALIZETOJSON;
