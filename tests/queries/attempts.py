"""Attempts: SQL that would write, read what is no store's, or take all memory or time.

Each is refused, or cut off at its limit, in one line; asked of the engine here and of the explorer over HTTP.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """A query that must not succeed; `{outside}` in it is a Parquet file outside, `{store}` the store's folder."""

    name: str
    sql: str

    def at(self, outside: str, store: str) -> str:
        """The query for these places."""
        return self.sql.replace("{outside}", outside).replace("{store}", store)


# What would change a store, this machine or the session.
WRITES = (
    Attempt("create table", "CREATE TABLE t (i INT)"),
    Attempt("create view", "CREATE VIEW v AS SELECT 1"),
    Attempt("create macro", "CREATE MACRO f(x) AS x + 1"),
    Attempt("create function's sequence", "CREATE SEQUENCE s"),
    Attempt("insert", "INSERT INTO accuracy SELECT * FROM accuracy"),
    Attempt("update", "UPDATE accuracy SET top1 = 1"),
    Attempt("delete", "DELETE FROM accuracy"),
    Attempt("drop", "DROP VIEW leaderboard"),
    Attempt("alter", "ALTER TABLE accuracy ADD COLUMN i INT"),
    Attempt("truncate", "TRUNCATE accuracy"),
    Attempt("copy to csv", "COPY (SELECT 1) TO 'written.csv'"),
    Attempt("copy over the store", "COPY (SELECT 1) TO '{store}/accuracy/x.parquet'"),
    Attempt("copy within a CTE", "WITH x AS (COPY (SELECT 1) TO 'written.csv') SELECT * FROM x"),
    Attempt(
        "copy over the store within a CTE",
        "WITH x AS (COPY (SELECT 1) TO '{store}/accuracy/x.parquet') SELECT * FROM x",
    ),
    Attempt(
        "copy to the file system that tables are read through",
        "WITH x AS (COPY (SELECT 1) TO 'zoo://accuracy/x.parquet') SELECT * FROM x",
    ),
    Attempt(
        "copy within a CTE within a CTE",
        "WITH y AS (WITH x AS (COPY (SELECT 1) TO 'written.csv') SELECT * FROM x) SELECT * FROM y",
    ),
    Attempt(
        "copy within a text",
        "SELECT * FROM query('WITH x AS (COPY (SELECT 1) TO ''written.csv'') SELECT * FROM x')",
    ),
    Attempt("insert within a CTE", "WITH x AS (INSERT INTO t VALUES (1) RETURNING i) FROM x"),
    Attempt("delete within a CTE", "WITH x AS (DELETE FROM _trials RETURNING 1) FROM x"),
    Attempt("update within a CTE", "WITH x AS (UPDATE _trials SET model = 'm' RETURNING 1) FROM x"),
    Attempt("export", "EXPORT DATABASE 'written'"),
    Attempt("import", "IMPORT DATABASE '{store}'"),
    Attempt("attach", "ATTACH '{store}/attached.duckdb' AS d"),
    Attempt("attach in memory", "ATTACH ':memory:' AS d"),
    Attempt("detach", "DETACH memory"),
    Attempt("use", "USE memory"),
    Attempt("install", "INSTALL httpfs"),
    Attempt("load", "LOAD httpfs"),
    Attempt("set", "SET threads = 64"),
    Attempt("set external access", "SET enable_external_access = true"),
    Attempt("set allowed directories", "SET allowed_directories = ['/']"),
    Attempt("reset", "RESET memory_limit"),
    Attempt("pragma", "PRAGMA memory_limit = '1TB'"),
    Attempt("call", "CALL enable_logging()"),
    Attempt("enable logging", "SELECT * FROM enable_logging(storage = 'file')"),
    Attempt("checkpoint", "CHECKPOINT"),
    Attempt("begin", "BEGIN TRANSACTION"),
    Attempt("prepare", "PREPARE p AS SELECT 1"),
    Attempt("execute", "EXECUTE p"),
    Attempt("secret", "CREATE SECRET (TYPE s3, KEY_ID 'k', SECRET 's')"),
    Attempt("vacuum", "VACUUM"),
    Attempt("two statements", "SELECT 1; SELECT 2"),
    Attempt("a second that writes", "SELECT 1; COPY (SELECT 1) TO 'written.csv'"),
    Attempt("no statement", ""),
    Attempt("a comment alone", "-- SELECT 1"),
)
# What would read more than the store's tables.
READS = (
    Attempt("read_parquet", "SELECT * FROM read_parquet('{outside}')"),
    Attempt("parquet_scan", "SELECT * FROM parquet_scan('{outside}')"),
    Attempt("a file's name", "SELECT * FROM '{outside}'"),
    Attempt("a symlink in the store", "SELECT * FROM '{store}/accuracy/link.parquet'"),
    Attempt("a symlinked folder in the store", "SELECT * FROM '{store}/out/outside.parquet'"),
    Attempt("up and out of the store", "SELECT * FROM '{store}/../outside.parquet'"),
    Attempt(
        "up from a table", "SELECT * FROM read_parquet('zoo://accuracy/../../outside.parquet')"
    ),
    Attempt("up in escapes", "SELECT * FROM read_blob('zoo://accuracy/%2e%2e/outside.parquet')"),
    Attempt("the file system's root", "SELECT * FROM read_blob('zoo:///etc/hostname')"),
    Attempt("the store's marker", "SELECT * FROM read_text('zoo://zoo_eval_store.json')"),
    Attempt("all in the store", "SELECT * FROM read_blob('{store}/**')"),
    Attempt("read_text", "SELECT * FROM read_text('/etc/hostname')"),
    Attempt("read_text within a text", "SELECT * FROM query('FROM read_text(''/etc/hostname'')')"),
    Attempt("read_text of a process", "SELECT * FROM read_text('/proc/self/environ')"),
    Attempt("read_blob", "SELECT * FROM read_blob('/etc/hostname')"),
    Attempt("read_csv", "SELECT * FROM read_csv('/etc/passwd', delim = ':')"),
    Attempt("read_csv of a name", "SELECT * FROM '/etc/passwd.csv'"),
    Attempt("read_json", "SELECT * FROM read_json('/etc/hostname')"),
    Attempt("sniff_csv", "SELECT * FROM sniff_csv('/etc/passwd')"),
    Attempt("glob", "SELECT * FROM glob('/etc/*')"),
    Attempt("glob of the store", "SELECT * FROM glob('{store}/*')"),
    Attempt("parquet_metadata", "SELECT * FROM parquet_metadata('{outside}')"),
    Attempt("parquet_schema", "SELECT * FROM parquet_schema('{outside}')"),
    Attempt("http", "SELECT * FROM 'https://127.0.0.1:9/x.parquet'"),
    Attempt("s3", "SELECT * FROM read_parquet('s3://bucket/x.parquet')"),
    Attempt("a database file", "SELECT * FROM '{store}/x.duckdb'"),
    Attempt("getenv", "SELECT getenv('HOME')"),
    Attempt("secrets", "SELECT * FROM duckdb_secrets()"),
    Attempt("a variable of Python", "SELECT * FROM planted_variable"),
    Attempt("an Arrow pointer", "SELECT * FROM arrow_scan(1, 2, 3)"),
)
# What would run for hours, or take all memory.
EXHAUSTS = (
    Attempt(
        "a counting loop",
        "WITH RECURSIVE c AS (SELECT 1::HUGEINT AS i UNION ALL SELECT i + 1 FROM c WHERE i < 1e15) "
        "SELECT max(i) FROM c",
    ),
    Attempt(
        "a cross join",
        "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b WHERE a.range + b.range = -1",
    ),
    Attempt("a sum over a long range", "SELECT sum(sin(range)) FROM range(1000000000000)"),
    Attempt("rows without end", "SELECT * FROM range(1000000000000)"),
    Attempt("long rows", "SELECT repeat('x', 1000000) AS x FROM range(1000000)"),
    Attempt("a long text", "SELECT length(string_agg(repeat('x', 1000), '')) FROM range(1000000000)"),
    Attempt("a text of texts", "SELECT repeat(repeat(repeat('x', 10000), 1000), 1000)"),
    Attempt("a long list", "SELECT len(list(range)) FROM range(10000000000)"),
    Attempt("a list of a range", "SELECT len(range(100000000000))"),
    Attempt(
        "a large sort", "SELECT * FROM range(100000000000) AS t(i) ORDER BY hash(i) LIMIT 1 OFFSET 1000000000"
    ),
    Attempt("many groups", "SELECT count(*) FROM (SELECT hash(i) FROM range(100000000000) AS t(i) GROUP BY ALL)"),
    Attempt(
        "a regular expression",
        "SELECT count(*) FROM range(1000000000) WHERE "
        "regexp_matches(repeat('a', 2000) || range, '(a|aa)+b$')",
    ),
    Attempt("a distance of texts", "SELECT count(*) FROM range(100000000) WHERE "
            "levenshtein(repeat('a', 500) || range, repeat('b', 500)) = 0"),
    Attempt("a sleep", "SELECT sleep_ms(3600000)"),
    Attempt("a sleep in seconds", "SELECT pg_sleep(3600)"),
)  # fmt: skip
ATTEMPTS = (*WRITES, *READS, *EXHAUSTS)
