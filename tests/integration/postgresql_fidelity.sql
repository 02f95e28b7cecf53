-- One object of every class and every value that a restore could lose. Runs on PostgreSQL 13 and later, as a superuser, in an
-- empty database; roles are made by the test. What needs a newer version stands between \if and \endif.
SELECT current_setting('server_version_num')::int >= 140000 AS pg14, current_setting('server_version_num')::int >= 150000 AS pg15,
       current_setting('server_version_num')::int >= 170000 AS pg17, current_setting('server_version_num')::int >= 180000 AS pg18 \gset
SET client_min_messages = warning;
SET timezone = 'America/New_York';

-- Schemas, names
CREATE SCHEMA "Odd ""Names"" . here" AUTHORIZATION reader;
CREATE SCHEMA hidden;
CREATE TABLE "Odd ""Names"" . here"."tab.le" ("a ""quoted"" column" int PRIMARY KEY, "new
line" text, "tab	ulator" text, "Ünïcödé ☃" text, "select" int, "per%cent" int, "back\slash" int);
INSERT INTO "Odd ""Names"" . here"."tab.le" VALUES (1, E'x\ny', E'\t', '☃', 2, 3, 4), (2, '', '\N', E'\\N', NULL, NULL, NULL);
CREATE TABLE "slash/ed" ("/" int);
INSERT INTO "slash/ed" VALUES (1);
CREATE TABLE "slash" ("ed" int);
CREATE TABLE "new
line ' table" (x int);
INSERT INTO "new
line ' table" VALUES (5);

-- Types of our own
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "great"');
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
CREATE TYPE pair AS (a int, b text);
CREATE TYPE nested AS (p pair, list int[]);
CREATE DOMAIN positive AS int CONSTRAINT positive_check CHECK (VALUE > 0) DEFAULT 7;
CREATE DOMAIN email AS text COLLATE "C" NOT NULL CHECK (VALUE ~ '@');
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
COMMENT ON TYPE mood IS 'how it''s going';

-- Every built-in type with its edges
CREATE TABLE edge_values (
  id serial PRIMARY KEY, b boolean, i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(12,3), f4 real, f8 double precision, m money,
  c char(5), vc varchar(10), t text, ch "char", nm name, ba bytea, d date, ti time, tz timetz, ts timestamp, tsz timestamptz, iv interval,
  u uuid, j json, jb jsonb, x xml, bt bit(4), vb varbit, ia int[], ta text[], aa int[][], pt point, ln line, ls lseg, bx box, pa path, po polygon, ci circle,
  inet inet, cidr cidr, mac macaddr, mac8 macaddr8, tsv tsvector, tsq tsquery, ir int4range, nr numrange, tr tstzrange, dr daterange, fr floatrange,
  mo mood, pr pair, ne nested, po2 positive, em email, o oid, rc regclass, rp regprocedure, rt regtype, lsn pg_lsn, jp jsonpath, snap txid_snapshot);
INSERT INTO edge_values VALUES (DEFAULT, true, -32768, -2147483648, -9223372036854775808, 'NaN', -999999999.999, '1.17549435e-38', '4.9e-324', '-$92233720368547758.08',
  'ab', 'ümläut', E'tab\t newline\n return\r backslash\\ quote'' bell\x07 end', '\177', 'name', '\x00ff5c0a09', '-infinity', '00:00:00', '24:00:00-15:59', '-infinity', 'infinity',
  '-178000000 years -11 mons -3 days -04:05:06.789', '00000000-0000-0000-0000-000000000000', '{"a" :  1, "a":2 }', '{"b": [1, 2.50, null, "\u00e9"]}', '<a>text</a> <b/>', '1010', '10101',
  '[-2:1]={1,2,NULL,4}', '{"NULL",NULL,"a,b","\"","\\",""}', '{{1,2},{3,4}}', '(1.5,-2)', '{1,-1,0}', '[(0,0),(1,1)]', '(2,2),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(0,0),5>',
  '::ffff:1.2.3.4/128', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', 'a:1A fat:2B,4C ''quo\tes'':3', 'fat & (rat | !cat:AB)', '[1,10)', '(,5.5]', '["2020-01-01 00:00:00+00",infinity)', 'empty', '[0.1,0.2)',
  'it''s "great"', ROW(1, 'x,"y'')'), ROW(ROW(2, NULL), '{1,2}'), 1, 'a@b', 4294967295, 'pg_class', 'sum(int4)', 'timestamp with time zone', 'FFFFFFFF/FFFFFFFF', '$.a[*] ? (@ > 1)', '10:20:10,14,15');
INSERT INTO edge_values (b, i2, i4, i8, n, n2, f4, f8, m, c, vc, t, ba, d, ts, tsz, iv, j, ia, em)
  VALUES (false, 32767, 2147483647, 9223372036854775807, 123456789012345678901234567890.123456789012345678901234567890, 0, 'NaN', 'Infinity', '$0.01',
  '', '', '', '', '4713-01-01 BC', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999+00', '1 day -00:00:01', '[ 1,2 ]', '{}', '@');
INSERT INTO edge_values (f4, f8, t, d, tsz, em) VALUES ('-0', '-0', NULL, '5874897-12-31', '0044-03-15 12:00:00 BC', '@'), (16777217, 0.1, '\N', 'infinity', '2021-11-07 01:30:00-04', '@'),
  ('3.4028235e38', '1.7976931348623157e308', E'\\.', NULL, '2021-11-07 01:30:00-05', '@'), (NULL, 1e-5, repeat('long ', 5000), NULL, NULL, '@');
\if :pg14
CREATE TABLE multi (r int4multirange, t tstzmultirange);
INSERT INTO multi VALUES ('{[1,3),[5,8)}', '{}'), (NULL, '{(,2020-01-01 00:00:00+00)}');
INSERT INTO edge_values (n, em) VALUES ('-Infinity', '@');
\endif

-- Columns and tables in odd states
CREATE TABLE dropped (a int, b int, c text DEFAULT 'x', d int);
INSERT INTO dropped VALUES (1, 2, 'three', 4);
ALTER TABLE dropped DROP COLUMN b, ADD COLUMN e int DEFAULT 9 NOT NULL;
INSERT INTO dropped VALUES (5, 'six', 7);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 3);
CREATE TABLE only_generated (g int GENERATED ALWAYS AS (1 + 1) STORED);
INSERT INTO only_generated VALUES (DEFAULT);
INSERT INTO only_generated VALUES (DEFAULT);
CREATE TABLE identities (a int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5), b bigint GENERATED BY DEFAULT AS IDENTITY (MINVALUE -5 CYCLE), c text, g text GENERATED ALWAYS AS (upper(c)) STORED);
INSERT INTO identities (c) VALUES ('x'), ('y');
INSERT INTO identities OVERRIDING SYSTEM VALUE VALUES (1, 2, 'z');
CREATE UNLOGGED TABLE unlogged (x int);
INSERT INTO unlogged VALUES (1);
CREATE TABLE tuned (a int, b text, c text) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
ALTER TABLE tuned ALTER a SET STATISTICS 500, ALTER b SET STORAGE EXTERNAL, ALTER c SET (n_distinct = -0.5), REPLICA IDENTITY FULL;
CREATE TABLE typed OF pair (PRIMARY KEY (a));
INSERT INTO typed VALUES (1, 'one');
CREATE TABLE clustered (id int PRIMARY KEY, x int);
CREATE INDEX clustered_x ON clustered (x);
ALTER TABLE clustered CLUSTER ON clustered_x;

