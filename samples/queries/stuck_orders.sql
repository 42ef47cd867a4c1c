SELECT region,
       CASE WHEN COUNT(*) > 20 THEN 'ALERT' ELSE 'OK' END AS status,
       COUNT(*) AS actual_value,
       20 AS threshold
FROM orders
WHERE state = 'new' AND created_at < NOW() - INTERVAL 1 HOUR
GROUP BY region
