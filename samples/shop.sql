-- A small shop for SQLite, with a week of orders. Load it with: sqlite3 shop.db < shop.sql
-- Everything follows from the one day in `today`. To fix it, create that table before you load this.
CREATE TABLE IF NOT EXISTS today (day TEXT NOT NULL);
INSERT INTO today SELECT date('now') WHERE NOT EXISTS (SELECT 1 FROM today);

-- 40 orders a day for seven days, today the last of them; about 11,000 a day in three regions.
CREATE TABLE orders (
  id      INTEGER PRIMARY KEY,
  day     TEXT NOT NULL,
  region  TEXT NOT NULL,
  total   NUMERIC NOT NULL
);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 279)
INSERT INTO orders (id, day, region, total)
SELECT i + 1,
       date((SELECT day FROM today), '-' || (6 - i / 40) || ' days'),
       CASE i % 3 WHEN 0 THEN 'EU' WHEN 1 THEN 'US' ELSE 'APAC' END,
       200 + (i * 37) % 150
FROM n;

-- One payment an order; one in forty failed.
CREATE TABLE payments (
  order_id INTEGER PRIMARY KEY REFERENCES orders(id),
  region   TEXT NOT NULL,
  day      TEXT NOT NULL,
  state    TEXT NOT NULL
);
INSERT INTO payments
SELECT id, region, day, CASE WHEN id % 40 = 7 THEN 'failed' ELSE 'paid' END FROM orders;

CREATE TABLE stock (product TEXT PRIMARY KEY, quantity INTEGER NOT NULL);
INSERT INTO stock VALUES ('lamp', 34), ('chair', 12), ('table', 57), ('shelf', 8);

-- What each night's import brought in.
CREATE TABLE imports (day TEXT NOT NULL, source TEXT NOT NULL, rows INTEGER NOT NULL);
INSERT INTO imports
SELECT DISTINCT day, 'suppliers', 1200 + CAST(strftime('%d', day) AS INTEGER) * 10 FROM orders;

-- Nothing was returned this week.
CREATE TABLE returns (order_id INTEGER NOT NULL, day TEXT NOT NULL, amount NUMERIC NOT NULL);
