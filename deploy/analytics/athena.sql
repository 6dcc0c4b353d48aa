-- The archive as tables of Athena. Write your bucket and prefix in place of s3://lender/archive, run each
-- statement once, then those of views.sql. No partition ever needs to be added: Athena computes the days. stream.yaml makes the
-- same tables by CloudFormation.
-- `python -m decisions.archive_tables` writes the columns anew after another preprocessing/schema.py.

CREATE EXTERNAL TABLE decisions (
    `id` string,
    `time` timestamp,
    `channel` string,
    `probability` double,
    `tier` string,
    `points` int,
    `model_version` string,
    `policy_version` string,
    `schema_version` string,
    `artifact` string,
    `request_id` string,
    `seconds` double,
    `application_seniority` double,
    `application_home` string,
    `application_time` double,
    `application_age` double,
    `application_marital` string,
    `application_records` string,
    `application_job` string,
    `application_expenses` double,
    `application_income` double,
    `application_assets` double,
    `application_debt` double,
    `application_amount` double,
    `application_price` double,
    `warnings` array<string>,
    `reasons` array<string>,
    `personal` string,
    `chain` string,
    `number` bigint,
    `hash` string,
    `digest` string,
    `facts` string
)
PARTITIONED BY (`day` string)
STORED AS PARQUET
LOCATION 's3://lender/archive/decisions/'
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.day.type' = 'date',
    'projection.day.format' = 'yyyy-MM-dd',
    'projection.day.range' = '2026-01-01,NOW',
    'storage.location.template' = 's3://lender/archive/decisions/day=${day}/'
);

CREATE EXTERNAL TABLE reviews (
    `id` string,
    `time` timestamp,
    `reviewer` string,
    `verdict` string,
    `note` string
)
PARTITIONED BY (`day` string)
STORED AS PARQUET
LOCATION 's3://lender/archive/reviews/'
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.day.type' = 'date',
    'projection.day.format' = 'yyyy-MM-dd',
    'projection.day.range' = '2026-01-01,NOW',
    'storage.location.template' = 's3://lender/archive/reviews/day=${day}/'
);

CREATE EXTERNAL TABLE outcomes (
    `id` string,
    `time` timestamp,
    `outcome` string,
    `date` date
)
PARTITIONED BY (`day` string)
STORED AS PARQUET
LOCATION 's3://lender/archive/outcomes/'
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.day.type' = 'date',
    'projection.day.format' = 'yyyy-MM-dd',
    'projection.day.range' = '2026-01-01,NOW',
    'storage.location.template' = 's3://lender/archive/outcomes/day=${day}/'
);
