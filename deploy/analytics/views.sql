-- What is asked of the archive most: volumes, tiers, approval and drift. Athena and DuckDB understand every statement
-- alike. They need the tables of athena.sql, which `python -m decisions.analytics` makes for DuckDB, and name no field of
-- the application. Times are UTC, a week begins on Monday. `day` in a WHERE clause keeps the rest unread.

CREATE OR REPLACE VIEW decisions_by_week AS
SELECT *, cast(date_trunc('week', time) AS date) AS week
FROM decisions;

CREATE OR REPLACE VIEW volumes AS
SELECT day, channel, count(*) AS decisions, avg(seconds) AS mean_seconds
FROM decisions
GROUP BY day, channel;

CREATE OR REPLACE VIEW tiers AS
SELECT
    week,
    tier,
    count(*) AS decisions,
    cast(count(*) AS double) / sum(count(*)) OVER (PARTITION BY week) AS share,
    avg(probability) AS mean_probability
FROM decisions_by_week
GROUP BY week, tier;

-- Approved means not in tier high, as in the model's report
CREATE OR REPLACE VIEW approval AS
SELECT
    channel,
    count(*) AS decisions,
    avg(CASE WHEN tier = 'high' THEN 0e0 ELSE 1e0 END) AS approved,
    avg(probability) AS mean_probability
FROM decisions
GROUP BY channel;

CREATE OR REPLACE VIEW warned AS
SELECT week, split_part(warning, ':', 1) AS field, split_part(warning, ':', 2) AS code, count(*) AS decisions
FROM decisions_by_week CROSS JOIN UNNEST(warnings) AS each_one (warning)
GROUP BY week, split_part(warning, ':', 1), split_part(warning, ':', 2);

CREATE OR REPLACE VIEW reasoned AS
SELECT week, tier, reason, count(*) AS decisions
FROM decisions_by_week CROSS JOIN UNNEST(reasons) AS each_one (reason)
GROUP BY week, tier, reason;

CREATE OR REPLACE VIEW versions AS
SELECT model_version, policy_version, min(time) AS first, max(time) AS last, count(*) AS decisions
FROM decisions
GROUP BY model_version, policy_version;

-- What reviewers said of each tier: the last verdict on a decision counts
CREATE OR REPLACE VIEW reviewed AS
SELECT week, tier, verdict, count(*) AS decisions
FROM decisions_by_week
INNER JOIN (SELECT id, max_by(verdict, time) AS verdict FROM reviews GROUP BY id) AS last_review
    ON last_review.id = decisions_by_week.id
GROUP BY week, tier, verdict;

-- What became of each tier, beside what was expected: the outcome of the newest day counts, of one day what was told last
CREATE OR REPLACE VIEW turned_out AS
SELECT week, tier, outcome, count(*) AS decisions, avg(probability) AS mean_probability
FROM decisions_by_week
INNER JOIN (
    SELECT id, max_by(outcome, concat(cast(date AS varchar), cast(time AS varchar))) AS outcome FROM outcomes GROUP BY id
) AS last_outcome
    ON last_outcome.id = decisions_by_week.id
GROUP BY week, tier, outcome;

-- Twenty bins of equal width: unlike deciles, they need no look at the data first
CREATE OR REPLACE VIEW score_bins AS
SELECT week, least(cast(floor(probability * 20) AS integer), 19) AS bin, count(*) AS decisions
FROM decisions_by_week
GROUP BY week, least(cast(floor(probability * 20) AS integer), 19);

-- PSI of each week's scores against the first week's, with half a row added to each bin in use (model/psi.py)
CREATE OR REPLACE VIEW score_drift AS
WITH pairs AS (
    SELECT
        weeks.week,
        coalesce(before.decisions, 0) + 0.5e0 AS p,
        coalesce(now.decisions, 0) + 0.5e0 AS q
    FROM (SELECT DISTINCT week FROM score_bins) AS weeks
    CROSS JOIN (SELECT DISTINCT bin FROM score_bins) AS bins
    LEFT JOIN (SELECT * FROM score_bins WHERE week = (SELECT min(week) FROM score_bins)) AS before
        ON before.bin = bins.bin
    LEFT JOIN score_bins AS now ON now.week = weeks.week AND now.bin = bins.bin
    WHERE before.bin IS NOT NULL OR now.bin IS NOT NULL
),
shares AS (
    SELECT
        week,
        p / sum(p) OVER (PARTITION BY week) AS p,
        q / sum(q) OVER (PARTITION BY week) AS q
    FROM pairs
)
SELECT week, sum((q - p) * ln(q / p)) AS psi
FROM shares
GROUP BY week;