-- Inheritance and partitions
CREATE TABLE parent (id int, note text DEFAULT 'parent');
CREATE TABLE child (extra int, CHECK (id > 0)) INHERITS (parent);
CREATE TABLE local_too (id int, note text) INHERITS (parent);
INSERT INTO parent VALUES (0); INSERT INTO child VALUES (1, 'c', 2); INSERT INTO local_too VALUES (3, 'l');
CREATE TABLE measurements (at date NOT NULL, place text, value float8) PARTITION BY RANGE (at);
CREATE TABLE measurements_2020 PARTITION OF measurements FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (place);
CREATE TABLE measurements_2020_a PARTITION OF measurements_2020 FOR VALUES IN ('a', NULL);
CREATE TABLE measurements_2020_rest PARTITION OF measurements_2020 DEFAULT;
CREATE TABLE hidden.measurements_rest (value float8, at date NOT NULL, place text);
ALTER TABLE measurements ATTACH PARTITION hidden.measurements_rest DEFAULT;
CREATE INDEX measurements_at ON measurements (at);
CREATE INDEX measurements_only ON ONLY measurements (place);
INSERT INTO measurements SELECT '2019-06-01'::date + i, chr(97 + i % 3), i / 7.0 FROM generate_series(0, 900) i;
CREATE TABLE hashed (id int, x text) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT i, 'x' || i FROM generate_series(1, 100) i;

