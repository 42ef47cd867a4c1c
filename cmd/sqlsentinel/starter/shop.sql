CREATE TABLE orders (id INTEGER PRIMARY KEY, region TEXT NOT NULL, total NUMERIC NOT NULL, paid INTEGER NOT NULL);
INSERT INTO orders (region, total, paid) VALUES
  ('EU', 120.50, 1), ('EU', 89.90, 1), ('EU', 42.00, 0), ('US', 310.00, 1), ('US', 15.75, 0), ('APAC', 77.20, 1);
CREATE TABLE stock (product TEXT PRIMARY KEY, quantity INTEGER NOT NULL);
INSERT INTO stock VALUES ('kettle', 34), ('lamp', 3), ('teapot', 12);
