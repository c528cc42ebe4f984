"""DuckDB queries that aggregate what build_pin_text and sample_impressions do, as a person would write them."""

NORMAL = r"regexp_replace(lower(trim(query)), '\s+', ' ', 'g')"


def pin_text_sql(folder: str) -> str:
    """Board titles, query tokens and long-clicked links of every pin, as a Parquet file."""
    return f"""
    COPY (
    WITH held AS (SELECT DISTINCT {NORMAL} AS q FROM read_parquet('{folder}/judgments/*.parquet')),
    log AS (SELECT pin_id, user_hash, ts, board_title, {NORMAL} AS q,
        CASE WHEN action = 'save' THEN 3
             WHEN dwell_s >= 10 OR (action = 'long_click' AND dwell_s IS NULL) THEN 2 ELSE 1 END AS weight
        FROM read_parquet('{folder}/engagement/*.parquet')
        WHERE action IN ('click', 'long_click', 'save') AND pin_id <> '' AND user_hash <> '' AND ts IS NOT NULL),
    engaged AS (SELECT DISTINCT pin_id, user_hash, q, weight FROM log ANTI JOIN held USING (q)
        WHERE q <> '' AND ts >= (SELECT max(ts) FROM log) - INTERVAL 730 DAY),
    token AS (SELECT pin_id, user_hash, q, weight, unnest(list_distinct(string_split(q, ' '))) AS token FROM engaged),
    person AS (SELECT pin_id, token, user_hash, max(weight) AS weight FROM token GROUP BY ALL),
    counted AS (SELECT pin_id, token, sum(weight) AS weight FROM person GROUP BY ALL HAVING count(*) >= 3),
    asked AS (SELECT pin_id, token FROM (SELECT DISTINCT pin_id, token, q FROM token) GROUP BY ALL
        HAVING count(*) >= 2),
    tokens AS (SELECT pin_id, string_agg(token, ' ' ORDER BY weight DESC, token) AS query_tokens FROM
        (SELECT * FROM counted SEMI JOIN asked USING (pin_id, token)
         QUALIFY row_number() OVER (PARTITION BY pin_id ORDER BY weight DESC, token) <= 16) GROUP BY pin_id),
    board AS (SELECT pin_id, lower(trim(board_title)) AS word, min(trim(board_title)) AS spelling,
        count(DISTINCT user_hash) AS users FROM log WHERE weight = 3 AND board_title <> '' GROUP BY ALL
        HAVING users >= 3),
    boards AS (SELECT pin_id, string_agg(spelling, ', ' ORDER BY users DESC, word) AS board_titles FROM
        (SELECT * FROM board QUALIFY row_number() OVER (PARTITION BY pin_id ORDER BY users DESC, word) <= 8)
        GROUP BY pin_id),
    stayed AS (SELECT pin_id FROM log WHERE weight = 2 GROUP BY pin_id HAVING count(DISTINCT user_hash) >= 3)
    SELECT pin_id, title, boards.board_titles, query_tokens,
        CASE WHEN stayed.pin_id IS NULL THEN '' ELSE link_title END AS link_title,
        CASE WHEN stayed.pin_id IS NULL THEN '' ELSE link_description END AS link_description
    FROM read_parquet('{folder}/pins/*.parquet') LEFT JOIN tokens USING (pin_id) LEFT JOIN boards USING (pin_id)
        LEFT JOIN stayed USING (pin_id)
    ) TO '{folder}/pin_text_duckdb.parquet' (FORMAT parquet, COMPRESSION zstd)
    """


def sampling_sql(folder: str, size: int) -> str:
    """A proportional sample by locale, country, popularity and position, as a Parquet file."""
    return f"""
    COPY (
    WITH held AS (SELECT DISTINCT {NORMAL} AS q FROM read_parquet('{folder}/judgments/*.parquet')),
    pairs AS (SELECT q, pin_id, min(query) AS query, count(DISTINCT impression_id) AS shown, min(position) AS position,
        min(query_locale) AS locale, min(country) AS country, min(ts) AS first_seen
        FROM (SELECT *, {NORMAL} AS q FROM read_parquet('{folder}/impressions/*.parquet')
            WHERE impression_id <> '' AND pin_id <> '' AND query <> '') ANTI JOIN held USING (q) GROUP BY q, pin_id),
    volumes AS (SELECT q, sum(shown) AS volume FROM pairs GROUP BY q),
    banded AS (SELECT q, CASE WHEN before < 0.5 * total THEN 'head' WHEN before < 0.8 * total THEN 'torso' ELSE 'tail'
        END AS popularity FROM (SELECT q, sum(volume) OVER (ORDER BY volume DESC RANGE BETWEEN UNBOUNDED PRECEDING AND
        CURRENT ROW) - volume AS before, sum(volume) OVER () AS total FROM volumes)),
    capped AS (SELECT *, hash(q, pin_id) AS preferred FROM pairs
        QUALIFY row_number() OVER (PARTITION BY q ORDER BY preferred) <= 100),
    kept AS (SELECT * FROM capped QUALIFY row_number() OVER (PARTITION BY pin_id ORDER BY preferred) <= 100),
    placed AS (SELECT kept.*, concat_ws('/', locale, country, popularity, CASE WHEN position <= 4 THEN '1-4'
        WHEN position <= 10 THEN '5-10' WHEN position <= 25 THEN '11-25' ELSE '26+' END) AS stratum
        FROM kept JOIN banded USING (q)),
    sized AS (SELECT stratum, count(*) AS pairs, sum(shown) AS impressions FROM placed GROUP BY stratum)
    SELECT placed.*, impressions FROM placed JOIN sized USING (stratum)
    QUALIFY row_number() OVER (PARTITION BY stratum ORDER BY preferred)
        <= ceil({size} * sized.pairs / (SELECT sum(pairs) FROM sized))
    ) TO '{folder}/sample_duckdb.parquet' (FORMAT parquet, COMPRESSION zstd)
    """