-- Constraints and indexes
CREATE EXTENSION btree_gist;
CREATE TABLE customers (id int PRIMARY KEY, name varchar(50) NOT NULL, status varchar(10) CHECK (status IN ('new', 'old', 'gone')), boss int, during int4range,
  CONSTRAINT no_overlap EXCLUDE USING gist (id WITH =, during WITH &&) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE orders (id bigint PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE, total numeric CHECK (total >= 0) NO INHERIT, note text);
ALTER TABLE customers ADD favourite bigint, ADD CONSTRAINT favourite_fk FOREIGN KEY (favourite) REFERENCES orders DEFERRABLE INITIALLY DEFERRED,
  ADD CONSTRAINT boss_fk FOREIGN KEY (boss) REFERENCES customers;
BEGIN;
INSERT INTO customers SELECT i, 'customer ' || i, 'new', NULLIF(i / 2, 0), int4range(i, i + 1), i FROM generate_series(1, 50) i;
INSERT INTO orders SELECT i, i % 50 + 1, i * 1.5, 'note' FROM generate_series(1, 200) i;
COMMIT;
ALTER TABLE orders ADD CONSTRAINT never_checked CHECK (total < 100) NOT VALID;
CREATE UNIQUE INDEX orders_note ON orders (id, lower(note) text_pattern_ops DESC NULLS LAST) INCLUDE (total) WHERE total > 1;
CREATE INDEX orders_brin ON orders USING brin (id) WITH (pages_per_range = 16);
CREATE INDEX edge_gin ON edge_values USING gin (jb jsonb_path_ops);
CREATE STATISTICS orders_stats (ndistinct, dependencies) ON customer, total FROM orders;
ALTER STATISTICS orders_stats SET STATISTICS 77;
\if :pg15
CREATE TABLE nulls_same (x int, UNIQUE NULLS NOT DISTINCT (x));
INSERT INTO nulls_same VALUES (NULL), (1);
\endif

\if :pg18
CREATE TABLE of_18 (id int CONSTRAINT id_is_there NOT NULL, v int GENERATED ALWAYS AS (id * 2) VIRTUAL, during tstzrange,
  CONSTRAINT no_two PRIMARY KEY (id, during WITHOUT OVERLAPS), CONSTRAINT small CHECK (id < 100) NOT ENFORCED);
INSERT INTO of_18 VALUES (1, DEFAULT, '[2020-01-01 00:00:00+00,2021-01-01 00:00:00+00)');
\endif

-- Sequences
CREATE SEQUENCE plain START 5 INCREMENT -3 MINVALUE -100 MAXVALUE 10 CACHE 4 CYCLE;
SELECT nextval('plain'), nextval('plain');
CREATE SEQUENCE untouched AS smallint;
CREATE SEQUENCE set_only; SELECT setval('set_only', 42, false);

-- Code
CREATE FUNCTION add(a int, b int DEFAULT 1, VARIADIC c int[] DEFAULT '{}') RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7 AS 'SELECT a + b';
CREATE FUNCTION noisy() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $f$ BEGIN NEW.note := coalesce(NEW.note, 'it''s $$ null'); RETURN NEW; END $f$;
CREATE FUNCTION rows_of(x int) RETURNS TABLE (a int, b text) LANGUAGE sql AS $$ SELECT id, name::text FROM public.customers WHERE id = x $$;
CREATE PROCEDURE do_it(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; END $$;
CREATE AGGREGATE total_of(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION same(pair, pair) RETURNS boolean LANGUAGE sql AS 'SELECT $1.a = $2.a';
CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same, COMMUTATOR = ===);
CREATE FUNCTION backwards(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN $1 < $2 THEN 1 WHEN $1 > $2 THEN -1 ELSE 0 END';
CREATE OPERATOR FAMILY backwards_family USING btree;
CREATE OPERATOR CLASS backwards_ops FOR TYPE int USING btree FAMILY backwards_family AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backwards(int, int);
CREATE INDEX customers_backwards ON customers (id backwards_ops);
CREATE FUNCTION to_mood(int) RETURNS mood LANGUAGE sql IMMUTABLE AS $$ SELECT 'ok'::public.mood $$;
CREATE CAST (int AS mood) WITH FUNCTION to_mood(int) AS ASSIGNMENT;
CREATE CONVERSION odd_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE COLLATION german (provider = libc, locale = 'C.UTF-8');
CREATE TABLE collated (t text COLLATE german);
CREATE TEXT SEARCH DICTIONARY simple_dict (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION simple_config (COPY = english);
ALTER TEXT SEARCH CONFIGURATION simple_config ALTER MAPPING FOR asciiword WITH simple_dict;
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE other_method (x int) USING heap_too;
INSERT INTO other_method VALUES (1);

-- Triggers, rules, policies
CREATE TRIGGER orders_noise BEFORE INSERT OR UPDATE OF note ON orders FOR EACH ROW WHEN (NEW.total > 5) EXECUTE FUNCTION noisy();
CREATE CONSTRAINT TRIGGER orders_late AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION noisy();
ALTER TABLE orders DISABLE TRIGGER orders_noise;
ALTER TABLE orders ENABLE ALWAYS TRIGGER orders_late;
CREATE TABLE audit (what text);
CREATE RULE orders_audit AS ON DELETE TO orders DO ALSO INSERT INTO audit VALUES ('deleted');
ALTER TABLE orders ENABLE REPLICA RULE orders_audit;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY own_orders ON orders AS RESTRICTIVE FOR SELECT TO reader USING (customer = 1);
CREATE POLICY write_orders ON orders FOR INSERT WITH CHECK (total > 0);

-- Views
CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 100 WITH LOCAL CHECK OPTION;
CREATE VIEW by_key AS SELECT c.*, count(*) AS n FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.id;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY customer;
CREATE VIEW over_totals AS SELECT * FROM totals WHERE total > 10;
CREATE MATERIALIZED VIEW a_totals_of_totals AS SELECT count(*) AS n, sum(total) AS total FROM over_totals;
CREATE UNIQUE INDEX totals_customer ON totals (customer);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS x WITH NO DATA;

-- Extensions with configuration tables are made by other extensions; hstore and citext stand for types
CREATE SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION citext;
CREATE TABLE extended (h ext.hstore, c citext);
INSERT INTO extended VALUES ('a=>1, "b c"=>NULL', 'CaSe');

-- Foreign data, publications, event triggers
CREATE EXTENSION postgres_fdw;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost', dbname 'x');
CREATE USER MAPPING FOR reader SERVER elsewhere OPTIONS (user 'u', password 'hidden');
CREATE FOREIGN TABLE far (a int OPTIONS (column_name 'b')) SERVER elsewhere OPTIONS (table_name 't');
CREATE PUBLICATION some_tables FOR TABLE orders, customers WITH (publish = 'insert, update');
CREATE PUBLICATION all_tables FOR ALL TABLES;
CREATE SUBSCRIPTION nowhere CONNECTION 'host=localhost dbname=none' PUBLICATION p WITH (connect = false);
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'an event trigger fired'; END $$;
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end WHEN TAG IN ('CREATE SEQUENCE', 'REFRESH MATERIALIZED VIEW') EXECUTE FUNCTION on_ddl();

-- Owners, grants, comments
ALTER TABLE audit OWNER TO reader;
ALTER FUNCTION add(int, int, int[]) OWNER TO reader;
GRANT SELECT, INSERT ON orders TO reader WITH GRANT OPTION;
GRANT UPDATE (note) ON orders TO PUBLIC;
GRANT USAGE ON SCHEMA hidden TO reader;
GRANT EXECUTE ON FUNCTION noisy() TO reader;
REVOKE EXECUTE ON FUNCTION same(pair, pair) FROM PUBLIC;
GRANT USAGE ON TYPE mood TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE reader IN SCHEMA hidden GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
COMMENT ON TABLE orders IS E'line one\nline ''two''';
COMMENT ON COLUMN orders.note IS 'a column';
COMMENT ON INDEX orders_brin IS 'an index';
COMMENT ON CONSTRAINT boss_fk ON customers IS 'a constraint';
COMMENT ON TRIGGER orders_late ON orders IS 'a trigger';
COMMENT ON POLICY own_orders ON orders IS 'a policy';
COMMENT ON SCHEMA hidden IS 'a schema';
COMMENT ON FUNCTION noisy() IS 'a function';
COMMENT ON EXTENSION hstore IS 'an extension';

-- Large objects
SELECT lo_from_bytea(424242, decode(repeat('00ff10', 20000), 'hex'));
SELECT lo_create(424243);
SELECT lo_from_bytea(424244, 'end');
SELECT lo_put(424244, 100000, 'after a hole');
ALTER LARGE OBJECT 424242 OWNER TO reader;
GRANT SELECT ON LARGE OBJECT 424244 TO reader;
COMMENT ON LARGE OBJECT 424243 IS 'an empty one';
