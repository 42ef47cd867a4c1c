SELECT CASE WHEN COUNT(*) < 10 THEN 'ALERT' ELSE 'OK' END AS status,
       COUNT(*) AS actual_value,
       10 AS threshold
FROM orders
WHERE created_at >= CURRENT_TIMESTAMP - INTERVAL '1' HOUR
