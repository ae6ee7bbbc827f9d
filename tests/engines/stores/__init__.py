"""PostgreSQL, RabbitMQ, Redis and S3 as production has them: what only the real servers can show."""
