-- The sample shop for PostgreSQL. Load it into an empty database with: psql "$SHOP_URL" -f shop-postgres.sql
-- 40 orders a day for seven days, today the last of them; about 11,000 a day in three regions.
CREATE TABLE orders (
  id      integer PRIMARY KEY,
  day     date NOT NULL,
  region  text NOT NULL,
  total   numeric(12,2) NOT NULL
);
INSERT INTO orders
SELECT i + 1, CURRENT_DATE - (6 - i / 40), (ARRAY['EU', 'US', 'APAC'])[i % 3 + 1], 200 + (i * 37) % 150
FROM generate_series(0, 279) AS i;

-- One payment an order; one in forty failed.
CREATE TABLE payments (
  order_id integer PRIMARY KEY REFERENCES orders (id),
  day      date NOT NULL,
  state    text NOT NULL
);
INSERT INTO payments
SELECT id, day, CASE WHEN id % 40 = 7 THEN 'failed' ELSE 'paid' END FROM orders;

CREATE TABLE stock (product text PRIMARY KEY, quantity integer NOT NULL);
INSERT INTO stock VALUES ('lamp', 34), ('chair', 12), ('table', 57), ('shelf', 8);
